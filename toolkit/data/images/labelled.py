"""From found items to labelled pictures that are checked, split and ready to learn from: the whole first station.

Every recipe whose items are, or become, pictures takes these same steps in this order: read once, set aside what cannot be used,
look for duplicates, split.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
import pandas as pd

from toolkit.converters import RESIZE_METHODS, picture_size
from toolkit.converters.base import Converter
from toolkit.data.duplicates import apart_from_test, duplicate_notes
from toolkit.data.images.cache import AUTO, ImageCache, cache_folder
from toolkit.data.images.reading import read_items
from toolkit.data.images.window_reader import Window, WindowReader
from toolkit.data.items import PARTS, Items, picked, summary
from toolkit.data.labelled import described, parts_line
from toolkit.data.splitting import USUAL_SPLIT, SplitOptions, split_items
from toolkit.errors import ConversionError, DataError
from toolkit.program.images.inputs import ImageInput

SMALLEST, LARGEST = 32, 128  # pixels: what a size that nobody chose lies between
MUCH_LARGER = 4  # times the side learnt from: pictures from here on are kept shrunk for the next run
COLUMNS = ["path", "label", "group", "split", "width", "height", "grey", "content"]


@dataclass(frozen=True, kw_only=True)
class LabelledImages:
    """Labelled pictures, split.

    `table`: one row an item: `path`, `label`, `group`, `split`, `width`, `height` (as stored), `grey`, `content`
    (hash of the file). `pixels`: uint8 (items, height, width, 3) in the same order, or None where they were too many to
    keep. `classes`: sorted labels of the training part. `rejected`: (item, reason) for what is not used. `notes`:
    sentences a user should read. `image_input` is how each item was read. `cache` holds pictures as they are learnt from,
    where they were worth keeping. Where items are windows of files, the table also has `item` (a `Window`), `start` and
    `stop`, and `read_window` reads one again; see `labelled_windows`.
    """

    wing: ClassVar[str] = "images"

    table: pd.DataFrame
    pixels: np.ndarray | None
    classes: tuple[str, ...]
    rejected: list[tuple[str, str]]
    notes: list[str]
    image_input: ImageInput
    cache: ImageCache | None = None
    read_window: WindowReader | None = None

    @property
    def items(self) -> list[Path | Window]:
        """What the rows of the table are: files, or windows of files."""
        return self.table["item" if "item" in self.table else "path"].tolist()

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of the pictures learnt from, in pixels."""
        return self.image_input.size

    @property
    def training_step(self) -> float | None:
        """In what step windows that are learnt from begin, in seconds or what else the converter counts; None without windows."""
        step: float | None = getattr(self.read_window.training_input.converter, "step", None) if self.read_window else None
        return step

    @property
    def grey(self) -> bool:
        """Whether every picture is grey."""
        return bool(self.table.grey.all())

    def without(self, unwanted: pd.Series, reason: str) -> Self:
        """The same with the rows where `unwanted` is True set aside."""
        aside = [(str(path), reason) for path in self.table.path[unwanted]]
        pixels = None if self.pixels is None else self.pixels[~unwanted.to_numpy()]
        table = self.table[~unwanted].reset_index(drop=True)
        return replace(self, table=table, pixels=pixels, rejected=[*self.rejected, *aside])

    def describe(self) -> str:
        """How many items each part holds, and what was set aside, for a reader."""
        return described([f"{len(self.table)} items of {len(self.classes)} classes: {parts_line(self.table)}"], self)


