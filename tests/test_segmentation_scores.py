"""Scores of a class for each pixel: counted by hand on small masks, drawn by pictures, beside methods that must find it."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.ndimage import distance_transform_edt
from sklearn.metrics import accuracy_score, jaccard_score

from toolkit.data.masks import IGNORED, MaskCode
from toolkit.data.scenes import LabelledScenes
from toolkit.errors import DataError, RunError
from toolkit.evaluation import Interval, Scores, evaluate
from toolkit.evaluation.comparison import compare
from toolkit.evaluation.learner import network_runner
from toolkit.evaluation.metrics import Bootstrap
from toolkit.evaluation.pixel_baselines import BY_COLOUR, BY_POSITION, MAJORITY, PixelBaselines, nearest
from toolkit.evaluation.scene_scores import evaluate_scenes, paired_difference
from toolkit.evaluation.segmentation import (
    Tally,
    _alone_far,
    _alone_near,
    _outline,
    boundary_f1,
    metric_samples,
    pixel_confusion,
    segmentation_metrics,
)
from toolkit.learning.scene_loaders import scene_loaders
from toolkit.program.about import about
from toolkit.program.masks import MaskOutput
from toolkit.program.scenes import SceneInput
from toolkit.reports.compare import as_text
from toolkit.reports.explain import Explainer
from toolkit.reports.sections import confusion_section, gain_over_untrained, score_section


def mask(*rows):
    return np.array([[int(letter) if letter != "-" else IGNORED for letter in row] for row in rows], dtype=np.uint8)


def tally_of(pairs, classes):
    found = Tally(classes)
    for truth, said in pairs:
        found.add(truth, said)
    return found


def random_pairs(pictures=30, classes=4, skill=0.6, seed=0, ignored=0.1):
    """Blocky truths, and answers that are right at a share of the pixels that is each picture's own."""
    rng = np.random.default_rng(seed)
    for _ in range(pictures):
        truth = np.kron(rng.integers(0, classes, (4, 5)), np.ones((6, 6), int)).astype(np.uint8)
        keep = rng.random(truth.shape) < np.clip(skill + rng.normal(0, 0.15), 0, 1)
        said = np.where(keep, truth, rng.integers(0, classes, truth.shape)).astype(np.uint8)
        yield np.where(rng.random(truth.shape) < ignored, IGNORED, truth).astype(np.uint8), said


def test_a_picture_of_four_pixels_counted_by_hand():
    truth, said = mask("00", "11"), mask("01", "11")
    assert pixel_confusion(truth, said, 2).tolist() == [[1, 1], [0, 2]]
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
    assert pixel_confusion(truth, said, 2).tolist() == [[1, 1], [0, 1]]
    other = np.where(truth == IGNORED, 1 - said, said)
    assert np.array_equal(pixel_confusion(truth, other, 2), pixel_confusion(truth, said, 2))
    assert boundary_f1(truth, other, 2) == boundary_f1(truth, said, 2)
    assert np.isnan(boundary_f1(mask("--"), mask("01"), 2))


def test_figures_equal_scikit_learns():
    pairs = list(random_pairs())
    metrics, classes = segmentation_metrics(tally_of(pairs, 4), Bootstrap.draw(len(pairs)))
    truth, said = (np.concatenate([part.ravel() for part in parts]) for parts in zip(*pairs, strict=True))
    truth, said = truth[truth != IGNORED], said[truth != IGNORED]
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
    assert boundary_f1(truth, truth, 2) == 1
    within, beyond = (halves(120 + off, 180, 240) for off in (2, 3))
    assert boundary_f1(truth, within, 2) == 1
    assert boundary_f1(truth, beyond, 2) == 0
    assert boundary_f1(truth, np.zeros_like(truth), 2) == 0


def test_one_pixel_off_is_always_tolerated():
    assert boundary_f1(mask("0011", "0011"), mask("0111", "0111"), 2) == 1
    assert boundary_f1(mask("000011", "000011"), mask("001111", "001111"), 2) == 0


def test_the_border_of_the_picture_and_of_what_is_ignored_is_no_boundary():
    assert (_outline(mask("00-11", "00-11")) == IGNORED).all()
    assert np.array_equal(_outline(mask("0001", "0001")), mask("--01", "--01"))
    assert boundary_f1(mask("0000"), mask("0000"), 2) == 1
    assert boundary_f1(mask("0000"), mask("1111"), 2) == 0
    assert boundary_f1(mask("00-11"), mask("00011"), 2) == 1


