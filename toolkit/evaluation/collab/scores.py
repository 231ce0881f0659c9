"""Scoring a learner of ratings or interactions on held-out rows, beside the untrained network and simple methods.

There are two questions, which rating and what to show first; users are what is drawn; and what is known of them decides how well
they can be served.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from toolkit.errors import DataError
from toolkit.evaluation.bootstrap import FEWEST_GROUPS, Bootstrap, Interval, bounded_interval, interval, ranking_interval
from toolkit.evaluation.collab.baselines import collab_baselines, held_out_interactions
from toolkit.evaluation.collab.methods import Method, Ranker, Rater
from toolkit.evaluation.collab.metrics import NDCG, NOVELTY, OF_USERS, HeldOut, Rankings, drawn_mean, ranking_intervals, rankings
from toolkit.evaluation.learner import first_weights
from toolkit.evaluation.sampling import sample_rows
from toolkit.evaluation.scores import NETWORK, UNTRAINED, Paired, Scores, groups_in, groups_line, verdict
from toolkit.evaluation.tabular.metrics import MAE, RMSE, paired_numbers
from toolkit.spec import spec_of

if TYPE_CHECKING:
    from fastai.learner import Learner

    from toolkit.data.collab.labelled import LabelledCollab

MOST_ROWS = 500_000  # of the test whose ratings are scored
MOST_CELLS, FEWEST_USERS = 300_000_000, 500  # users times items that are ranked for each method; and users at the least
KNOWN = (1, 10, 20, 50, 100)  # known likes at which groups of users begin
WARM, GIVEN, COLD = "warm", "cold, with likes", "cold"


@dataclass(frozen=True)
class Test:
    """What is asked: the positions of `rows` whose ratings are estimated (none where items are only ranked), what is `held_out`
    for rankings to find, and the codes of all `users` of either, sorted, which `bootstrap` draws."""

    labelled: LabelledCollab
    rows: np.ndarray
    held_out: HeldOut
    users: np.ndarray
    bootstrap: Bootstrap

    @classmethod
    def of(cls, labelled: LabelledCollab, seed: int) -> Test:
        """The test part of `labelled`; samples of its rows and users where there are very many."""
        every = labelled.held_out("test")
        if not len(every):
            raise DataError("this learner's ratings have no test rows: build it with a recipe")
        rows = every[sample_rows(len(every), MOST_ROWS, seed=seed)] if labelled.objective == "rating" else every[:0]
        most = max(FEWEST_USERS, MOST_CELLS // max(1, labelled.n_items))
        held_out = held_out_interactions(labelled, "test", most=most, seed=seed)
        if not len(held_out.users) and not len(rows):
            raise DataError(
                "no test row counts as chosen, so nothing can be ranked: give a smaller liked_from or a larger test_pct"
            )
        users = np.union1d(labelled.user_codes[rows], held_out.users)
        return cls(labelled, rows, held_out, users, Bootstrap.draw(len(users), seed=seed))

    @property
    def truth(self) -> np.ndarray:
        """The ratings of the rows, float64."""
        return self.labelled.values[self.rows].astype(np.float64)

    def errors(self, predicted: np.ndarray, some: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """RMSE and MAE of ratings `predicted` for the rows: of all (or of `some`, a mask), and in each resample of users."""
        off = predicted - self.truth
        of = np.searchsorted(self.users, self.labelled.user_codes[self.rows])
        off, of = (off, of) if some is None else (off[some], of[some])
        terms = off**2, np.abs(off), np.ones_like(off)
        sums = np.stack([np.bincount(of, term, minlength=len(self.users)) for term in terms], axis=1)
        totals = (self.bootstrap.weights @ sums.astype(np.float32)).astype(np.float64)
        totals[0] = sums.sum(axis=0)
        totals = totals[totals[:, 2] > 0]  # of few users a resample may draw none
        return {RMSE: np.sqrt(totals[:, 0] / totals[:, 2]), MAE: totals[:, 1] / totals[:, 2]}

    def counted(self, users: np.ndarray) -> np.ndarray:
        """Where some `users` stand among all."""
        return np.searchsorted(self.users, users)


@dataclass(frozen=True)
class Answer:
    """What a method says of the test: ratings of its rows, within their range, and rankings; None where it has no such."""

    predicted: np.ndarray | None
    ranked: Rankings | None

    @property
    def of_users(self) -> dict[str, np.ndarray]:
        """The metrics of each user's ranking by name, none where nothing was ranked."""
        return self.ranked.users if self.ranked else {}


