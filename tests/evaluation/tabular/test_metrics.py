"""Metrics of rows of a table: equal to scikit-learn's, in each resample too."""

import numpy as np
import pytest
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    average_precision_score,
    mean_absolute_error,
    r2_score,
    roc_auc_score,
    root_mean_squared_error,
)

from toolkit.evaluation.bootstrap import Bootstrap
from toolkit.evaluation.tabular.metrics import (
    Measure,
    calibration_points,
    classification_intervals,
    classification_samples,
    ranked,
    ranking_samples,
    regression_samples,
)


def answers(seed, classes=2, count=300, decimals=16):
    """Probabilities that know something, rounded so that they tie, and the true class numbers."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, count)
    scores = rng.normal(size=(count, classes)) + 1.2 * np.eye(classes)[targets]
    found = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return found.round(decimals), targets


@pytest.mark.parametrize("decimals", [16, 2, 1, 0])
@pytest.mark.parametrize("seed", [0, 1])
def test_ranking_equals_scikit_learns_in_every_resample(seed, decimals):
    probabilities, targets = answers(seed, decimals=decimals)
    bootstrap = Bootstrap.draw(len(targets), seed=seed)
    areas, precisions = ranked(probabilities[:, 1], targets == 1, weights=bootstrap.weights)
    for draw in (0, 1, 2, 700, 2000):
        weights = bootstrap.weights[draw]
        area = roc_auc_score(targets, probabilities[:, 1], sample_weight=weights)
        precision = average_precision_score(targets, probabilities[:, 1], sample_weight=weights)
        assert [areas[draw], precisions[draw]] == pytest.approx([area, precision], abs=1e-6)


def test_of_more_classes_ranking_is_the_mean_over_those_that_are_there():
    probabilities, targets = answers(2, classes=4)
    targets = np.where(targets == 3, 0, targets)  # nobody is of the last
    area, precision = ranking_samples(probabilities, targets, bootstrap=Bootstrap.draw(len(targets)))
    of_each = [roc_auc_score(targets == number, probabilities[:, number]) for number in range(3)]
    assert area[0] == pytest.approx(np.mean(of_each))
    of_each = [average_precision_score(targets == number, probabilities[:, number]) for number in range(3)]
    assert precision[0] == pytest.approx(np.mean(of_each))


def test_average_precision_is_of_the_positive_class_and_roc_auc_of_either():
    probabilities, targets = answers(3)
    bootstrap = Bootstrap.draw(len(targets))
    samples = [classification_samples(probabilities, targets, bootstrap=bootstrap, positive=positive) for positive in (0, 1)]
    assert samples[0]["ROC AUC"][0] == pytest.approx(samples[1]["ROC AUC"][0])
    for positive, found in enumerate(samples):
        expected = average_precision_score(targets == positive, probabilities[:, positive])
        assert found["average precision"][0] == pytest.approx(expected)


@pytest.mark.parametrize("unit", [1.0, 1e6, 1e-6])
def test_errors_of_numbers_equal_scikit_learns(unit):
    rng = np.random.default_rng(4)
    targets = unit * (1000 + rng.normal(size=200))
    values = targets + unit * rng.normal(size=200) / 2
    bootstrap = Bootstrap.draw(200)
    samples = regression_samples(values, targets, bootstrap=bootstrap)
    for draw in (0, 5):
        weights = bootstrap.weights[draw]
        expected = [
            how(targets, values, sample_weight=weights) for how in (r2_score, root_mean_squared_error, mean_absolute_error)
        ]
        assert [samples[name][draw] for name in ("R²", "RMSE", "MAE")] == pytest.approx(expected, rel=1e-4)


def test_what_cannot_be_known_is_not_claimed():
    probabilities, _ = answers(5, count=40)
    alone = np.zeros(40, dtype=int)
    bootstrap = Bootstrap.draw(40)
    found = classification_intervals(
        classification_samples(probabilities, alone, bootstrap=bootstrap), alone, bootstrap=bootstrap
    )
    assert (found["ROC AUC"].low, found["ROC AUC"].value, found["ROC AUC"].high) == (0, 0.5, 1)
    few = (np.arange(40) < 3).astype(int)
    faultless = np.column_stack([1 - few, few]).astype(float)
    found = classification_intervals(classification_samples(faultless, few, bootstrap=bootstrap), few, bootstrap=bootstrap)
    assert found["ROC AUC"].value == 1
    assert found["ROC AUC"].low < 0.5  # three rows prove little
    known = Measure(()).samples(np.ones((40, 1)), np.ones(40), bootstrap=bootstrap)
    same = Measure(()).intervals(known, np.ones(40), bootstrap=bootstrap)
    assert same["R²"].value == 0
    assert same["RMSE"].value == 0


def counted(said):
    """How many answers fall into each tenth that has some."""
    found, _ = np.histogram(said, bins=10, range=(0, 1))
    return found[found > 0].tolist()


@pytest.mark.parametrize("positive", [0, 1])
def test_calibration_points_are_scikit_learns_with_wilsons_intervals_of_scipy(positive):
    rng = np.random.default_rng(6)
    said = rng.random(2000) ** 2  # few are sure
    targets = (rng.random(2000) < 0.2 + 0.5 * said).astype(int)
    probabilities = np.column_stack([1 - said, said])
    points = calibration_points(probabilities, targets, positive=positive)
    shares, means = calibration_curve(targets == positive, probabilities[:, positive], n_bins=10)
    assert [point["share"] for point in points] == pytest.approx(shares)
    assert [point["said"] for point in points] == pytest.approx(means)
    assert [point["count"] for point in points] == counted(probabilities[:, positive])
    for point in points:
        sure = binomtest(round(point["share"] * point["count"]), point["count"]).proportion_ci(method="wilson")
        assert (point["low"], point["high"]) == pytest.approx((sure.low, sure.high), abs=1e-4)


def test_calibration_of_more_classes_is_that_of_the_predicted_one():
    probabilities, targets = answers(7, classes=3)
    points = calibration_points(probabilities, targets)
    shares, means = calibration_curve(probabilities.argmax(axis=1) == targets, probabilities.max(axis=1), n_bins=10)
    assert [point["share"] for point in points] == pytest.approx(shares)
    assert [point["said"] for point in points] == pytest.approx(means)
    assert [point["count"] for point in points] == counted(probabilities.max(axis=1))


def test_calibration_points_of_answers_that_are_all_sure_are_at_both_ends():
    probabilities, targets = answers(8)
    sure = probabilities.round()  # all are said to be certain
    points = calibration_points(sure, targets)
    right = sure[:, 1] == targets
    assert [(point["said"], point["count"]) for point in points] == [(0, (sure[:, 1] == 0).sum()), (1, (sure[:, 1] == 1).sum())]
    assert points[0]["share"] == pytest.approx(1 - right[sure[:, 1] == 0].mean())
    assert points[1]["share"] == pytest.approx(right[sure[:, 1] == 1].mean())
