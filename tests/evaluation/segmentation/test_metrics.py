"""Scores of a class for each pixel: counted by hand on small masks, with intervals over pictures."""

import numpy as np
import pytest
from helpers.segmentation_samples import mask, random_pairs
from scipy.ndimage import binary_dilation, distance_transform_edt, generate_binary_structure
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score

from toolkit.data.segmentation.class_mapping import IGNORED
from toolkit.evaluation.bootstrap import Bootstrap
from toolkit.evaluation.segmentation.metrics import (
    Tally,
    _alone_far,
    _alone_near,
    _outline,
    boundary_f1,
    metric_samples,
    pixel_confusion,
    segmentation_metrics,
)
from toolkit.evaluation.segmentation.scores import paired_difference


def tally_of(pairs, classes):
    found = Tally(classes)
    for truth, said in pairs:
        found.add(truth, said)
    return found


def test_a_picture_of_four_pixels_counted_by_hand():
    truth, said = mask("00", "11"), mask("01", "11")
    assert pixel_confusion(truth, said, classes=2).tolist() == [[1, 1], [0, 2]]
    metrics, classes = segmentation_metrics(tally_of([(truth, said)], 2), Bootstrap.draw(1))
    assert metrics["mean IoU"].value == pytest.approx((1 / 2 + 2 / 3) / 2)
    assert metrics["pixel accuracy"].value == 3 / 4
    assert [classes[0].value, classes[1].value] == pytest.approx([1 / 2, 2 / 3])


def test_counts_are_summed_over_the_pictures_before_they_are_divided():
    pairs = [(mask("0001"), mask("0011")), (mask("1111"), mask("1110"))]
    metrics, classes = segmentation_metrics(tally_of(pairs, 2), Bootstrap.draw(2))
    assert [classes[0].value, classes[1].value] == pytest.approx([2 / 4, 4 / 6])
    assert metrics["mean IoU"].value == pytest.approx((2 / 4 + 4 / 6) / 2)


def test_ignored_pixels_count_for_nothing():
    truth, said = mask("0-1", "0--"), mask("001", "110")
    assert pixel_confusion(truth, said, classes=2).tolist() == [[1, 1], [0, 1]]
    other = np.where(truth == IGNORED, 1 - said, said)
    assert np.array_equal(pixel_confusion(truth, other, classes=2), pixel_confusion(truth, said, classes=2))
    assert boundary_f1(truth, other, classes=2) == boundary_f1(truth, said, classes=2)
    assert np.isnan(boundary_f1(mask("--"), mask("01"), classes=2))


def test_figures_equal_scikit_learns():
    pairs = list(random_pairs())
    tally = tally_of(pairs, 4)
    metrics, classes = segmentation_metrics(tally, Bootstrap.draw(len(pairs)))
    truth, said = (np.concatenate([part.ravel() for part in parts]) for parts in zip(*pairs, strict=True))
    truth, said = truth[truth != IGNORED], said[truth != IGNORED]
    assert np.array_equal(tally.confusion, confusion_matrix(truth, said))
    assert metrics["mean IoU"].value == pytest.approx(jaccard_score(truth, said, average="macro"))
    assert metrics["pixel accuracy"].value == pytest.approx(accuracy_score(truth, said))
    assert [value.value for value in classes.values()] == pytest.approx(jaccard_score(truth, said, average=None))


def test_a_class_that_the_truth_lacks_is_not_in_the_mean_but_costs_those_it_takes_from():
    found, classes = segmentation_metrics(tally_of([(mask("0011"), mask("0021"))] * 3, 3), Bootstrap.draw(3))
    assert list(classes) == [0, 1]
    assert found["mean IoU"].value == pytest.approx((1 + 1 / 2) / 2)


def halves(border, height, width):
    found = np.zeros((height, width), dtype=np.uint8)
    found[:, border:] = 1
    return found


def test_boundaries_within_the_tolerance_are_found():
    truth = halves(120, 180, 240)  # a diagonal of 300: a tolerance of 2.25 pixels
    assert boundary_f1(truth, truth, classes=2) == 1
    within, beyond = (halves(120 + off, 180, 240) for off in (2, 3))
    assert boundary_f1(truth, within, classes=2) == 1
    assert boundary_f1(truth, beyond, classes=2) == 0
    assert boundary_f1(truth, np.zeros_like(truth), classes=2) == 0


def test_one_pixel_off_is_always_tolerated():
    assert boundary_f1(mask("0011", "0011"), mask("0111", "0111"), classes=2) == 1
    assert boundary_f1(mask("000011", "000011"), mask("001111", "001111"), classes=2) == 0


def test_the_border_of_the_picture_and_of_what_is_ignored_is_no_boundary():
    assert (_outline(mask("00-11", "00-11")) == IGNORED).all()
    assert np.array_equal(_outline(mask("0001", "0001")), mask("--01", "--01"))
    assert boundary_f1(mask("0000"), mask("0000"), classes=2) == 1
    assert boundary_f1(mask("0000"), mask("1111"), classes=2) == 0
    assert boundary_f1(mask("00-11"), mask("00011"), classes=2) == 1


def outline_of(mask, number):
    """Where a class has a pixel of another above, below, left or right of it."""
    others = (mask != number) & (mask != IGNORED)
    return (mask == number) & binary_dilation(others, generate_binary_structure(2, 1))


