"""Metrics of answers to rows of a table, with bootstrap intervals: how well classes are ranked, how far numbers are off.

Ranking looks at all rows at once: sorted once, a resample is two running sums along the order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.evaluation.bootstrap import WILSON, Bootstrap, Interval, finite_interval, ranking_interval
from toolkit.evaluation.classification import Answers, intervals, metric_samples, paired_classes
from toolkit.evaluation.scores import ACCURACY, Metrics

if TYPE_CHECKING:
    from toolkit.data.tabular.labelled import LabelledTabular

ROC_AUC, AVERAGE_PRECISION = "ROC AUC", "average precision"  # of ranked rows
R2, RMSE, MAE = "R²", "RMSE", "MAE"  # of numbers
AT_ONCE = 2_000_000  # weights that are gone through at once: 8 MB
MOST_RANKED = 100_000_000  # weights gone through for a method: with many classes its ranking is resampled less often
FEWEST_RANKED = 200  # resamples, however many the classes
BINS = 10  # of the drawing of calibration

Samples = dict[str, np.ndarray]  # metric -> its figure on all rows (first) and in each resample


@dataclass(frozen=True)
class Measure:
    """What is measured of answers to a table. `classes` are none for numbers; `positive` is, of two, the number of the class that
    average precision is about."""

    classes: tuple[str, ...]
    positive: int = 1

    @classmethod
    def of(cls, labelled: LabelledTabular) -> Measure:
        """That of a table. The positive of two classes is the rarer in training, the second of two equals: what is looked for is
        seldom the usual case."""
        counts = np.bincount(labelled.targets[labelled.rows_of("train")], minlength=2) if labelled.classes else [0, 0]
        return cls(tuple(labelled.classes), int(counts[1] <= counts[0]))

    @property
    def headline(self) -> str:
        """The metric that methods are compared by."""
        return R2 if not self.classes else ROC_AUC if len(self.classes) == 2 else ACCURACY

    @property
    def points_of(self) -> str:
        """What the points of a verdict are of; accuracy needs no name."""
        return "" if self.headline == ACCURACY else self.headline

    @property
    def positive_class(self) -> str:
        """Its name, empty where there are not two classes."""
        return self.classes[self.positive] if len(self.classes) == 2 else ""

    def samples(self, answer: np.ndarray, targets: np.ndarray, *, bootstrap: Bootstrap) -> Samples:
        """Each metric of probabilities (n, classes) or values (n, 1), on all rows and in each resample."""
        if not self.classes:
            return regression_samples(answer[:, 0], targets, bootstrap=bootstrap)
        return classification_samples(answer, targets, bootstrap=bootstrap, positive=self.positive)

    def intervals(self, samples: Samples, targets: np.ndarray, *, bootstrap: Bootstrap) -> dict[str, Interval]:
        """The interval of each of `samples`."""
        if not self.classes:
            return {name: finite_interval(values) for name, values in samples.items()}
        return classification_intervals(samples, targets, bootstrap=bootstrap)

    def of_headline(self, answer: np.ndarray, targets: np.ndarray, *, bootstrap: Bootstrap) -> np.ndarray:
        """The headline alone, on all rows and in each resample."""
        if not self.classes:
            return self.samples(answer, targets, bootstrap=bootstrap)[R2]
        if self.headline == ACCURACY:
            return bootstrap.mean(answer.argmax(axis=1) == targets)
        return ranked(answer[:, self.positive], targets == self.positive, weights=bootstrap.weights)[0]

    def difference(self, one: Samples, other: Samples, *, bootstrap: Bootstrap) -> Interval:
        """By how much the headline of `one` is above that of `other`: resamples draw the same rows for both."""
        gained = one[self.headline] - other[self.headline]
        if not self.classes:
            return finite_interval(gained)
        return ranking_interval(gained, bootstrap.units, lowest=-1.0)


def classification_samples(probabilities: np.ndarray, targets: np.ndarray, *, bootstrap: Bootstrap, positive: int = 1) -> Samples:
    """Accuracy, macro F1, log loss, calibration error, and how well rows are ranked, of `probabilities` (n, classes) for class
    numbers `targets` (n,).

    Of two classes ROC AUC (which is the same for either) and average precision are those of the class number `positive`; of more
    they are the means over the classes, each against all others, of those that are there and not alone.
    """
    found = metric_samples(Answers.of(probabilities, targets), bootstrap)
    area, precision = ranking_samples(probabilities, targets, bootstrap=bootstrap, positive=positive)
    return {ROC_AUC: area, AVERAGE_PRECISION: precision, **found}


def ranking_samples(
    probabilities: np.ndarray, targets: np.ndarray, *, bootstrap: Bootstrap, positive: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """ROC AUC and average precision on all rows (first) and in each resample; NaN where a resample holds one class alone."""
    classes = [positive] if probabilities.shape[1] == 2 else range(probabilities.shape[1])
    affordable = max(FEWEST_RANKED, MOST_RANKED // (len(classes) * len(targets)))
    weights = bootstrap.weights[: 1 + affordable]
    total, counted = np.zeros((2, len(weights))), np.zeros(len(weights))
    for number in classes:
        hits = targets == number
        if hits.any() and not hits.all():
            each = np.stack(ranked(probabilities[:, number], hits, weights=weights))
            known = np.isfinite(each[0])
            total[:, known] += each[:, known]
            counted += known
    with np.errstate(invalid="ignore"):
        area, precision = total / counted
    return area, precision


def ranked(scores: np.ndarray, hits: np.ndarray, *, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """ROC AUC and average precision (Fawcett 2006; the step-wise sum over distinct scores) of `scores` (n,) for `hits`, bool
    (n,), under each row of `weights` (k, n), whole numbers: float64 (k,) each.

    Rows of equal scores count as half ranked rightly. NaN where weights leave no hit or nothing but hits.
    """
    order = np.argsort(-scores, kind="stable")
    hits = hits[order]
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.inf))  # of rows that share a score
    of_hits = np.flatnonzero(np.add.reduceat(hits, starts, dtype=np.int64))  # no other adds to either sum
    before, last = starts[of_hits] - 1, np.append(starts[1:], len(scores))[of_hits] - 1
    chunk = max(1, AT_ONCE // len(scores))
    areas, precisions = [], []
    for start in [0, *range(1, len(weights), chunk)]:
        # the figure itself is exact; of resamples single precision is enough, in which counts up to 16 million are exact
        part = weights[:1].astype(np.float64) if start == 0 else weights[start : start + chunk]
        drawn = np.take(part, order, axis=1)
        above = np.cumsum(drawn, axis=1)
        drawn *= hits
        found = np.cumsum(drawn, axis=1)
        every, right = above[:, -1], found[:, -1]
        wrong = every - right
        named, right_then = above[:, last], found[:, last]
        gained = np.diff(right_then, axis=1, prepend=0)
        missed_before = np.where(before >= 0, above[:, before], 0) - (right_then - gained)
        lower = wrong[:, None] - (named - right_then + missed_before) / 2  # others ranked lower, half of those beside
        with np.errstate(invalid="ignore", divide="ignore"):
            areas.append((gained * lower).sum(axis=1, dtype=np.float64) / right / wrong)
            precision = (gained * right_then / np.maximum(named, 1)).sum(axis=1, dtype=np.float64) / right
            precisions.append(np.where(wrong > 0, precision, np.nan))
    return np.concatenate(areas), np.concatenate(precisions)


def classification_intervals(samples: Samples, targets: np.ndarray, *, bootstrap: Bootstrap) -> dict[str, Interval]:
    """The interval of each of `classification_samples`. Where the ranking is faultless in all resamples it is Wilson's, for as
    many rows as the rarer of two classes has."""
    ranking = {name: samples[name] for name in (ROC_AUC, AVERAGE_PRECISION)}
    counts = np.bincount(targets, minlength=2)
    units = min(bootstrap.units, int(counts.min())) if len(counts) == 2 else bootstrap.units
    found = {name: ranking_interval(values, units) for name, values in ranking.items()}
    return found | intervals({name: values for name, values in samples.items() if name not in ranking}, bootstrap)


def regression_samples(values: np.ndarray, targets: np.ndarray, *, bootstrap: Bootstrap) -> Samples:
    """R², RMSE and MAE of answers `values` (n,) to numbers `targets` (n,): the last two in the unit of the target.

    R² is the share of the variance that is explained; NaN in a resample whose rows are all alike.
    """
    targets, values = targets.astype(np.float64), values.astype(np.float64)
    scale = float(targets.std()) or 1.0
    off, about = (values - targets) / scale, (targets - targets.mean()) / scale  # so that single precision is enough
    terms = np.column_stack([off**2, np.abs(off), about, about**2])
    sums = bootstrap.weights @ terms.astype(np.float32)
    sums = sums.astype(np.float64)
    sums[0] = terms.sum(axis=0)
    count = bootstrap.weights.sum(axis=1, dtype=np.float64)
    squared, absolute, total, squares = sums.T
    spread = squares - total**2 / count
    with np.errstate(invalid="ignore", divide="ignore"):
        explained = np.where(spread > 1e-9 * count, 1 - squared / spread, np.nan)
    return {R2: explained, RMSE: scale * np.sqrt(squared / count), MAE: scale * absolute / count}


def calibration_points(probabilities: np.ndarray, targets: np.ndarray, *, positive: int = 1) -> list[dict[str, float]]:
    """Is what is said with 70 % so in 70 of 100 cases? For each bin of a tenth that holds rows the mean probability that was
    `said`, of the class number `positive` of two or else of the predicted class, the `share` of rows where it was so, with
    Wilson's interval (1927) from `low` to `high`, and the `count` of rows."""
    if probabilities.shape[1] == 2:
        said, so = probabilities[:, positive], targets == positive
    else:
        said, so = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    bins = np.minimum((said * BINS).astype(int), BINS - 1)
    counts, sums, hits = (np.bincount(bins, weights, minlength=BINS) for weights in (None, said, so))
    found = []
    for count, total, hit in zip(counts.tolist(), sums.tolist(), hits.tolist(), strict=True):
        if count:
            share, pull = hit / count, WILSON / count
            middle, reach = (share + pull / 2) / (1 + pull), (pull * share * (1 - share) + pull**2 / 4) ** 0.5 / (1 + pull)
            ends = {"low": max(0.0, middle - reach), "high": min(1.0, middle + reach)}
            found.append({"said": total / count, "share": share, **ends, "count": count})
    return found


