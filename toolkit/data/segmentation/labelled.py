"""From pairs of pictures and masks to labelled data that is checked, split and ready to learn from.

A picture's answer is as large as the picture: both are read once, brought to one scale together, and kept side by side.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from PIL import Image

from toolkit.converters import picture_size
from toolkit.data.duplicates import apart_from_test, duplicate_notes, fingerprints
from toolkit.data.hashing import content_hash
from toolkit.data.items import PARTS, Items, picked, summary
from toolkit.data.labelled import described, parts_line
from toolkit.data.reading import PIXEL_BUDGET, in_threads
from toolkit.data.segmentation.class_mapping import IGNORED, ClassMapping, read_mask
from toolkit.data.splitting import USUAL_SPLIT, SplitOptions, split_items
from toolkit.errors import ConversionError, DataError
from toolkit.program.segmentation.inputs import SegmentationInput

SMALLEST, LARGEST = 160, 192  # pixels of the shorter side: what a size that nobody chose lies between
CROPPED = 0.8  # length of a training step's crop, as part of what it is cut from
FIT, OWN = "fit", "own"
SCALES = (FIT, OWN)
COLUMNS = ["path", "mask", "label", "group", "split", "width", "height", "content", "mask_content"]
Pair = tuple[np.ndarray, np.ndarray]  # a picture, uint8 (height, width, 3), and its class numbers, uint8 (height, width)


@dataclass(frozen=True, kw_only=True)
class LabelledSegmentation:
    """Pictures with masks, split.

    `table`: one row a picture: `path`, `mask` (files), `label` (the class of it that the fewest pictures show, which the split is
    stratified by), `group`, `split`, `width`, `height` (upright), `content` and `mask_content` (hashes of the files). `pairs`:
    picture and class numbers of each row at the scale that is learnt from, or None where they were too many to keep. `counts`:
    pixels of each class, int64 (rows, classes). `class_mapping` says what the masks' values stand for, `segmentation_input` how
    pictures are read. `crop` is the (height, width) of what a training step sees, in pixels, and `crop_from` that of the part of
    a picture which it is a crop of. `rejected`: (picture, reason) for what is not used. `notes`: sentences a user should read.
    """

    wing: ClassVar[str] = "segmentation"

    table: pd.DataFrame
    pairs: list[Pair] | None
    counts: np.ndarray
    class_mapping: ClassMapping
    segmentation_input: SegmentationInput
    crop_from: tuple[int, int]
    crop: tuple[int, int]
    rejected: list[tuple[str, str]]
    notes: list[str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names; a class's number is its place."""
        return self.class_mapping.classes

    @property
    def items(self) -> list[Path]:
        """The pictures' files."""
        paths: list[Path] = self.table.path.tolist()
        return paths

    def rows(self, part: str) -> list[int]:
        """The rows of a part ("train", "valid" or "test"), in order."""
        found: list[int] = np.flatnonzero(self.table.split == part).tolist()
        return found

    def picture(self, row: int) -> Image.Image:
        """The picture of a row, upright RGB, in its own size."""
        return self.segmentation_input.read(self.table.path[row])

    def truth(self, row: int) -> np.ndarray:
        """The class number of each of its pixels, uint8 (height, width), IGNORED where none counts."""
        return self.class_mapping.numbers(read_mask(self.table["mask"][row]))

    def pair(self, row: int) -> Pair:
        """What is learnt from a row: picture and class numbers at the scale that is learnt from."""
        if self.pairs is not None:
            return self.pairs[row]
        return _at_scale(self.picture(row), self.truth(row), segmentation_input=self.segmentation_input)

    def without(self, unwanted: pd.Series, reason: str) -> Self:
        """The same with the rows where `unwanted` is True set aside."""
        wanted = ~unwanted.to_numpy()
        return replace(
            self,
            table=self.table[wanted].reset_index(drop=True),
            pairs=None if self.pairs is None else [pair for pair, keep in zip(self.pairs, wanted, strict=True) if keep],
            counts=self.counts[wanted],
            rejected=[*self.rejected, *((str(path), reason) for path in self.table.path[unwanted])],
        )

    def describe(self) -> str:
        """How many pictures each part holds, how common the classes are, and what was set aside, for a reader."""
        shares = self.counts.sum(axis=0) / max(1, self.counts.sum())
        each = ", ".join(f"{name} {100 * share:.1f} %" for name, share in zip(self.classes, shares, strict=True))
        lines = [f"{len(self.table)} pictures: {parts_line(self.table)}", f"{len(self.classes)} classes: {each}"]
        return described(lines, self)


