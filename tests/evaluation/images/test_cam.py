"""Looking into a network: maps light the place that speaks for a class, averages are averages, neighbours are alike."""

import numpy as np
import pytest
import torch
from helpers.image_samples import draw_shape
from torch import nn

from toolkit.evaluation.images.baselines import GaussianCentroid, small_pixels
from toolkit.evaluation.images.cam import CAM
from toolkit.evaluation.images.embedding_index import EmbeddingIndex, class_averages
from toolkit.evaluation.images.scores import images_of
from toolkit.learning.images.loaders import normalization_of
from toolkit.learning.images.networks import create_network

PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def red_or_blue():
    """A network that weighs red for class 0 and blue for class 1, wherever they are."""
    colours = nn.Conv2d(3, 2, 1, bias=False)
    colours.weight.data = torch.tensor([[1.0, 0, 0], [0, 0, 1.0]]).view(2, 3, 1, 1)
    linear = nn.Linear(2, 2, bias=False)
    linear.weight.data = torch.eye(2)
    return nn.Sequential(nn.Sequential(colours), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear))


def red_left_blue_right():
    image = np.zeros((1, 16, 16, 3), dtype=np.uint8)
    image[0, 2:6, 1:5, 0] = 255
    image[0, 9:14, 10:15, 2] = 255
    return image


@pytest.mark.parametrize("frozen", [False, True])
def test_the_map_lights_what_speaks_for_the_class(frozen):
    model = red_or_blue().requires_grad_(not frozen)
    red, blue = CAM(model, PLAIN).grad_cam(np.repeat(red_left_blue_right(), 2, axis=0), [0, 1])
    assert np.array_equal(red > 0.5, red_left_blue_right()[0, ..., 0] > 0)
    assert np.array_equal(blue > 0.5, red_left_blue_right()[0, ..., 2] > 0)
    assert red.max() == blue.max() == 1


@pytest.mark.parametrize("arch", ["small", "resnet18", "squeezenet1_1"])
def test_maps_are_captums_grad_cam_scaled_to_their_own_maximum(arch):
    attr = pytest.importorskip("captum.attr", reason="the test extra's captum is not installed")
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    images, classes = np.stack([np.asarray(draw_shape("disc", rng, 192)) for _ in range(4)]), [0, 3, 1, 2]
    model, stats = create_network(arch, 4).model.eval(), ((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))
    cam = CAM(model, stats)
    shown = (torch.from_numpy(images).permute(0, 3, 1, 2) / 255 - torch.tensor(stats[0]).view(3, 1, 1)) / torch.tensor(
        stats[1]
    ).view(3, 1, 1)
    expected = attr.LayerGradCam(model, cam.layers(images)[1]).attribute(shown, classes, relu_attributions=True)[:, 0].detach()
    largest = expected.amax(dim=(1, 2), keepdim=True)
    assert (largest > 0).sum() >= 2  # where nothing speaks for a class, all is dark
    assert np.allclose(cam.grad_cam(images, classes), expected / largest.clamp_min(1e-12), atol=1e-3)


def test_a_channel_is_excited_most_where_its_colour_is():
    cam = CAM(red_or_blue(), PLAIN)
    early, _ = cam.layers(red_left_blue_right())
    strengths, places = cam.peaks(early, red_left_blue_right())
    assert strengths.tolist() == [[1.0, 1.0]]
    (row, column), (other_row, other_column) = places[0] * 16
    assert 2 <= row < 6
    assert 1 <= column < 5
    assert 9 <= other_row < 14
    assert 10 <= other_column < 15


@pytest.mark.parametrize(
    ("arch", "side"),
    [
        ("small", 64), ("resnet18", 64), ("densenet121", 64), ("mobilenet_v3_small", 64), ("convnext_tiny", 64),
        ("squeezenet1_1", 64), ("swin_t", 128),
    ],
)  # fmt: skip
def test_every_kind_of_network_can_be_looked_into(arch, side):
    rng = np.random.default_rng(0)
    images = np.stack([np.asarray(draw_shape("disc", rng, side)) for _ in range(3)])
    model = create_network(arch, 4).model.train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    cam = CAM(model, PLAIN)
    heat = cam.grad_cam(images, [0, 1, 2])
    assert heat.shape[0] == 3
    assert heat.shape[1] == heat.shape[2] >= 4
    assert heat.max() == 1  # not all is dark
    assert all(each.min() < 0.9 * each.max() for each in heat if each.any())  # nor alike everywhere
    assert np.allclose(np.linalg.norm(cam.features(images), axis=1), 1, atol=1e-5)
    assert cam.filters().shape[3] == 3
    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_network_without_maps_is_said_to_have_none():
    model = nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(48, 8)), nn.Sequential(nn.Linear(8, 2)))
    cam = CAM(model, PLAIN)
    images = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    assert cam.grad_cam(images, [0, 1]) is None
    assert cam.layers(images) is None
    assert cam.filters() is None
    assert cam.features(images).shape == (2, 8)


def test_the_average_of_a_class_is_the_mean_of_its_pictures():
    rng = np.random.default_rng(1)
    images, labels = rng.integers(0, 256, (30, 5, 4, 3), dtype=np.uint8), rng.integers(0, 3, 30)
    averages, centroids = class_averages([(images[:11], labels[:11]), (images[11:], labels[11:])], 4)
    for label in range(3):
        assert np.allclose(255 * averages[label], images[labels == label].mean(axis=0), atol=1e-3)
        assert np.allclose(centroids[label], small_pixels(images[labels == label]).mean(axis=0), atol=1e-6)
    assert not averages[3].any()
    assert np.isnan(centroids[3]).all()


def test_a_training_picture_is_its_own_nearest_neighbour(trained):
    learn, folder, _ = trained
    index = EmbeddingIndex.load(folder)
    cam = CAM(learn.model, normalization_of(learn.dls))
    images, _ = next(images_of(learn.dls.train.dataset, np.arange(8)))
    rows = np.flatnonzero(learn.dls.labelled.table.split == "train")
    for row, features in zip(rows, cam.features(images), strict=False):
        nearest, alike = index.nearest(features, 3)[0]
        assert nearest == row
        assert alike == pytest.approx(1, abs=2e-3)  # kept as float16


def test_the_nearest_average_is_what_the_nearest_centroid_says(trained):
    learn, folder, _ = trained
    index = EmbeddingIndex.load(folder)
    known = [part for loader in learn.dls.loaders[:2] for part in images_of(loader.dataset, np.arange(len(loader.dataset)))]
    method = GaussianCentroid().fit(np.concatenate([small_pixels(p) for p, _ in known]), np.concatenate([t for _, t in known]))
    images, _ = next(images_of(learn.dls[2].dataset, np.arange(len(learn.dls[2].dataset))))
    said = method.predict_proba(small_pixels(images)).argmax(axis=1)
    assert [int(index.distances(image).argmin()) for image in images] == said.tolist()
