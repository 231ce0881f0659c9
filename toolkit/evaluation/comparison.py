"""Runs beside each other on the test items they share, with the interval of each difference.

It is a file of its own because two scores with an interval each do not say whether one is better: the same items are
easy or hard for both, so what is drawn is the difference, item by item.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd

from toolkit.errors import DataError
from toolkit.evaluation.bootstrap import Bootstrap, bounded_interval, finite_interval, interval, paired_interval, ranking_interval
from toolkit.evaluation.classification import Answers, intervals, metric_samples
from toolkit.evaluation.scores import (
    ACCURACY,
    MAE,
    MEAN_IOU,
    NDCG,
    NOVELTY,
    OF_USERS,
    PICTURE_METRICS,
    R2,
    RMSE,
    ROC_AUC,
    Interval,
    Scores,
)
from toolkit.evaluation.tabular.metrics import ranked, regression_samples

ITEMS, PIXELS, NUMBERS = "classes of items", "classes of pixels", "numbers"  # what runs may answer, with the next line
STARS, RANKINGS = "ratings", "rankings of items"
NOTES = {
    MEAN_IOU: "each figure is the mean of the pictures' own, mean IoU that over the classes in a picture",
    NDCG: "each figure is the mean of the users' own, and a test item is a user with what was to be found",
}


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    `table` maps each run to its metrics on the `n_common` shared items, `differences` each run but the first to its
    metrics less those of the first. `left_out` is the number of test items that some run has and not all share.
    `resampled` says what the bootstrap drew: "items", "groups" or "users". `verdicts` is a sentence for each run but the first,
    `notes` what makes the runs hard to compare.
    """

    n_common: int
    left_out: int
    resampled: str
    table: dict[str, dict[str, Interval]]
    differences: dict[str, dict[str, Interval]]
    verdicts: tuple[str, ...]
    notes: tuple[str, ...] = ()


def compare(runs: dict[str, Scores], seed: int = 0) -> Comparison:
    """Compare runs, by name, with the first of them, on the test items that all share and call by the same label.

    An item is the same where its file's content is (or its path, where a run recorded no content). The bootstrap draws
    the same items, or groups of items, for all runs: the intervals are those of paired differences. Where each pixel is
    classified, a run keeps three figures of each picture, and it is their means that are compared. Rows of a table are ranked
    where all runs tell the same two classes, and where numbers are predicted it is their errors that are compared. Of
    ratings that are RMSE and MAE, of rankings the means of users' figures; either way users are drawn.

    Raises `DataError` for fewer than two runs, for runs of different kinds, and where they share no test item.
    """
    if len(runs) < 2:
        raise DataError("name two or more runs to compare")
    names = list(runs)
    questions = list(dict.fromkeys(_question(scores) for scores in runs.values()))
    if len(questions) > 1:
        tasks = "; ".join(f"{name}: {scores.task.replace('_', ' ')}" for name, scores in runs.items())
        raise DataError(f"these runs answer different questions, {' and '.join(questions)}: compare runs of one task ({tasks})")
    by_content = all(_known(scores.predictions) for scores in runs.values())
    tables = [_keyed(scores.predictions, by_content) for scores in runs.values()]
    shared = every = tables[0].index
    for table in tables[1:]:
        shared, every = shared.intersection(table.index), every.union(table.index)
    if shared.empty:
        raise DataError(
            f"{', '.join(runs)}: no test item is in all of them, so nothing can be said of their difference; give the "
            "runs the same data, windows and --seed, or a test/ folder"
        )
    shared = shared.sort_values()
    tables = [table.loc[shared] for table in tables]
    bootstrap = Bootstrap.draw(len(shared), _groups(tables[0]), seed)
    headline, measure = MEASURES.get(questions[0], (ACCURACY, _of_items))
    if all(scores.headline == ROC_AUC and set(scores.classes) == set(runs[names[0]].classes) for scores in runs.values()):
        headline, measure = ROC_AUC, partial(_of_ranks, positive=runs[names[0]].positive)
    found, gains = measure(tables, bootstrap)
    differences = dict(zip(names[1:], gains, strict=True))
    return Comparison(
        n_common=len(shared),
        left_out=len(every) - len(shared),
        resampled=_drawn(questions[0], bootstrap),
        table=dict(zip(names, found, strict=True)),
        differences=differences,
        verdicts=tuple(_verdict(name, names[0], gain[headline], headline) for name, gain in differences.items()),
        notes=(*_other_classes(runs), *([NOTES[headline]] if headline in NOTES else [])),
    )


