"""Simple methods for ratings and choices: what a network has to beat to earn its place.

It is a file of its own because the list is what matters, and that each is given a fair chance: its settings are chosen on the
validation rows, as the network's epoch is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from toolkit.evaluation.collab.factors import MOST_CHOICES, MOST_ITEMS, Ease, Factors
from toolkit.evaluation.collab.metrics import NDCG, Choices, rankings
from toolkit.evaluation.collab.neighbours import ChosenNeighbours, RatedNeighbours, similarities, too_many
from toolkit.evaluation.sampling import sample_rows

if TYPE_CHECKING:
    from toolkit.data.collab.labelled import LabelledRatings

MEAN, BIASES, POPULARITY, NEIGHBOURS, EASE, ALS = "global mean", "biases", "popularity", "item neighbours", "EASE", "ALS"
MOST_TRIED = 200_000  # choices up to which settings are tried; of more the first, which is usual, is taken
MOST_ITEMS_TRIED = 3_000
FEWEST_JUDGED, MOST_JUDGED = 5, 1000  # users that settings are judged on; of rows 100 times as many
ROUNDS = 20  # of biases

DAMPINGS = [(people, items) for people in (5.0, 2.0, 15.0) for items in (2.0, 5.0, 15.0)]  # the first is usual
SHRINKS = (30.0, 10.0, 100.0)
RIDGES = (300.0, 100.0, 30.0, 1000.0)  # of EASE
ALS_SETTINGS = ((64, 5.0, 30.0), (64, 2.0, 10.0), (32, 2.0, 3.0), (16, 2.0, 10.0))  # factors, weight of a choice, ridge

Method = object  # with `rates(users, items)`, ratings (n,), or `ranks(users)`, scores (n, items of training), or both


@dataclass(frozen=True)
class Known:
    """What methods are fitted on and asked with, when the rows of `part` are asked.

    `users`, `items` and `values` are the rows to fit on, `chosen` the chosen ones of them, sparse float32 ones (users, items of
    training). `rated` and `history` are what is known of people when they are asked, all ratings (users, items) and the chosen
    (users, items of training): with what is given of people that no method was fitted on.
    """

    labelled: LabelledRatings
    users: np.ndarray
    items: np.ndarray
    values: np.ndarray
    chosen: csr_array
    rated: csr_array
    history: csr_array

    @classmethod
    def of(cls, labelled: LabelledRatings, part: str) -> Known:
        """To answer for "test" train and valid rows are fitted on, for "valid" train rows."""
        rows = np.concatenate([labelled.rows_of(name) for name in (("train", "valid") if part == "test" else ("train",))])
        users, items = labelled.user_codes[rows], labelled.item_codes[rows]
        some = labelled.chosen[rows] & (items < labelled.n_items)
        shape = (len(labelled.users), labelled.n_items)
        chosen = csr_array((np.ones(int(some.sum()), dtype=np.float32), (users[some], items[some])), shape=shape)
        rated, liked = labelled.history(part), labelled.history(part, liked=True)
        values = labelled.values[rows].astype(np.float64)
        return cls(labelled, users, items, values, chosen, rated, csr_array(liked[:, : labelled.n_items]))

    def table(self, values: np.ndarray) -> csr_array:
        """One of `values` for each row to fit on, sparse float32 (users, items of training)."""
        some = self.items < self.labelled.n_items
        return csr_array((values[some].astype(np.float32), (self.users[some], self.items[some])), shape=self.chosen.shape)


@dataclass(frozen=True)
class Mean:
    """The same rating for all."""

    value: float

    def rates(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The rating of each pair, float64 (n,)."""
        return np.full(len(users), self.value)


