"""Metrics of recommendations: where in a ranking of all that a user has not seen stands what was held out of their interactions.

What is drawn are users, not rows: a user has one ranking, however many their interactions, and the catalogue is ranked for many
of them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from toolkit.evaluation.bootstrap import Bootstrap, Interval, bounded_interval, finite_interval, ranking_interval

NDCG, RECALL, PRECISION = "nDCG@10", "recall@10", "precision@10"
MAP, COVERAGE, NOVELTY = "mean average precision", "catalogue coverage@10", "novelty@10"
OF_USERS = (NDCG, RECALL, PRECISION, MAP, NOVELTY)  # those that each user has: coverage is of all together
CURVES = ("nDCG", "recall")  # of the first 1, 2, … items of a ranking
TOP = 10  # items that are shown
LONGEST = 50  # items that the curves go up to
AT_ONCE = 2_000_000  # users times items that are ranked at once: 16 MB for each array
COVERAGE_RESAMPLES = 200
LAST = np.iinfo(np.int64).max
SPREAD = 2_654_435_761  # Knuth's multiplicative hash: users beside each other break ties differently

Ranks = Callable[[np.ndarray], np.ndarray]  # user codes (n,) -> scores, float (n, items)


@dataclass(frozen=True)
class HeldOut:
    """What rankings are asked to find: held-out interactions. Of `users`, int64 (n,) codes: the items that are `relevant`, bool
    sparse (n, items), and the `counts` of all that are held out, float64 (n,), with those that training never met; what each has
    `seen`, bool sparse (n, items), which is no candidate; and for each item its `surprise`, float64 (items,): -log2 of the share
    of users who chose it (Vargas and Castells 2011), at least one."""

    users: np.ndarray
    relevant: csr_array
    counts: np.ndarray
    seen: csr_array
    surprise: np.ndarray

    @classmethod
    def of(
        cls, users: np.ndarray, rows: tuple[np.ndarray, np.ndarray], *, seen: csr_array, popularity: np.ndarray, n_users: int
    ) -> HeldOut:
        """Those of `users` (distinct codes) of whom each has a row. `rows` are user and item codes of held-out interactions,
        `seen`, sparse (all users, all items), what was known then. `popularity` (items,) says how many of `n_users` in training
        chose each item that training met: items of higher codes cannot be found."""
        places = np.full(seen.shape[0], -1)
        places[users] = np.arange(len(users))
        at, items = places[rows[0]], rows[1]
        some, met = at >= 0, (at >= 0) & (items < len(popularity))
        there = csr_array((np.ones(int(met.sum()), dtype=bool), (at[met], items[met])), shape=(len(users), len(popularity)))
        surprise = np.log2(max(n_users, 1)) - np.log2(np.maximum(popularity, 1))
        counts = np.bincount(at[some], minlength=len(users)).astype(np.float64)
        return cls(users, there, counts, _first(seen[users], len(popularity)), surprise)

    @property
    def items(self) -> int:
        """How many items are ranked."""
        return len(self.surprise)


@dataclass(frozen=True)
class Rankings:
    """What was found: each of `OF_USERS` for each user, float64 (n,); the codes of the first ten items, int64 (n, 10), -1 where
    there are fewer; and for the curves the mean nDCG and recall of the first 1, 2, … items."""

    users: dict[str, np.ndarray]
    shown: np.ndarray
    curves: dict[str, list[float]]


def rankings(ranks: Ranks, held_out: HeldOut, *, seed: int = 0) -> Rankings:
    """Rank for each user all items they have not seen, by the scores that `ranks` gives them, the highest first, and look where
    the relevant ones stand.

    Gains are 0 or 1. nDCG divides by what the best ranking of as many relevant items would have, at most the first ten (Järvelin
    and Kekäläinen 2002); average precision is over the whole ranking; items that training never met count as never found. Equal
    scores are ranked by lot, each item as likely first as another: by one shuffled order of the catalogue, which `seed` fixes and
    each user enters at another place. A score that is no number is the lowest.
    """
    place = np.random.default_rng(seed).permutation(held_out.items)
    chunk = max(1, AT_ONCE // held_out.items)
    parts = [np.arange(start, min(start + chunk, len(held_out.users))) for start in range(0, len(held_out.users), chunk)]
    figures, shown, sums = zip(*(_of_some(ranks, held_out, some=some, place=place) for some in parts), strict=True)
    users = {name: np.concatenate([each[name] for each in figures]) for name in OF_USERS}
    means = {name: sum(each[name] for each in sums) / len(held_out.users) for name in CURVES}
    return Rankings(users, np.concatenate(shown), {name: each.round(5).tolist() for name, each in means.items()})


def _of_some(
    ranks: Ranks, held_out: HeldOut, *, some: np.ndarray, place: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray, dict[str, np.ndarray]]:
    """Figures of each of `some` users (their places among all), their first ten, and sums for the curves."""
    count, items = len(some), held_out.items
    enter = held_out.users[some] * SPREAD % items
    keys = _keys(ranks(held_out.users[some]), place, enter=enter)
    seen, relevant, counts = held_out.seen[some], held_out.relevant[some], held_out.counts[some]
    keys[_rows(seen), seen.indices] = LAST
    keys.sort(axis=1)
    candidates = items - np.diff(seen.indptr)
    longest = min(LONGEST, items)
    there = np.arange(longest) < candidates[:, None]
    at = np.argsort(place)
    keys &= 0xFFFFFFFF
    keys -= enter[:, None]
    keys %= items
    ordered = at[keys]  # item codes, the best first; of what was seen, behind all others, it is not known which
    hits = np.zeros((count, items), dtype=bool)
    hits[_rows(relevant), relevant.indices] = True
    hits = np.take_along_axis(hits, ordered, axis=1) & (np.arange(items) < candidates[:, None])

    rows, positions = np.nonzero(hits)
    nth = np.arange(len(rows)) - np.searchsorted(rows, rows) + 1
    precisions = np.bincount(rows, nth / (positions + 1), minlength=count)
    discount = 1 / np.log2(np.arange(2, longest + 2))
    recalled = np.cumsum(hits[:, :longest], axis=1)
    gained = np.cumsum(hits[:, :longest] * discount, axis=1)
    best = np.append(0.0, np.cumsum(discount))[np.minimum(np.arange(1, longest + 1), counts[:, None]).astype(int)]
    last = min(TOP, longest) - 1
    shown = np.full((count, TOP), -1)
    shown[:, : last + 1] = np.where(there[:, : last + 1], ordered[:, : last + 1], -1)
    new = np.where(shown >= 0, held_out.surprise[shown], 0).sum(axis=1) / np.maximum((shown >= 0).sum(axis=1), 1)
    figures = {
        NDCG: (gained / best)[:, last],
        RECALL: recalled[:, last] / counts,
        PRECISION: recalled[:, last] / TOP,
        MAP: precisions / counts,
        NOVELTY: new,
    }
    sums = ((gained / best).sum(axis=0), (recalled / counts[:, None]).sum(axis=0))
    return figures, shown, dict(zip(CURVES, sums, strict=True))


def _keys(scores: np.ndarray, place: np.ndarray, *, enter: np.ndarray) -> np.ndarray:
    """Whole numbers, int64 (users, items), that sort as the scores do, the highest first, and tell equal ones apart: above, the
    bits of the score (of float32, which are in order but for the sign); below, the item's place in this user's lot."""
    scores = np.where(np.isnan(scores), -np.inf, scores).astype(np.float32) + np.float32(0)  # + 0: of -0 and 0 one number
    bits = scores.view(np.int32)
    keys = (~(bits ^ ((bits >> 31) & 0x7FFFFFFF))).astype(np.int64) << 32
    keys |= (place + enter[:, None]) % len(place)
    return keys


def ranking_intervals(found: Rankings, held_out: HeldOut, *, bootstrap: Bootstrap, counted: np.ndarray) -> dict[str, Interval]:
    """Each metric with its interval over users. `counted`, int64 (n,), are the places of the users among those that the
    bootstrap draws."""
    samples = {name: drawn_mean(found.users[name], bootstrap, counted=counted) for name in OF_USERS}
    metrics = {name: bounded_interval(values, len(counted)) for name, values in samples.items() if name != NOVELTY}
    covered = coverage(found.shown, held_out.items, bootstrap=bootstrap, counted=counted)
    return {**metrics, COVERAGE: covered, NOVELTY: finite_interval(samples[NOVELTY])}


def drawn_mean(values: np.ndarray, bootstrap: Bootstrap, *, counted: np.ndarray) -> np.ndarray:
    """The mean of `values` (n,) over those that count, in each resample; the first is exact."""
    weights = bootstrap.weights[:, counted]
    with np.errstate(invalid="ignore"):
        samples = (weights @ values.astype(np.float32)).astype(float) / weights.sum(axis=1, dtype=float)
    samples[0] = values.mean()
    return samples


def coverage(shown: np.ndarray, items: int, *, bootstrap: Bootstrap, counted: np.ndarray) -> Interval:
    """The share of the `items` that are among the first ten of somebody. A resample repeats users, and so shows fewer items: by
    as much the resamples are put right."""
    rows, columns = np.nonzero(shown >= 0)
    known, numbers = np.unique(shown[rows, columns], return_inverse=True)
    if not len(known):
        return Interval(0.0, 0.0, 0.0)
    each = csr_array((np.ones(len(rows), dtype=np.float32), (numbers, rows)), shape=(len(known), len(shown)))
    samples = [len(known)]
    for start in range(1, 1 + COVERAGE_RESAMPLES, 25):
        drawn = bootstrap.weights[start : start + 25, counted] > 0
        samples += (each @ drawn.T.astype(np.float32) > 0).sum(axis=0).tolist()
    return ranking_interval(np.array(samples) / items, len(counted))


def _rows(matrix: csr_array) -> np.ndarray:
    """The row of each stored value."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _first(matrix: csr_array, columns: int) -> csr_array:
    """Which values are stored, in the first columns; a rating of 0 is stored too."""
    rows, some = _rows(matrix), matrix.indices < columns
    return csr_array((np.ones(int(some.sum()), dtype=bool), (rows[some], matrix.indices[some])), shape=(matrix.shape[0], columns))
