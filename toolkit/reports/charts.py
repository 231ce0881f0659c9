"""The drawings of the reports, each a function from plain data to a matplotlib figure or an array of pixels, without matplotlib's
global state."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, get_font
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from PIL import Image

BLUE, GREY = "#2f6fb0", "#b9c4cf"
DOTS = (BLUE, "#8a97a4")
OUTLINE = (64, 224, 255)
LEVELS = 96  # of brightness
MOST_NUMBERED = 16  # classes up to which each cell of a confusion matrix shows its count
MOST_NAMED = 24  # classes up to which their names stand beside the matrix
LONGEST_LABEL = 16
LEAST_DRAWN = -0.5  # of bars that are 1 at best


def bars(values: dict[str, tuple[float, float, float]], what: str, *, highlighted: str) -> Figure:
    """Horizontal bars of name -> (value, low, high), at most 1, with the intervals as whiskers. What lies below `LEAST_DRAWN`
    runs off the drawing."""
    names = list(values)[::-1]
    drawing = Figure(figsize=(4.8, 0.9 + 0.36 * len(names)), layout="constrained")
    axes = drawing.subplots()
    centre, low, high = (np.array([values[name][i] for name in names]).clip(LEAST_DRAWN - 1) for i in range(3))
    reach = [np.maximum(centre - low, 0), np.maximum(high - centre, 0)]
    colours = [BLUE if name == highlighted else GREY for name in names]
    axes.barh(names, centre, xerr=reach, color=colours, error_kw={"capsize": 3, "lw": 1})
    least = max(LEAST_DRAWN, float(low.min()))
    least = least if least < -0.02 else 0.0
    axes.set(xlim=(1.05 * least, 1.02), xlabel=what)
    if least < 0:
        axes.axvline(0, color="#1d2733", lw=0.8)
    return bare_axes(drawing, axes)


def dots(values: dict[str, dict[str, tuple[float, float, float]]], numbers: Sequence[int], *, what: str) -> Figure:
    """A row of dots for each class, which `numbers` number: class -> method -> (value, low, high), all from 0 to 1, with whiskers
    for the intervals."""
    methods = list(next(iter(values.values())))
    rows = np.arange(len(values))
    drawing = Figure(figsize=(4.6, 1.2 + 0.3 * len(values)), layout="constrained")
    axes = drawing.subplots()
    for number, (label, colour, marker) in enumerate(zip(drawable(methods, longest=40, noun="method"), DOTS, "os", strict=False)):
        centre, low, high = np.array([each[methods[number]] for each in values.values()]).T
        reach = [np.maximum(centre - low, 0), np.maximum(high - centre, 0)]
        apart = 0.32 * (number - (len(methods) - 1) / 2)
        axes.errorbar(centre, rows + apart, xerr=reach, fmt=marker, color=colour, ms=5, lw=1.2, capsize=2, label=f" {label}")
    axes.set_yticks(rows, drawable(list(values), numbers))
    axes.set(xlim=(-0.02, 1.02), ylim=(len(values) - 0.4, -0.6), xlabel=what)
    axes.grid(axis="x", color=GREY, lw=0.5, alpha=0.6)
    drawing.legend(loc="outside upper center", ncols=len(methods), frameon=False, fontsize=9)
    return bare_axes(drawing, axes)


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float | None]]], what: str, *, best: int | None = None, noun: str = "line"
) -> Figure:
    """Lines of name -> (epochs, values) from epoch 0, the untrained network; `best` marks the epoch whose weights were kept."""
    drawing = Figure(figsize=(4.6, 3.2), layout="constrained")
    axes = drawing.subplots()
    for name, (epochs, values) in zip(drawable(list(lines), longest=32, noun=noun), lines.values(), strict=True):
        numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
        # the blank: matplotlib leaves names that begin with "_" out of the legend
        axes.plot(epochs, numbers, label=f" {name}", marker="o", markersize=3, linewidth=1.6)
    if best is not None:
        axes.axvline(best, color=GREY, linestyle="--", linewidth=1, zorder=0, label=f"kept: epoch {best}")
    axes.set(xlabel="epoch (0: untrained)", ylabel=what)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    axes.legend(frameon=False, fontsize=9)
    return bare_axes(drawing, axes)


def confusion(counts: np.ndarray, classes: Sequence[str]) -> Figure:
    """Counts [true][predicted] as a heat map, shaded by the share of the true class."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = float(np.clip(0.36 * len(classes) + 1.5, 3.2, 5.2))
    drawing = Figure(figsize=(side, side), layout="constrained")
    axes = drawing.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if len(classes) <= MOST_NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.55 else "#1d2733"
                axes.text(column, row, str(count), ha="center", va="center", color=colour, fontsize=9)
    if len(classes) <= MOST_NAMED:
        labels, places = drawable(classes), range(len(classes))
        axes.set_xticks(places, labels, rotation=90 if len(classes) > 3 or max(map(len, labels)) > 10 else 0)
        axes.set_yticks(places, labels)
    else:  # numbers, from 1
        every = 10 ** int(np.log10(len(classes) / 2))
        places = range(every - 1, len(classes), every)
        axes.set_xticks(places, [str(i + 1) for i in places], rotation=90)
        axes.set_yticks(places, [str(i + 1) for i in places])
    axes.set(xlabel="predicted", ylabel="true")
    return bare_axes(drawing, axes)