def _of_items(tables: list[pd.DataFrame], bootstrap: Bootstrap) -> tuple[list[dict], list[dict]]:
    """The metrics of each run's answers, and of each but the first less those of the first."""
    first = tables[0]
    classes = sorted({*first.label, *(label for table in tables for label in table.predicted)})
    samples = [metric_samples(_answers(table, classes), bootstrap) for table in tables]
    right = [(table.predicted == table.label).to_numpy(dtype=float) for table in tables]
    gains = [
        {metric: interval(values - samples[0][metric]) for metric, values in found.items()}
        | {"accuracy": paired_interval(hit - right[0], bootstrap)}
        for found, hit in zip(samples[1:], right[1:], strict=True)
    ]
    return [intervals(found, bootstrap) for found in samples], gains


def _of_ranks(tables: list[pd.DataFrame], bootstrap: Bootstrap, positive: str) -> tuple[list[dict], list[dict]]:
    """As `_of_items`, with ROC AUC before: of two classes each row's probability of `positive` is known.

    It is taken from that of the predicted class, never from that of the true one: rows that were answered alike stay equal.
    """
    found, gains = _of_items(tables, bootstrap)
    hits = (tables[0].label == positive).to_numpy()
    samples = []
    for table in tables:
        said, sure = table.predicted == positive, table.probability.to_numpy()
        samples.append(ranked(np.where(said, sure, 1 - sure), hits, bootstrap.weights)[0])
    areas = [ranking_interval(each, bootstrap.units) for each in samples]
    gained = [ranking_interval(each - samples[0], bootstrap.units, lowest=-1.0) for each in samples[1:]]
    return (
        [{ROC_AUC: area, **rest} for area, rest in zip(areas, found, strict=True)],
        [{ROC_AUC: gain, **rest} for gain, rest in zip(gained, gains, strict=True)],
    )


def _of_numbers(tables: list[pd.DataFrame], bootstrap: Bootstrap) -> tuple[list[dict], list[dict]]:
    """As `_of_items`, of the errors of predicted numbers."""
    targets = tables[0].label.to_numpy(dtype=float)
    samples = [regression_samples(table.predicted.to_numpy(dtype=float), targets, bootstrap) for table in tables]
    found = [{name: finite_interval(values) for name, values in each.items()} for each in samples]
    gains = [{name: finite_interval(each[name] - samples[0][name]) for name in each} for each in samples[1:]]
    return found, gains


def _of_pictures(tables: list[pd.DataFrame], bootstrap: Bootstrap) -> tuple[list[dict], list[dict]]:
    """As `_of_items`, of the figures of each picture."""
    samples = [{name: bootstrap.mean(table[name].to_numpy()) for name in PICTURE_METRICS} for table in tables]
    found = [{name: bounded_interval(values, bootstrap.units) for name, values in each.items()} for each in samples]
    gains = [
        {name: bounded_interval(each[name] - samples[0][name], bootstrap.units, lowest=-1.0) for name in PICTURE_METRICS}
        for each in samples[1:]
    ]
    return found, gains


def _of_stars(tables: list[pd.DataFrame], bootstrap: Bootstrap) -> tuple[list[dict], list[dict]]:
    """As `_of_numbers`, of ratings: the share of their variance that is explained says little, and is left out."""
    return tuple([{name: each[name] for name in (RMSE, MAE)} for each in found] for found in _of_numbers(tables, bootstrap))


def _of_rankings(tables: list[pd.DataFrame], bootstrap: Bootstrap) -> tuple[list[dict], list[dict]]:
    """As `_of_items`, of the figures of each user."""
    samples = [{name: bootstrap.mean(table[name].to_numpy()) for name in OF_USERS} for table in tables]
    found = [{name: _of_users(name, values, 0.0, bootstrap) for name, values in each.items()} for each in samples]
    gains = [{name: _of_users(name, each[name] - samples[0][name], -1.0, bootstrap) for name in OF_USERS} for each in samples[1:]]
    return found, gains


