"""From found items to labelled pictures: what cannot be used is set aside and named, twins stay on one side."""

import shutil
from functools import partial

import numpy as np
import pytest
import torch
from fastai.learner import load_learner
from helpers.image_samples import draw_shape, make_shapes
from PIL import Image

from recipes.image_classification import build_learner
from toolkit.converters import IMAGE_SUFFIXES, read_image
from toolkit.data import find_items
from toolkit.data.images.labelled import labelled_images
from toolkit.data.images.reading import read_items
from toolkit.data.reading import PIXEL_BUDGET
from toolkit.data.splitting import SplitOptions
from toolkit.errors import DataError
from toolkit.evaluation import evaluate
from toolkit.learning.fitting import fit


def gather(folder, seed=42, **options):
    return labelled_images(find_items(folder, IMAGE_SUFFIXES), split=SplitOptions(seed=seed), **options)


def test_every_item_has_a_part_and_its_pixels(shapes):
    labelled = gather(shapes)
    assert labelled.classes == ("box", "cross", "disc")
    assert labelled.table.split.value_counts().to_dict() == {"train": 42, "test": 12, "valid": 6}
    assert labelled.pixels.shape == (60, 32, 32, 3)
    for row in (0, 31, 59):
        assert np.array_equal(labelled.pixels[row], np.asarray(read_image(labelled.table.path[row])))