@dataclass(frozen=True, kw_only=True)
class CollabScores(Scores):
    """Scores of a learner of ratings or interactions.

    Of ratings the headline is "RMSE", the difference is by how much the network's is the lower, and `predictions` has row, user,
    item, content, label and predicted. Of interactions, which are ranked, it is "nDCG@10", `n_test` counts users, and in
    `predictions` are user, content (a digest of the user and of what was to be found), known (likes), asked (interactions to
    find), and the user's
    own metrics. Of either the bootstrap draws users, `curves` maps a method to the "nDCG" and "recall" of the first 1, 2, … 50
    items, and `by_group` breaks scores down: {"n": users, or rows, "metrics": {name: Interval}}.
    """

    texts: ClassVar[tuple[str, ...]] = (*Scores.texts, "user", "item")

    by_group: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    curves: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    @property
    def ranking(self) -> bool:
        """Whether items are ranked for users, and no rating is predicted."""
        return self.headline == NDCG

    @property
    def in_units(self) -> bool:
        return not self.ranking

    @property
    def question(self) -> str:
        return "rankings of items" if self.ranking else "ratings"

    def paired(self, others: Sequence[Scores], tables: Sequence[pd.DataFrame], *, bootstrap: Bootstrap) -> Paired:
        """Of ratings RMSE and MAE are compared (the share of their variance that is explained says little), of rankings the means
        of users' figures."""
        if not self.ranking:
            metrics, gains = (
                [{name: each[name] for name in (RMSE, MAE)} for each in found] for found in paired_numbers(tables, bootstrap)
            )
            return Paired(RMSE, metrics, gains)
        samples = [{name: bootstrap.mean(table[name].to_numpy()) for name in OF_USERS} for table in tables]
        found = [
            {name: _of_users(name, values, lowest=0.0, bootstrap=bootstrap) for name, values in each.items()} for each in samples
        ]
        gains = [
            {name: _of_users(name, each[name] - samples[0][name], lowest=-1.0, bootstrap=bootstrap) for name in OF_USERS}
            for each in samples[1:]
        ]
        return Paired(
            NDCG, found, gains, "each figure is the mean of the users' own, and a test item is a user with what was to be found"
        )

    def groups(self, table: pd.DataFrame) -> np.ndarray | None:
        return table.user.to_numpy(dtype=str)  # each ranking is of one, ratings belong to whoever gave them

    def drawn(self, bootstrap: Bootstrap) -> str:
        return "users" if self.ranking or bootstrap.resampled == "groups" else bootstrap.resampled

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> dict[str, Any]:
        plain = super().from_json(plain)
        return {**plain, "by_group": groups_in(plain.get("by_group", {}))}

    def heading(self) -> str:
        return f"{self.n_test} {'users with held-out choices' if self.ranking else 'held-out rows'}"

    def further(self) -> list[str]:
        return groups_line(self.by_group, self.headline, counted="users" if self.ranking else "rows")


def _of_users(name: str, values: np.ndarray, *, lowest: float, bootstrap: Bootstrap) -> Interval:
    return interval(values) if name == NOVELTY else bounded_interval(values, bootstrap.units, lowest=lowest)