@dataclass(frozen=True)
class Biases:
    """The mean, how much better than it an item is rated, and how much milder than it a person is: each damped, so that few
    ratings move it little (Koren 2010)."""

    mean: float
    people: np.ndarray
    items: np.ndarray
    catalogue: int

    @classmethod
    def fit(cls, known: Known, damping: tuple[float, float] = DAMPINGS[0]) -> Biases:
        """Ridge regression by turns, with a penalty for people and one for items; people's own from all that is known of them."""
        of_people, of_items = damping
        mean = float(known.values.mean())
        counts = np.bincount(known.items, minlength=known.rated.shape[1])
        both = known.users, known.items, known.values - mean
        people, items = np.zeros(known.rated.shape[0]), np.zeros(known.rated.shape[1])
        persons = np.bincount(known.users, minlength=len(people))
        for _ in range(ROUNDS):
            people = np.bincount(both[0], both[2] - items[both[1]], minlength=len(people)) / (persons + of_people)
            items = np.bincount(both[1], both[2] - people[both[0]], minlength=len(items)) / (counts + of_items)
        rows = np.repeat(np.arange(len(people)), np.diff(known.rated.indptr))
        left = known.rated.data - mean - items[known.rated.indices]
        people = np.bincount(rows, left, minlength=len(people)) / (np.diff(known.rated.indptr) + of_people)
        return cls(mean, people, items, known.labelled.n_items)

    def rates(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The rating of each pair, float64 (n,)."""
        return self.mean + self.people[users] + self.items[items]

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """The ratings of all items, float64 (n, items)."""
        return self.mean + self.people[users, None] + self.items[: self.catalogue]


@dataclass(frozen=True)
class Popularity:
    """The same ranking for all: by the share of all choices that an item has."""

    shares: np.ndarray

    @classmethod
    def fit(cls, known: Known) -> Popularity:
        """That of what was chosen in the rows to fit on."""
        counts = np.asarray(known.chosen.sum(axis=0), dtype=np.float64).ravel()
        return cls((counts / max(1.0, counts.sum())).astype(np.float32))

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """Scores, float32 (n, items)."""
        return np.broadcast_to(self.shares, (len(users), len(self.shares)))


@dataclass(frozen=True)
class OrPopular:
    """A method's ranking, in which popularity, a millionth of the scores, tells equal ones apart, and decides alone for a person
    of whom the method knows nothing."""

    method: Method
    shares: np.ndarray

    def ranks(self, users: np.ndarray) -> np.ndarray:
        """Scores, float32 (n, items)."""
        scores = self.method.ranks(users)
        reach = np.abs(scores).max(axis=1, keepdims=True)
        return scores + np.where(reach > 0, 1e-6 * reach, 1).astype(np.float32) * self.shares


def rating_baselines(labelled: LabelledRatings, seed: int = 0) -> tuple[dict[str, Method], list[str]]:
    """Fit each simple method on the train and valid rows, to be asked for the test; and say which were left out, and why.

    Those that estimate ratings are there where those are asked for. Settings are the best on the valid rows of a fit on the train
    rows; where there are very many choices, usual ones.
    """
    known = Known.of(labelled, "test")
    popular, rating, tuner = Popularity.fit(known), labelled.objective == "rating", Tuner.of(known, seed)
    methods: dict[str, Method] = {POPULARITY: popular}
    notes = []
    if rating:
        methods = {MEAN: Mean(float(known.values.mean())), BIASES: tuner.best(Biases.fit, DAMPINGS, cheap=True)} | methods
    if why := too_many(known.chosen if not rating else known.table(known.values)):
        notes.append(f"{NEIGHBOURS} was left out: {why}")
    elif rating:
        methods[NEIGHBOURS] = tuner.best(_rated_neighbours, SHRINKS)
    else:
        methods[NEIGHBOURS] = OrPopular(tuner.best(_chosen_neighbours, SHRINKS), popular.shares)
    if labelled.n_items > MOST_ITEMS:
        weighed = f"it weighs each item against each other, and {labelled.n_items:,} items are more than {MOST_ITEMS:,}"
        notes.append(f"{EASE} was left out: {weighed}")
    else:
        ridges = RIDGES if labelled.n_items <= MOST_ITEMS_TRIED else RIDGES[:1]
        methods[EASE] = OrPopular(tuner.best(_ease, ridges), popular.shares)
    if known.chosen.nnz > MOST_CHOICES:
        notes.append(f"{ALS} was left out: {known.chosen.nnz:,} choices are more than {MOST_CHOICES:,}")
    else:
        methods[ALS] = OrPopular(tuner.best(_factors, ALS_SETTINGS), popular.shares)
    return methods, notes


@dataclass(frozen=True)
class Tuner:
    """Fits methods with the setting that is the best on the valid rows. `known` is what they are fitted on in the end, `before`
    what they are tried with; `few` choices can be fitted on several times."""

    known: Known
    before: Known
    few: bool
    seed: int

    @classmethod
    def of(cls, known: Known, seed: int) -> Tuner:
        """That of what is known when the test is asked."""
        return cls(known, Known.of(known.labelled, "valid"), known.chosen.nnz <= MOST_TRIED, seed)

    def best(self, fit: Callable[..., Method], settings: Sequence, cheap: bool = False) -> Method:
        """`fit(known, setting)` with the best of `settings`, or with the first where trying them would take long (unless it is
        `cheap`), or where none is better by more than a standard error."""
        tried = settings if (self.few or cheap) else settings[:1]
        losses = np.stack([self._losses(fit(self.before, setting)) for setting in tried]) if len(tried) > 1 else np.zeros((1, 0))
        if losses.shape[1] < FEWEST_JUDGED:
            return fit(self.known, settings[0])
        best = int(losses.mean(axis=1).argmin())
        gained = losses[0] - losses[best]
        sure = gained.mean() > gained.std() / len(gained) ** 0.5
        return fit(self.known, tried[best if sure else 0])

    def _losses(self, method: Method) -> np.ndarray:
        """How far off a method is on each valid row, squared, or, where it only ranks, how badly it does that for each user."""
        if hasattr(method, "rates"):
            users, items, truth = self._rows
            return (method.rates(users, items) - truth) ** 2
        choices = self._choices
        return 1 - rankings(method.ranks, choices, self.seed).users[NDCG] if len(choices.users) else np.zeros(0)

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        labelled = self.known.labelled
        rows = labelled.asked("valid")
        rows = rows[sample_rows(len(rows), 100 * MOST_JUDGED, seed=self.seed)]
        return labelled.user_codes[rows], labelled.item_codes[rows], labelled.values[rows]

    @cached_property
    def _choices(self) -> Choices:
        return asked_choices(self.known.labelled, "valid", MOST_JUDGED, self.seed)


def asked_choices(labelled: LabelledRatings, part: str, most: int, seed: int = 0) -> Choices:
    """What the rankings are to find: the chosen rows that are asked of a part, of a sample of `most` users."""
    rows = labelled.asked(part)
    rows = rows[labelled.chosen[rows]]
    users = np.unique(labelled.user_codes[rows])
    users = users[sample_rows(len(users), most, seed=seed)]
    learnt = labelled.rows_of("train")
    items = labelled.item_codes[learnt][labelled.chosen[learnt]]
    counts = np.bincount(items, minlength=labelled.n_items)
    pairs = labelled.user_codes[rows], labelled.item_codes[rows]
    return Choices.of(users, pairs, labelled.history(part), counts, labelled.n_users)


def _rated_neighbours(known: Known, shrink: float) -> RatedNeighbours:
    biases = Biases.fit(known)
    left = known.values - biases.rates(known.users, known.items)
    near = similarities(known.table(left / (left.std() or 1.0)), shrink)  # in units of their spread, as the shrinkage is
    people = np.repeat(np.arange(known.rated.shape[0]), np.diff(known.rated.indptr))
    some = known.rated.indices < known.labelled.n_items
    people, items = people[some], known.rated.indices[some]
    own = (known.rated.data[some] - biases.rates(people, items)).astype(np.float32)
    return RatedNeighbours(biases, csr_array((own, (people, items)), shape=known.chosen.shape), near)


def _chosen_neighbours(known: Known, shrink: float) -> ChosenNeighbours:
    return ChosenNeighbours(known.history, similarities(known.chosen, shrink))


def _ease(known: Known, ridge: float) -> Ease:
    return Ease.fit(known.chosen, known.history, ridge)


def _factors(known: Known, setting: tuple[int, float, float]) -> Factors:
    return Factors.fit(known.chosen, known.history, *setting)
