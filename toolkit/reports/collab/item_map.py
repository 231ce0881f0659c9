"""The map of a catalogue: where factors put the best known items, in two dimensions, and titles where these find room.

`page.html` draws it: titles come in any script, and a map for a telephone is another drawing than one for a desk.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from matplotlib.font_manager import findfont, get_font

from toolkit.program.collab.dot_model import FoldInModel

WIDTHS, MOST_DRAWN = (920, 358), (300, 100)  # of the drawings at a desk and on a telephone, and how many items these show
TALL, SPARE = (0.5, 0.85), 18  # height as a share of the width; room around the outermost dots
SMALLEST, LARGEST = 1.8, 0.008  # radii: in units, and as a share of the width beyond
FOREMOST = 0.15  # of the items: the most popular ones, whose titles may cover dots
LETTERS, LONGEST = 12, (26, 18)  # size of titles in units, and how many letters find room
PLACES = [(1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (-1, -1), (1, 1), (-1, 1)]  # of a title beside its dot
EVERY_LETTER = 1.0  # of its size: how wide a letter may be that the measured font lacks
GAP = 3
YEAR = re.compile(r"\s*\(\d{4}\)$")


@dataclass(frozen=True)
class Places:
    """Where items lie: their `codes`, int64 (n,), the most popular first, `points`, float64 (n, 2), and the share of the variance
    of their factors' directions that each of the two dimensions holds."""

    codes: np.ndarray
    points: np.ndarray
    held: tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """A map as it is drawn: `dots` are (x, y, radius, what to tell), `names` are (x, y, title) about their middle."""

    width: int
    height: int
    dots: Sequence[tuple[float, float, float, str]]
    names: Sequence[tuple[float, float, str]]
    boxes: np.ndarray = field(repr=False, compare=False)  # of the names: left, top, right, bottom


@dataclass(frozen=True)
class Map:
    """A block of a page: one map, drawn for each width, with captions of its two dimensions and of the whole."""

    drawings: Sequence[Drawing]
    across: str
    along: str
    alt: str
    caption: str
    kind: str = field(default="map", init=False)


def directions(model: FoldInModel, codes: np.ndarray | slice = slice(None)) -> np.ndarray:
    """The factors of items, each of length 1, without those that are the same for all: float64 (n, d); zeros where nothing was
    learnt."""
    vectors = model.vectors[codes].astype(np.float64)
    vectors = vectors[:, ~(model.vectors == 1).all(axis=0)]
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1.0)


def places(model: FoldInModel, popularity: np.ndarray) -> Places:
    """Principal components of the directions of the most popular items; the third moment of each is positive, so that the same
    factors make the same map."""
    codes = np.argsort(-popularity, kind="stable")[: MOST_DRAWN[0]]
    found = directions(model, codes)
    there = found.any(axis=1)
    codes, found = codes[there], found[there]
    if not len(codes):
        return Places(codes, np.zeros((0, 2)), (0.0, 0.0))
    found -= found.mean(axis=0)
    left, sizes, _ = np.linalg.svd(found, full_matrices=False)
    points = np.pad(left * sizes, ((0, 0), (0, 2)))[:, :2]
    points *= np.where((points**3).sum(axis=0) < 0, -1.0, 1.0)
    shares = np.pad(sizes**2, (0, 2)) / max(float((sizes**2).sum()), 1e-12)
    return Places(codes, points, (float(shares[0]), float(shares[1])))


def drawing(points: np.ndarray, titles: Sequence[str], *, counts: np.ndarray, width: int, longest: int) -> Drawing:
    """Dots at `points` (n, 2), the larger the higher their `counts`, and titles of those for which there is room. Those that come
    first have the first choice."""
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.where(high - low > 1e-9, high - low, 1.0)
    height = round(width * float(np.clip(span[1] / span[0], *TALL)))
    room = np.array([width, height]) - 2 * SPARE
    scale = (room / span).min()  # the same for both: distances are to be compared
    at = np.array([width, height]) / 2 + (points - (low + high) / 2) * scale * (1, -1)
    radii = SMALLEST + LARGEST * width * np.sqrt(counts / max(1, counts.max()))
    names, boxes = _written(at, radii, titles=[shortened(title, longest) for title in titles], room=(width, height))
    told = [f"{title}: {count}" for title, count in zip(titles, counts.tolist(), strict=True)]
    dots = [
        (round(x, 1), round(y, 1), round(r, 1), what) for (x, y), r, what in zip(at.tolist(), radii.tolist(), told, strict=True)
    ]
    return Drawing(width, height, dots, names, boxes)