def evaluate_collab(learn: Learner, seed: int = 0) -> CollabScores:
    """Score `learn`, whose loaders carry `LabelledCollab`, on its held-out test rows.

    Where ratings are estimated, RMSE and MAE are over rows and decide; how methods rank is told beside. Rankings are of all items
    that training met and the user has not seen, users counting alike; those without a chosen test row do not count. Of very large
    tests a sample of rows and of users is scored. The bootstrap draws users, the same ones for all methods. Simple methods are
    fitted on the train and valid parts, and know of users what the network knows of them.
    """
    labelled: LabelledCollab = learn.dls.labelled
    test, rating = Test.of(labelled, seed), labelled.objective == "rating"
    answers = {NETWORK: _of_network(learn, test, seed=seed)}
    with first_weights(learn) as untrained:
        if untrained:
            answers[UNTRAINED] = _of_network(learn, test, seed=seed)
    simple, notes = collab_baselines(labelled, seed)
    answers |= {name: _of_method(method, test, seed=seed) for name, method in simple.items()}
    table = {name: _metrics(answer, test) for name, answer in answers.items()}

    headline = RMSE if rating else NDCG
    able = [name for name in simple if headline in table[name]]
    best_simple = (min if rating else max)(able, key=lambda name: table[name][headline].value)
    difference = _difference(answers[NETWORK], answers[best_simple], test=test)
    told = verdict(best_simple, difference, of=headline, in_units=rating) + _of_few(len(test.users))
    return CollabScores(
        task=spec_of(learn).task,
        n_test=len(test.rows) if rating else len(test.held_out.users),
        resampled="users",
        table=table,
        best_simple=best_simple,
        difference=difference,
        verdict=told,
        predictions=(_per_row if rating else _per_user)(answers[NETWORK], test),
        headline=headline,
        by_group=_by_group(answers[NETWORK], test),
        curves={name: answer.ranked.curves for name, answer in answers.items() if answer.ranked},
        notes=notes + _of_samples(test) + (_ranked_better(table) if rating else []),
    )


def _of_network(learn: Learner, test: Test, *, seed: int) -> Answer:
    from toolkit.evaluation.collab.answers import ranking_answers, rating_answers  # here: it needs torch, comparing runs does not

    predicted = rating_answers(learn, test.rows).astype(np.float64) if len(test.rows) else None
    return Answer(predicted, _ranked(lambda users: ranking_answers(learn, users), test, seed=seed))


def _of_method(method: Method, test: Test, *, seed: int) -> Answer:
    labelled, predicted = test.labelled, None
    if len(test.rows) and isinstance(method, Rater):
        predicted = method.rates(labelled.user_codes[test.rows], labelled.item_codes[test.rows])
        predicted = np.clip(predicted, labelled.low, labelled.high)
    return Answer(predicted, _ranked(method.ranks, test, seed=seed) if isinstance(method, Ranker) else None)


def _ranked(ranks: Callable[[np.ndarray], np.ndarray], test: Test, *, seed: int) -> Rankings | None:
    return rankings(ranks, test.held_out, seed=seed) if len(test.held_out.users) else None


def _metrics(answer: Answer, test: Test) -> dict[str, Interval]:
    errors = {} if answer.predicted is None else {name: interval(each) for name, each in test.errors(answer.predicted).items()}
    if answer.ranked is None:
        return errors
    counted = test.counted(test.held_out.users)
    return errors | ranking_intervals(answer.ranked, test.held_out, bootstrap=test.bootstrap, counted=counted)


def _difference(one: Answer, other: Answer, *, test: Test) -> Interval:
    """By how much `one` is the better: RMSE of the other less its own, or nDCG less that of the other, on the same resamples."""
    if one.predicted is not None and other.predicted is not None:
        return interval(test.errors(other.predicted)[RMSE] - test.errors(one.predicted)[RMSE])
    gained = one.of_users[NDCG] - other.of_users[NDCG]
    counted = test.counted(test.held_out.users)
    return ranking_interval(drawn_mean(gained, test.bootstrap, counted=counted), len(counted), lowest=-1.0)


def _of_few(users: int) -> str:
    if users >= FEWEST_GROUPS:
        return ""
    return f" (the test has only {users} user{'s' if users > 1 else ''}: too few to rely on)"


def _of_samples(test: Test) -> list[str]:
    """What was not scored because there was so much."""
    labelled, notes = test.labelled, []
    asked = labelled.held_out("test")
    if 0 < len(test.rows) < len(asked):
        notes.append(f"RMSE and MAE are of a sample of {len(test.rows):,} of {len(asked):,} test rows")
    users = len(np.unique(labelled.user_codes[asked[labelled.positive[asked]]]))
    if len(test.held_out.users) < users:
        notes.append(f"rankings are of a sample of {len(test.held_out.users):,} of {users:,} test users")
    return notes


