"""Simple methods for ratings and interactions: what a network has to beat to earn its place. Each is given a fair chance: its
settings are chosen on the validation rows, as the network's epoch is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from scipy.sparse import csr_array

from toolkit.evaluation.collab.factors import MOST_INTERACTIONS, MOST_ITEMS, Ease, Factors
from toolkit.evaluation.collab.methods import Method, Ranker, Rater
from toolkit.evaluation.collab.metrics import NDCG, HeldOut, rankings
from toolkit.evaluation.collab.neighbours import InteractionNeighbours, RatedNeighbours, similarities, too_many
from toolkit.evaluation.sampling import sample_rows

if TYPE_CHECKING:
    from toolkit.data.collab.labelled import LabelledCollab

S = TypeVar("S")
M = TypeVar("M", bound=Method)

MEAN, BIASES, POPULARITY, NEIGHBOURS, EASE, ALS = "global mean", "biases", "popularity", "item neighbours", "EASE", "ALS"
MOST_TRIED = 200_000  # interactions up to which settings are tried; of more the first, which is usual, is taken
MOST_ITEMS_TRIED = 3_000
FEWEST_JUDGED, MOST_JUDGED = 5, 1000  # users that settings are judged on; of rows 100 times as many
ROUNDS = 20  # of biases

DAMPINGS = [(users, items) for users in (5.0, 2.0, 15.0) for items in (2.0, 5.0, 15.0)]  # the first is usual
SHRINKS = (30.0, 10.0, 100.0)
RIDGES = (300.0, 100.0, 30.0, 1000.0)  # of EASE
ALS_SETTINGS = ((64, 5.0, 30.0), (64, 2.0, 10.0), (32, 2.0, 3.0), (16, 2.0, 10.0))  # factors, weight of a choice, ridge


@dataclass(frozen=True)
class BaselineData:
    """What methods are fitted on and asked with, when the held-out rows of a part are to be predicted.

    `users`, `items` and `values` are the rows to fit on, `interactions` the positive ones of them, sparse float32 ones (users,
    items of training). `seen_ratings` and `seen` are the seen interactions of users by then, all ratings (users, items) and the
    positive ones (users, items of training): also of users that no method was fitted on.
    """

    labelled: LabelledCollab
    users: np.ndarray
    items: np.ndarray
    values: np.ndarray
    interactions: csr_array
    seen_ratings: csr_array
    seen: csr_array

    @classmethod
    def of(cls, labelled: LabelledCollab, part: str) -> BaselineData:
        """To answer for "test" train and valid rows are fitted on, for "valid" train rows."""
        rows = np.concatenate([labelled.rows_of(name) for name in (("train", "valid") if part == "test" else ("train",))])
        users, items = labelled.user_codes[rows], labelled.item_codes[rows]
        some = labelled.positive[rows] & (items < labelled.n_items)
        shape = (len(labelled.users), labelled.n_items)
        interactions = csr_array((np.ones(int(some.sum()), dtype=np.float32), (users[some], items[some])), shape=shape)
        return cls(
            labelled, users, items, labelled.values[rows].astype(np.float64), interactions, seen_ratings=labelled.seen(part),
            seen=csr_array(labelled.seen(part, positive=True)[:, : labelled.n_items]),
        )  # fmt: skip

    def table(self, values: np.ndarray) -> csr_array:
        """One of `values` for each row to fit on, sparse float32 (users, items of training)."""
        some = self.items < self.labelled.n_items
        return csr_array((values[some].astype(np.float32), (self.users[some], self.items[some])), shape=self.interactions.shape)


@dataclass(frozen=True)
class Mean:
    """The same rating for all."""

    value: float

    def rates(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The rating of each pair, float64 (n,)."""
        return np.full(len(users), self.value)