def paired_numbers(tables: Sequence[pd.DataFrame], bootstrap: Bootstrap) -> tuple[list[Metrics], list[Metrics]]:
    """The errors of each table of predicted numbers, and of each but the first less those of the first."""
    targets = tables[0].label.to_numpy(dtype=float)
    samples = [regression_samples(table.predicted.to_numpy(dtype=float), targets, bootstrap=bootstrap) for table in tables]
    found = [{name: finite_interval(values) for name, values in each.items()} for each in samples]
    gains = [{name: finite_interval(each[name] - samples[0][name]) for name in each} for each in samples[1:]]
    return found, gains


def paired_ranks(tables: Sequence[pd.DataFrame], bootstrap: Bootstrap, *, positive: str) -> tuple[list[Metrics], list[Metrics]]:
    """As `paired_classes`, with ROC AUC before: of two classes each row's probability of `positive` is known.

    It is taken from that of the predicted class, never from that of the true one: rows that were answered alike stay equal.
    """
    found, gains = paired_classes(tables, bootstrap)
    hits = (tables[0].label == positive).to_numpy()
    samples = []
    for table in tables:
        said, sure = table.predicted == positive, table.probability.to_numpy()
        samples.append(ranked(np.where(said, sure, 1 - sure), hits, weights=bootstrap.weights)[0])
    areas = [ranking_interval(each, bootstrap.units) for each in samples]
    gained = [ranking_interval(each - samples[0], bootstrap.units, lowest=-1.0) for each in samples[1:]]
    return (
        [{ROC_AUC: area, **rest} for area, rest in zip(areas, found, strict=True)],
        [{ROC_AUC: gain, **rest} for gain, rest in zip(gained, gains, strict=True)],
    )