def by_distance(truth, said, classes):
    """Boundary F1 as the paper puts it: a distance transform for each class."""
    said = np.where(truth == IGNORED, IGNORED, said)
    reach, scores = max(1, 0.0075 * np.hypot(*truth.shape)), []
    for number in np.unique(truth[truth != IGNORED]):
        true, found = (_outline(part) == number for part in (truth, said))
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
        assert boundary_f1(truth, said, 4) == pytest.approx(by_distance(truth, said, 4))


def test_both_ways_to_look_for_neighbours_find_the_same():
    for truth, said in random_pairs(5):
        for reach in (1.0, 2.25, 4.5):
            one, other = (_alone(_outline(truth), _outline(said), reach) for _alone in (_alone_near, _alone_far))
            assert np.array_equal(np.bincount(one, minlength=4), np.bincount(other, minlength=4))
    nothing = np.full((3, 3), IGNORED, np.uint8)
    assert len(_alone_far(nothing, nothing, 1.0)) == len(_alone_near(nothing, nothing, 1.0)) == 0


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
    grouped, _ = segmentation_metrics(tally, Bootstrap.draw(120, groups), groups)
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
    found = paired_difference(one, other, bootstrap)
    scores = [segmentation_metrics(tally, bootstrap)[0]["mean IoU"] for tally in (one, other)]
    assert found.value == pytest.approx(scores[0].value - scores[1].value, abs=1e-6)
    assert found.low > 0
    assert found.high - found.low < (scores[0].high - scores[0].low) / 3
    same = paired_difference(one, one, bootstrap)
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


RED, BLUE = np.array([200, 30, 30]), np.array([30, 30, 200])


def painted(truth, rng, noise=20):
    """A picture whose classes have colours."""
    return np.clip(np.array([RED, BLUE])[truth] + rng.normal(0, noise, (*truth.shape, 3)), 0, 255).astype(np.uint8)