def labelled_segmentation(
    items: Items,
    class_mapping: ClassMapping,
    *,
    size: int = 0,
    scale: str = FIT,
    multiple: int = 32,
    split: SplitOptions = USUAL_SPLIT,
    group_near: bool = False,
    strict: bool = False,
) -> LabelledSegmentation:
    """Read and split the pairs of `items` (see `find_pairs`), whose masks `class_mapping` explains; see `split_items`.

    With `scale` "fit" the shorter side of every picture is brought to `size` pixels (0: the pictures' own, 160 to 192), and a
    training step sees crops of four fifths of a picture's length; with "own" pictures stay in their own pixels, and crops are
    squares of `size`. `multiple` is what the sides of what the network sees are multiples of. Near duplicates are noted, and kept
    on one side of the split with `group_near`. A pair that cannot be used is set aside; with `strict` it is an error.

    Raises `DataError` where too little is left to learn from, or an option is out of range.
    """
    if size < 0 or 0 < size < 32:
        raise DataError(f"size {size}: expected a size of 32 pixels or more (0: the pictures' own)")
    if scale not in SCALES:
        raise DataError(f"scale {scale!r}; choose from {', '.join(SCALES)}")
    side = size or _usual_size(items.table.path.tolist())
    segmentation_input = SegmentationInput(side if scale == FIT else 0, multiple)
    read = _read_all(items, class_mapping, segmentation_input=segmentation_input)
    items = items.joined(read.facts)
    items = items.keep(items.table.error.isna(), items.table.error)
    _check(items, strict)
    items, duplicates = apart_from_test(items, group_near=group_near)
    _check(items, strict)
    counts = picked(read.counts, items.table)
    items = items.assign(label=_rarest(counts, class_mapping.classes))
    items = items.assign(split=split_items(items.table, split, together=duplicates.together))
    crop_from, crop = _crops(items.table, segmentation_input, side=side if scale == OWN else 0)
    notes = [
        *items.notes,
        *class_mapping.notes,
        *duplicate_notes(items.table, duplicates),
        *_unlearnt(items.table.split, counts, classes=class_mapping.classes),
    ]
    return LabelledSegmentation(
        table=items.table[COLUMNS].reset_index(drop=True),
        pairs=None if read.pairs is None else [read.pairs[row] for row in items.table.index],
        counts=counts,
        class_mapping=class_mapping,
        segmentation_input=segmentation_input,
        crop_from=crop_from,
        crop=crop,
        rejected=items.rejected,
        notes=notes,
    )


@dataclass(frozen=True)
class _Read:
    """What the pass over the pairs found: a row of `facts` for each (`error` where it cannot be used), `pairs` by row (None
    where they are too many to keep) and `counts`; see `LabelledSegmentation`."""

    facts: pd.DataFrame
    pairs: dict[int, Pair] | None
    counts: np.ndarray


