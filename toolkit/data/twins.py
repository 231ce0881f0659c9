"""Pictures that are almost the same: pairs whose perceptual hashes differ in a few bits.

It is a file of its own because a near twin is a suspicion, not a fact: it is reported, and acted on only when asked.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

NEAR_BITS = 4  # of 64; ten or more pairs up pictures that only share a layout


def near_twins(hashes: Sequence[int | None], bits: int = NEAR_BITS, chunk: int = 1024) -> np.ndarray:
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


def exact_twins(hashes: Sequence[str]) -> np.ndarray:
    """Pairs of positions with equal hashes: each repetition with its first appearance. Int array (pairs, 2)."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(value, i), i) for i, value in enumerate(hashes)]
    return np.array([pair for pair in pairs if pair[0] != pair[1]], dtype=np.int64).reshape(-1, 2)
