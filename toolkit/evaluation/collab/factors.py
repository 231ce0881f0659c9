"""Two strong rankers of few lines: EASE, a regression of each item on all others, and ALS, factors of users and items. Both are
linear algebra on positive interactions, and know nothing of ratings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

MOST_ITEMS = 10_000  # of EASE: its matrix has a cell for each pair of items
MOST_INTERACTIONS = 5_000_000  # of ALS: some minutes
ROUNDS, STEPS = 15, 3  # of ALS, and of conjugate gradients in each
ACROSS = 50_000  # interactions whose factors are multiplied at once
SURE = 30  # steps for a user whose items are fixed


@dataclass(frozen=True)
class Ease:
    """Items are ranked by a linear sum over the positive interactions of a user, `seen`, sparse (users, items), with `weights`,
    float32 (items, items)."""

    seen: csr_array
    weights: np.ndarray

    @classmethod
    def fit(cls, interactions: csr_array, seen: csr_array, *, ridge: float = 300.0) -> Ease:
        """The closed form of Steck (2019): each item regressed on all others, with an L2 penalty, `ridge`. It is fitted on
        `interactions`, sparse ones (users, items), and ranks by those that are `seen` when it is asked."""
        gram = (interactions.T @ interactions).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += ridge
        inverse = np.linalg.inv(gram)
        weights = inverse / -np.diag(inverse)
        weights[np.diag_indices_from(weights)] = 0
        return cls(seen, weights.astype(np.float32))

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """Scores, float32 (n, items)."""
        scores: np.ndarray = self.seen[users] @ self.weights
        return scores


@dataclass(frozen=True)
class Factors:
    """Items are ranked by the product of their vector and a user's, which follows from their positive interactions: `seen`,
    sparse (users, items). `items`, float32 (items, factors), are the vectors; `weight` is what an interaction counts, `ridge` the
    penalty."""

    seen: csr_array
    items: np.ndarray
    weight: float
    ridge: float

    @classmethod
    def fit(
        cls,
        interactions: csr_array,
        seen: csr_array,
        *,
        factors: int = 64,
        weight: float = 2.0,
        ridge: float = 0.1,
        seed: int = 0,
    ) -> Factors:
        """Alternating least squares on implicit feedback (Hu, Koren and Volinsky 2008): what was chosen is 1 with a `weight`, all
        else 0 with weight 1; each side is solved by a few conjugate gradients from where it was (Takács et al. 2011)."""
        rng = np.random.default_rng(seed)
        users, items = (rng.normal(0, 0.1, (count, factors)).astype(np.float32) for count in interactions.shape)
        turned = interactions.T.tocsr()
        for _ in range(ROUNDS):
            users = solved(interactions, items, start=users, weight=weight, ridge=ridge, steps=STEPS)
            items = solved(turned, users, start=items, weight=weight, ridge=ridge, steps=STEPS)
        return cls(seen, items, weight, ridge)

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """Scores, float32 (n, items)."""
        own = self.seen[users]
        start = np.zeros((len(users), self.items.shape[1]), dtype=np.float32)
        return solved(own, self.items, start=start, weight=self.weight, ridge=self.ridge, steps=SURE) @ self.items.T


def solved(
    interactions: csr_array, others: np.ndarray, *, start: np.ndarray, weight: float, ridge: float, steps: int
) -> np.ndarray:
    """The vectors, float32 (n, factors), that best give back who chose what, `interactions` (n, m), with the vectors of the m
    `others` fixed: so many `steps` of conjugate gradients from `start`, all n at once."""
    gram = others.T @ others + np.float32(ridge) * np.eye(others.shape[1], dtype=np.float32)
    rows = np.repeat(np.arange(interactions.shape[0]), np.diff(interactions.indptr))

    def applied(vectors: np.ndarray) -> np.ndarray:
        dots = np.empty(len(rows), dtype=np.float32)
        for at in range(0, len(rows), ACROSS):
            some = slice(at, at + ACROSS)
            dots[some] = np.einsum("nd,nd->n", vectors[rows[some]], others[interactions.indices[some]])
        picked = csr_array(((weight - 1) * dots, interactions.indices, interactions.indptr), shape=interactions.shape)
        return vectors @ gram + picked @ others

    vectors = start.copy()
    wanted = csr_array(
        (np.full(len(rows), weight, dtype=np.float32), interactions.indices, interactions.indptr), shape=interactions.shape
    )
    left = wanted @ others - applied(vectors)
    along, size = left.copy(), (left**2).sum(axis=1)
    for _ in range(steps):
        ahead = applied(along)
        step = size / np.maximum((along * ahead).sum(axis=1), 1e-20)
        vectors += step[:, None] * along
        left -= step[:, None] * ahead
        before, size = size, (left**2).sum(axis=1)
        along = left + (size / np.maximum(before, 1e-20))[:, None] * along
    return vectors
