"""A network that names pixels is scored beside itself untrained and methods that must find what is easy; who reads the scores."""

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.segmentation_samples import mask, random_pairs
from PIL import Image

from toolkit.data.segmentation.class_mapping import IGNORED, ClassMapping
from toolkit.data.segmentation.labelled import LabelledSegmentation
from toolkit.errors import DataError, RunError
from toolkit.evaluation import Interval, Scores, evaluate
from toolkit.evaluation.comparison import compare
from toolkit.evaluation.images.scores import ImageScores
from toolkit.evaluation.segmentation.baselines import BY_COLOUR, BY_POSITION, MAJORITY, PixelBaselines, resize_nearest
from toolkit.evaluation.segmentation.network import pixel_network
from toolkit.evaluation.segmentation.scores import evaluate_segmentation
from toolkit.learning.segmentation.learner import SegmentationSpec
from toolkit.learning.segmentation.loaders import segmentation_loaders
from toolkit.program.about import about
from toolkit.program.segmentation.inputs import SegmentationInput
from toolkit.program.segmentation.outputs import MaskOutput
from toolkit.reports.compare import as_text
from toolkit.reports.images.explain import Explainer
from toolkit.reports.sections import confusion_section, gain_over_untrained, score_section

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
    assert np.array_equal(resize_nearest(mask("01", "10"), (4, 4)), mask("0011", "0011", "1100", "1100"))
    assert np.array_equal(resize_nearest(mask("0011", "0011", "1100", "1100"), (2, 2)), mask("01", "10"))


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
    class_mapping = ClassMapping(("red", "blue", "other"), (0, 1, 2), ignored=(IGNORED,))
    counts = np.array([np.bincount(truth.ravel(), minlength=256)[:3] for _, truth in pairs])
    labelled = LabelledSegmentation(
        table=table, pairs=pairs, counts=counts, class_mapping=class_mapping, segmentation_input=SegmentationInput(0),
        crop_from=(64, 64), crop=(64, 64), rejected=[], notes=[],
    )  # fmt: skip
    stats = (0.4, 0.2, 0.5), (0.3, 0.1, 0.3)
    model = Painter()
    weights = {"layer.weight": torch.zeros(3, 3, 1, 1), "layer.bias": torch.tensor([0.0, 0.0, 1.0])}
    with torch.no_grad():
        model.layer.weight.copy_(torch.tensor([[3.0, 0, -3], [-3, 0, 3], [0, 0, 0]])[..., None, None])
        model.layer.bias.copy_(torch.tensor([0.0, 0.0, -9.0]))
    spec = SegmentationSpec(
        task="segmentation", arch="painter", augment="none", class_weights="none", code="", size=0, crop=(64, 64), stats=stats
    )
    dls = segmentation_loaders(labelled, stats, augment="none")
    return SimpleNamespace(model=model, dls=dls, spec=spec, first_weights=SimpleNamespace(weights=weights))


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
    again = evaluate_segmentation(learn, network=pixel_network(learn))
    assert again.to_json() == scores.to_json()


def test_pictures_of_a_few_drives_are_too_few(learn):
    labelled = learn.dls.labelled
    drives = replace(labelled, table=labelled.table.assign(group=[f"drive {row % 3}" for row in range(len(labelled.table))]))
    few = SimpleNamespace(model=learn.model, spec=learn.spec, dls=SimpleNamespace(labelled=drives))
    found = evaluate_segmentation(few)
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
    assert (Scores.load(tmp_path).headline, Scores.load(tmp_path).per_class) == ("mean IoU", {})


def test_the_card_and_the_terminal_name_what_each_class_scores(scores):
    card = scores.card()
    assert list(card["per_class"]) == ["network"]
    assert "IoU of each class, network: red" in str(scores)
    plain = {"task": "segmentation", "scores": card, "input": SegmentationInput(0).card()}
    plain["output"] = MaskOutput(("red", "blue", "other"), (0, 1, 2), ((0, 0, 0),) * 3).card()
    assert f"network, IoU of each class: red {scores.per_class['network']['red'].value:.3f}, blue" in about(plain)


def test_the_sections_of_a_report_are_about_mean_iou_and_shares_of_pixels(scores):
    figure = score_section(scores).blocks[1]
    assert "Mean IoU on held-out items: network" in str(figure)
    assert gain_over_untrained(scores).startswith("mean IoU 0.9")
    counts = [[880, 120, 0], [3, 997, 0], [0, 0, 0]]
    mistaken = replace(scores, confusion={"network": {"counts": [[1000 * n for n in row] for row in counts]}})
    section = confusion_section(mistaken, pixels=True)
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
    other = ImageScores(
        task="image_classification", n_test=1, resampled="items", table={}, best_simple="", difference=Interval(0, 0, 0),
        verdict="", predictions=answers, classes=("x",), confusion={},
    )  # fmt: skip
    with pytest.raises(DataError, match="compare runs of one task .one: segmentation; other: image classification"):
        compare({"one": scores, "other": other})


def test_a_run_that_names_pixels_is_not_explained(tmp_path, monkeypatch):
    (tmp_path / "program.pyz").touch()
    program = SimpleNamespace(output=MaskOutput(("a",), (0,), ((0, 0, 0),)), card={"task": "segmentation"})
    monkeypatch.setattr("toolkit.reports.images.explain.load", lambda *_: program)
    with pytest.raises(RunError, match="a run of segmentation: explain is for recognisers"):
        Explainer(tmp_path)
