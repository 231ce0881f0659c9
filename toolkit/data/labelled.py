"""From a folder to labelled pictures that are checked, split and ready to learn from: the whole first station.

It is a file of its own because every recipe whose items are, or become, pictures takes these same steps in this order:
find, read once, set aside what cannot be used, look for twins, split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from toolkit.data.items import Items, summary
from toolkit.data.reading import Readings, read_items
from toolkit.data.splitting import split_items
from toolkit.data.twins import exact_twins, near_twins
from toolkit.errors import ConversionError, DataError

SMALLEST, LARGEST = 32, 128  # pixels: what a size that nobody chose lies between


@dataclass
class LabelledImages:
    """Labelled pictures, split.

    `table`: one row an item: `path`, `label`, `group`, `split`, `width`, `height`, `grey`. `pixels`: uint8 (items, height,
    width, 3) in the same order, or None where they were too many to keep. `classes`: sorted labels of the training
    part. `set_aside`: (item, reason) for what is not used. `notes`: sentences a user should read.
    """

    table: pd.DataFrame
    pixels: np.ndarray | None
    classes: tuple[str, ...]
    set_aside: list[tuple[str, str]]
    notes: list[str]
    size: tuple[int, int]
    resize: str

    @property
    def grey(self) -> bool:
        """Whether every picture is grey."""
        return bool(self.table.grey.all())

    def describe(self) -> str:
        """How many items each part holds, and what was set aside, for a reader."""
        counts = self.table.split.value_counts()
        parts = ", ".join(f"{counts.get(part, 0)} {part}" for part in ("train", "valid", "test"))
        lines = [f"{len(self.table)} items of {len(self.classes)} classes: {parts}", *self.notes]
        return "\n".join(lines + ([summary(self.set_aside)] if self.set_aside else []))


def labelled_images(
    items: Items,
    reader: Callable[[Path], Image.Image],
    size: int = 0,
    resize: str = "squish",
    valid_pct: float = 0.1,
    test_pct: float = 0.2,
    seed: int = 42,
    group_near: bool = False,
    strict: bool = False,
) -> LabelledImages:
    """Read and split `items`; see `split_items` for the split.

    `reader` makes an RGB picture of a path. `size` is the side of the square learnt from, in pixels; 0 takes the median
    shorter side of the pictures, between 32 and 128. Pictures with identical pixels stay on one side; near twins are
    noted, and kept together with `group_near`. With `strict`, the first item that cannot be used is an error.

    Raises `DataError` where too little is left to learn from.
    """
    paths = items.table.path.tolist()
    side = size or usual_size(paths, reader)
    readings = read_items(paths, reader, (side, side), resize)
    readings = _set_aside_unreadable(items, readings)
    readings = _set_aside_leaks(items, readings)
    if strict and items.set_aside:
        raise DataError("strict: " + summary(items.set_aside))
    labels = items.table.label.nunique()
    if labels < 2:
        only = f"only one class ({items.table.label.iloc[0]!r})" if labels else "nothing"
        raise DataError(
            f"{items.root}: {only} is left to learn from; expected a folder for each of two or more classes "
            f"({summary(items.set_aside)})"
        )
    exact = exact_twins(readings.table.pixels_hash.tolist())
    near = near_twins(readings.table.near_hash.tolist())
    near = near[readings.table.pixels_hash.to_numpy()[near[:, 0]] != readings.table.pixels_hash.to_numpy()[near[:, 1]]]
    table = items.table.join(readings.table[["width", "height", "grey"]])
    table["split"] = split_items(table, valid_pct, test_pct, seed, [exact, near] if group_near else [exact])
    notes = items.notes + _notes(table, exact, near, group_near)
    classes = tuple(sorted(table.label[table.split == "train"].unique()))
    learnable = table.label.isin(classes)
    items.set_aside += [(str(path), "its class has no training item") for path in table.path[~learnable]]
    table, readings = table[learnable].reset_index(drop=True), _kept(readings, learnable)
    return LabelledImages(table, readings.pixels, classes, items.set_aside, notes, (side, side), resize)


def usual_size(paths: list[Path], reader: Callable[[Path], Image.Image], sample: int = 32) -> int:
    """The median shorter side of a sample of the pictures, rounded to 8 pixels, between 32 and 128."""
    sides = []
    for path in paths[:: max(1, len(paths) // sample)]:
        try:
            sides.append(min(reader(path).size))
        except ConversionError:
            continue
    median = float(np.median(sides)) if sides else SMALLEST
    return int(np.clip(round(median / 8) * 8, SMALLEST, LARGEST))


def _kept(readings: Readings, wanted: pd.Series) -> Readings:
    if wanted.all():
        return readings
    pixels = None if readings.pixels is None else readings.pixels[wanted.to_numpy()]
    return Readings(readings.table[wanted].reset_index(drop=True), pixels)


def _set_aside_unreadable(items: Items, readings: Readings) -> Readings:
    whole = readings.table.error.isna()
    reasons = dict(zip(items.table.path, readings.table.error, strict=True))
    items.keep(whole, reasons.__getitem__)
    return _kept(readings, whole)


def _set_aside_leaks(items: Items, readings: Readings) -> Readings:
    """Where the user's own folders say what is test: a copy of a test picture leaves the training side."""
    hashes, given = readings.table.pixels_hash, items.table.split
    tested = set(hashes[given == "test"])
    validated = set(hashes[given == "valid"])
    leaks = (hashes.isin(tested) & (given != "test")) | (hashes.isin(validated) & (given == "train"))
    items.keep(~leaks, "the same pixels stand in the test or valid part")
    return _kept(readings, ~leaks)


def _notes(table: pd.DataFrame, exact: np.ndarray, near: np.ndarray, group_near: bool) -> list[str]:
    notes, parts = [], table.split.to_numpy()
    labels = table.label.to_numpy()
    if len(exact):
        torn = int((labels[exact[:, 0]] != labels[exact[:, 1]]).sum())
        labelled = f"; {torn} of them carry different labels" if torn else ""
        notes.append(f"{len(exact)} repeated pictures (identical pixels), each kept on the side of its first{labelled}")
    if len(near):
        left, right = near[0]
        across = int((parts[near[:, 0]] != parts[near[:, 1]]).sum())
        done = "kept on one side" if group_near else f"{across} of them across the split; --group-near keeps them together"
        notes.append(f"{len(near)} pairs of near twins, such as {table.path[left]} and {table.path[right]}: {done}")
    counts = table.groupby(["label", "split"]).size().unstack(fill_value=0)
    untested = counts.index[counts["test"] == 0]
    if len(untested):
        notes.append(f"no test item of {', '.join(untested)}: how well it is recognised is not measured")
    return notes