def _ranked_better(table: dict[str, dict[str, Interval]]) -> list[str]:
    """That a network which estimates ratings is not the one to choose what is shown first, where that is so."""
    own = table[NETWORK].get(NDCG)
    ranked = {name: metrics[NDCG] for name, metrics in table.items() if NDCG in metrics}
    best = max(ranked, key=lambda name: ranked[name].value, default=NETWORK)
    if own is None or ranked[best].low <= own.high:
        return []
    told = f"{NDCG} {ranked[best].value:.3f}, the network's {own.value:.3f}"
    return [f"to choose what to show first, {best} is better ({told}): that is learnt with the objective ranking"]


def _per_row(answer: Answer, test: Test) -> pd.DataFrame:
    table = test.labelled.table.iloc[test.rows]
    named = {name: table[name].astype(str).to_numpy() for name in ("user", "item", "content")}
    return pd.DataFrame({"row": table.row.to_numpy(dtype=np.int64), **named, "label": test.truth, "predicted": answer.predicted})


def _per_user(answer: Answer, test: Test) -> pd.DataFrame:
    """A row for each user. Its content is a digest of the user and of what was to be found: a run that held out others of their
    interactions asked them something else."""
    labelled, held_out = test.labelled, test.held_out
    asked = labelled.held_out("test")
    rows = asked[labelled.positive[asked]]
    chosen = labelled.table.iloc[rows].assign(code=labelled.user_codes[rows])
    digests = {
        code: sha256("\n".join([name, *sorted(items)]).encode()).hexdigest()[:16]
        for code, (name, items) in chosen[chosen.code.isin(held_out.users)].astype({"user": str, "item": str})
        .groupby("code").agg(user=("user", "first"), item=("item", list)).iterrows()
    }  # fmt: skip
    return pd.DataFrame(
        {
            "user": [labelled.users[code] for code in held_out.users],
            "content": [digests[code] for code in held_out.users],
            "known": _likes(labelled, held_out.users),
            "asked": held_out.counts.astype(np.int64),
            **{name: answer.of_users[name] for name in OF_USERS},
        }
    )


def _likes(labelled: LabelledCollab, users: np.ndarray) -> np.ndarray:
    """How many likes of each user are known when the test is asked."""
    return np.diff(labelled.seen("test", positive=True).indptr)[users]


def _by_group(answer: Answer, test: Test) -> dict[str, dict[str, dict[str, Any]]]:
    """The network's metrics for users with and without training rows, for users by how many likes of them are known, and, of
    ratings, for items with and without training rows; of the last two only where there are several."""
    labelled = test.labelled
    users = labelled.user_codes[test.rows] if len(test.rows) else test.held_out.users
    known = np.diff(labelled.seen("test").indptr)[users]
    groups = {"users": np.where(users < labelled.n_users, WARM, np.where(known > 0, GIVEN, COLD))}
    likes = _likes(labelled, users)
    names = ["none", *(f"{start} to {after - 1}" for start, after in pairwise(KNOWN)), f"{KNOWN[-1]} or more"]
    groups["known likes"] = np.array(names)[np.searchsorted(KNOWN, likes, side="right")]
    orders = {"users": (WARM, GIVEN, COLD), "known likes": names, "items": (WARM, COLD)}
    if len(test.rows):
        groups["items"] = np.where(labelled.item_codes[test.rows] < labelled.n_items, WARM, COLD)
    found = {}
    for column, values in groups.items():
        there = [value for value in orders[column] if (values == value).any()]
        if len(there) > 1 or column == "users":
            found[column] = {value: _of_group(answer, test, some=values == value) for value in there}
    return found


def _of_group(answer: Answer, test: Test, *, some: np.ndarray) -> dict[str, Any]:
    """The metrics of some rows, or, where only rankings are scored, of some users."""
    if answer.predicted is not None:
        errors = test.errors(answer.predicted, some)
        return {"n": int(some.sum()), "metrics": {name: interval(each) for name, each in errors.items()}}
    counted = test.counted(test.held_out.users[some])
    samples = {name: drawn_mean(answer.of_users[name][some], test.bootstrap, counted=counted) for name in OF_USERS[:-1]}
    return {"n": len(counted), "metrics": {name: bounded_interval(each, len(counted)) for name, each in samples.items()}}
