"""The split into train, valid and a held-out test that training never sees.

It is a file of its own because the honesty of every score rests on it: what belongs together stays on one side.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from toolkit.data.items import PARTS
from toolkit.errors import DataError


def split_items(
    table: pd.DataFrame,
    valid_pct: float = 0.1,
    test_pct: float = 0.2,
    seed: int = 42,
    together: Iterable[np.ndarray] = (),
) -> pd.Series:
    """Decide "train", "valid" or "test" for each row of `table` (columns `label`, `group`, `split`).

    Rows that share a `group` stay on one side, and so do the rows of each pair in `together` (int arrays (pairs, 2) of
    positions). Classes keep their shares in each part as far as the groups allow; a class of one item goes to train,
    one of two to train and test. Where `split` is given, it stands: a missing valid or test part is carved out of train.

    Raises `DataError` where a group stands on two given sides, or where the groups are too few to fill each part.
    """
    for name, share in (("valid_pct", valid_pct), ("test_pct", test_pct)):
        if not 0 < share < 1:
            raise DataError(f"{name} {share}: expected a share between 0 and 1, such as 0.2")
    if valid_pct + test_pct >= 1:
        raise DataError(f"valid_pct {valid_pct} and test_pct {test_pct} leave nothing to train on")
    given = table.split.where(table.split.notna(), None)
    units = _units(table, together)
    _check_given(table, given)
    result = given.copy()
    free = given.isna() | (given == "train")
    shares = {part: share for part, share in (("valid", valid_pct), ("test", test_pct)) if not (given == part).any()}
    if shares and free.any():
        result[free] = _assign(table.label[free].to_numpy(), units[free.to_numpy()], shares, seed)
    _check_parts(table, result)
    return result


def _units(table: pd.DataFrame, together: Iterable[np.ndarray]) -> np.ndarray:
    """The number of the unit each row belongs to: rows joined by a group or a pair, however long the chain."""
    count = len(table)
    first = table.group.map(dict(zip(table.group[::-1], range(count - 1, -1, -1), strict=True)))
    grouped = np.flatnonzero(table.group.notna())
    joins = [np.stack([grouped, first.to_numpy()[grouped].astype(np.int64)], axis=1), *together]
    edges = np.concatenate([np.asarray(pairs, dtype=np.int64).reshape(-1, 2) for pairs in joins])
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _assign(labels: np.ndarray, units: np.ndarray, shares: dict[str, float], seed: int) -> np.ndarray:
    """Place whole units, largest first and otherwise in random order, each where its classes are missing most."""
    classes, label_codes = np.unique(labels, return_inverse=True)
    _, unit_codes = np.unique(units, return_inverse=True)
    counts = np.bincount(label_codes, minlength=len(classes))
    parts = ["train", *shares]
    needs = np.zeros((len(parts), len(classes)))
    for row, part in enumerate(parts[1:], start=1):
        # every class of two or more is tested, every class of three or more is also validated on
        least = counts >= (2 if part == "test" else 3)
        needs[row] = np.where(least, np.maximum(1, np.round(shares[part] * counts)), 0)
    needs[0] = counts - needs[1:].sum(axis=0)

    order = np.argsort(unit_codes, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(unit_codes[order])) + 1)
    rng = np.random.default_rng(seed)
    shuffled = [members[i] for i in rng.permutation(len(members))]
    shuffled.sort(key=len, reverse=True)
    result = np.empty(len(labels), dtype=object)
    for rows in shuffled:
        held, amounts = np.unique(label_codes[rows], return_counts=True)
        gain = np.minimum(needs[:, held], amounts).sum(axis=1) + 1e-3 * needs[:, held].sum(axis=1)
        part = int(gain.argmax())
        needs[part, held] -= amounts
        result[rows] = parts[part]
    return result


def _check_given(table: pd.DataFrame, given: pd.Series) -> None:
    grouped = table[table.group.notna() & given.notna()]
    sides = given[grouped.index].groupby(grouped.group).nunique()
    if (sides > 1).any():
        group = sides.index[sides > 1][0]
        stands = ", ".join(sorted(given[grouped.index][grouped.group == group].unique()))
        raise DataError(f"group {group!r} stands in {stands}: a group belongs on one side; move its items, or leave out group_by")


def _check_parts(table: pd.DataFrame, result: pd.Series) -> None:
    empty = [part for part in PARTS if not (result == part).any()]
    if empty:
        groups = table.group.nunique()
        why = f"{groups} groups are too few" if groups else f"{len(table)} items are too few"
        raise DataError(f"nothing is left for {' and '.join(empty)}: {why} for train, valid and test")
