"""What a recommender answers: items with a score and a reason, or where one item stands.

The command line, a web page and a table of everyone's recommendations show the same.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

MOST_WIDE = 50  # columns for titles


@dataclass(frozen=True)
class Recommendation:
    """One recommended item. `score` is the rating expected of this user, within the range of ratings, where the program learnt
    from ratings to expect them, else a number that only ranks. `reason` is one phrase."""

    item: str
    title: str
    score: float
    reason: str

    def __str__(self) -> str:
        return f"{self.title}  {self.score:.3g}  {self.reason}"


@dataclass(frozen=True)
class Recommendations(Sequence[Recommendation]):
    """What to show somebody, the best first: a sequence of `Recommendation`. `notes` say what was guessed or left aside."""

    chosen: tuple[Recommendation, ...]
    notes: tuple[str, ...] = ()

    @overload
    def __getitem__(self, place: int) -> Recommendation: ...

    @overload
    def __getitem__(self, place: slice) -> tuple[Recommendation, ...]: ...

    def __getitem__(self, place: int | slice) -> Recommendation | tuple[Recommendation, ...]:
        return self.chosen[place]

    def __len__(self) -> int:
        return len(self.chosen)

    def __str__(self) -> str:
        return self.text()

    def text(self) -> str:
        """One line for each item, and below them the notes."""
        titles = [" ".join(each.title.split()) for each in self.chosen]
        wide = min(MOST_WIDE, max(map(_width, titles), default=0))
        lines = [
            f"{rank:3d}  {title}{' ' * (wide - _width(title))}  {each.score:7.3f}  {each.reason}"
            for rank, (title, each) in enumerate(zip(titles, self.chosen, strict=True), start=1)
        ]
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])

    def to_json(self) -> dict[str, Any]:
        """The same for a machine to read."""
        return {"recommendations": [dict(vars(each)) for each in self.chosen], "notes": list(self.notes)}


@dataclass(frozen=True)
class Standing:
    """Where an item stands for a user: `rank`, from 1, among the `of` items that they have not seen (and itself), by `score`,
    which only ranks. `notes` as in `Recommendations`."""

    rank: int
    of: int
    score: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text()

    def text(self, top: int = 1) -> str:
        """The rank in one line."""
        return f"rank {self.rank} of {self.of} (score {self.score:.4g})"


def best(scores: np.ndarray, count: int, *, ties: np.ndarray) -> np.ndarray:
    """The positions, int64, of the `count` highest of `scores` (items,), the highest first; what is -inf is never among them, nor
    does the order of the catalogue favour anything: of equal scores that with the higher of `ties` (items,) goes first."""
    left = len(scores) - int(np.isneginf(scores).sum())
    count = min(count, left)
    if not count:
        return np.zeros(0, dtype=np.int64)
    place = len(scores) - count
    pool = np.flatnonzero(scores >= np.partition(scores, place)[place])
    return pool[np.lexsort((pool, -ties[pool], -scores[pool]))[:count]]


def _width(text: str) -> int:
    """How many columns of a terminal a text takes."""
    return sum(1 + (unicodedata.east_asian_width(sign) in "WF") for sign in text)