def _written(
    at: np.ndarray, radii: np.ndarray, *, titles: Sequence[str], room: tuple[int, int]
) -> tuple[list[tuple[float, float, str]], np.ndarray]:
    """Titles with their middles, and their boxes: one by one, where they cover neither a title nor a dot; the first of them,
    where there is no such place, over dots that have no title and will get none."""
    dots = np.column_stack([at - radii[:, None], at + radii[:, None]])
    boxes, names, open_ = np.zeros((0, 4)), [], np.ones(len(dots), dtype=bool)
    first = round(FOREMOST * len(dots))
    kept = np.arange(len(dots)) < first
    for number in range(len(dots)):
        if not open_[number]:  # under a title by now
            continue
        box = _place(at[number], radii[number], title=titles[number], taken=np.vstack([boxes, dots]), room=room)
        if box is None and number < first:  # what everyone looks for has to be there
            box = _place(at[number], radii[number], title=titles[number], taken=np.vstack([boxes, dots[kept]]), room=room)
        if box is None:
            continue
        middle = (box[:2] + box[2:]) / 2
        names.append((round(float(middle[0]), 1), round(float(middle[1]), 1), titles[number]))
        boxes = np.vstack([boxes, box])
        open_ &= ~boxes_meet(box, dots)
    return names, boxes


def _place(at: np.ndarray, radius: float, *, title: str, taken: np.ndarray, room: tuple[int, int]) -> np.ndarray | None:
    """The first box beside a dot that is free, for its title."""
    size = np.array([text_width(title, LETTERS), 1.15 * LETTERS])
    for place in PLACES:
        middle = at + np.array(place) * (radius * (0.75 if all(place) else 1) + GAP + size / 2)
        box = np.concatenate([middle - size / 2, middle + size / 2])
        if (box[:2] >= 0).all() and (box[2:] <= room).all() and not boxes_meet(box, taken).any():
            return box
    return None


def boxes_meet(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of `others` (n, 4) share ground with a box (left, top, right, bottom)."""
    return (others[:, 0] < box[2]) & (box[0] < others[:, 2]) & (others[:, 1] < box[3]) & (box[1] < others[:, 3])


def shortened(title: str, longest: int) -> str:
    """A title on one line; where it is long without its year, and cut at its end; letters of double width count twice."""
    title = " ".join(title.split())
    title = title if len(title) <= longest else YEAR.sub("", title)
    widths = np.cumsum([1 + (ord(letter) >= 0x1100 and _advance(letter) is None) for letter in title])
    if not len(widths) or widths[-1] <= longest:
        return title
    return title[: int(np.searchsorted(widths, longest - 1, side="right"))].rstrip(" :,-") + "…"


def text_width(text: str, size: float) -> float:
    """How wide a text is at the most, in the unit of its size: as in DejaVu Sans, which is wider than what pages are set in."""
    return size * sum(EVERY_LETTER if (found := _advance(letter)) is None else found for letter in text)


def _advance(letter: str) -> float | None:
    """The width of a letter of size 1; None where DejaVu Sans lacks it."""
    font, known = _font()
    if ord(letter) not in known:
        return None
    if letter not in _WIDTHS:
        font.set_size(100, 72)
        _WIDTHS[letter] = font.load_char(ord(letter)).linearHoriAdvance / 65536 / 100
    return _WIDTHS[letter]


_WIDTHS: dict[str, float] = {}


def _font() -> tuple[Any, Mapping[int, Any]]:
    font = get_font(findfont("DejaVu Sans"))
    return font, font.get_charmap()