def _usual_size(paths: list[Path], sample: int = 32) -> int:
    sizes = [picture_size(path) for path in paths[:: max(1, len(paths) // sample)]]
    return int(np.clip(np.median([min(size) for size in sizes if size] or [LARGEST]), SMALLEST, LARGEST))


def _read_all(items: Items, class_mapping: ClassMapping, *, segmentation_input: SegmentationInput) -> _Read:
    paths = list(zip(items.table.path, items.table["mask"], strict=True))
    rows: list[dict[str, Any]] = []
    pairs: dict[int, Pair] | None = {}
    counts, held = np.zeros((len(paths), len(class_mapping.classes)), dtype=np.int64), 0

    def read(files: tuple[Path, Path]) -> tuple[dict[str, Any], Pair | None]:
        return _read_one(*files, class_mapping=class_mapping, segmentation_input=segmentation_input)

    for number, (facts, pair) in enumerate(in_threads(read, paths, what="reading")):
        rows.append(facts)
        if pair is not None:
            counts[number] = np.bincount(pair[1].ravel(), minlength=IGNORED + 1)[: len(class_mapping.classes)]
            held += pair[0].nbytes + pair[1].nbytes
            if pairs is not None:
                pairs[number] = pair
        if held > PIXEL_BUDGET:
            pairs = None  # read again in each epoch
    columns = ("content", "mask_content", "pixels_hash", "near_hash", "width", "height", "error")
    table = pd.DataFrame({name: pd.Series([row.get(name) for row in rows], dtype=object) for name in columns})
    return _Read(table, pairs, counts)


def _read_one(
    path: Path, mask: Path, *, class_mapping: ClassMapping, segmentation_input: SegmentationInput
) -> tuple[dict[str, Any], Pair | None]:
    try:
        picture = segmentation_input.read(path)
        exact, near = fingerprints(picture)
        facts = {"content": content_hash(path), "mask_content": content_hash(mask), "pixels_hash": exact, "near_hash": near}
        facts |= {"width": picture.width, "height": picture.height}
        numbers = class_mapping.numbers(read_mask(mask))
    except ConversionError as error:
        return {"error": error.reason if str(path) == error.source else f"its mask {error}"}, None
    except DataError as error:
        return {"error": f"its mask {mask}: {error}"}, None
    except OSError as error:
        return {"error": error.strerror or str(error)}, None
    if numbers.shape != (picture.height, picture.width):
        found = f"{numbers.shape[1]}x{numbers.shape[0]}"
        return {"error": f"it is {picture.width}x{picture.height} pixels, its mask {mask} {found}"}, None
    pair = _at_scale(picture, numbers, segmentation_input=segmentation_input)
    if (pair[1] == IGNORED).all():
        return {"error": f"no pixel of its mask {mask} counts"}, None
    return facts, pair


def _at_scale(picture: Image.Image, numbers: np.ndarray, *, segmentation_input: SegmentationInput) -> Pair:
    scaled = segmentation_input.scaled(picture)
    mask = Image.fromarray(numbers).resize(scaled.size, Image.Resampling.NEAREST)
    return np.asarray(scaled), np.asarray(mask)


def _rarest(counts: np.ndarray, classes: tuple[str, ...]) -> list[str]:
    """For each picture the class in it that the fewest pictures show."""
    shown = counts > 0
    return [classes[number] for number in np.where(shown, shown.sum(axis=0), len(counts) + 1).argmin(axis=1)]


def _crops(table: pd.DataFrame, segmentation_input: SegmentationInput, *, side: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """`crop_from` and `crop`: the usual size or, where pictures hold it, a square a quarter longer than `side`; and four fifths
    of that, in whole multiples."""
    sizes = [segmentation_input.scaled_size(*size) for size in zip(table.width, table.height, strict=True)]
    usual = np.median(sizes, axis=0)[::-1]
    square = np.full(2, min(usual.min(), side / CROPPED))
    height, width = (square if side else usual).round().astype(int).tolist()
    multiple = segmentation_input.multiple
    high = max(2, round(CROPPED * height / multiple)) * multiple
    return (height, width), (high, max(2, round(high * width / height / multiple)) * multiple)  # hardly stretched


def _check(items: Items, strict: bool) -> None:
    if strict and items.rejected:
        raise DataError("strict: " + summary(items.rejected))
    if len(items.table) < len(PARTS):
        raise DataError(
            f"{items.root}: {len(items.table)} pictures with a mask are left, too few for train, valid and test "
            f"({summary(items.rejected)})"
        )


def _unlearnt(split: pd.Series, counts: np.ndarray, *, classes: tuple[str, ...]) -> list[str]:
    """Notes on classes that are not learnt, or not tested."""
    notes = []
    for part, what in (("train", "cannot be learnt"), ("test", "how well it is recognised is not measured")):
        found = counts[(split == part).to_numpy()].sum(axis=0)
        absent = [name for name, count in zip(classes, found, strict=True) if not count]
        if absent:
            notes.append(f"no pixel of {', '.join(absent)} in the {part} part: {what}")
    return notes
