"""What a simple method can do: rate pairs of user and item, rank all items for a user, or both."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import numpy as np


@runtime_checkable
class Rater(Protocol):
    """A method that estimates ratings."""

    def rates(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The rating of each pair of codes (n,) and (n,), float (n,)."""
        ...


@runtime_checkable
class Ranker(Protocol):
    """A method that ranks items."""

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """The scores of all items that training met, the higher the better, for users (codes): float (n, items)."""
        ...


@runtime_checkable
class RaterAndRanker(Rater, Ranker, Protocol):
    """A method that does both."""


Method = Rater | Ranker
