"""A segmentation is calibrated at the end of fitting: as sure as it is right, with the same mask, where validation has enough."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from helpers.segmentation_samples import make_labelled
from torch import nn

from recipes.segmentation import build_learner
from toolkit.evaluation.segmentation.network import pixel_network
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.segmentation.calibration import FEWEST_PICTURES, FEWEST_PIXELS, calibrate
from toolkit.learning.segmentation.networks import last_layer, segmentation_network
from toolkit.program.segmentation.inputs import segment
from toolkit.tasks import TASKS


@pytest.fixture(scope="module")
def learn(tmp_path_factory):
    """A short training, calibrated by `fit`; pictures are seen in their own size."""
    learn = build_learner(make_labelled(tmp_path_factory.mktemp("calibration") / "data", 40), size=64, valid_pct=0.2, seed=1)
    fit(learn, epochs=2, lr=5e-3)
    return learn


def layer_of(learn):
    return learn.model.get_submodule(last_layer(learn.model, len(learn.dls.vocab)))


def multiply(learn, by):
    with torch.no_grad():
        for parameter in layer_of(learn).parameters():
            parameter.mul_(by)


def masks(learn):
    labelled, network = learn.dls.labelled, pixel_network(learn)
    pictures = map(labelled.picture, labelled.rows("test"))
    return [segment(picture, network, segmentation_input=labelled.segmentation_input) for picture in pictures]


def log_loss(learn):
    """Of validation pixels, unweighted."""
    labelled, network, losses = learn.dls.labelled, pixel_network(learn), []
    for row in labelled.rows("valid"):
        picture, truth = labelled.pair(row)
        losses.append(-np.log(np.take_along_axis(network(picture[None])[0], truth[None].astype(int), axis=0).clip(1e-9)).mean())
    return np.mean(losses)


def test_fit_calibrates(learn):
    assert TASKS["segmentation"].part("calibrate") is calibrate
    assert calibrate(learn) == pytest.approx(1, abs=0.01)  # it was at the end of `fit`


@pytest.mark.parametrize("sure", [6.0, 0.2])
def test_too_sure_or_too_doubtful_becomes_as_sure_as_it_is_right_and_says_the_same(learn, sure):
    loss, said = log_loss(learn), masks(learn)
    multiply(learn, sure)
    wrongly = log_loss(learn)
    assert all(np.array_equal(one, other) for one, other in zip(said, masks(learn), strict=True))
    assert calibrate(learn) == pytest.approx(sure, rel=0.02)
    assert log_loss(learn) < wrongly
    assert log_loss(learn) == pytest.approx(loss, abs=1e-3)
    assert all(np.array_equal(one, other) for one, other in zip(said, masks(learn), strict=True))


def test_a_calibrated_network_passes_the_gate_of_export(learn, tmp_path):
    program = export(learn, tmp_path / "program.pyz")
    assert program.card["task"] == "segmentation"


@pytest.mark.parametrize(
    ("part", "enough"), [(FEWEST_PICTURES - 1, FEWEST_PIXELS), (FEWEST_PICTURES, FEWEST_PIXELS // FEWEST_PICTURES - 1)]
)
def test_too_little_validation_leaves_it_as_it_is(learn, part, enough):
    """Few pictures, or few pixels of them that count."""
    whole = [batch[0][:1] for batch in list(learn.dls.valid) * 5][:part]
    truth = [torch.full((1, *pictures.shape[2:]), 255) for pictures in whole]
    for each in truth:
        each.view(-1)[:enough] = 1
    few = SimpleNamespace(model=learn.model, dls=SimpleNamespace(vocab=learn.dls.vocab, valid=Batches(whole, truth)))
    before = {name: value.clone() for name, value in learn.model.state_dict().items()}
    assert calibrate(few) == 1.0
    assert all(torch.equal(value, before[name]) for name, value in learn.model.state_dict().items())


class Batches(list):
    """A loader of ready batches."""

    def __init__(self, pictures, masks):
        super().__init__(zip(pictures, masks, strict=True))
        self.dataset = pictures


def test_a_network_whose_scores_do_not_follow_its_last_convolution_is_left_as_it_is(learn):
    norm = nn.BatchNorm2d(3)
    nn.init.ones_(norm.bias)
    model = nn.Sequential(nn.Conv2d(3, 3, 1), norm)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert calibrate(SimpleNamespace(model=model, dls=learn.dls)) == 1.0
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert calibrate(SimpleNamespace(model=nn.Sequential(nn.Conv2d(3, 4, 1)), dls=learn.dls)) == 1.0  # of other classes


@pytest.mark.parametrize("arch", ["resnet18", "fpn-resnet18", "unetplusplus-resnet18"])
def test_the_last_convolution_scales_the_scores_of_other_networks(arch):
    if "-" in arch:
        pytest.importorskip("segmentation_models_pytorch")
    torch.manual_seed(0)
    model = segmentation_network(arch, 3, size=(64, 64)).model.eval()
    pictures, truth = torch.rand(FEWEST_PICTURES, 3, 64, 96), torch.randint(0, 3, (FEWEST_PICTURES, 64, 96))
    learn = SimpleNamespace(model=model, dls=SimpleNamespace(vocab=["a", "b", "c"], valid=Batches([pictures], [truth])))
    with torch.no_grad():
        before = torch.as_tensor(model(pictures))
        temperature = calibrate(learn)
        after = torch.as_tensor(model(pictures))
    assert temperature != 1.0
    assert torch.allclose(after * temperature, before, atol=1e-4 * float(before.abs().max()))
