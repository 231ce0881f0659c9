"""What one look at a picture and its mask tells: sizes, values, which of these form areas, and where borders run.

A look is the dear part, done once for each pair in parallel; judging what many looks say together is another thing
(`mask_doctor`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter

from toolkit.converters import read_image
from toolkit.data.reading import in_threads
from toolkit.data.segmentation.mask_io import Colour, Value, colour_of, packed, read_paletted, unpacked
from toolkit.errors import ConversionError

GRID = 96  # points across and down at which borders of a mask are held against edges of a picture
REACH = 7  # pixels: a blend has the areas that it blends within half of it
MOST_VALUES = 400  # that are kept of one mask: a mask saved as a photo has thousands
THIN = 0.2  # part of a value's pixels that lie inside areas of it, below which it may be a blend
ORIENTATION = 0x0112  # EXIF's
MOST_EDGES = 2000  # pictures that masks are held against
CLEARLY = 20.0  # by how much of 255 edges are sharper where a mask fits its picture than where it was turned
JPEG, NOISE = (".jpg", ".jpeg", ".jfif"), 16  # masks saved so, and levels by which that changes neighbours of one value
SCALED, TURNED, SIZE = "scaled", "turned", "size"  # how a mask does not fit its picture


@dataclass
class ValueTally:
    """How many pixels hold a value; how many of them are `solid`: all eight neighbours hold it too (almost, in JPEG files); how
    many lie `between` areas of a smaller and of a larger grey level; how many `climb`, see `climbing`."""

    count: int = 0
    solid: int = 0
    between: int = 0
    climb: int = 0

    def add(self, other: ValueTally) -> None:
        self.count += other.count
        self.solid += other.solid
        self.between += other.between
        self.climb += other.climb

    @property
    def thin(self) -> bool:
        """Whether next to none of it is area."""
        return self.solid < THIN * self.count


@dataclass
class Facts:
    """A look at one pair. Sizes are (width, height) in pixels: of the mask as stored, of the picture as stored and upright;
    None where a file could not be read, and `trouble` or `picture_trouble` says why. `turned` and `mask_turned` are EXIF
    orientations, 1 for none. `others` counts pixels of values beyond the commonest `MOST_VALUES`, `steps` neighbours that differ.
    `borders` are the packed bits of a grid, `own` is how sharp the edges are there in the mask's own picture, and `own_turned`
    what it were with the picture's EXIF rotation applied to the mask, both the mean of ranks from 0 to 255; None where there are
    no borders."""

    picture: Path
    mask: Path
    size: tuple[int, int] | None = None
    stored: tuple[int, int] | None = None
    upright: tuple[int, int] | None = None
    turned: int = 1
    mask_turned: int = 1
    trouble: str = ""
    picture_trouble: str = ""
    values: dict[Value, ValueTally] = field(default_factory=dict)
    others: int = 0
    steps: int = 0
    palette: dict[int, Colour] | None = None
    digest: str = ""
    borders: np.ndarray | None = None
    edges: np.ndarray | None = None
    own: float | None = None
    own_turned: float | None = None

    def fit(self) -> tuple[str, int]:
        """How mask and picture fit: "" (they do, or one could not be read), SCALED, TURNED or SIZE; and the EXIF orientation to
        apply to the mask, 1 for none and 0 where nobody can tell which."""
        if self.size is None or self.upright is None:
            return "", 1
        turned_by = (self.mask_turned, self.turned)
        if self.size == self.upright:
            wrong = self.own is not None and self.own_turned is not None and self.own_turned > self.own + CLEARLY
            return (TURNED, self.turned) if wrong else ("", 1)
        for turn in turned_by:
            if turn > 1 and turned_size(self.size, turn) == self.upright:
                return TURNED, turn
        if _alike(self.size, self.upright):
            return SCALED, 1
        for turn in turned_by:
            if turn > 1 and _alike(turned_size(self.size, turn), self.upright):
                return TURNED, turn
        return (TURNED, 0) if self.size == self.upright[::-1] else (SIZE, 1)


def look_at(pictures: Sequence[Path], masks: Sequence[Path], *, in_colour: bool, what: str) -> list[Facts]:
    """Look at each pair, in parallel threads; with `in_colour` palettes are read as colours. Nothing is raised. `what` names
    the work in the progress bar. At most
    `MOST_EDGES` looks, evenly spread, keep `edges`: those that masks are held against."""

    def one(pair: tuple[Path, Path]) -> Facts:
        return look(Path(pair[0]), Path(pair[1]), in_colour=in_colour)

    looks, step = [], max(1, -(-len(masks) // MOST_EDGES))
    for number, facts in enumerate(in_threads(one, list(zip(pictures, masks, strict=True)), what=what)):
        facts.edges = facts.edges if number % step == 0 else None
        looks.append(facts)
    return looks


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(width, height) after an EXIF orientation was applied."""
    return size[::-1] if orientation >= 5 else size