def signed(weights: np.ndarray, ends: tuple[str, str], *, numbers: tuple[int, int]) -> Figure:
    """Signed weights (height, width) from blue over white to red, which speak for `ends`, classes with their `numbers`."""
    reach = float(np.abs(weights).max()) or 1.0
    drawing = Figure(figsize=(3.4, 3.4), layout="constrained")
    axes = drawing.subplots()
    image = axes.imshow(weights, cmap="RdBu_r", vmin=-reach, vmax=reach)
    axes.set_xticks([])
    axes.set_yticks([])
    bar = drawing.colorbar(image, ax=axes, orientation="horizontal", ticks=[-reach, 0, reach], shrink=0.9)
    low, high = drawable(ends, numbers)
    bar.set_ticklabels([f"for {low}", "neither", f"for {high}"])
    bar.ax.tick_params(labelsize=9)
    return bare_axes(drawing, axes)


def overlay(picture: np.ndarray, heat: np.ndarray, *, least: int = 128) -> np.ndarray:
    """A picture, uint8 (height, width, 3), under a map of heat (rows, columns) from 0 to 1, enlarged to `least` pixels."""
    scale = max(1, -(-least // min(picture.shape[:2])))
    width, height = picture.shape[1] * scale, picture.shape[0] * scale
    base = np.asarray(Image.fromarray(picture).resize((width, height), Image.Resampling.NEAREST), dtype=np.float32)
    soft = Image.fromarray(heat.astype(np.float32)).resize((width, height), Image.Resampling.BICUBIC)
    strength = np.clip(np.asarray(soft), 0, 1)[..., None]
    grey = base.mean(axis=2, keepdims=True)
    colour = matplotlib.colormaps["inferno"](strength[..., 0])[..., :3] * 255
    mixed = (1 - 0.65 * strength) * (0.5 * grey + 0.35 * base) + 0.65 * strength * colour
    return mixed.clip(0, 255).astype(np.uint8)


def coloured(mask: np.ndarray, colours: Sequence[tuple[int, int, int]]) -> Image.Image:
    """Class numbers, uint8 (height, width), in their colours; hatched in grey where no class is."""
    rows, columns = np.indices(mask.shape)
    hatched = np.where((rows + columns) % 6 < 3, 254, 255)
    return _paletted(np.where(mask < len(colours), mask, hatched), {**dict(enumerate(colours)), 254: (150,) * 3, 255: (190,) * 3})


def lit(values: np.ndarray, around: np.ndarray) -> Image.Image:
    """Values (height, width) from 0, black, to 1, bright, with a line around the places where `around` is True; around those that
    are narrower than a hundredth of the picture there is none."""
    levels = matplotlib.colormaps["inferno"](np.linspace(0, 1, LEVELS), bytes=True)[:, :3]
    core = _shrunk(around, reach := max(1, round(max(values.shape) / 200)))
    kept = ~_shrunk(~core, reach)
    numbers = np.where(kept & ~_shrunk(kept, 1), LEVELS, (values.clip(0, 1) * (LEVELS - 1)).round())
    return _paletted(numbers, {**dict(enumerate(levels.tolist())), LEVELS: OUTLINE})


def _shrunk(places: np.ndarray, reach: int) -> np.ndarray:
    """Places, bool (height, width), that have no other kind within a square of `reach` pixels to each side."""
    for axis in (0, 1):
        padded = np.pad(places, [(reach, reach) if axis == along else (0, 0) for along in (0, 1)], mode="edge")
        places = np.asarray(np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1, axis).all(axis=-1))
    return places


def _paletted(numbers: np.ndarray, colours: dict[int, Sequence[int]]) -> Image.Image:
    """Numbers (height, width) below 256 as a picture with a palette, which is small when it is saved."""
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[list(colours)] = list(colours.values())
    picture = Image.fromarray(numbers.astype(np.uint8))
    picture.putpalette(palette.tobytes())
    return picture


def sheet(tiles: Sequence[np.ndarray], columns: int, *, side: int, gap: int = 2) -> np.ndarray:
    """Square tiles, uint8 (n, n, 3), in rows of `columns`, each enlarged to `side` pixels: uint8 (height, width, 3)."""
    rows = -(-len(tiles) // columns)
    whole = np.full((rows * (side + gap) - gap, columns * (side + gap) - gap, 3), 255, dtype=np.uint8)
    for number, tile in enumerate(tiles):
        top, left = (number // columns) * (side + gap), (number % columns) * (side + gap)
        whole[top : top + side, left : left + side] = np.asarray(
            Image.fromarray(tile).resize((side, side), Image.Resampling.NEAREST)
        )
    return whole


def filter_tiles(filters: np.ndarray) -> list[np.ndarray]:
    """Filters (n, height, width, 3) as pictures: mid-grey is no weight, each scaled to its own strongest."""
    reach = np.abs(filters).max(axis=(1, 2, 3), keepdims=True)
    return list((127.5 + 127.5 * filters / np.maximum(reach, 1e-12)).round().astype(np.uint8))


def drawable(
    labels: Sequence[str], numbers: Sequence[int] | None = None, *, longest: int = LONGEST_LABEL, noun: str = "class"
) -> list[str]:
    """Labels as a drawing can show them: cut in the middle where they are long, and called "class 7" by their `numbers`
    (None: 1, 2, …) where matplotlib's font lacks their letters or the cut has made two the same."""
    numbers = list(numbers or range(1, len(labels) + 1))
    known = _letters()
    cut = [label if len(label) <= longest else label[: longest // 2] + "…" + label[1 - longest // 2 :] for label in labels]
    clear = [all(ord(letter) in known for letter in label) and cut.count(label) == 1 for label in cut]
    return [label if legible else f"{noun} {number}" for label, legible, number in zip(cut, clear, numbers, strict=True)]


@cache
def _letters() -> frozenset[int]:
    return frozenset(get_font(findfont("DejaVu Sans")).get_charmap())


def bare_axes(drawing: Figure, axes: Axes) -> Figure:
    """A drawing without a box around `axes`, whose texts stand as they are."""
    axes.spines[["top", "right"]].set_visible(False)
    for text in drawing.findobj(Text):
        text.set_parse_math(False)  # a class may be called $5
    return drawing