def random_halves(rng, height=48, width=64):
    truth = np.tile(np.arange(width) >= rng.integers(width // 4, 3 * width // 4), (height, 1)).astype(np.uint8)
    return 1 - truth if rng.random() < 0.5 else truth


def test_the_commonest_class_at_each_place_solves_a_fixed_layout():
    rng = np.random.default_rng(0)
    layout = np.tile(np.repeat(np.arange(4, dtype=np.uint8), 12)[:, None], (1, 64))
    noise = [rng.integers(0, 256, (48, 64, 3), dtype=np.uint8) for _ in range(12)]
    found = PixelBaselines(5).fit(((picture, layout) for picture in noise[:8]), 8).predict(noise[9])
    assert np.array_equal(found[BY_POSITION], layout)
    assert (found[MAJORITY] == 0).all()
    assert all((said.dtype, said.shape) == (np.uint8, (48, 64)) for said in found.values())


def test_places_where_nothing_counts_take_the_commonest_class():
    truth = np.full((40, 40), 2, np.uint8)
    truth[:4], truth[-10:] = IGNORED, 1
    pictures = [(np.zeros((40, 40, 3), np.uint8), truth)] * 2
    said = PixelBaselines(3).fit(iter(pictures), 2).predict(pictures[0][0])[BY_POSITION]
    assert (said[:30] == 2).all()
    assert (said[30:] == 1).all()
    with pytest.raises(DataError, match="no pixel of the training part counts"):
        PixelBaselines(3).fit([(pictures[0][0], np.full((40, 40), IGNORED, np.uint8))], 1)


def test_colour_is_found_wherever_it_is():
    rng = np.random.default_rng(0)
    truths = [random_halves(rng) for _ in range(20)]
    pairs = [(painted(truth, rng), truth) for truth in truths]
    methods = PixelBaselines(3).fit(iter(pairs[:16]), 16)  # a third class has no pixel
    right = {name: [] for name in (MAJORITY, BY_POSITION, BY_COLOUR)}
    for picture, truth in pairs[16:]:
        for name, said in methods.predict(picture).items():
            right[name].append((said == truth).mean())
    assert min(right[BY_COLOUR]) > 0.97
    assert np.mean(right[BY_POSITION]) < 0.9
    large = np.kron(pairs[16][0], np.ones((10, 10, 1), np.uint8))
    assert (methods.predict(large)[BY_COLOUR] == np.kron(pairs[16][1], np.ones((10, 10), np.uint8))).mean() > 0.95


def test_fitting_again_finds_the_same():
    rng = np.random.default_rng(0)
    pairs = [(rng.integers(0, 256, (24, 30, 3), dtype=np.uint8), truth) for truth, _ in random_pairs(6)]
    one, other = (PixelBaselines(4, seed=3).fit(iter(pairs), 6).predict(pairs[0][0])[BY_COLOUR] for _ in range(2))
    assert np.array_equal(one, other)


def test_masks_are_enlarged_to_the_nearest_pixel():
    assert np.array_equal(nearest(mask("01", "10"), (4, 4)), mask("0011", "0011", "1100", "1100"))
    assert np.array_equal(nearest(mask("0011", "0011", "1100", "1100"), (2, 2)), mask("01", "10"))


class Painter(torch.nn.Module):
    """Scores of red, blue and a third class from a picture's channels."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.layer(x)


@pytest.fixture(scope="module")
def learn(tmp_path_factory):
    """A learner whose network tells red from blue, and whose untrained network calls all a third class."""
    folder, rng, rows, pairs = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0), [], []
    for number in range(40):
        truth = random_halves(rng)
        picture = painted(truth, rng, 45)
        Image.fromarray(picture).save(folder / f"{number}.png")
        truth[0] = IGNORED
        Image.fromarray(truth).save(folder / f"{number}_mask.png")
        rows.append({"path": folder / f"{number}.png", "mask": folder / f"{number}_mask.png", "label": "red"})
        rows[-1] |= {
            "group": f"g{number % 20}",
            "split": ("train", "train", "test", "valid")[number % 4],
            "content": f"c{number}",
        }
        pairs.append((picture, truth))
    table = pd.DataFrame(rows).assign(width=64, height=48)
    code = MaskCode(("red", "blue", "other"), (0, 1, 2), (IGNORED,))
    counts = np.array([np.bincount(truth.ravel(), minlength=256)[:3] for _, truth in pairs])
    labelled = LabelledScenes(table, pairs, counts, code, SceneInput(0), (64, 64), (64, 64), [], [])
    stats = (0.4, 0.2, 0.5), (0.3, 0.1, 0.3)
    model = Painter()
    weights = {"layer.weight": torch.zeros(3, 3, 1, 1), "layer.bias": torch.tensor([0.0, 0.0, 1.0])}
    with torch.no_grad():
        model.layer.weight.copy_(torch.tensor([[3.0, 0, -3], [-3, 0, 3], [0, 0, 0]])[..., None, None])
        model.layer.bias.copy_(torch.tensor([0.0, 0.0, -9.0]))
    return SimpleNamespace(
        model=model, dls=scene_loaders(labelled, stats, 4, "none"), about={"task": "segmentation", "stats": stats},
        first_weights=SimpleNamespace(weights=weights),
    )  # fmt: skip


@pytest.fixture(scope="module")
def scores(learn):
    return evaluate(learn)


def test_a_learner_is_scored_on_its_test_pictures_beside_itself_untrained_and_simple_methods(learn, scores):
    table = learn.dls.labelled.table
    assert scores.predictions.path.tolist() == [str(path) for path in table.path[table.split == "test"]]
    assert (scores.n_test, scores.task, scores.headline, scores.resampled) == (10, "segmentation", "mean IoU", "groups")
    assert list(scores.table) == ["network", "untrained network", MAJORITY, BY_POSITION, BY_COLOUR]
    assert list(scores.table["network"]) == ["mean IoU", "pixel accuracy", "boundary F1"]
    assert scores.table["network"]["mean IoU"].value > 0.97
    assert scores.table["untrained network"]["pixel accuracy"].value == 0
    assert list(scores.per_class["network"]) == ["red", "blue"]
    assert scores.best_simple == BY_COLOUR
    assert "points of mean IoU" in scores.verdict
    assert np.sum(scores.confusion["network"]["counts"]) == 10 * 47 * 64
    assert isinstance(scores.confusion["network"]["counts"][0][0], int)
    pictures = scores.predictions
    assert pictures["pixel accuracy"].mean() == pytest.approx(scores.table["network"]["pixel accuracy"].value)
    assert set(pictures["worst class"]) <= {"red", "blue"}
    again = evaluate_scenes(learn, run=network_runner(learn))
    assert again.to_json() == scores.to_json()


def test_pictures_of_a_few_drives_are_too_few(learn):
    labelled = learn.dls.labelled
    drives = replace(labelled, table=labelled.table.assign(group=[f"drive {row % 3}" for row in range(len(labelled.table))]))
    few = SimpleNamespace(model=learn.model, about=learn.about, dls=SimpleNamespace(labelled=drives))
    found = evaluate_scenes(few)
    assert found.resampled == "items"
    assert found.verdict.endswith("(the test's pictures are of only 3 groups: too few to rely on)")
    assert "untrained network" not in found.table  # it kept no first weights


def test_scores_come_back_from_disk_as_they_were(scores, tmp_path):
    scores.save(tmp_path)
    again = Scores.load(tmp_path)
    assert again.to_json() == scores.to_json()
    pd.testing.assert_frame_equal(again.predictions, scores.predictions, check_dtype=False)
    unknown = scores.predictions.assign(**{"mean IoU": np.nan, "worst class": "None"})
    replace(scores, predictions=unknown).save(tmp_path)
    assert Scores.load(tmp_path).predictions["mean IoU"].isna().all()
    assert set(Scores.load(tmp_path).predictions["worst class"]) == {"None"}
    plain = json.loads((tmp_path / "scores.json").read_text())
    del plain["headline"], plain["per_class"]  # an earlier version's
    (tmp_path / "scores.json").write_text(json.dumps(plain))
    assert (Scores.load(tmp_path).headline, Scores.load(tmp_path).per_class) == ("accuracy", {})


def test_the_card_and_the_terminal_name_what_each_class_scores(scores):
    card = scores.card()
    assert list(card["per_class"]) == ["network"]
    assert "IoU of each class, network: red" in str(scores)
    plain = {"task": "segmentation", "scores": card, "input": SceneInput(0).card()}
    plain["output"] = MaskOutput(("red", "blue", "other"), (0, 1, 2), ((0, 0, 0),) * 3).card()
    assert f"network, IoU of each class: red {scores.per_class['network']['red'].value:.3f}, blue" in about(plain)


def test_the_sections_of_a_report_are_about_mean_iou_and_shares_of_pixels(scores):
    figure = score_section(scores).blocks[1]
    assert "Mean IoU on held-out items: network" in str(figure)
    assert gain_over_untrained(scores).startswith("mean IoU 0.9")
    counts = [[880, 120, 0], [3, 997, 0], [0, 0, 0]]
    mistaken = replace(scores, confusion={"network": {"counts": [[1000 * n for n in row] for row in counts]}})
    section = confusion_section(mistaken)
    assert section.title == "Which pixels are taken for what"
    assert section.blocks[1].rows[0] == ["red taken for blue", "6.0 %", "12.0 %"]


def test_runs_are_compared_picture_by_picture(scores):
    worse = scores.predictions.assign(**{"mean IoU": scores.predictions["mean IoU"] - [0.1, 0.12, 0.1, 0.09, 0.11] * 2})
    found = compare({"one": scores, "two": replace(scores, predictions=worse[::-1])})
    gap = found.differences["two"]["mean IoU"]
    assert gap.value == pytest.approx(-0.104, abs=1e-6)
    assert gap.low < gap.value < gap.high < 0
    assert found.verdicts[0].startswith("two is worse than one by 10.4 points of mean IoU")
    assert found.resampled == "groups"
    assert "of the pictures' own" in as_text(found)
    answers = pd.DataFrame({"path": ["a"], "label": ["x"], "predicted": ["x"]})
    other = Scores("image_classification", ("x",), 1, "items", {}, {}, "", Interval(0, 0, 0), "", answers)
    with pytest.raises(DataError, match="compare runs of one task .one: segmentation; other: image classification"):
        compare({"one": scores, "other": other})


def test_a_run_that_names_pixels_is_not_explained(tmp_path, monkeypatch):
    (tmp_path / "program.pyz").touch()
    program = SimpleNamespace(output=MaskOutput(("a",), (0,), ((0, 0, 0),)), card={"task": "segmentation"})
    monkeypatch.setattr("toolkit.reports.explain.load", lambda *_: program)
    with pytest.raises(RunError, match="a run of segmentation: explain is for recognisers"):
        Explainer(tmp_path)