def labelled_images(
    items: Items,
    converter: Converter | None = None,
    *,
    size: int = 0,
    resize: str = "squish",
    split: SplitOptions = USUAL_SPLIT,
    group_near: bool = False,
    strict: bool = False,
    cache: Path | str = AUTO,
) -> LabelledImages:
    """Read and split `items`; see `split_items` for the split.

    `converter` makes pictures of items that are none. `size` is the side of the square learnt from, in pixels; 0 takes
    the median shorter side of the pictures, between 32 and 128. `resize` is how they become square: squish, crop or pad.
    Pictures with identical pixels stay on one side; near duplicates are noted, and kept together with `group_near`. With
    `strict`, the first item that cannot be used is an error. `cache` is where pictures that are much larger are kept shrunk for
    the next run; see `cache_folder`.

    Raises `DataError` where too little is left to learn from, or an option is out of range.
    """
    if size < 0 or 0 < size < 8:
        raise DataError(f"size {size}: expected a size of 8 pixels or more (0: the pictures' own)")
    if resize not in RESIZE_METHODS:
        raise DataError(f"resize method {resize!r}; choose from {', '.join(RESIZE_METHODS)}")
    paths = items.table.path.tolist()
    sides = sample_sides(paths, converter)
    side = size or usual_size(sides)
    image_input = ImageInput((side, side), resize, converter)
    kept = _cache(cache, image_input, sides=sides)
    readings = read_items(paths, image_input, cache=kept)
    items = items.joined(readings.facts)
    items = items.keep(items.table.error.isna(), items.table.error)
    items, duplicates = apart_from_test(items, group_near=group_near)
    check_enough(items, strict)
    items = items.assign(split=split_items(items.table, split, together=duplicates.together))
    items = items.noted(*duplicate_notes(items.table, duplicates), *untested(items.table), *_about(kept, bool(converter)))
    items = of_learnt_classes(items)
    check_enough(items, strict, parts=PARTS)
    return LabelledImages(
        table=items.table[COLUMNS].reset_index(drop=True),
        pixels=None if readings.pixels is None else picked(readings.pixels, items.table),
        classes=tuple(sorted(items.table.label.unique())),
        rejected=items.rejected,
        notes=items.notes,
        image_input=image_input,
        cache=kept,
    )


def sample_sides(paths: Sequence[Path], converter: Converter | None = None, *, sample: int = 32) -> list[int]:
    """The shorter side, in pixels, of each picture of a sample that can be read."""
    chosen = paths[:: max(1, len(paths) // sample)]
    if converter is None:
        return [min(size) for path in chosen if (size := picture_size(path))]
    sides = []
    for path in chosen:
        try:
            sides.append(min(converter(path).size))
        except ConversionError:
            continue
    return sides


def usual_size(sides: list[int]) -> int:
    """The median of `sides`, rounded to 8 pixels, between 32 and 128."""
    median = float(np.median(sides)) if sides else SMALLEST
    return int(np.clip(round(median / 8) * 8, SMALLEST, LARGEST))


def _cache(asked: Path | str, image_input: ImageInput, *, sides: list[int]) -> ImageCache | None:
    """The cache, where pictures are so much larger than `image_input` asks for that keeping them shrunk saves time."""
    worth = image_input.converter or (sides and np.median(sides) >= MUCH_LARGER * max(image_input.size))
    folder = cache_folder(asked) if worth else None
    return ImageCache(folder, image_input) if folder else None


def _about(cache: ImageCache | None, converted: bool) -> list[str]:
    if cache is None:
        return []
    if cache.trouble:
        return [f"pictures are not kept for the next run: {cache.trouble}"]
    if converted:
        return []
    return [f"large pictures: kept shrunk in {cache.folder} for the next run (--cache none keeps none)"]


def of_learnt_classes(items: Items) -> Items:
    """Those whose class stands in the training part."""
    labels = items.table.label
    return items.keep(labels.isin(labels[items.table.split == "train"]), "its class has no training item")


def check_enough(items: Items, strict: bool, *, parts: tuple[str, ...] = ()) -> None:
    """Raise `DataError` where fewer than two classes are left, or none of one of `parts`; with `strict`, where any item was
    set aside."""
    if strict and items.rejected:
        raise DataError("strict: " + summary(items.rejected))
    labels = items.table.label.nunique()
    if labels < 2:
        only = f"only one class ({items.table.label.iloc[0]!r})" if labels else "nothing"
        raise DataError(
            f"{items.root}: {only} is left to learn from; expected a folder for each of two or more classes "
            f"({summary(items.rejected)})"
        )
    empty = [part for part in parts if part not in set(items.table.split)]
    if empty:
        raise DataError(f"{items.root}: nothing is left for {' and '.join(empty)} ({summary(items.rejected)})")


def untested(table: pd.DataFrame) -> list[str]:
    """A note where classes have no test item."""
    counts = table.groupby(["label", "split"]).size().unstack(fill_value=0)
    without = counts.index[counts["test"] == 0]
    return [f"no test item of {', '.join(without)}: how well it is recognised is not measured"] if len(without) else []
