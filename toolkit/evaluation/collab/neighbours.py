"""Item-based neighbours: items that the same users like, with shrinkage (Sarwar et al. 2001). A catalogue's similarities are a
large sparse matrix, which is made block by block.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy.sparse import csc_array, csr_array, vstack

from toolkit.evaluation.collab.methods import RaterAndRanker

KEPT = 100  # neighbours of an item
MOST_PAIRS = 2_000_000_000  # of two items of one user that are gone through: a minute
MOST_STORED = 60_000_000  # similarities: 700 MB
PAIRS_AT_ONCE = 5_000_000
DENOMINATOR = 0.3  # added to the sum of similarities: few and weak neighbours say little


def pairs(table: csr_array) -> np.ndarray:
    """For each item the pairs it makes with items of the same users, float64 (items,)."""
    lengths = np.diff(table.indptr).astype(float)
    return np.bincount(table.indices, np.repeat(lengths, lengths.astype(int)), minlength=table.shape[1])


def too_many(table: csr_array) -> str:
    """Why the similarities of the items of `table` (users, items) cannot be had, or nothing."""
    each = pairs(table)
    if each.sum() > MOST_PAIRS:
        return f"people's {table.nnz:,} choices make {each.sum():,.0f} pairs, more than {MOST_PAIRS:,}"
    if (stored := np.minimum(each, KEPT).sum()) > MOST_STORED:
        return f"the neighbours of {table.shape[1]:,} items would be {stored:,.0f}, and there is room for {MOST_STORED:,}"
    return ""


def similarities(table: csr_array, shrink: float, *, kept: int = KEPT) -> csr_array:
    """For each item (row) its nearest others: the positive shrunk cosines of the columns of `table` (users, items),
    a·b / (|a||b| + shrink) (Dacrema et al. 2019), the `kept` largest of each row, sparse float32 (items, items)."""
    columns, items = csc_array(table, dtype=np.float32), table.shape[1]
    norms = np.sqrt(columns.multiply(columns).sum(axis=0))
    ends = _blocks(pairs(table))
    parts = []
    for start, stop in pairwise(ends.tolist()):
        block = (columns[:, start:stop].T @ table).tocsr()
        rows = np.repeat(np.arange(stop - start), np.diff(block.indptr))
        near = block.data / (norms[start + rows] * norms[block.indices] + np.float32(shrink))
        some = (near > 0) & (block.indices != start + rows)
        rows, others, near = rows[some], block.indices[some], near[some]
        order = np.lexsort((-near, rows))
        rows, others, near = rows[order], others[order], near[order]
        first = np.arange(len(rows)) - np.searchsorted(rows, rows) < kept
        parts.append(csr_array((near[first], (rows[first], others[first])), shape=(stop - start, items), dtype=np.float32))
    return vstack(parts, format="csr")


def _blocks(costs: np.ndarray) -> np.ndarray:
    """Where to cut, so that each block costs about `PAIRS_AT_ONCE`."""
    number = (np.cumsum(costs) // PAIRS_AT_ONCE).astype(np.int64)
    return np.concatenate([np.flatnonzero(np.diff(number, prepend=-1)), [len(costs)]])


@dataclass(frozen=True)
class InteractionNeighbours:
    """Items are ranked by the sum of their similarities with the positive interactions of a user: `seen`, sparse (users,
    items)."""

    seen: csr_array
    near: csr_array

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """Scores, float32 (n, items)."""
        scores: np.ndarray = (self.seen[users] @ self.near.T).toarray()
        return scores


@dataclass(frozen=True)
class RatedNeighbours:
    """Biases, and the average of what a user's ratings of an item's neighbours are above theirs, weighted by similarity (Koren
    2010). `seen`, sparse (users, items), holds what the biases leave of the ratings."""

    biases: RaterAndRanker
    seen: csr_array
    near: csr_array

    def rates(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The rating of each pair of user and item, float (n,)."""
        found = [self._above(users[at : at + 20_000], items[at : at + 20_000]) for at in range(0, len(users), 20_000)]
        return self.biases.rates(users, items) + np.concatenate([np.zeros(0), *found])

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """The ratings of all items, float32 (n, items)."""
        items = self.near.shape[0]
        own, there = self.seen[users], _ones(self.seen[users])
        above, weight = ((table @ self.near.T).toarray() for table in (own, there))
        return self.biases.ranks(users)[:, :items] + above / (weight + DENOMINATOR)

    def _above(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        near = self.near[np.minimum(items, self.near.shape[0] - 1)]
        own = self.seen[users]
        above, weight = near.multiply(own).sum(axis=1), near.multiply(_ones(own)).sum(axis=1)
        return np.where(items < self.near.shape[0], above / (weight + DENOMINATOR), 0.0)


def _ones(table: csr_array) -> csr_array:
    return csr_array((np.ones_like(table.data), table.indices, table.indptr), shape=table.shape)
