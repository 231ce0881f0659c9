"""Two strong rankers of few lines: EASE, a regression of each item on all others, and ALS, factors of people and items.

It is a file of its own because both are linear algebra on who chose what, and know nothing of ratings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

MOST_ITEMS = 10_000  # of EASE: its matrix has a cell for each pair of items
MOST_CHOICES = 5_000_000  # of ALS: some minutes
ROUNDS, STEPS = 15, 3  # of ALS, and of conjugate gradients in each
ACROSS = 50_000  # choices whose factors are multiplied at once
SURE = 30  # steps for a person whose items are fixed


@dataclass(frozen=True)
class Ease:
    """Items are ranked by a linear sum over what a person chose, `history` (users, items), with `weights` (items, items)."""

    history: csr_array
    weights: np.ndarray

    @classmethod
    def fit(cls, chosen: csr_array, history: csr_array, ridge: float = 300.0) -> Ease:
        """The closed form of Steck (2019): each item regressed on all others, with an L2 penalty."""
        gram = (chosen.T @ chosen).toarray().astype(np.float64)
        gram[np.diag_indices_from(gram)] += ridge
        inverse = np.linalg.inv(gram)
        weights = inverse / -np.diag(inverse)
        weights[np.diag_indices_from(weights)] = 0
        return cls(history, weights.astype(np.float32))

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """Scores, float32 (n, items)."""
        return self.history[users] @ self.weights


@dataclass(frozen=True)
class Factors:
    """Items are ranked by the product of their vector and a person's, which follows from what they chose: `history` (users,
    items)."""

    history: csr_array
    items: np.ndarray
    weight: float
    ridge: float

    @classmethod
    def fit(
        cls, chosen: csr_array, history: csr_array, factors: int = 64, weight: float = 2.0, ridge: float = 0.1, seed: int = 0
    ) -> Factors:
        """Alternating least squares on implicit feedback (Hu, Koren and Volinsky 2008): what was chosen is 1 with a `weight`, all
        else 0 with weight 1; each side is solved by a few conjugate gradients from where it was (Takács et al. 2011)."""
        rng = np.random.default_rng(seed)
        people, items = (rng.normal(0, 0.1, (count, factors)).astype(np.float32) for count in chosen.shape)
        turned = chosen.T.tocsr()
        for _ in range(ROUNDS):
            people = solved(chosen, items, people, weight, ridge, STEPS)
            items = solved(turned, people, items, weight, ridge, STEPS)
        return cls(history, items, weight, ridge)

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """Scores, float32 (n, items)."""
        own = self.history[users]
        start = np.zeros((len(users), self.items.shape[1]), dtype=np.float32)
        return solved(own, self.items, start, self.weight, self.ridge, SURE) @ self.items.T


def solved(chosen: csr_array, others: np.ndarray, start: np.ndarray, weight: float, ridge: float, steps: int) -> np.ndarray:
    """The vectors, float32 (n, factors), that best give back who chose what, `chosen` (n, m), with the vectors of the m `others`
    fixed: so many `steps` of conjugate gradients from `start`, all n at once."""
    gram = others.T @ others + np.float32(ridge) * np.eye(others.shape[1], dtype=np.float32)
    rows = np.repeat(np.arange(chosen.shape[0]), np.diff(chosen.indptr))

    def applied(vectors: np.ndarray) -> np.ndarray:
        dots = np.empty(len(rows), dtype=np.float32)
        for at in range(0, len(rows), ACROSS):
            some = slice(at, at + ACROSS)
            dots[some] = np.einsum("nd,nd->n", vectors[rows[some]], others[chosen.indices[some]])
        picked = csr_array(((weight - 1) * dots, chosen.indices, chosen.indptr), shape=chosen.shape)
        return vectors @ gram + picked @ others

    vectors = start.copy()
    wanted = csr_array((np.full(len(rows), weight, dtype=np.float32), chosen.indices, chosen.indptr), shape=chosen.shape)
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
