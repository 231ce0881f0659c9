"""Train, valid and test for the rows of a table: at random with every class in its share, by group, or by time.

A table has a million rows, where `split_items` is made for thousands of files, and rows can have an order in time.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from toolkit.data.items import PARTS
from toolkit.data.splitting import USUAL_SPLIT, SplitOptions, split_items
from toolkit.errors import DataError

MOST_BINS = 10  # of equally many rows, that the values of a regression are stratified by
ROWS_PER_BIN = 20


def split_rows(
    label: pd.Series,
    regression: bool,
    *,
    split: SplitOptions = USUAL_SPLIT,
    given: pd.Series | None = None,
    group: pd.Series | None = None,
    time: pd.Series | None = None,
) -> pd.Series:
    """Decide "train", "valid" or "test" for each row; the result has the index of `label`.

    Where `given` says a part, it stands; a part that is given nowhere is carved out of the rows that are not in the others:

    - at random, each class (for a regression: each tenth of the values) in its share; a class of one row goes to train, one of
      two to train and test;
    - with `group`, rows of one group stay on one side (see `split_items`); a row without one stands for itself;
    - with `time`, numbers or moments, the latest `split.test_pct` of the rows are the test and the latest `split.valid_pct` of
    all
      before them valid; rows of one time stay on one side.

    Raises `DataError` where rows are too few, or a row has no time.
    """
    if group is not None and time is not None:
        raise DataError("a split by group and by time: a group may last past the day that the test begins; choose one of the two")
    parts = _given(label, given)
    if group is not None:
        strata = _bins(label) if regression else label
        columns = {"label": strata.to_numpy(), "group": group.to_numpy(), "split": parts}
        table = pd.DataFrame({name: pd.Series(column, dtype=object) for name, column in columns.items()})
        table = table.where(table.notna(), None)
        return pd.Series(split_items(table, split).to_numpy(), index=label.index, dtype=object)

    shares = split.missing_from(pd.Series(parts, dtype=object))
    free = np.flatnonzero(~np.isin(parts.astype(str), ["valid", "test"]))
    parts[free] = "train"
    if shares and len(free):
        if time is not None:
            parts[free] = _by_time(time.iloc[free], shares)
        else:
            strata = _bins(label.iloc[free]) if regression else label.iloc[free]
            parts[free] = _at_random(pd.factorize(strata)[0], shares, rng=np.random.default_rng(split.seed))
    empty = [part for part in PARTS if not (parts == part).any()]
    if empty:
        raise DataError(f"nothing is left for {' and '.join(empty)}: {len(label)} rows are too few for train, valid and test")
    return pd.Series(parts, index=label.index, dtype=object)


def _given(label: pd.Series, given: pd.Series | None) -> np.ndarray:
    """The part that each row was given, or None."""
    if given is None:
        return np.full(len(label), None, dtype=object)
    parts = np.array(given.astype(object).where(given.notna(), None), dtype=object)
    unknown = sorted({str(part) for part in pd.unique(parts) if part is not None} - set(PARTS))
    if unknown:
        raise DataError(f"part {unknown[0]!r} is none of {', '.join(PARTS)}")
    return parts


def _bins(values: pd.Series) -> pd.Series:
    """The number of the bin of each value, between its neighbours in rank."""
    ranks = pd.to_numeric(values).rank(method="first").to_numpy()
    bins = int(np.clip(len(values) // ROWS_PER_BIN, 1, MOST_BINS))
    return pd.Series(np.minimum((ranks - 1) * bins // max(1, len(values)), bins - 1).astype(int), index=values.index)


def _at_random(codes: np.ndarray, shares: dict[str, float], *, rng: np.random.Generator) -> np.ndarray:
    """A part for each row: of a class with n rows, n times its share, at random."""
    counts = np.bincount(codes)
    wanted = {}
    for part, share in shares.items():
        # every class of two or more is tested, every class of three or more is also validated on
        least = counts >= (2 if part == "test" else 3)
        wanted[part] = np.where(least, np.maximum(1, np.round(share * counts)), 0).astype(int)
    for part in shares:  # and every class is learnt
        over = np.maximum(0, sum(wanted.values()) - counts + 1)
        wanted[part] -= np.minimum(over, np.maximum(0, wanted[part] - 1))
    order = np.lexsort((rng.random(len(codes)), codes))
    place = np.arange(len(codes)) - np.repeat(np.cumsum(counts) - counts, counts)  # of each row in its class
    test, valid = (np.repeat(wanted.get(part, np.zeros_like(counts)), counts) for part in ("test", "valid"))
    ordered = np.where(place < test, "test", np.where(place < test + valid, "valid", "train")).astype(object)
    parts = np.empty(len(codes), dtype=object)
    parts[order] = ordered
    for part in shares:
        _fill(part, parts, codes=codes)
    return parts


def _fill(part: str, parts: np.ndarray, *, codes: np.ndarray) -> None:
    """Where classes of few rows left `part` empty, give it a row that another can spare."""
    if (parts == part).any():
        return
    train = np.flatnonzero(parts == "train")
    spare = train[np.bincount(codes[train], minlength=codes.max() + 1)[codes[train]] > 1]
    others = np.flatnonzero(~np.isin(parts.astype(str), ["train", part]))
    if len(spare):
        parts[spare[0]] = part
    elif len(others) > 1:
        parts[others[0]] = part


def _by_time(time: pd.Series, shares: dict[str, float]) -> np.ndarray:
    """A part for each row: the latest rows are the test, those before them valid."""
    if time.isna().any():
        raise DataError(
            f"{int(time.isna().sum())} of {len(time)} rows have no time, so that a split by time cannot place them: fill in or "
            "remove them"
        )
    moments, codes = np.unique(time.to_numpy(), return_inverse=True)
    if len(moments) <= len(shares):
        different = "one time" if len(moments) == 1 else f"{len(moments)} different times"
        raise DataError(f"all rows have {different}, too few to split by: at least {len(shares) + 1} are needed")
    counts = np.bincount(codes)
    parts, stop = np.full(len(moments), "train", dtype=object), len(moments)
    for later, part in enumerate(reversed(shares)):  # the test, then valid
        before = len(shares) - later  # times at least that are left for the parts before
        held = np.cumsum(counts[:stop][::-1])[: stop - before]
        taken = int(np.abs(held - shares[part] * len(time)).argmin()) + 1
        parts[stop - taken : stop] = part
        stop -= taken
    return parts[codes]
