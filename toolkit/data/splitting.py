"""The split into train, valid and a held-out test that training never sees: what belongs together stays on one side."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from toolkit.data.items import PARTS
from toolkit.errors import DataError


@dataclass(frozen=True, kw_only=True)
class SplitOptions:
    """How data is split: the shares held out to choose the best epoch (`valid_pct`) and for the test (`test_pct`), each between 0
    and 1, and the seed of what is left to chance.

    Raises `DataError` for shares that are none, or leave nothing to train on, and for a seed below 0.
    """

    valid_pct: float = 0.1
    test_pct: float = 0.2
    seed: int = 42

    def __post_init__(self) -> None:
        for name, share in (("valid_pct", self.valid_pct), ("test_pct", self.test_pct)):
            if not 0 < share < 1:
                raise DataError(f"{name} {share}: expected a share between 0 and 1, such as 0.2")
        if self.valid_pct + self.test_pct >= 1:
            raise DataError(f"valid_pct {self.valid_pct} and test_pct {self.test_pct} leave nothing to train on")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise DataError(f"seed {self.seed}: expected a whole number from 0")

    def missing_from(self, parts: pd.Series) -> dict[str, float]:
        """The shares of those held-out parts that no row of `parts` is in yet."""
        shares = {"valid": self.valid_pct, "test": self.test_pct}
        return {part: share for part, share in shares.items() if not (parts == part).any()}


USUAL_SPLIT = SplitOptions()


def split_items(table: pd.DataFrame, options: SplitOptions = USUAL_SPLIT, *, together: Iterable[np.ndarray] = ()) -> pd.Series:
    """Decide "train", "valid" or "test" for each row of `table` (columns `label`, `group`, `split`).

    Rows that share a `group` stay on one side, and so do the rows of each pair in `together` (int arrays (pairs, 2) of
    positions). Classes keep their shares in each part as far as the groups allow; a class of one item goes to train,
    one of two to train and test. Where `split` is given, it stands, also for the rows that belong with it; a part that is
    given nowhere is carved out of the rest.

    Raises `DataError` where a group stands on two given sides, or where the groups are too few to fill each part.
    """
    _check_given(table)
    units = units_of(len(table), [_group_pairs(table), *together])
    held_out = table.split.map({"test": 2, "valid": 1}).fillna(0).groupby(units).transform("max")
    result = table.split.where(table.split.notna(), held_out.map({2: "test", 1: "valid", 0: None})).astype(object)
    shares = options.missing_from(result)
    free = ~result.isin(["valid", "test"])
    result[free] = "train"
    if shares and free.any():
        result[free] = _assign(table.label[free].to_numpy(), units[free.to_numpy()], shares=shares, seed=options.seed)
    _check_parts(table, result)
    return result


def units_of(count: int, together: Iterable[np.ndarray]) -> np.ndarray:
    """The number of the unit each of `count` rows belongs to, int (count,): rows joined by a pair, however long the chain.
    `together` are arrays of positions, int (pairs, 2)."""
    edges = np.concatenate([np.empty((0, 2), np.int64), *(np.asarray(pairs).reshape(-1, 2) for pairs in together)])
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1]


def _group_pairs(table: pd.DataFrame) -> np.ndarray:
    """Each row of a group with the group's first."""
    grouped = np.flatnonzero(table.group.notna())
    codes = pd.factorize(table.group.iloc[grouped])[0].tolist()
    first: dict[int, int] = {}
    return np.array(
        [(first.setdefault(code, row), row) for code, row in zip(codes, grouped.tolist(), strict=True)], dtype=np.int64
    )


def _assign(labels: np.ndarray, units: np.ndarray, *, shares: dict[str, float], seed: int) -> np.ndarray:
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
        most_missed = int(gain.argmax())
        needs[most_missed, held] -= amounts
        result[rows] = parts[most_missed]
    for part in parts[1:]:
        _fill(part, result, members=shuffled, label_codes=label_codes)
    return result


def _fill(part: str, result: np.ndarray, *, members: list[np.ndarray], label_codes: np.ndarray) -> None:
    """Where few large units left `part` empty, give it the smallest one that others can spare."""
    if (result == part).any():
        return
    holders = pd.Series([result[rows[0]] for rows in members]).value_counts()
    learnt = np.bincount(label_codes[result == "train"], minlength=label_codes.max() + 1)
    spare = []
    for rows in members:
        holder = result[rows[0]]
        if holders[holder] > 1:
            left = learnt - np.bincount(label_codes[rows], minlength=len(learnt)) if holder == "train" else learnt
            spare.append((int((left == 0).sum()), len(rows), rows))
    if spare:
        result[min(spare, key=lambda unit: unit[:2])[2]] = part


def _check_given(table: pd.DataFrame) -> None:
    given = table.split
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