def _of_users(name: str, values: np.ndarray, lowest: float, bootstrap: Bootstrap) -> Interval:
    return interval(values) if name == NOVELTY else bounded_interval(values, bootstrap.units, lowest)


MEASURES = {
    PIXELS: (MEAN_IOU, _of_pictures), NUMBERS: (R2, _of_numbers), STARS: (RMSE, _of_stars), RANKINGS: (NDCG, _of_rankings),
}  # fmt: skip


def _question(scores: Scores) -> str:
    if scores.ranking:
        return RANKINGS
    if scores.headline == RMSE:
        return STARS
    return PIXELS if MEAN_IOU in scores.predictions else NUMBERS if scores.regression else ITEMS


def _other_classes(runs: dict[str, Scores]) -> Iterator[str]:
    """A sentence for each run that knows classes which not every other knows: its task is the harder one."""
    common = set.intersection(*(set(scores.classes) for scores in runs.values()))
    for name, scores in runs.items():
        alone = [label for label in scores.classes if label not in common]
        if alone:
            more = ", …" if len(alone) > 5 else ""
            yield f"{name} also tells {', '.join(alone[:5])}{more}, which not all do"


def _known(table: pd.DataFrame) -> bool:
    return "content" in table and bool((table.content.astype(str) != "").all())


def _keyed(table: pd.DataFrame, by_content: bool) -> pd.DataFrame:
    """`table` indexed by (item, label, how many equal items stand before it); pictures whose pixels are labelled have none."""
    if "label" not in table:
        table = table.assign(label="")
    item = (table.content if by_content else table.path).astype(str)
    if "start" in table:  # a window is the same where it shows the same stretch of the same file
        item = item + " " + table.start.astype(str) + " " + table.stop.astype(str)
    repeat = table.groupby([item, table.label]).cumcount()
    return table.set_axis(pd.MultiIndex.from_arrays([item.astype(str), table.label.astype(str), repeat]))


def _groups(table: pd.DataFrame) -> np.ndarray | None:
    if "user" in table:  # each ranking is of one, ratings belong to whoever gave them
        return table.user.to_numpy(dtype=str)
    known = "group" in table and bool((table.group.astype(str) != "").all())
    return table.group.to_numpy(dtype=str) if known else None


def _drawn(question: str, bootstrap: Bootstrap) -> str:
    return "users" if question == RANKINGS or (question == STARS and bootstrap.resampled == "groups") else bootstrap.resampled


def _answers(table: pd.DataFrame, classes: list[str]) -> Answers:
    targets, predicted = (np.searchsorted(classes, table[name].to_numpy(dtype=str)) for name in ("label", "predicted"))
    return Answers(targets, predicted, table.probability.to_numpy(), table.probability_of_label.to_numpy(), len(classes))


def _verdict(name: str, first: str, difference: Interval, headline: str) -> str:
    if headline == RMSE:
        return _verdict_of_errors(name, first, difference)
    points = "points" if headline == ACCURACY else f"points of {headline}"
    if difference.low > 0:
        return f"{name} is better than {first} by {100 * difference.value:.1f} {points} {difference.points}"
    if difference.high < 0:
        return f"{name} is worse than {first} by {-100 * difference.value:.1f} {points}: {difference.points} points"
    return f"no difference between {name} and {first} can be told: {difference.points} {points}"


def _verdict_of_errors(name: str, first: str, difference: Interval) -> str:
    """Of a figure that is the better the lower it is, in the unit of what is predicted."""
    value, low, high = difference.figures
    if difference.high < 0:
        return f"{name} is better than {first} by {value.lstrip('-')} {RMSE}: [{low}, {high}]"
    if difference.low > 0:
        return f"{name} is worse than {first} by {value} {RMSE}: [{low}, {high}]"
    return f"no difference between {name} and {first} can be told: [{low}, {high}] {RMSE}"
