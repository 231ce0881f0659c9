"""Pictures that are almost the same: pairs whose perceptual hashes differ in a few bits.

It is a file of its own because a near twin is a suspicion, not a fact: it is reported, and acted on only when asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd
from PIL import Image

NEAR_FROM = 32  # pixels: perceptual hashes take most smaller pictures for twins

NEAR_BITS = 4  # of 64; ten or more pairs up pictures that only share a layout


def near_duplicates(hashes: Sequence[int | None], bits: int = NEAR_BITS, chunk: int = 1024) -> np.ndarray:
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


def duplicates_of(readings: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Pairs with identical pixels, and pairs of near twins among the pictures that are not repetitions: int (pairs, 2) rows of
    a table with `pixels_hash` and `near_hash`."""
    hashes = readings.pixels_hash
    first = np.flatnonzero(~hashes.duplicated())
    return exact_duplicates(hashes.tolist()), first[near_duplicates(readings.near_hash.iloc[first].tolist())]


def beside_the_test(given: pd.Series, units: np.ndarray) -> pd.Series:
    """Where the user's own folders say what is test: rows given elsewhere whose picture stands in test (or valid)."""
    rank = given.map({"test": 3, "valid": 2, "train": 1}).fillna(0)
    return (rank > 0) & (rank < rank.groupby(units).transform("max"))


def duplicate_notes(table: pd.DataFrame, exact: np.ndarray, near: np.ndarray, group_near: bool) -> list[str]:
    """What a reader should know of the twins in a table with `path`, `label` and `split`."""
    notes, parts = [], table.split.to_numpy()
    labels = table.label.to_numpy()
    if len(exact):
        torn = int((labels[exact[:, 0]] != labels[exact[:, 1]]).sum())
        labelled = f"; {torn} of them carry different labels" if torn else ""
        notes.append(f"{len(exact)} repeated pictures (identical pixels), each kept on the side of its first{labelled}")
    if len(near):
        left, right = near[0]
        across = int((parts[near[:, 0]] != parts[near[:, 1]]).sum())
        advice = "" if group_near else "; --group-near keeps them together"
        done = f"{across} of them across the split{advice}" if across else "each pair on one side"
        notes.append(f"{len(near)} pairs of near twins, such as {table.path[left]} and {table.path[right]}: {done}")
    return notes


def fingerprints(image: Image.Image) -> tuple[str, int | None]:
    """The hash of the picture's pixels, and its 64-bit perceptual hash (None where a side is under 32 pixels)."""
    size = f"{image.width}x{image.height} ".encode()
    exact = hashlib.blake2b(size + image.tobytes(), digest_size=16).hexdigest()
    if min(image.size) < NEAR_FROM:
        return exact, None
    import imagehash

    return exact, int(str(imagehash.phash(image)), 16)
