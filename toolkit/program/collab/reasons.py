"""A person as a recommender sees them, and the reason for each item that they are shown.

It is a file of its own because a reason is a promise: it may name only what this person said, and what really moved the score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.program.collab.dot_model import Taste
from toolkit.program.collab.title_index import TitleIndex

TELLING = 5  # ratings of a person: less than their mean is then no liking
TYPICAL = 64  # items of the catalogue that stand for all
SECOND = 0.5  # of the strongest like's share: a second like is named too


@dataclass(frozen=True, eq=False)
class Person:
    """Somebody to recommend to. `vector` (d,) is their taste. They have seen the items `seen` (n,), to which they gave `values`
    (1 and 0, chosen and only seen, where nothing is rated). What speaks for an item is one of `liked`, with the ratings `given`,
    None where they just like them. `known` where anything at all is known of them; `name` is the id of a user."""

    name: str
    vector: np.ndarray
    seen: np.ndarray
    values: np.ndarray
    liked: np.ndarray
    given: np.ndarray | None
    known: bool
    notes: tuple[str, ...] = ()

    def said_of(self, item: int, index: TitleIndex, rated: bool) -> list[str]:
        """What this person has said of an item, as notes: one or none."""
        place = np.flatnonzero(self.seen == item)
        if not len(place):
            return []
        if rated and (self.name or self.given is not None):
            return [f"{index.quoted(item)} is rated already: they gave it {self.values[place[0]]:g}"]
        return [f"{index.quoted(item)} is {'seen already' if self.name else 'one of the likes'}"]


def because(
    person: Person, items: np.ndarray, taste: Taste, index: TitleIndex, popularity: np.ndarray, people: int | None
) -> list[str]:
    """One reason for each of m `items`: the one or two likes with the largest part in its score, and where none has a part, what
    everyone makes of it. `people` is how many there were in training."""
    if not len(items):
        return []
    shares = _shares(person, items, taste)
    return [
        _named(share, person.liked, index) or _for_all(item, person, taste, popularity, people)
        for item, share in zip(items.tolist(), shares, strict=True)
    ]


def _shares(person: Person, items: np.ndarray, taste: Taste) -> np.ndarray:
    """What each like adds to each score beyond what it adds to just any item's, (m, n); only where the person does like it: to
    have rated something badly also speaks for its opposite, but is no liking."""
    if not len(person.liked):
        return np.zeros((len(items), 0))
    shares = taste.shares(person.liked, person.given, np.concatenate([items, _typical(taste)]))
    shares = shares[: len(items)] - shares[len(items) :].mean(axis=0)
    if person.given is None:
        return shares
    least = np.maximum((taste.low + taste.high) / 2, taste.ratings(taste.nobody[person.liked]))
    if len(person.given) >= TELLING:
        least = np.maximum(least, person.given.mean())
    liked = person.given >= least
    return np.where(liked, shares, 0.0)


def _named(shares: np.ndarray, liked: np.ndarray, index: TitleIndex) -> str:
    top = _top_two(shares)
    return "because you like " + " and ".join(index.titles[liked[place]] for place in top) if top else ""


def _top_two(shares: np.ndarray) -> list[int]:
    """The place of the largest of `shares` (n,), and of the second where it is half as large; none where none is positive."""
    if not len(shares) or not shares.max() > 0:
        return []
    order = np.argsort(-shares, kind="stable")[:2]
    return [int(place) for place in order if shares[place] >= SECOND * shares[order[0]]]


def _for_all(item: int, person: Person, taste: Taste, popularity: np.ndarray, people: int | None) -> str:
    of = f" of {people}" if people else ""
    chosen, some = f"chosen by {int(popularity[item])}{of} people", _typical(taste)
    if not person.known:  # that is what they are shown by
        return f"popular: {chosen}"
    expected = float(taste.ratings(taste.nobody[item]))
    if taste.low is not None and expected >= (taste.low + taste.high) / 2:
        others = taste.ratings(taste.nobody[some])
        return f"{'well liked in general: ' if expected >= np.median(others) else ''}{expected:.1f} is expected of anyone"
    return f"popular: {chosen}" if popularity[item] > np.median(popularity[some]) else chosen


def _typical(taste: Taste) -> np.ndarray:
    return np.linspace(0, len(taste.vectors) - 1, min(TYPICAL, len(taste.vectors))).astype(np.int64)