def turned(pixels: np.ndarray, orientation: int) -> np.ndarray:
    """Pixels (height, width, …) with an EXIF orientation, 1 to 8, applied."""
    if orientation >= 5:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return pixels[:, ::-1] if orientation in (2, 3, 6, 7) else pixels


def _alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether the proportions are the same, but for rounding to whole pixels."""
    (width, height), (wide, high) = sorted((size, other))
    return abs(width - wide * height / high) <= 1 or abs(height - high * width / wide) <= 1


def agreement(facts: Sequence[Facts]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How much better the borders of each mask follow the edges of its own picture than those of the others.

    Gives, for each of `facts`, all with `borders`: by how many standard deviations its own picture is above the others' mean,
    the same for the picture that it fits best, and which of `facts` that is. Others are those that kept their `edges`.
    """
    kept = {place: fact.edges for place, fact in enumerate(facts) if fact.edges is not None}
    tried, edges = np.array(list(kept)), np.stack(list(kept.values())).astype(np.float32).T
    own, best, which = (np.zeros(len(facts)) for _ in range(3))
    for start in range(0, len(facts), 1000):  # so many at a time, for memory
        part = slice(start, start + 1000)
        borders = np.unpackbits(np.stack([fact.borders for fact in facts[part] if fact.borders is not None]), axis=1).astype(
            np.float32
        )
        scores = borders @ edges / borders.sum(axis=1, keepdims=True)
        strange = tried[None, :] != np.arange(len(facts))[part, None]
        mean = scores.mean(axis=1, where=strange)
        spread = scores.std(axis=1, where=strange) + 0.25  # of 255: pictures that are all alike say nothing
        own[part] = (np.array([fact.own for fact in facts[part]]) - mean) / spread
        best[part] = (scores.max(axis=1) - mean) / spread
        which[part] = tried[scores.argmax(axis=1)]
    return own, best, which.astype(int)


def climbing(raw: np.ndarray, flat: bool = False) -> tuple[np.ndarray, int]:
    """Where a pixel, bool (height, width), lies between a smaller and a larger grey level beside it, in a row or a column; and
    how many neighbours differ. Where class numbers meet this is rare; where they were averaged it is most of a border. With
    `flat` two equal pixels may lie between them too."""
    climbs, steps = np.zeros(raw.shape, dtype=bool), 0
    for levels, marked in ((raw, climbs), (raw.T, climbs.T)):
        step = np.sign(np.diff(levels.astype(np.int32), axis=1)).astype(np.int8)
        steps += int(np.count_nonzero(step))
        before, after = step[:, :-1].copy(), step[:, 1:].copy()
        if flat:
            before[:, 1:] = np.where(before[:, 1:], before[:, 1:], step[:, :-2])
            after[:, :-1] = np.where(after[:, :-1], after[:, :-1], step[:, 2:])
        marked[:, 1:-1] |= (before == after) & (before != 0)
    return climbs, steps


def _almost_solid(raw: np.ndarray) -> np.ndarray:
    """Where a pixel's neighbours differ from it, and among themselves, no more than JPEG makes equal ones differ; bool."""
    size = (3, 3) if raw.ndim == 2 else (3, 3, 1)
    apart = maximum_filter(raw, size).astype(np.int32) - minimum_filter(raw, size)
    return apart <= NOISE if raw.ndim == 2 else (apart <= NOISE).all(axis=2)


def solid_pixels(codes: np.ndarray) -> np.ndarray:
    """Where a pixel's eight neighbours all equal it; bool, of the shape of `codes`. Never at the picture's border."""
    solid = np.zeros(codes.shape, dtype=bool)
    if min(codes.shape) < 3:
        return solid
    level = (codes[:, 1:-1] == codes[:, :-2]) & (codes[:, 1:-1] == codes[:, 2:])
    above = codes[1:, 1:-1] == codes[:-1, 1:-1]
    solid[1:-1, 1:-1] = level[1:-1] & level[:-2] & level[2:] & above[:-1] & above[1:]
    return solid


