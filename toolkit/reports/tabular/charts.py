"""The drawings of a report on tables: calibration, ranking, estimates against the truth, dependence, embeddings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from toolkit.reports.charts import BLUE, GREY, bare_axes, drawable

INK, BAND = "#1d2733", "#cfe0f1"
COLOURS = (BLUE, "#c8553d", "#3c9d5d", "#8a5fb5", "#d39b1d")
LONGEST_COLUMN, LONGEST_CATEGORY = 34, 22  # letters of names that find room
MOST_DRAWN = 2000  # points of a cloud
BINS = 12  # of the residuals
PLACES = [(1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)]  # of a name beside its point


def reliability(points: Sequence[dict[str, float]], what: str) -> Figure:
    """What was said against what was so, from the bins of `TabularScores.calibration`, and how many rows each bin has."""
    said, share, low, high, count = (
        np.array([point[name] for point in points]) for name in ("said", "share", "low", "high", "count")
    )
    drawing = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes, below = drawing.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", zorder=0)
    reach = [np.maximum(share - low, 0), np.maximum(high - share, 0)]
    axes.errorbar(said, share, yerr=reach, fmt="o", color=BLUE, ms=5, lw=1.2, capsize=2)
    axes.set(ylim=(-0.02, 1.02), ylabel="share where it was so")
    below.bar(said, count, width=0.06, color=GREY)
    below.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=2))
    below.set(xlim=(-0.02, 1.02), ylabel="rows", xlabel=what)
    bare_axes(drawing, below)
    return bare_axes(drawing, axes)


def roc(scores: np.ndarray, hits: np.ndarray, *, area: float) -> Figure:
    """How many of what is looked for are found, against how many others are taken for it, as the threshold falls.

    `scores`, float (n,), are the probabilities of what is looked for, `hits`, bool (n,), say where it is.
    """
    order = np.argsort(-scores, kind="stable")
    last = np.append(np.diff(scores[order]) != 0, True)  # of rows that share a score
    found, wrong = (np.append(0, np.cumsum(of[order])[last] / max(1, of.sum())) for of in (hits, ~hits))
    every = np.unique(np.linspace(0, len(found) - 1, 500).astype(int))
    drawing = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes = drawing.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls="--", zorder=0, label="chance")
    axes.plot(wrong[every], found[every], color=BLUE, lw=1.8, label=f"ROC AUC {area:.3f}")
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel="share of the others taken for it", ylabel="share of it found")
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    return bare_axes(drawing, axes)


def against_truth(truth: np.ndarray, said: np.ndarray, *, what: str) -> tuple[Figure, int]:
    """A cloud of what was said against what is true, and how many of its points lie off the drawing."""
    low, high = _span(np.concatenate([truth, said]))
    drawing = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes = drawing.subplots()
    axes.plot([low, high], [low, high], color=GREY, lw=1, ls="--", zorder=0)
    axes.scatter(truth, said, s=9, color=BLUE, alpha=_alpha(len(truth)), lw=0)
    name = drawable([what], longest=30, noun="the value")[0]
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=f"true {name}", ylabel="predicted")
    _few_ticks(axes)
    off = int(((np.minimum(truth, said) < low) | (np.maximum(truth, said) > high)).sum())
    return bare_axes(drawing, axes), off


def residuals(truth: np.ndarray, said: np.ndarray) -> tuple[Figure, int]:
    """A cloud of predicted less true against predicted, with the median and the middle 80 % along it, and how many of its points
    lie off the drawing."""
    rest = said - truth
    (left, right), (low, high) = _span(said), _span(rest)
    drawing = Figure(figsize=(4.2, 4.2), layout="constrained")
    axes = drawing.subplots()
    axes.axhline(0, color=GREY, lw=1, ls="--", zorder=0)
    axes.scatter(said, rest, s=9, color=BLUE, alpha=_alpha(len(said)), lw=0)
    parts = np.array_split(np.argsort(said, kind="stable"), min(BINS, len(said) // 20)) if len(said) >= 60 else []
    if parts:
        ends = np.array([np.quantile(rest[part], (0.1, 0.5, 0.9)) for part in parts]).T
        middle = [np.median(said[part]) for part in parts]
        axes.fill_between(middle, ends[0], ends[2], color=BAND, alpha=0.7, lw=0, zorder=0)
        axes.plot(middle, ends[1], color=INK, lw=1.4)
    axes.set(xlim=(left, right), ylim=(low, high), xlabel="predicted", ylabel="predicted less true")
    _few_ticks(axes)
    off = int(((said < left) | (said > right) | (rest < low) | (rest > high)).sum())
    return bare_axes(drawing, axes), off


def dependence(
    values: Sequence[float | str],
    lines: dict[str, np.ndarray],
    *,
    kind: str,
    title: str,
    what: str,
    span: tuple[float, float],
) -> Figure:
    """The mean answer against a column's value: for numbers and dates (ISO) curves, with a tick for each value; for categories
    rows of dots. `lines` maps a name to an answer for each value, `span` has the ends of the answers. Values and title are such
    as can be drawn."""
    drawing = Figure(figsize=(4.2, 3.1 if kind != "category" else 1.4 + 0.24 * len(values)), layout="constrained")
    axes = drawing.subplots()
    names = drawable(list(lines), longest=24)
    if kind == "category":
        for (name, answers), colour in zip(zip(names, lines.values(), strict=True), COLOURS, strict=False):
            axes.plot(answers, range(len(values)), "o", color=colour, ms=6, label=f" {name}")
        axes.set_yticks(range(len(values)), [str(value) for value in values])
        axes.set(xlim=span, ylim=(len(values) - 0.4, -0.6), xlabel=what)
        axes.grid(axis="both", color=GREY, lw=0.5, alpha=0.6)
    else:
        at = date2num([datetime.fromisoformat(str(value)) for value in values]) if kind == "date" else np.array(values, float)
        for (name, answers), colour in zip(zip(names, lines.values(), strict=True), COLOURS, strict=False):
            axes.plot(at, answers, color=colour, lw=1.8, marker="o" if len(at) < 8 else None, ms=4, label=f" {name}")
        axes.plot(at, np.full(len(at), span[0]), "|", color=INK, ms=9, clip_on=False)
        if kind == "date":
            locator = AutoDateLocator(minticks=2, maxticks=7)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        else:
            axes.xaxis.set_major_locator(MaxNLocator(5, integer=bool((at == at.round()).all())))
        axes.set(ylim=span, ylabel=what)
    drawing.suptitle(title, x=0.01, ha="left", fontsize=11)
    if len(lines) > 1:
        drawing.legend(loc="outside lower center", ncols=2, frameon=False, fontsize=9)
    return bare_axes(drawing, axes)


def embedding(
    points: np.ndarray, names: Sequence[str], *, counts: np.ndarray, shades: np.ndarray | None, others: np.ndarray, title: str
) -> tuple[Figure, list[int]]:
    """Categories, at `points` (n, 2), with their names where these find room, the commonest first, and which of them have one.

    `counts` (n,) are their training rows: the more, the larger the dot. `shades` (n,), from 0 to 1, darken it. `others`, bool
    (n,), are no categories of their own: squares.
    """
    drawing = Figure(figsize=(4.6, 4.0))
    canvas = FigureCanvasAgg(drawing)
    axes = drawing.add_axes((0.02, 0.02, 0.96, 0.88))
    low, high = points.min(axis=0), points.max(axis=0)
    spare = np.where(high > low, high - low, 1.0) * (0.2, 0.1)
    axes.set(xlim=(low[0] - spare[0], high[0] + spare[0]), ylim=(low[1] - spare[1], high[1] + spare[1]), xticks=[], yticks=[])
    axes.axhline(0, color=GREY, lw=0.5, zorder=0)
    axes.axvline(0, color=GREY, lw=0.5, zorder=0)
    sizes = 14 + 110 * np.sqrt(counts / max(1, counts.max()))
    shades = np.full(len(points), 0.6) if shades is None else shades
    for some, marker in ((~others, "o"), (others, "s")):
        colours: dict[str, Any] = {"c": shades[some], "cmap": "Blues", "vmin": -0.3, "vmax": 1}
        axes.scatter(points[some, 0], points[some, 1], s=sizes[some], marker=marker, edgecolors=INK, lw=0.5, **colours)
    axes.set_title(title, fontsize=11, loc="left")
    return _framed(drawing, axes), _named(canvas, axes, points=points, names=names, counts=counts, sizes=sizes)


def _named(
    canvas: FigureCanvasAgg, axes: Axes, *, points: np.ndarray, names: Sequence[str], counts: np.ndarray, sizes: np.ndarray
) -> list[int]:
    """Write names beside their points where they cover neither each other nor another point."""
    renderer, scale = canvas.get_renderer(), canvas.figure.dpi / 72
    at, radii = axes.transData.transform(points), np.sqrt(sizes) / 2 * scale
    taken = [Bbox([place - radius, place + radius]) for place, radius in zip(at, radii, strict=True)]
    room, written = axes.get_window_extent(renderer), []
    for number in np.argsort(-counts, kind="stable").tolist():
        label = Text(0, 0, names[number], fontsize=8.5, parse_math=False)
        label.set_figure(axes.figure)
        extent = label.get_window_extent(renderer)
        size = np.array([extent.width, extent.height])
        for place in PLACES:
            middle = at[number] + np.array(place) * (radii[number] + 2 * scale + size / 2)
            box = Bbox([middle - size / 2, middle + size / 2])
            inside = room.x0 <= box.x0 and room.x1 >= box.x1 and room.y0 <= box.y0 and room.y1 >= box.y1
            if inside and not any(box.overlaps(other) for other in taken):
                x, y = axes.transData.inverted().transform(middle)
                axes.text(x, y, names[number], fontsize=8.5, ha="center", va="center", parse_math=False)
                taken.append(box)
                written.append(number)
                break
    return written


def _span(values: np.ndarray) -> tuple[float, float]:
    """The ends of a drawing: of all values, or of all but the outermost where these would press the rest together."""
    low, high = float(values.min()), float(values.max())
    inner = np.quantile(values, (0.005, 0.995))
    if high - low > 3 * (inner[1] - inner[0]) > 0:
        low, high = (float(end) for end in inner)
    spare = 0.04 * (high - low) or abs(high) * 0.05 or 1.0
    return low - spare, high + spare


def _alpha(count: int) -> float:
    return float(np.clip(300 / max(1, count), 0.2, 0.8))


def _few_ticks(axes: Axes) -> None:
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(6))


def _framed(drawing: Figure, axes: Axes) -> Figure:
    axes.spines[:].set_color(GREY)
    return bare_axes(drawing, axes)
