"""From a photo of any size to a class for each of its pixels, with a network in the middle that anyone can check: it names the
strongest of red, green and blue."""

import json

import numpy as np
import pytest
from PIL import Image

from toolkit.program.segmentation import inputs
from toolkit.program.segmentation.inputs import SegmentationInput, segment
from toolkit.program.segmentation.outputs import MaskOutput

OUTPUT = MaskOutput(("red", "green", "blue"), (0, 7, 255), ((200, 0, 0), (0, 200, 0), (0, 0, 200)))


def strongest(pixels):
    """uint8 (n, height, width, 3) -> the share of each channel, as a network would answer."""
    assert pixels.dtype == np.uint8
    levels = pixels.transpose(0, 3, 1, 2).astype(np.float32) + 1
    return levels / levels.sum(axis=1, keepdims=True)


def noise(width, height, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("size", [(64, 64), (65, 33), (1, 1), (200, 31), (129, 257)])
def test_in_own_pixels_every_pixel_gets_its_own_answer_whatever_the_size(size):
    picture = noise(*size)
    answer = segment(picture, strongest, segmentation_input=SegmentationInput(0, multiple=32, tile=96, overlap=32))
    assert (answer == np.asarray(picture).argmax(axis=2)).all()
    assert (answer.dtype, answer.shape) == (np.uint8, size[::-1])


def test_the_network_sees_whole_multiples_and_never_more_than_a_tile():
    seen = []

    def run(pixels):
        seen.append(pixels.shape[1:3])
        return strongest(pixels)

    segment(noise(300, 70), run, segmentation_input=SegmentationInput(0, multiple=32, tile=96, overlap=32))
    assert set(seen) == {(96, 96)}
    assert len(seen) == 5
    seen.clear()
    segment(noise(50, 70), run, segmentation_input=SegmentationInput(0, multiple=32, tile=96, overlap=32))
    assert seen == [(96, 64)]


def test_a_network_that_looks_around_answers_the_same_in_tiles_as_at_once():
    def blurred(pixels):  # looks 8 pixels around
        image = Image.fromarray(pixels[0])
        around = image.resize((image.width // 8, image.height // 8), Image.Resampling.BOX).resize(image.size)
        return strongest(np.asarray(around)[None])

    picture = noise(24, 20).resize((480, 400))
    at_once = segment(picture, blurred, segmentation_input=SegmentationInput(0, multiple=16, tile=480, overlap=0))
    tiled = segment(picture, blurred, segmentation_input=SegmentationInput(0, multiple=16, tile=160, overlap=80))
    assert (at_once == tiled).mean() > 0.995


@pytest.mark.parametrize("width", [120, 480, 1000])
def test_at_another_scale_borders_stay_where_they_are_and_smooth(width):
    picture = Image.new("RGB", (width, width // 2), "red")
    picture.paste("blue", (width // 2, 0, width, width // 2))
    answer = segment(picture, strongest, segmentation_input=SegmentationInput(60, multiple=16, tile=96, overlap=32))
    border = (answer == 2).argmax(axis=1)
    assert np.abs(border - width / 2).max() <= width / 100
    assert set(np.unique(answer)) == {0, 2}


@pytest.mark.parametrize("size", [(50, 1), (1, 50), (2, 3000), (3000, 2)])
def test_strips_are_not_blown_up_beyond_a_tile(size):
    segmentation_input = SegmentationInput(600, multiple=16)
    picture = noise(*size)
    assert max(segmentation_input.scaled_size(*size)) <= max(*size, segmentation_input.tile)
    answer = segment(picture, strongest, segmentation_input=segmentation_input)
    assert answer.shape == size[::-1]
    assert (answer == np.asarray(picture).argmax(axis=2)).mean() > 0.6


def test_strips_of_a_large_answer_fit_together(monkeypatch):
    picture = noise(20, 15).resize((700, 525), Image.Resampling.BICUBIC)
    whole = segment(picture, strongest, segmentation_input=SegmentationInput(60, multiple=16))
    monkeypatch.setattr(inputs, "STRIP", 700 * 7)
    assert (segment(picture, strongest, segmentation_input=SegmentationInput(60, multiple=16)) == whole).all()


def test_the_mask_has_the_values_and_the_palette_of_what_was_learnt_from(tmp_path):
    numbers = np.array([[0, 1], [2, 2]], dtype=np.uint8)
    OUTPUT.read(numbers).image().save(tmp_path / "mask.png")
    with Image.open(tmp_path / "mask.png") as image:
        assert image.mode == "P"
        assert np.asarray(image).tolist() == [[0, 7], [255, 255]]
        assert image.convert("RGB").getpixel((1, 0)) == (0, 200, 0)


def test_masks_of_colours_come_back_as_those_colours_and_large_values_as_16_bits():
    numbers = np.array([[0, 1]], dtype=np.uint8)
    colours = MaskOutput(("sky", "road"), ((1, 2, 3), (200, 100, 0)), ((1, 2, 3), (200, 100, 0)))
    assert np.asarray(colours.read(numbers).image().convert("RGB")).tolist() == [[[1, 2, 3], [200, 100, 0]]]
    large = MaskOutput(("sky", "road"), (24, 7001), ((1, 2, 3), (200, 100, 0)))
    assert np.asarray(large.read(numbers).image()).tolist() == [[24, 7001]]


def test_areas_are_shares_of_the_pixels_largest_first():
    answer = OUTPUT.read(np.array([[2, 2, 2, 0]], dtype=np.uint8))
    assert list(answer.areas.items()) == [("blue", 0.75), ("red", 0.25), ("green", 0.0)]
    assert str(answer) == "blue 75.0 %  red 25.0 %  green 0.0 %"


@pytest.mark.parametrize("name", ["road", "猫", "<script>", "x" * 80])
def test_the_picture_is_coloured_in_and_has_a_legend_below(name):
    output = MaskOutput((name, "sky"), (0, 1), ((255, 0, 0), (0, 0, 255)))
    picture = Image.new("RGB", (60, 40), "white")
    answer = output.read(np.zeros((40, 60), dtype=np.uint8))
    assert answer.overlay(picture, legend=False).getpixel((5, 5)) in [(255, 127, 127), (255, 128, 128)]
    whole = answer.overlay(picture)
    assert whole.width == 60
    assert whole.height > 40
    assert (255, 0, 0) in [colour for _, colour in whole.crop((0, 40, *whole.size)).getcolors(100000)]


def test_input_and_output_survive_their_cards():
    for written in (SegmentationInput(180, 16), SegmentationInput(0)):
        assert SegmentationInput.from_card(json.loads(json.dumps(written.card()))) == written
    assert MaskOutput.from_card(json.loads(json.dumps(OUTPUT.card()))) == OUTPUT
