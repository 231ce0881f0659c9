"""The bootstrap: all resamples at once, and the intervals that are read off them."""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10

import numpy as np
from scipy.sparse import csr_array

RESAMPLES = 2000
MOST_WEIGHTS = 100_000_000  # 400 MB: huge test sets are resampled less often, and need it less
DRAWN_AT_ONCE = 2_000_000  # numbers: 16 MB
WILSON = 1.96**2  # the square of the normal distribution's 97.5th percentile
FEWEST_GROUPS = 5  # fewer cannot stand for their kind: then items are drawn
FEWEST_WINDOWED = 2  # but windows of one recording stand for nothing else, however few the recordings


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        value, low, high = self.figures
        return f"{value} [{low}, {high}]"

    @property
    def figures(self) -> tuple[str, str, str]:
        """The figure and both ends as text: three decimals, and as many as tell them apart where the unit is such that
        they are far above or below 1."""
        largest = max(abs(self.value), abs(self.low), abs(self.high))
        decimals = 1 - floor(log10(largest)) if self.low > 0 and largest < 1e-3 else 3
        decimals = decimals if largest < 100 else max(0, 4 - floor(log10(largest)))

        def text(number: float) -> str:
            return f"{round(number, decimals) + 0.0:.{decimals}f}"  # + 0.0: no minus before a zero

        return text(self.value), text(self.low), text(self.high)

    @property
    def points(self) -> str:
        """The interval in percentage points: "[1.9, 4.4]"."""
        return f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class Bootstrap:
    """Which items each resample draws, and how often: float32 weights (1 + resamples, items), row 0 all ones.

    `resampled` says what was drawn, "items" or "groups", and `units` from how many.
    """

    weights: np.ndarray
    resampled: str
    units: int

    @classmethod
    def draw(cls, n_items: int, groups: np.ndarray | None = None, *, seed: int = 0, fewest: int = FEWEST_GROUPS) -> Bootstrap:
        """Draw items with replacement, or whole groups where there are at least `fewest`.

        `groups` (items,) holds a group for each item; items drawn together keep what they share, so the interval is not too
        narrow (the cluster bootstrap; Davison and Hinkley 1997, section 3.8).
        """
        units, grouped = np.arange(n_items), False
        if groups is not None and len(np.unique(groups)) >= fewest:
            units, grouped = np.unique(groups, return_inverse=True)[1], True
        count = int(units.max()) + 1
        resamples = int(np.clip(MOST_WEIGHTS // n_items, 200, RESAMPLES))
        rng = np.random.default_rng(seed)
        weights = np.ones((1 + resamples, n_items), dtype=np.float32)
        chunk = max(1, DRAWN_AT_ONCE // count)
        for start in range(1, 1 + resamples, chunk):
            some = weights[start : start + chunk]
            drawn = rng.integers(0, count, (len(some), count)) + count * np.arange(len(some))[:, None]
            times = np.bincount(drawn.ravel(), minlength=len(some) * count).reshape(len(some), count)
            np.take(times.astype(np.float32), units, axis=1, out=some)
        return cls(weights, "groups" if grouped else "items", count)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The weighted mean of `values` (items,) in each resample."""
        return self.weights @ values.astype(np.float32) / self.weights.sum(axis=1)

    def totals(self, bins: np.ndarray, n_bins: int, *, values: np.ndarray | None = None) -> np.ndarray:
        """The weighted sum of `values` (ones if None) in each of `n_bins` bins, float32 (1 + resamples, n_bins)."""
        values = np.ones(len(bins)) if values is None else values
        where = csr_array((values.astype(np.float32), (bins, np.arange(len(bins)))), shape=(n_bins, len(bins)))
        return (where @ self.weights.T).T


def interval(samples: np.ndarray) -> Interval:
    """The figure (row 0) with the 2.5th and 97.5th percentile of its resamples (the rest)."""
    low, high = np.percentile(samples[1:], [2.5, 97.5])
    return Interval(float(samples[0]), float(low), float(high))


def paired_interval(gained: np.ndarray, bootstrap: Bootstrap) -> Interval:
    """The interval of a mean difference; `gained` (items,) is 1 where one method alone was right, -1 where the other was, else 0.

    Where it is 1 for all, or -1, all resamples agree and their range says nothing: then it is made of Wilson's for either share.
    """
    found = interval(bootstrap.mean(gained))
    share = WILSON / (bootstrap.units + WILSON)
    if found.value == 1:
        return Interval(1.0, 1 - 2 * share, 1.0)
    return Interval(-1.0, -1.0, 2 * share - 1) if found.value == -1 else found


def bounded_interval(samples: np.ndarray, units: int, *, lowest: float = 0.0) -> Interval:
    """The figure (row 0), between `lowest` and 1, with the 2.5th and 97.5th percentile of the resamples that have one.

    Where resamples cannot tell: of a single unit nothing is known but the bounds; at 1, and at `lowest`, all resamples agree, and
    the interval is Wilson's (1927) for as many units that are all right, or all wrong. That is the widest it can be: of figures
    with the same mean, those of ones and zeros vary the most.
    """
    value, rest = float(samples[0]), samples[1:][np.isfinite(samples[1:])]
    share = (1 - lowest) * WILSON / (units + WILSON)
    if units < 2 or not len(rest):
        return Interval(value, lowest, 1.0)
    if value == 1:
        return Interval(value, 1 - share, 1.0)
    if value == lowest:
        return Interval(value, lowest, lowest + share)
    low, high = np.percentile(rest, [2.5, 97.5])
    return Interval(value, float(low), float(high))


def ranking_interval(samples: np.ndarray, units: int, *, lowest: float = 0.0) -> Interval:
    """As `bounded_interval`; of a test with one class alone nothing is known but the bounds."""
    if not np.isfinite(samples[0]):
        return Interval((lowest + 1) / 2, lowest, 1.0)
    found = bounded_interval(samples, units, lowest=lowest)
    if found.low <= found.value <= found.high:
        return found
    # rows that a resample repeats flatter the average precision of rare classes: by as much the resamples are put right
    shifted = np.clip(samples[1:] - np.nanmean(samples[1:]) + samples[0], lowest, 1.0)
    return bounded_interval(np.concatenate([samples[:1], shifted]), units, lowest=lowest)


def finite_interval(samples: np.ndarray) -> Interval:
    """As `interval`, over the resamples that have a figure; 0 where the whole has none: of rows that are all alike nothing is
    explained."""
    if not np.isfinite(samples[0]):
        return Interval(0.0, 0.0, 0.0)
    return interval(samples[np.isfinite(samples)])
