"""Models that a user is folded into: items are fixed, and a user is the vector that their few likes are solved for. Here what all
have in common, and the dot product.

Training, evaluation and program find the same user in the same likes by this code.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property

import numpy as np

STEEP = 30.0  # beyond which a sigmoid is at its end
MEMBERS = ("vectors", "offset", "prior", "centre")  # arrays that travel in a program
IMPLICIT = "told"  # one that only some have


class FoldInModel(ABC):
    """What all models have in common in which a user is a vector of d numbers: ratings behind scores, and how likes become a
    vector.

    `vectors`, float32 (items, e), are the items as numbers. `prior`, float64 (d, d), and `centre`, float64 (d,), are what is
    known of a user who has said nothing: the precision of users' vectors about their mean, in units of the precision of one like.
    `like` is what a like without a rating stands for. `low` and `high` are the lowest and highest rating there can be, None where
    scores only rank. `bounds` are then what a rating nears as its score goes to minus and plus infinity (it is the sigmoid of the
    score, spread over them), None where scores are ratings as they are.
    """

    vectors: np.ndarray
    prior: np.ndarray
    centre: np.ndarray
    like: float
    low: float | None
    high: float | None
    bounds: tuple[float, float] | None

    @abstractmethod
    def solve(self, items: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """The vector (d,), float64, of a user who chose `items` (n,) or gave them the ratings `values` (n,)."""

    @abstractmethod
    def scores(self, users: np.ndarray) -> np.ndarray:
        """The scores of all items for one user (d,) or several (n, d): float32 (items,) or (n, items)."""

    @abstractmethod
    def pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The score of one item for each user: `users` (n, d) and `items` (n,) -> float32 (n,)."""

    @abstractmethod
    def shares(self, items: np.ndarray, values: np.ndarray | None, *, wanted: np.ndarray) -> np.ndarray:
        """What each of the n likes adds to the score of each of the m `wanted` items, for the user that `solve` finds: float64
        (m, n)."""

    @property
    def limits(self) -> tuple[float, float] | None:
        """The lowest and the highest rating, None where scores only rank."""
        return None if self.low is None or self.high is None else (self.low, self.high)

    def ratings(self, scores: np.ndarray) -> np.ndarray:
        """Scores as ratings within their range; where nothing is rated, as they are."""
        if self.low is None:
            return scores
        if self.bounds is not None:
            least, most = self.bounds
            scores = least + (most - least) / (1 + np.exp(-np.clip(scores, -STEEP, STEEP)))
        return np.clip(scores, self.low, self.high)

    @cached_property
    def nobody(self) -> np.ndarray:
        """The scores, float32 (items,), for a user of whom nothing is known."""
        return self.scores(self.centre)

    @cached_property
    def _covariance(self) -> np.ndarray:
        return np.linalg.inv(self.prior)

    def _targets(self, count: int, values: np.ndarray | None) -> np.ndarray:
        """The scores, float64 (n,), that stand for `count` likes, or for the ratings `values` (n,)."""
        said = np.full(count, self.like) if values is None else np.asarray(values, dtype=np.float64)
        if self.bounds is None or self.low is None:
            return said
        least, most = self.bounds
        share = (np.clip(said, self.low, self.high) - least) / (most - least)
        return np.log(share / (1 - share))

    def _weights(self, slopes: np.ndarray, hold: float = 1.0) -> np.ndarray:
        """The weights (d, n) that turn what is left of n scores to explain into a vector, where the scores change with a user
        by `slopes` (n, d), and the prior counts `hold` times."""
        if len(slopes) < len(self.centre):  # the same by way of the smaller system
            spread = self._covariance @ slopes.T / hold
            return np.linalg.solve(slopes @ spread + np.eye(len(slopes)), spread.T).T
        return np.linalg.solve(slopes.T @ slopes + hold * self.prior, slopes.T)


@dataclass(frozen=True)
class DotModel(FoldInModel):
    """A fixed model of items in which a user is a vector: their score of item i is `vectors[i] @ user + offset[i]`.

    `vectors`, float32 (items, d), are the factors of the items (and a one, where a user has a bias of their own). `offset`,
    float32 (items,), holds what is the same for everyone: the mean and the bias of the item. `implicit_factors`, float32
    (items, d), are what having rated an item says of a user, whatever the rating (SVD++; Koren 2008): they move their centre.
    Everything else is as in `FoldInModel`.
    """

    vectors: np.ndarray
    offset: np.ndarray
    prior: np.ndarray
    centre: np.ndarray
    like: float = 1.0
    low: float | None = None
    high: float | None = None
    bounds: tuple[float, float] | None = None
    implicit_factors: np.ndarray | None = None

    def solve(self, items: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """The vector (d,), float64, of a user who chose `items` (n,) or gave them the ratings `values` (n,): regularised least
        squares on the fixed factors (the user step of Hu, Koren and Volinsky 2008, about the mean of all users)."""
        given, weights = self._given(items)
        centre = self.centre + self._implicit(items).sum(axis=0)
        return centre + weights @ self._residuals(given, centre, items=items, values=values)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """The scores of all items for one user (d,) or several (n, d): float32 (items,) or (n, items)."""
        return users.astype(np.float32) @ self.vectors.T + self.offset

    def pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The score of one item for each user: `users` (n, d) and `items` (n,) -> float32 (n,)."""
        return np.einsum("nd,nd->n", users.astype(np.float32), self.vectors[items]) + self.offset[items]

    def shares(self, items: np.ndarray, values: np.ndarray | None, *, wanted: np.ndarray) -> np.ndarray:
        """What each of the n likes adds to the score of each of the m `wanted` items, for the user that `solve` finds: float64
        (m, n). Together with what a user who has said nothing gets, they sum to the score."""
        given, weights = self._given(items)
        implicit = self._implicit(items)
        sought = self.vectors[wanted].astype(np.float64)
        residuals = self._residuals(given, self.centre + implicit.sum(axis=0), items=items, values=values)
        return (sought @ weights) * residuals + sought @ implicit.T

    def _given(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of n items, and the weights (d, n) that turn what is left of their values to explain into a vector."""
        given = self.vectors[items].astype(np.float64)
        return given, self._weights(given)

    def _implicit(self, items: np.ndarray) -> np.ndarray:
        """What each of n items says of a user by having been rated at all, (n, d)."""
        if self.implicit_factors is None or not len(items):
            return np.zeros((len(items), len(self.centre)))
        return self.implicit_factors[items].astype(np.float64) / np.sqrt(len(items))

    def _residuals(self, given: np.ndarray, centre: np.ndarray, *, items: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """What a user at the `centre` leaves of the values (n,) to explain."""
        wanted = self._targets(len(items), values)
        offset = 0 if self.low is None else self.offset[items]  # a choice is a choice, however popular
        return wanted - offset - given @ centre
