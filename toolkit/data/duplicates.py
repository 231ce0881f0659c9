"""Pictures that are the same, or almost: equal pixels, or perceptual hashes that differ in a few bits.

Exact duplicates stand on one side of the split, and leave the training side where the user's own folders put one into the test.
A near duplicate is a suspicion, not a fact: it is reported, and acted on only when asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pandas as pd
from PIL import Image

from toolkit.data.items import Items
from toolkit.data.splitting import units_of

NEAR_FROM = 32  # pixels: perceptual hashes take most smaller pictures for near duplicates
NEAR_BITS = 4  # of 64; ten or more pairs up pictures that only share a layout

T = TypeVar("T", bound=Items)


@dataclass(frozen=True)
class Duplicates:
    """Pairs of items that are the same, and pairs that almost are, among those that are not repetitions: int arrays (pairs, 2)
    of positions in a table, the smaller first. With `group_near` the latter count as belonging together too."""

    exact: np.ndarray
    near: np.ndarray
    group_near: bool = False

    @property
    def together(self) -> list[np.ndarray]:
        """The pairs that belong on one side of the split."""
        return [self.exact, self.near] if self.group_near else [self.exact]


def find_duplicates(table: pd.DataFrame, *, exact: str = "pixels_hash", group_near: bool = False) -> Duplicates:
    """The duplicates in a table whose column `exact`, and `near_hash` where there is one, are hashes of what is learnt from."""
    hashes = table[exact]
    first = np.flatnonzero(~hashes.duplicated())
    nearly = table.near_hash.iloc[first].tolist() if "near_hash" in table else []
    return Duplicates(exact_duplicates(hashes.tolist()), first[near_duplicates(nearly)], group_near)


def apart_from_test(
    items: T, *, what: str = "picture", exact: str = "pixels_hash", group_near: bool = False
) -> tuple[T, Duplicates]:
    """`items` without those given as train (or valid) whose duplicate stands in a given test (or valid) part, and the duplicates
    among the rest; see `find_duplicates`. `what` is what the reason calls an item."""
    found = find_duplicates(items.table, exact=exact, group_near=group_near)
    apart = beside_the_test(items.table.split, units_of(len(items.table), found.together))
    if not apart.any():
        return items, found
    items = items.keep(~apart, f"the same {what} stands in the test or valid part")
    return items, find_duplicates(items.table, exact=exact, group_near=group_near)


def near_duplicates(hashes: Sequence[int | None], bits: int = NEAR_BITS, *, chunk: int = 1024) -> np.ndarray:
    """Pairs of positions whose 64-bit hashes differ in at most `bits` bits.

    Returns an int array (pairs, 2), the smaller position first. None stands for a picture without a hash. Memory is
    `chunk` times the number of hashes; time grows with its square (a nanosecond or two a pair).
    """
    known = np.array([i for i, value in enumerate(hashes) if value is not None], dtype=np.int64)
    values = np.array([hashes[i] for i in known], dtype=np.uint64)
    pairs = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(values), chunk):
        block = values[start : start + chunk]
        apart = np.bitwise_count(block[:, None] ^ values[None, start:])
        left, right = np.nonzero(apart <= bits)
        left, right = left[right > left], right[right > left]
        pairs.append(np.stack([known[start + left], known[start + right]], axis=1))
    return np.concatenate(pairs)


def exact_duplicates(hashes: Sequence[str]) -> np.ndarray:
    """Pairs of positions with equal hashes: each repetition with its first appearance. Int array (pairs, 2)."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(value, i), i) for i, value in enumerate(hashes)]
    return np.array([pair for pair in pairs if pair[0] != pair[1]], dtype=np.int64).reshape(-1, 2)


def beside_the_test(given: pd.Series, units: np.ndarray) -> pd.Series:
    """Where the user's own folders say what is test: rows given elsewhere whose picture stands in test (or valid)."""
    rank = given.map({"test": 3, "valid": 2, "train": 1}).fillna(0)
    return (rank > 0) & (rank < rank.groupby(units).transform("max"))


def duplicate_notes(table: pd.DataFrame, duplicates: Duplicates) -> list[str]:
    """What a reader should know of the duplicates in a table with `path`, `label` and `split`."""
    notes, exact, near = [], duplicates.exact, duplicates.near
    parts, labels = table.split.to_numpy(), table.label.to_numpy()
    if len(exact):
        torn = int((labels[exact[:, 0]] != labels[exact[:, 1]]).sum())
        labelled = f"; {torn} of them carry different labels" if torn else ""
        notes.append(f"{len(exact)} repeated pictures (identical pixels), each kept on the side of its first{labelled}")
    if len(near):
        left, right = near[0]
        across = int((parts[near[:, 0]] != parts[near[:, 1]]).sum())
        advice = "" if duplicates.group_near else "; --group-near keeps them together"
        done = f"{across} of them across the split{advice}" if across else "each pair on one side"
        notes.append(f"{len(near)} pairs of near twins, such as {table.path.iloc[left]} and {table.path.iloc[right]}: {done}")
    return notes


def fingerprints(image: Image.Image) -> tuple[str, int | None]:
    """The hash of the picture's pixels, and its 64-bit perceptual hash (None where a side is under 32 pixels)."""
    size = f"{image.width}x{image.height} ".encode()
    exact = hashlib.blake2b(size + image.tobytes(), digest_size=16).hexdigest()
    if min(image.size) < NEAR_FROM:
        return exact, None
    import imagehash

    return exact, int(str(imagehash.phash(image)), 16)