def look(picture: Path, mask: Path, *, in_colour: bool) -> Facts:
    """Look at one pair, with `in_colour` at the colours of a palette; what cannot be read is told in the facts."""
    facts = Facts(picture, mask)
    try:
        facts.stored, facts.turned = _header(picture)
        facts.upright = turned_size(facts.stored, facts.turned)
        facts.edges = _edges(read_image(picture, at_least=2 * GRID))
    except (ConversionError, OSError) as error:
        facts.stored = facts.upright = None
        facts.picture_trouble = error.reason if isinstance(error, ConversionError) else str(error)
    try:
        raw, palette = read_paletted(mask)
        _, facts.mask_turned = _header(mask)
    except (ConversionError, OSError) as error:
        facts.trouble = error.reason if isinstance(error, ConversionError) else str(error)
        return facts
    facts.size = (raw.shape[1], raw.shape[0])
    if palette is not None:
        facts.palette = {int(value): colour_of(palette[value]) for value in np.unique(raw)}
        raw = palette[raw] if in_colour else raw
    facts.digest = hashlib.blake2b(np.ascontiguousarray(raw).data, digest_size=16, salt=str(len(raw)).encode()).hexdigest()
    borders = _borders(raw)
    if borders.any() and facts.edges is not None:
        facts.borders, facts.own = np.packbits(borders), float(facts.edges[borders].mean())
        if facts.turned > 1 and facts.size == facts.upright == turned_size(facts.size, facts.turned):
            facts.own_turned = float(facts.edges[_borders(turned(raw, facts.turned))].mean())
    _tally(raw, facts)
    return facts


def _header(path: Path) -> tuple[tuple[int, int], int]:
    """Size as stored and EXIF orientation."""
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(ORIENTATION, 1)
            return image.size, turned if turned in range(1, 9) else 1
    except OSError:
        raise
    except Exception as error:  # a damaged file can make a decoder raise anything
        raise ConversionError(path, f"cannot be decoded ({type(error).__name__}: {error})") from error


def _tally(raw: np.ndarray, facts: Facts) -> None:
    """Count what the values of a mask are, and write it into `facts`."""
    codes: np.ndarray
    values: list[Value]
    if raw.ndim == 3:
        flat, keys = pd.factorize(packed(raw).ravel())
        codes, values = np.reshape(flat, raw.shape[:2]), [*unpacked(keys)]
    else:
        codes, values = raw, [*range(int(raw.max()) + 1)]
    solid = _almost_solid(raw) if facts.mask.suffix.lower() in JPEG else solid_pixels(codes)
    counts, areas = np.bincount(codes.ravel()), np.bincount(codes[solid], minlength=len(values))
    common = np.argsort(-counts, kind="stable")[:MOST_VALUES]
    facts.values = {values[place]: ValueTally(int(counts[place]), int(areas[place])) for place in common if counts[place]}
    facts.others = int(counts.sum() - counts[common].sum())
    if raw.ndim == 2:
        climbs, facts.steps = climbing(raw)
        for level, count in enumerate(np.bincount(raw[climbs])):
            if count:
                facts.values[level].climb = int(count)
    if raw.ndim == 2 and any(tally.thin for tally in facts.values.values()):
        low = minimum_filter(np.where(solid, raw.astype(np.int32), 65535), REACH)
        high = maximum_filter(np.where(solid, raw.astype(np.int32), -1), REACH)
        inside = np.bincount(raw[(low < raw) & (raw < high)], minlength=len(values))
        for level, count in enumerate(inside):
            if level in facts.values:
                facts.values[level].between = int(count)


def _borders(raw: np.ndarray) -> np.ndarray:
    """Which points of the grid lie on a border between values; bool (GRID²,)."""
    rows, columns = ((2 * np.arange(GRID) + 1) * side // (2 * GRID) for side in raw.shape[:2])
    values = raw[rows][:, columns]
    down, right = values[1:] != values[:-1], values[:, 1:] != values[:, :-1]
    if raw.ndim == 3:
        down, right = down.any(axis=2), right.any(axis=2)
    borders = np.zeros((GRID, GRID), dtype=bool)
    borders[1:] |= down
    borders[:-1] |= down
    borders[:, 1:] |= right
    borders[:, :-1] |= right
    return borders.ravel()


def _edges(picture: Image.Image) -> np.ndarray:
    """How sharp an edge each point of the grid lies on, as its rank among them all, 0 to 255."""
    small = np.asarray(picture.resize((GRID, GRID), Image.Resampling.BOX), dtype=np.float32)
    down, right = np.gradient(small, axis=(0, 1))
    order = np.hypot(down, right).max(axis=2).ravel().argsort()
    ranks = np.empty(GRID * GRID, dtype=np.uint8)
    ranks[order] = np.arange(GRID * GRID) * 256 // (GRID * GRID)
    return ranks