@dataclass(frozen=True)
class Biases:
    """The mean, how much better than it an item is rated, and how much milder than it a user is: each damped, so that few
    ratings move it little (Koren 2010)."""

    mean: float
    users: np.ndarray
    items: np.ndarray
    catalogue: int

    @classmethod
    def fit(cls, data: BaselineData, damping: tuple[float, float] = DAMPINGS[0]) -> Biases:
        """Ridge regression by turns, with a penalty for users and one for items; users' own from all that is known of them."""
        of_users, of_items = damping
        mean = float(data.values.mean())
        counts = np.bincount(data.items, minlength=data.seen_ratings.shape[1])
        both = data.users, data.items, data.values - mean
        users, items = np.zeros(data.seen_ratings.shape[0]), np.zeros(data.seen_ratings.shape[1])
        rows_of_users = np.bincount(data.users, minlength=len(users))
        for _ in range(ROUNDS):
            users = np.bincount(both[0], both[2] - items[both[1]], minlength=len(users)) / (rows_of_users + of_users)
            items = np.bincount(both[1], both[2] - users[both[0]], minlength=len(items)) / (counts + of_items)
        rows = np.repeat(np.arange(len(users)), np.diff(data.seen_ratings.indptr))
        left = data.seen_ratings.data - mean - items[data.seen_ratings.indices]
        users = np.bincount(rows, left, minlength=len(users)) / (np.diff(data.seen_ratings.indptr) + of_users)
        return cls(mean, users, items, data.labelled.n_items)

    def rates(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The rating of each pair, float64 (n,)."""
        return self.mean + self.users[users] + self.items[items]

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """The ratings of all items, float64 (n, items)."""
        return self.mean + self.users[users, None] + self.items[: self.catalogue]


@dataclass(frozen=True)
class Popularity:
    """The same ranking for all: by the share of all interactions that an item has."""

    shares: np.ndarray

    @classmethod
    def fit(cls, data: BaselineData) -> Popularity:
        """That of what was chosen in the rows to fit on."""
        counts = np.asarray(data.interactions.sum(axis=0), dtype=np.float64).ravel()
        return cls((counts / max(1.0, counts.sum())).astype(np.float32))

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """Scores, float32 (n, items)."""
        return np.broadcast_to(self.shares, (len(users), len(self.shares)))


@dataclass(frozen=True)
class OrPopular:
    """A method's ranking, in which popularity, a millionth of the scores, tells equal ones apart, and decides alone for a user
    of whom the method knows nothing."""

    method: Ranker
    shares: np.ndarray

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """Scores, float32 (n, items)."""
        scores = self.method.ranks(users)
        reach = np.abs(scores).max(axis=1, keepdims=True)
        return scores + np.where(reach > 0, 1e-6 * reach, 1).astype(np.float32) * self.shares


def collab_baselines(labelled: LabelledCollab, seed: int = 0) -> tuple[dict[str, Method], list[str]]:
    """Fit each simple method on the train and valid rows, to be asked for the test; and say which were left out, and why.

    Those that estimate ratings are there where those are asked for. Settings are the best on the valid rows of a fit on the train
    rows; where there are very many interactions, usual ones.
    """
    data = BaselineData.of(labelled, "test")
    popular, rating, tuner = Popularity.fit(data), labelled.objective == "rating", Tuner.of(data, seed)
    methods: dict[str, Method] = {POPULARITY: popular}
    notes: list[str] = []
    if rating:
        rated: dict[str, Method] = {MEAN: Mean(float(data.values.mean())), BIASES: tuner.best(Biases.fit, DAMPINGS, cheap=True)}
        methods = rated | methods
    if why := too_many(data.interactions if not rating else data.table(data.values)):
        notes.append(f"{NEIGHBOURS} was left out: {why}")
    elif rating:
        methods[NEIGHBOURS] = tuner.best(_rated_neighbours, SHRINKS)
    else:
        methods[NEIGHBOURS] = OrPopular(tuner.best(_interaction_neighbours, SHRINKS), popular.shares)
    if labelled.n_items > MOST_ITEMS:
        weighed = f"it weighs each item against each other, and {labelled.n_items:,} items are more than {MOST_ITEMS:,}"
        notes.append(f"{EASE} was left out: {weighed}")
    else:
        ridges = RIDGES if labelled.n_items <= MOST_ITEMS_TRIED else RIDGES[:1]
        methods[EASE] = OrPopular(tuner.best(_ease, ridges), popular.shares)
    if data.interactions.nnz > MOST_INTERACTIONS:
        notes.append(f"{ALS} was left out: {data.interactions.nnz:,} choices are more than {MOST_INTERACTIONS:,}")
    else:
        methods[ALS] = OrPopular(tuner.best(_factors, ALS_SETTINGS), popular.shares)
    return methods, notes


@dataclass(frozen=True)
class Tuner:
    """Fits methods with the setting that is the best on the valid rows. `data` is what they are fitted on in the end, `before`
    what they are tried with; `few` interactions can be fitted on several times."""

    data: BaselineData
    before: BaselineData
    few: bool
    seed: int

    @classmethod
    def of(cls, data: BaselineData, seed: int) -> Tuner:
        """That of what is known when the test is asked."""
        return cls(data, BaselineData.of(data.labelled, "valid"), data.interactions.nnz <= MOST_TRIED, seed)

    def best(self, fit: Callable[[BaselineData, S], M], settings: Sequence[S], *, cheap: bool = False) -> M:
        """`fit(data, setting)` with the best of `settings`, or with the first where trying them would take long (unless it is
        `cheap`), or where none is better by more than a standard error."""
        tried = settings if (self.few or cheap) else settings[:1]
        losses = np.stack([self._losses(fit(self.before, setting)) for setting in tried]) if len(tried) > 1 else np.zeros((1, 0))
        if losses.shape[1] < FEWEST_JUDGED:
            return fit(self.data, settings[0])
        best = int(losses.mean(axis=1).argmin())
        gained = losses[0] - losses[best]
        sure = gained.mean() > gained.std() / len(gained) ** 0.5
        return fit(self.data, tried[best if sure else 0])

    def _losses(self, method: Method) -> np.ndarray:
        """How far off a method is on each valid row, squared, or, where it only ranks, how badly it does that for each user."""
        if isinstance(method, Rater):
            users, items, truth = self._rows
            return (method.rates(users, items) - truth) ** 2
        held_out = self._held_out
        return 1 - rankings(method.ranks, held_out, seed=self.seed).users[NDCG] if len(held_out.users) else np.zeros(0)

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labelled = self.data.labelled
        rows = labelled.held_out("valid")
        rows = rows[sample_rows(len(rows), 100 * MOST_JUDGED, seed=self.seed)]
        return labelled.user_codes[rows], labelled.item_codes[rows], labelled.values[rows]

    @cached_property
    def _held_out(self) -> HeldOut:
        return held_out_interactions(self.data.labelled, "valid", most=MOST_JUDGED, seed=self.seed)


def held_out_interactions(labelled: LabelledCollab, part: str, *, most: int, seed: int = 0) -> HeldOut:
    """What the rankings are to find: the positive interactions that a part holds out, of a sample of `most` users."""
    rows = labelled.held_out(part)
    rows = rows[labelled.positive[rows]]
    users = np.unique(labelled.user_codes[rows])
    users = users[sample_rows(len(users), most, seed=seed)]
    learnt = labelled.rows_of("train")
    items = labelled.item_codes[learnt][labelled.positive[learnt]]
    popularity = np.bincount(items, minlength=labelled.n_items)
    pairs = labelled.user_codes[rows], labelled.item_codes[rows]
    return HeldOut.of(users, pairs, seen=labelled.seen(part), popularity=popularity, n_users=labelled.n_users)


def _rated_neighbours(data: BaselineData, shrink: float) -> RatedNeighbours:
    biases = Biases.fit(data)
    left = data.values - biases.rates(data.users, data.items)
    near = similarities(data.table(left / (left.std() or 1.0)), shrink)  # in units of their spread, as the shrinkage is
    users = np.repeat(np.arange(data.seen_ratings.shape[0]), np.diff(data.seen_ratings.indptr))
    some = data.seen_ratings.indices < data.labelled.n_items
    users, items = users[some], data.seen_ratings.indices[some]
    own = (data.seen_ratings.data[some] - biases.rates(users, items)).astype(np.float32)
    return RatedNeighbours(biases, csr_array((own, (users, items)), shape=data.interactions.shape), near)


def _interaction_neighbours(data: BaselineData, shrink: float) -> InteractionNeighbours:
    return InteractionNeighbours(data.seen, similarities(data.interactions, shrink))


def _ease(data: BaselineData, ridge: float) -> Ease:
    return Ease.fit(data.interactions, data.seen, ridge=ridge)


def _factors(data: BaselineData, setting: tuple[int, float, float]) -> Factors:
    factors, weight, ridge = setting
    return Factors.fit(data.interactions, data.seen, factors=factors, weight=weight, ridge=ridge)
