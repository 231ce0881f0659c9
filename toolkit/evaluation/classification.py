"""Scores and metrics of answers that are classes, with bootstrap intervals, all resamples at once.

An interval costs two thousand evaluations of each metric: each is written as sums over items, so that a resample is a row of
weights and the whole bootstrap a few matrix products.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from toolkit.evaluation.bootstrap import WILSON, Bootstrap, Interval, interval, paired_interval
from toolkit.evaluation.scores import ACCURACY, Metrics, Paired, Scores

BINS = 15  # of the calibration error
MOST_CLASSES = 100  # for intervals of the confusion matrix


def classification_metrics(probabilities: np.ndarray, targets: np.ndarray, *, bootstrap: Bootstrap) -> dict[str, Interval]:
    """Accuracy, macro F1, log loss and calibration error of `probabilities` (items, classes), each with its interval."""
    return intervals(metric_samples(Answers.of(probabilities, targets), bootstrap), bootstrap)


def intervals(samples: dict[str, np.ndarray], bootstrap: Bootstrap) -> dict[str, Interval]:
    """The interval of each metric of `metric_samples`.

    Where every answer is right, or none, all resamples agree and their range says nothing: then the accuracy's interval is
    Wilson's (1927).
    """
    found = {name: interval(values) for name, values in samples.items()}
    share = WILSON / (bootstrap.units + WILSON)
    if found["accuracy"].value == 1:
        found["accuracy"] = Interval(1.0, 1 - share, 1.0)
    elif found["accuracy"].value == 0:
        found["accuracy"] = Interval(0.0, 0.0, share)
    return found


@dataclass(frozen=True)
class Answers:
    """What the metrics look at: arrays (items,) of the true class number, the predicted one, its probability
    (`confidence`), and the probability of the true class (`chosen`); and the number of classes."""

    targets: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    chosen: np.ndarray
    classes: int

    @classmethod
    def of(cls, probabilities: np.ndarray, targets: np.ndarray) -> Answers:
        """Those of `probabilities` (items, classes) for `targets` (items,) class numbers."""
        chosen = probabilities[np.arange(len(targets)), targets]
        return cls(targets, probabilities.argmax(axis=1), probabilities.max(axis=1), chosen, probabilities.shape[1])


def metric_samples(answers: Answers, bootstrap: Bootstrap) -> dict[str, np.ndarray]:
    """Each metric on all items (row 0) and in each resample.

    Macro F1 averages the classes that are there to be found or were named. The calibration error is the expected gap
    between confidence and accuracy over 15 bins of equal width (Guo et al. 2017). Log loss counts a probability of zero
    as 1e-7.
    """
    correct = answers.predicted == answers.targets
    found = bootstrap.totals(answers.targets, answers.classes, values=correct)
    there, named = (bootstrap.totals(numbers, answers.classes) for numbers in (answers.targets, answers.predicted))
    counted = (there + named) > 0
    f1 = np.where(counted, 2 * found / np.maximum(there + named, 1e-9), 0).sum(axis=1) / counted.sum(axis=1)
    bins = np.minimum((answers.confidence * BINS).astype(int), BINS - 1)
    gap = np.abs(bootstrap.totals(bins, BINS, values=answers.confidence - correct)).sum(axis=1) / bootstrap.weights.sum(axis=1)
    return {
        "accuracy": bootstrap.mean(correct),
        "macro F1": f1,
        "log loss": bootstrap.mean(-np.log(np.maximum(answers.chosen, 1e-7))),
        "calibration error": gap,
    }


def confusion_matrix(probabilities: np.ndarray, targets: np.ndarray, *, bootstrap: Bootstrap) -> dict[str, list | None]:
    """Counts [true][predicted] with the ends of their 95 % intervals (None over `MOST_CLASSES` classes)."""
    classes = probabilities.shape[1]
    cells = targets * classes + probabilities.argmax(axis=1)
    counts = np.bincount(cells, minlength=classes**2).reshape(classes, classes)
    if classes > MOST_CLASSES:
        return {"counts": counts.tolist(), "low": None, "high": None}
    low, high = np.percentile(bootstrap.totals(cells, classes**2)[1:], [2.5, 97.5], axis=0)
    return {
        "counts": counts.tolist(),
        "low": low.reshape(classes, classes).round(1).tolist(),
        "high": high.reshape(classes, classes).round(1).tolist(),
    }


@dataclass(frozen=True, kw_only=True)
class ClassScores(Scores):
    """Scores of answers that are classes.

    `confusion` maps a method to `counts`, `low` and `high`, each [true class][predicted class]; `low` and `high` are None over
    100 classes. `predictions` has label, predicted, probability (of the predicted class) and probability_of_label of each item.
    """

    texts: ClassVar[tuple[str, ...]] = (*Scores.texts, "label", "predicted")

    confusion: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def question(self) -> str:
        return "classes of items"

    def paired(self, others: Sequence[Scores], tables: Sequence[pd.DataFrame], *, bootstrap: Bootstrap) -> Paired:
        return Paired(ACCURACY, *paired_classes(tables, bootstrap))


def paired_classes(tables: Sequence[pd.DataFrame], bootstrap: Bootstrap) -> tuple[list[Metrics], list[Metrics]]:
    """The metrics of each table of predictions, and of each but the first less those of the first."""
    first = tables[0]
    classes = sorted({*first.label, *(label for table in tables for label in table.predicted)})
    samples = [metric_samples(_answers(table, classes), bootstrap) for table in tables]
    right = [(table.predicted == table.label).to_numpy(dtype=float) for table in tables]
    gains = [
        {metric: interval(values - samples[0][metric]) for metric, values in found.items()}
        | {ACCURACY: paired_interval(hit - right[0], bootstrap)}
        for found, hit in zip(samples[1:], right[1:], strict=True)
    ]
    return [intervals(found, bootstrap) for found in samples], gains


def _answers(table: pd.DataFrame, classes: list[str]) -> Answers:
    targets, predicted = (np.searchsorted(classes, table[name].to_numpy(dtype=str)) for name in ("label", "predicted"))
    return Answers(targets, predicted, table.probability.to_numpy(), table.probability_of_label.to_numpy(), len(classes))
