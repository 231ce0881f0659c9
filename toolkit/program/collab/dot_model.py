"""What people like, as numbers: factors of items, and the vector of a person that is solved for from what they name.

It is a file of its own because training, evaluation and program must find the same person in the same few likes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

STEEP = 30.0  # beyond which a sigmoid is at its end
MEMBERS = ("vectors", "offset", "prior", "centre")  # arrays that travel in a program
TOLD = "told"  # one that only some have


class PersonModel:
    """What all models have in common in which a person is a vector: ratings behind scores, and how likes become a vector."""

    prior: np.ndarray
    centre: np.ndarray
    like: float
    low: float | None
    high: float | None
    bounds: tuple[float, float] | None

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
        """The scores, float32 (items,), for a person of whom nothing is known."""
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
        """The weights (d, n) that turn what is left of n scores to explain into a vector, where the scores change with a person
        by `slopes` (n, d), and the prior counts `hold` times."""
        if len(slopes) < len(self.centre):  # the same by way of the smaller system
            spread = self._covariance @ slopes.T / hold
            return np.linalg.solve(slopes @ spread + np.eye(len(slopes)), spread.T).T
        return np.linalg.solve(slopes.T @ slopes + hold * self.prior, slopes.T)


@dataclass(frozen=True)
class Taste(PersonModel):
    """A fixed model of items in which a person is a vector: their score of item i is `vectors[i] @ person + offset[i]`.

    `vectors`, float32 (items, d), are the factors of the items (and a one, where a person has a bias of their own). `offset`,
    float32 (items,), holds what is the same for everyone: the mean and the bias of the item. `prior`, float64 (d, d), and
    `centre`, float64 (d,), are what is known of a person who has said nothing: the precision of people's vectors about their
    mean, in units of the precision of one like. `like` is what a like without a rating stands for.

    `low` and `high` are the lowest and highest rating there can be, None where scores only rank. `bounds` are then what a rating
    nears as its score goes to minus and plus infinity (it is the sigmoid of the score, spread over them), None where scores are
    ratings as they are. `told`, float32 (items, d), is what having rated an item says of a person, whatever the rating (Koren
    2008); it moves their centre.
    """

    vectors: np.ndarray
    offset: np.ndarray
    prior: np.ndarray
    centre: np.ndarray
    like: float = 1.0
    low: float | None = None
    high: float | None = None
    bounds: tuple[float, float] | None = None
    told: np.ndarray | None = None

    def solve(self, items: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """The vector (d,), float64, of a person who chose `items` (n,) or gave them the ratings `values` (n,): regularised least
        squares on the fixed factors (the user step of Hu, Koren and Volinsky 2008, about the mean of all people)."""
        given, weights = self._given(items)
        centre = self.centre + self._told(items).sum(axis=0)
        return centre + weights @ self._residuals(given, centre, items, values)

    def scores(self, people: np.ndarray) -> np.ndarray:
        """The scores of all items for one person (d,) or several (n, d): float32 (items,) or (n, items)."""
        return people.astype(np.float32) @ self.vectors.T + self.offset

    def pairs(self, people: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The score of one item for each person: `people` (n, d) and `items` (n,) -> float32 (n,)."""
        return np.einsum("nd,nd->n", people.astype(np.float32), self.vectors[items]) + self.offset[items]

    def shares(self, items: np.ndarray, values: np.ndarray | None, wanted: np.ndarray) -> np.ndarray:
        """What each of the n likes adds to the score of each of the m `wanted` items, for the person that `solve` finds: float64
        (m, n). Together with what a person who has said nothing gets, they sum to the score."""
        given, weights = self._given(items)
        told = self._told(items)
        sought = self.vectors[wanted].astype(np.float64)
        residuals = self._residuals(given, self.centre + told.sum(axis=0), items, values)
        return (sought @ weights) * residuals + sought @ told.T

    def _given(self, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The vectors of n items, and the weights (d, n) that turn what is left of their values to explain into a vector."""
        given = self.vectors[items].astype(np.float64)
        return given, self._weights(given)

    def _told(self, items: np.ndarray) -> np.ndarray:
        """What each of n items says of a person by having been rated at all, (n, d)."""
        if self.told is None or not len(items):
            return np.zeros((len(items), len(self.centre)))
        return self.told[items].astype(np.float64) / np.sqrt(len(items))

    def _residuals(self, given: np.ndarray, centre: np.ndarray, items: np.ndarray, values: np.ndarray | None) -> np.ndarray:
        """What a person at the `centre` leaves of the values (n,) to explain."""
        wanted = self._targets(len(items), values)
        offset = 0 if self.low is None else self.offset[items]  # a choice is a choice, however popular
        return wanted - offset - given @ centre
