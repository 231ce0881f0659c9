"""A sample of the rows, the same each time."""

from __future__ import annotations

import numpy as np


def sample_rows(count: int, most: int | None, *, seed: int = 0) -> np.ndarray:
    """The numbers below `count`, or a random sample of `most` of them, sorted."""
    rows = np.arange(count)
    if most is None or most >= count:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, max(1, most), replace=False))
