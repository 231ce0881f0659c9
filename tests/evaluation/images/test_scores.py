"""Scores come from the test set alone, with intervals, beside simple methods."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.calibration import calibration_curve
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.metrics import confusion_matrix as sklearn_confusion
from sklearn.neighbors import NearestCentroid

from toolkit.evaluation import Interval, evaluate
from toolkit.evaluation.bootstrap import Bootstrap
from toolkit.evaluation.classification import Answers, classification_metrics, confusion_matrix, metric_samples
from toolkit.evaluation.images.baselines import baseline_probabilities, small_pixels
from toolkit.evaluation.images.scores import verdict


def made_answers(items=400, classes=4, skill=1.5, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, items)
    scores = rng.normal(size=(items, classes)) + skill * np.eye(classes)[targets]
    exponents = np.exp(scores)
    return exponents / exponents.sum(axis=1, keepdims=True), targets


def test_metrics_equal_scikit_learns_in_every_resample():
    probabilities, targets = made_answers()
    bootstrap = Bootstrap.draw(len(targets))
    samples = metric_samples(Answers.of(probabilities, targets), bootstrap)
    predicted = probabilities.argmax(axis=1)
    for draw in (0, 1, 700, 2000):
        weights = bootstrap.weights[draw]
        expected = {
            "accuracy": accuracy_score(targets, predicted, sample_weight=weights),
            "macro F1": f1_score(targets, predicted, average="macro", sample_weight=weights),
            "log loss": log_loss(targets, probabilities, sample_weight=weights),
        }
        assert {name: samples[name][draw] for name in expected} == pytest.approx(expected, abs=1e-5)
    metrics = classification_metrics(probabilities, targets, bootstrap=bootstrap)
    assert {name: metrics[name].value for name in samples} == {name: values[0] for name, values in samples.items()}


@pytest.mark.parametrize("classes", [2, 4])
def test_the_calibration_error_is_the_weighted_gap_of_scikit_learns_curve(classes):
    probabilities, targets = made_answers(classes=classes, seed=classes)
    sure, right = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets
    shares, means = calibration_curve(right, sure, n_bins=15)
    counts, _ = np.histogram(sure, bins=15, range=(0, 1))
    expected = np.average(np.abs(shares - means), weights=counts[counts > 0])
    found = classification_metrics(probabilities, targets, bootstrap=Bootstrap.draw(len(targets)))["calibration error"].value
    assert found == pytest.approx(expected, abs=1e-6)


def test_calibration_error_is_zero_when_confidence_is_right_and_the_gap_when_it_is_not():
    right = np.array([1, 1, 1, 0])  # three of four
    sure = np.column_stack([np.full(4, 0.75), np.full(4, 0.25)])
    calibrated = classification_metrics(sure, 1 - right, bootstrap=Bootstrap.draw(4))
    assert calibrated["calibration error"].value == pytest.approx(0, abs=1e-6)
    over = np.column_stack([np.full(4, 0.95), np.full(4, 0.05)])
    assert classification_metrics(over, 1 - right, bootstrap=Bootstrap.draw(4))["calibration error"].value == pytest.approx(
        0.2, abs=1e-6
    )


def test_the_interval_covers_the_truth_about_nineteen_times_in_twenty():
    covered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        right = rng.random(200) < 0.8
        probabilities = np.column_stack([right, ~right]).astype(float)
        found = classification_metrics(probabilities, np.zeros(200, int), bootstrap=Bootstrap.draw(200, seed=seed))["accuracy"]
        covered += found.low <= 0.8 <= found.high
    assert 88 <= covered <= 99


def test_groups_widen_the_interval_when_their_items_agree():
    right = np.repeat(np.random.default_rng(0).random(20) < 0.7, 10)
    probabilities = np.column_stack([right, ~right]).astype(float)
    zeros = np.zeros(200, int)
    items = classification_metrics(probabilities, zeros, bootstrap=Bootstrap.draw(200))["accuracy"]
    grouped = Bootstrap.draw(200, np.repeat(np.arange(20), 10))
    groups = classification_metrics(probabilities, zeros, bootstrap=grouped)["accuracy"]
    assert grouped.resampled == "groups"
    assert groups.value == items.value
    assert groups.high - groups.low > 2 * (items.high - items.low)
    assert Bootstrap.draw(200, np.repeat(np.arange(2), 100)).resampled == "items"


def test_answers_that_are_all_right_are_not_taken_for_certain():
    right = np.eye(2)[[0, 1] * 50]
    accuracy = classification_metrics(right, np.array([0, 1] * 50), bootstrap=Bootstrap.draw(100))["accuracy"]
    assert (accuracy.value, accuracy.high) == (1, 1)
    assert accuracy.low == pytest.approx(0.963, abs=1e-3)  # Wilson's interval for 100 of 100
    wrong = classification_metrics(right, np.array([1, 0] * 50), bootstrap=Bootstrap.draw(100))["accuracy"]
    assert (wrong.value, wrong.low) == (0, 0)
    assert wrong.high == pytest.approx(0.037, abs=1e-3)
    groups = np.repeat(np.arange(10), 10)
    grouped = classification_metrics(right, np.array([0, 1] * 50), bootstrap=Bootstrap.draw(100, groups))["accuracy"]
    assert grouped.low == pytest.approx(10 / (10 + 3.84), abs=1e-3)


def test_the_confusion_matrix_counts_true_by_predicted_with_intervals():
    probabilities, targets = made_answers()
    predicted = probabilities.argmax(axis=1)
    found = confusion_matrix(probabilities, targets, bootstrap=Bootstrap.draw(len(targets)))
    counts, low, high = (np.array(found[name]) for name in ("counts", "low", "high"))
    assert np.array_equal(counts, sklearn_confusion(targets, predicted))
    expected = binom(len(targets), counts / len(targets)).ppf(np.array([0.025, 0.975])[:, None, None])
    assert np.abs(np.stack([low, high]) - expected).max() <= 1.5  # the count of a resample is binomial


def test_nearest_centroid_names_the_nearest_centroid():
    rng = np.random.default_rng(0)
    train, test = rng.random((60, 8)) * np.arange(1, 9), rng.random((30, 8)) * np.arange(1, 9)
    labels = rng.integers(0, 3, 60)
    found = baseline_probabilities(train, labels, test=test, classes=3)["nearest centroid"]
    assert np.array_equal(found.argmax(axis=1), NearestCentroid().fit(train, labels).predict(test))
    assert np.allclose(found.sum(axis=1), 1)


def test_baselines_know_classes_that_training_lacks():
    train = np.random.default_rng(0).random((20, 4))
    found = baseline_probabilities(train, np.array([0, 2] * 10), test=train, classes=3)
    for probabilities in found.values():
        assert probabilities.shape == (20, 3)
        assert (probabilities[:, 1] == 0).all()


def test_small_pixels_are_block_averages():
    pixels = np.random.default_rng(0).integers(0, 256, (5, 32, 48, 3), dtype=np.uint8)
    small = small_pixels(pixels).reshape(5, 16, 16, 3)
    assert small[2, 3, 5, 1] == pytest.approx(pixels[2, 6:8, 15:18, 1].mean() / 255, abs=1e-6)
    assert small_pixels(pixels[:, :8, :9]).shape == (5, 8 * 9 * 3)


@pytest.mark.parametrize(
    ("difference", "sentence"),
    [
        (Interval(0.031, 0.019, 0.044), "better than the best simple method (k-NN) by 3.1 points [1.9, 4.4]"),
        (Interval(-0.001, -0.008, 0.006), "not better than k-NN: [-0.8, 0.6] points"),
        (Interval(-0.05, -0.08, -0.02), "worse than k-NN by 5.0 points: [-8.0, -2.0] points"),
    ],
)
def test_the_verdict_is_a_sentence(difference, sentence):
    assert verdict("k-NN", difference) == sentence


def test_evaluate_scores_the_held_out_test_and_the_network_as_it_was_built(trained):
    learn, _, scores = trained
    table = learn.dls.labelled.table
    assert scores.predictions.path.tolist() == [str(path) for path in table.path[table.split == "test"]]
    assert scores.n_test == 36
    assert set(scores.table) == {
        "network", "untrained network", "majority class", "nearest centroid", "k-nearest neighbours", "logistic regression",
    }  # fmt: skip
    assert scores.table["network"]["accuracy"].value > 0.8 > scores.table["untrained network"]["accuracy"].value
    assert np.sum(scores.confusion["network"]["counts"]) == np.sum(scores.confusion["nearest centroid"]["counts"]) == 36
    right = (scores.predictions.predicted == scores.predictions.label).mean()
    assert scores.table["network"]["accuracy"].value == pytest.approx(right, abs=1e-6)
    assert scores.verdict == verdict(scores.best_simple, scores.difference)


def test_evaluating_again_changes_neither_the_network_nor_the_scores(trained):
    learn, _, scores = trained
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    assert evaluate(learn).to_json() == scores.to_json()
    assert all((value == before[name]).all() for name, value in learn.model.state_dict().items())