def by_distance(truth, said, classes):
    """Boundary F1 as the paper puts it, of scipy alone: a distance transform for each class."""
    said = np.where(truth == IGNORED, IGNORED, said)
    reach, scores = max(1, 0.0075 * np.hypot(*truth.shape)), []
    for number in np.unique(truth[truth != IGNORED]):
        true, found = (outline_of(part, number) for part in (truth, said))
        if not true.any() or not found.any():
            scores.append(float(true.any() == found.any() and (said == number).any()))
            continue
        precision = (distance_transform_edt(~true)[found] <= reach).mean()
        recall = (distance_transform_edt(~found)[true] <= reach).mean()
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return np.mean(scores)


@pytest.mark.parametrize("enlarged", [1, 12, 40])
def test_boundary_f1_is_that_of_distance_transforms_also_on_large_pictures(enlarged):
    for truth, said in random_pairs(3, skill=0.9):
        truth, said = (np.kron(part, np.ones((enlarged, enlarged), np.uint8)) for part in (truth, said))
        assert boundary_f1(truth, said, classes=4) == pytest.approx(by_distance(truth, said, 4))


def test_both_ways_to_look_for_neighbours_find_the_same():
    for truth, said in random_pairs(5):
        for reach in (1.0, 2.25, 4.5):
            one, other = (_alone(_outline(truth), _outline(said), reach=reach) for _alone in (_alone_near, _alone_far))
            assert np.array_equal(np.bincount(one, minlength=4), np.bincount(other, minlength=4))
    nothing = np.full((3, 3), IGNORED, np.uint8)
    assert len(_alone_far(nothing, nothing, reach=1.0)) == len(_alone_near(nothing, nothing, reach=1.0)) == 0


def test_intervals_hold_their_value_and_narrow_with_more_pictures():
    widths = []
    for pictures in (20, 320):
        metrics, classes = segmentation_metrics(tally_of(random_pairs(pictures), 4), Bootstrap.draw(pictures))
        for found in (*metrics.values(), *classes.values()):
            assert found.low < found.value < found.high
        widths.append(metrics["mean IoU"].high - metrics["mean IoU"].low)
    assert widths[1] < widths[0] / 2.5


def test_a_resample_is_what_scoring_the_drawn_pictures_would_give():
    pairs = list(random_pairs(12))
    bootstrap = Bootstrap.draw(12)
    samples, _ = metric_samples(tally_of(pairs, 4), bootstrap)
    for row in (1, 77, 2000):
        drawn = [pair for pair, times in zip(pairs, bootstrap.weights[row], strict=True) for _ in range(int(times))]
        again, _ = metric_samples(tally_of(drawn, 4), Bootstrap.draw(len(drawn)))
        for name, values in samples.items():
            assert values[row] == pytest.approx(again[name][0], abs=1e-6)


def test_groups_are_drawn_whole():
    pairs = [pair for pair in random_pairs(15) for _ in range(8)]
    groups = np.repeat(np.arange(15), 8)
    tally = tally_of(pairs, 4)
    alone, _ = segmentation_metrics(tally, Bootstrap.draw(120))
    grouped, _ = segmentation_metrics(tally, Bootstrap.draw(120, groups), groups=groups)
    assert grouped["mean IoU"].value == alone["mean IoU"].value
    assert grouped["mean IoU"].high - grouped["mean IoU"].low > 2 * (alone["mean IoU"].high - alone["mean IoU"].low)


def test_what_resamples_cannot_tell_is_not_taken_for_certain():
    right = [(mask("0011"), mask("0011"))] * 20
    metrics, classes = segmentation_metrics(tally_of(right, 2), Bootstrap.draw(20))
    for found in (*metrics.values(), *classes.values()):
        assert (found.value, found.high) == (1, 1)
        assert found.low == pytest.approx(20 / (20 + 3.84), abs=1e-3)  # Wilson's for 20 of 20
    wrong, _ = segmentation_metrics(tally_of([(mask("0011"), mask("1100"))] * 20, 2), Bootstrap.draw(20))
    assert (wrong["mean IoU"].low, wrong["mean IoU"].high) == (0, pytest.approx(3.84 / 23.84, abs=1e-3))
    rare = [*right, (mask("0220"), mask("0200"))]
    metrics, classes = segmentation_metrics(tally_of(rare, 3), Bootstrap.draw(21))
    assert (classes[2].value, classes[2].low, classes[2].high) == (0.5, 0, 1)  # one picture holds it
    assert metrics["mean IoU"].low < metrics["mean IoU"].value < metrics["mean IoU"].high


def test_a_difference_is_paired():
    pairs = list(random_pairs(60))
    rng = np.random.default_rng(1)
    worse = [(truth, np.where(rng.random(said.shape) < 0.05, 0, said).astype(np.uint8)) for truth, said in pairs]
    one, other, bootstrap = tally_of(pairs, 4), tally_of(worse, 4), Bootstrap.draw(60)
    found = paired_difference(one, other, bootstrap=bootstrap)
    scores = [segmentation_metrics(tally, bootstrap)[0]["mean IoU"] for tally in (one, other)]
    assert found.value == pytest.approx(scores[0].value - scores[1].value, abs=1e-6)
    assert found.low > 0
    assert found.high - found.low < (scores[0].high - scores[0].low) / 3
    same = paired_difference(one, one, bootstrap=bootstrap)
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_very_many_classes_fit_in_memory():
    tally = Tally(150)
    rng = np.random.default_rng(0)
    for _ in range(50):
        truth = rng.integers(0, 150, (30, 40), dtype=np.uint8)
        tally.add(truth, np.where(rng.random(truth.shape) < 0.5, truth, 0).astype(np.uint8))
    metrics, classes = segmentation_metrics(tally, Bootstrap.draw(50))
    assert len(classes) == 150
    assert 0.4 < metrics["mean IoU"].value < 0.6
