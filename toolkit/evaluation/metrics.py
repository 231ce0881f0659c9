"""Classification metrics with bootstrap intervals, all resamples at once.

It is a file of its own because an interval costs two thousand evaluations of each metric: each is written as sums over
items, so that a resample is a row of weights and the whole bootstrap a few matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from toolkit.evaluation.scores import Interval

RESAMPLES = 2000
MOST_WEIGHTS = 100_000_000  # 400 MB: huge test sets are resampled less often, and need it less
DRAWN_AT_ONCE = 2_000_000  # numbers: 16 MB
WILSON = 1.96**2  # the square of the normal distribution's 97.5th percentile
BINS = 15  # of the calibration error
FEWEST_GROUPS = 5  # fewer cannot stand for their kind: then items are drawn
FEWEST_WINDOWED = 2  # but windows of one recording stand for nothing else, however few the recordings
MOST_CLASSES = 100  # for intervals of the confusion matrix


@dataclass(frozen=True)
class Bootstrap:
    """Which items each resample draws, and how often: float32 weights (1 + resamples, items), row 0 all ones.

    `resampled` says what was drawn, "items" or "groups", and `units` from how many.
    """

    weights: np.ndarray
    resampled: str
    units: int

    @classmethod
    def draw(cls, n_items: int, groups: np.ndarray | None = None, seed: int = 0, fewest: int = FEWEST_GROUPS) -> Bootstrap:
        """Draw items with replacement, or whole groups where there are at least `fewest`.

        `groups` holds a group for each item; items drawn together keep what they share, so the interval is not too
        narrow (the cluster bootstrap; Davison and Hinkley 1997, section 3.8).
        """
        units = np.arange(n_items)
        grouped = groups is not None and len(np.unique(groups)) >= fewest
        if grouped:
            _, units = np.unique(groups, return_inverse=True)
        count = int(units.max()) + 1
        resamples = int(np.clip(MOST_WEIGHTS // n_items, 200, RESAMPLES))
        rng = np.random.default_rng(seed)
        weights = np.ones((1 + resamples, n_items), dtype=np.float32)
        chunk = max(1, DRAWN_AT_ONCE // count)
        for start in range(1, 1 + resamples, chunk):
            some = weights[start : start + chunk]
            drawn = rng.integers(0, count, (len(some), count)) + count * np.arange(len(some))[:, None]
            times = np.bincount(drawn.ravel(), minlength=len(some) * count).reshape(len(some), count)
            np.take(times.astype(np.float32), units, axis=1, out=some)
        return cls(weights, "groups" if grouped else "items", count)

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The weighted mean of `values` (items,) in each resample."""
        return self.weights @ values.astype(np.float32) / self.weights.sum(axis=1)

    def totals(self, bins: np.ndarray, n_bins: int, values: np.ndarray | None = None) -> np.ndarray:
        """The weighted sum of `values` (ones if None) in each of `n_bins` bins, float32 (1 + resamples, n_bins)."""
        values = np.ones(len(bins)) if values is None else values
        where = csr_array((values.astype(np.float32), (bins, np.arange(len(bins)))), shape=(n_bins, len(bins)))
        return (where @ self.weights.T).T


def interval(samples: np.ndarray) -> Interval:
    """The figure (row 0) with the 2.5th and 97.5th percentile of its resamples (the rest)."""
    low, high = np.percentile(samples[1:], [2.5, 97.5])
    return Interval(float(samples[0]), float(low), float(high))


def paired_interval(gained: np.ndarray, bootstrap: Bootstrap) -> Interval:
    """The interval of a mean difference; `gained` (items,) is 1 where one method alone was right, -1 where the other was, else 0.

    Where it is 1 for all, or -1, all resamples agree and their range says nothing: then it is made of Wilson's for either share.
    """
    found = interval(bootstrap.mean(gained))
    share = WILSON / (bootstrap.units + WILSON)
    if found.value == 1:
        return Interval(1.0, 1 - 2 * share, 1.0)
    return Interval(-1.0, -1.0, 2 * share - 1) if found.value == -1 else found


def classification_metrics(probabilities: np.ndarray, targets: np.ndarray, bootstrap: Bootstrap) -> dict[str, Interval]:
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
    found = bootstrap.totals(answers.targets, answers.classes, correct)
    there, named = (bootstrap.totals(numbers, answers.classes) for numbers in (answers.targets, answers.predicted))
    counted = (there + named) > 0
    f1 = np.where(counted, 2 * found / np.maximum(there + named, 1e-9), 0).sum(axis=1) / counted.sum(axis=1)
    bins = np.minimum((answers.confidence * BINS).astype(int), BINS - 1)
    gap = np.abs(bootstrap.totals(bins, BINS, answers.confidence - correct)).sum(axis=1) / bootstrap.weights.sum(axis=1)
    return {
        "accuracy": bootstrap.mean(correct),
        "macro F1": f1,
        "log loss": bootstrap.mean(-np.log(np.maximum(answers.chosen, 1e-7))),
        "calibration error": gap,
    }


def confusion_matrix(probabilities: np.ndarray, targets: np.ndarray, bootstrap: Bootstrap) -> dict[str, list | None]:
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
