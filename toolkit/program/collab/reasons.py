"""A user as a recommender sees them, and the reason for each item that they are shown.

A reason is a promise: it names only what this user said, and what really moved the score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from toolkit.program.collab.dot_model import FoldInModel
from toolkit.program.collab.title_index import TitleIndex

TELLING = 5  # ratings of a user: less than their mean is then no liking
TYPICAL = 64  # items of the catalogue that stand for all
SECOND = 0.5  # of the strongest like's share: a second like is named too


@dataclass(frozen=True, eq=False)
class Profile:
    """A user to recommend to. `vector`, float64 (d,), is theirs in the model. They have seen the items `seen`, int64 (n,), to
    which they gave `values`, float32 (n,) (1 and 0, chosen and only seen, where nothing is rated). What speaks for an item is one
    of `liked`, int64 (m,), with the `ratings` (m,), None where they just like them. `known` where anything at all is known of
    them; `name` is the id of a known user, else ""."""

    name: str
    vector: np.ndarray
    seen: np.ndarray
    values: np.ndarray
    liked: np.ndarray
    ratings: np.ndarray | None
    known: bool
    notes: tuple[str, ...] = ()

    def said_of(self, item: int, index: TitleIndex, *, rated: bool) -> list[str]:
        """What this user has said of an item, as notes: one or none."""
        place = np.flatnonzero(self.seen == item)
        if not len(place):
            return []
        if rated and (self.name or self.ratings is not None):
            return [f"{index.quoted(item)} is rated already: they gave it {self.values[place[0]]:g}"]
        return [f"{index.quoted(item)} is {'seen already' if self.name else 'one of the likes'}"]


def because(
    profile: Profile, items: np.ndarray, *, model: FoldInModel, index: TitleIndex, popularity: np.ndarray, n_users: int | None
) -> list[str]:
    """One reason for each of m `items`: the one or two likes with the largest part in its score, and where none has a part, what
    everyone makes of it. `n_users` is how many there were in training."""
    if not len(items):
        return []
    shares = _shares(profile, items, model=model)
    return [
        _named(share, profile.liked, index=index) or _for_all(item, profile, model=model, popularity=popularity, n_users=n_users)
        for item, share in zip(items.tolist(), shares, strict=True)
    ]


def _shares(profile: Profile, items: np.ndarray, *, model: FoldInModel) -> np.ndarray:
    """What each like adds to each score beyond what it adds to just any item's, (m, n); only where the user does like it: to
    have rated something badly also speaks for its opposite, but is no liking."""
    if not len(profile.liked):
        return np.zeros((len(items), 0))
    shares = model.shares(profile.liked, profile.ratings, wanted=np.concatenate([items, _typical(model)]))
    shares = shares[: len(items)] - shares[len(items) :].mean(axis=0)
    if profile.ratings is None or model.limits is None:
        return shares
    least = np.maximum(sum(model.limits) / 2, model.ratings(model.nobody[profile.liked]))
    if len(profile.ratings) >= TELLING:
        least = np.maximum(least, profile.ratings.mean())
    liked = profile.ratings >= least
    return np.where(liked, shares, 0.0)


def _named(shares: np.ndarray, liked: np.ndarray, *, index: TitleIndex) -> str:
    top = _top_two(shares)
    return "because you like " + " and ".join(index.titles[liked[place]] for place in top) if top else ""


def _top_two(shares: np.ndarray) -> list[int]:
    """The place of the largest of `shares` (n,), and of the second where it is half as large; none where none is positive."""
    if not len(shares) or not shares.max() > 0:
        return []
    order = np.argsort(-shares, kind="stable")[:2]
    return [int(place) for place in order if shares[place] >= SECOND * shares[order[0]]]


def _for_all(item: int, profile: Profile, *, model: FoldInModel, popularity: np.ndarray, n_users: int | None) -> str:
    of = f" of {n_users}" if n_users else ""
    chosen, some = f"chosen by {int(popularity[item])}{of} people", _typical(model)
    if not profile.known:  # that is what they are shown by
        return f"popular: {chosen}"
    expected = float(model.ratings(model.nobody[item]))
    if model.limits is not None and expected >= sum(model.limits) / 2:
        others = model.ratings(model.nobody[some])
        return f"{'well liked in general: ' if expected >= np.median(others) else ''}{expected:.1f} is expected of anyone"
    return f"popular: {chosen}" if popularity[item] > np.median(popularity[some]) else chosen


def _typical(model: FoldInModel) -> np.ndarray:
    return np.linspace(0, len(model.vectors) - 1, min(TYPICAL, len(model.vectors))).astype(np.int64)