def test_bad_files_are_set_aside_each_with_its_reason(shapes):
    (shapes / "box" / "empty.png").write_bytes(b"")
    (shapes / "box" / "text.jpg").write_text("no picture")
    whole = (shapes / "disc" / "disc_000.png").read_bytes()
    (shapes / "disc" / "half.png").write_bytes(whole[: len(whole) // 2])
    labelled = gather(shapes)
    assert len(labelled.table) == 60
    reasons = {item.rsplit("/", 1)[1]: reason for item, reason in labelled.rejected}
    assert reasons.keys() == {"empty.png", "text.jpg", "half.png"}
    assert "0 bytes" in reasons["empty.png"]
    assert "truncated" in reasons["half.png"]
    assert "set aside 3" in labelled.describe()
    with pytest.raises(DataError, match="strict"):
        gather(shapes, strict=True)


@pytest.mark.parametrize("seed", range(3))
def test_identical_pixels_stay_on_one_side_whatever_the_file_format(shapes, seed):
    for number in range(10):
        Image.open(shapes / "box" / f"box_{number:03d}.png").save(shapes / "box" / f"copy_{number:03d}.bmp")
    table = gather(shapes, seed=seed).table
    part = {path.name: split for path, split in zip(table.path, table.split, strict=True)}
    assert all(part[f"box_{number:03d}.png"] == part[f"copy_{number:03d}.bmp"] for number in range(10))


def test_items_never_change_and_give_the_same_twice(shapes, tmp_path):
    data = tmp_path / "parted"
    shutil.copytree(shapes, data / "train")
    make_shapes(data / "test", 4, ("box", "disc", "star"), seed=9)
    shutil.copy(data / "test" / "box" / "box_000.png", data / "train" / "box" / "leak.png")
    (data / "train" / "box" / "empty.png").write_bytes(b"")
    items = find_items(data, IMAGE_SUFFIXES)
    table, rejected, notes = items.table.copy(), list(items.rejected), list(items.notes)
    first, second = labelled_images(items), labelled_images(items)
    assert items.table.equals(table)
    assert (items.rejected, items.notes) == (rejected, notes)
    assert len(first.rejected) == 6  # the empty one, the leak, and four stars
    assert first.table.equals(second.table)
    assert np.array_equal(first.pixels, second.pixels)
    assert (first.rejected, first.notes, first.classes) == (second.rejected, second.notes, second.classes)
    for row in (0, 30, len(first.table) - 1):
        assert np.array_equal(first.pixels[row], np.asarray(read_image(first.table.path[row])))


def test_near_twins_are_reported_and_kept_together_when_asked(tmp_path):
    folder = make_shapes(tmp_path, 20, size=64)
    for number in range(20):
        image = Image.open(folder / "disc" / f"disc_{number:03d}.png")
        image.save(folder / "disc" / f"again_{number:03d}.jpg", quality=90)

    def torn(labelled):
        part = {path.name: split for path, split in zip(labelled.table.path, labelled.table.split, strict=True)}
        return sum(part[f"disc_{n:03d}.png"] != part[f"again_{n:03d}.jpg"] for n in range(20))

    apart, together = gather(folder), gather(folder, group_near=True)
    assert torn(apart) > 0
    assert any("near twins" in note and "--group-near" in note for note in apart.notes)
    assert torn(together) == 0


def test_a_copy_of_a_given_test_picture_leaves_the_training_side(shapes, tmp_path):
    data = tmp_path / "parted"
    for name in ("box", "cross", "disc"):
        for number, path in enumerate(sorted((shapes / name).iterdir())):
            target = data / ("test" if number < 5 else "train") / name
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
    shutil.copy(data / "test" / "box" / "box_000.png", data / "train" / "box" / "leak.png")
    labelled = gather(data)
    assert [(item.rsplit("/", 1)[1], reason) for item, reason in labelled.rejected] == [
        ("leak.png", "the same picture stands in the test or valid part")
    ]
    assert (labelled.table.split == "test").sum() == 15


def test_a_class_that_is_only_tested_is_set_aside(shapes, tmp_path):
    data = tmp_path / "parted"
    shutil.copytree(shapes, data / "train")
    make_shapes(data / "test", 4, ("box", "star"), seed=9)
    labelled = gather(data)
    assert labelled.classes == ("box", "cross", "disc")
    assert {reason for _, reason in labelled.rejected} == {"its class has no training item"}
    assert len(labelled.pixels) == len(labelled.table)


def test_one_class_or_nothing_is_an_error(tmp_path):
    with pytest.raises(DataError, match=r"only one class \('box'\).*two or more classes"):
        gather(make_shapes(tmp_path / "one", 5, ("box",)))
    (tmp_path / "bad" / "a").mkdir(parents=True)
    (tmp_path / "bad" / "a" / "1.png").write_bytes(b"")
    with pytest.raises(DataError, match="nothing is left to learn from.*0 bytes"):
        gather(tmp_path / "bad")


def test_a_class_of_a_single_picture_is_learnt_but_said_to_be_untested(shapes):
    (shapes / "star").mkdir()
    draw_shape("cross", np.random.default_rng(5)).save(shapes / "star" / "1.png")
    labelled = gather(shapes)
    assert "star" in labelled.classes
    assert any("no test item of star" in note for note in labelled.notes)


def test_the_usual_size_follows_the_pictures(tmp_path):
    assert gather(make_shapes(tmp_path / "tiny", 4, size=10)).size == (32, 32)
    assert gather(make_shapes(tmp_path / "middle", 4, size=50)).size == (48, 48)
    assert gather(make_shapes(tmp_path / "large", 4, size=200)).size == (128, 128)
    assert gather(make_shapes(tmp_path / "own", 4, size=50), size=40).pixels.shape[1:] == (40, 40, 3)


def test_a_near_twin_of_a_given_test_picture_leaves_the_training_side_when_asked(tmp_path):
    make_shapes(tmp_path / "train", 10, size=64)
    make_shapes(tmp_path / "test", 4, size=64, seed=8)
    Image.open(tmp_path / "train" / "box" / "box_000.png").save(tmp_path / "test" / "box" / "near.jpg", quality=90)
    assert any("across the split; --group-near" in note for note in gather(tmp_path).notes)
    together = gather(tmp_path, group_near=True)
    assert "box_000.png" in [item.rsplit("/", 1)[1] for item, _ in together.rejected]
    assert not any("across the split" in note for note in together.notes)


def test_repeated_pictures_are_no_near_twins(tmp_path):
    folder = make_shapes(tmp_path, 10, size=64)
    before = [note for note in gather(folder).notes if "near twins" in note]
    for number in range(10):
        shutil.copy(folder / "box" / "box_000.png", folder / "box" / f"again_{number}.png")
    notes = gather(folder).notes
    assert any(note.startswith("10 repeated pictures") for note in notes)
    assert len([note for note in notes if "near twins" in note]) == len(before)


def test_a_test_part_without_any_learnable_class_is_an_error(tmp_path):
    make_shapes(tmp_path / "train", 10, ("box", "cross"))
    make_shapes(tmp_path / "test", 4, ("disc",), seed=8)
    with pytest.raises(DataError, match="nothing is left for test"):
        gather(tmp_path)


@pytest.mark.parametrize("options", [{"size": -5}, {"size": 4}, {"seed": -1}, {"resize": "stretch"}])
def test_numbers_out_of_range_are_clear_errors(shapes, options):
    with pytest.raises(DataError, match="expected|choose from"):
        gather(shapes, **options)


def test_pictures_too_many_to_keep_train_to_the_same_network(shapes, monkeypatch):
    results = []
    for budget in (PIXEL_BUDGET, 0):
        monkeypatch.setattr("toolkit.data.images.labelled.read_items", partial(read_items, budget=budget))
        learn = build_learner(shapes, batch_size=16)
        assert (learn.dls.labelled.pixels is None) == (budget == 0)
        fit(learn, epochs=2, lr=3e-3)
        results.append((learn.model.state_dict(), evaluate(learn).to_json()))
    (kept, scores), (read_again, scores_again) = results
    assert all(torch.equal(value, read_again[name]) for name, value in kept.items())
    assert scores == scores_again


def test_what_a_fastai_user_knows_still_works(shapes, tmp_path):
    learn = build_learner(shapes, batch_size=16)
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(1, 3e-3)
        learn.dls.show_batch(max_n=4)
        learn.show_results(max_n=4)
        wanted = learn.predict(shapes / "box" / "box_000.png")
        learn.export(tmp_path / "learner.pkl")
        again = load_learner(tmp_path / "learner.pkl")
    with again.no_bar(), again.no_logging():
        assert again.predict(shapes / "box" / "box_000.png")[0] == wanted[0]
