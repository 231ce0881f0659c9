"""Large photos: decoded at a fraction of their size, by training and program alike, and kept shrunk between runs."""

from pathlib import Path

import numpy as np
import pytest
from helpers.image_samples import draw_photo, draw_shape, make_shapes
from PIL import Image

from recipes.image_classification import build_learner
from toolkit.converters import read_image
from toolkit.data.images.cache import ImageCache
from toolkit.errors import DataError
from toolkit.export import export
from toolkit.program.images.inputs import ImageInput


def test_scale_on_load_hardly_changes_what_is_learnt_from(tmp_path):
    draw_photo().save(tmp_path / "x.jpg", quality=95)
    whole, scaled = (ImageInput((64, 64), scale_on_load=on) for on in (False, True))
    assert scaled.read(tmp_path / "x.jpg").size == (225, 150)
    assert whole.read(tmp_path / "x.jpg").size == (900, 600)
    apart = scaled.prepare(tmp_path / "x.jpg").astype(int) - whole.prepare(tmp_path / "x.jpg")
    assert np.abs(apart).mean() < 1


def test_scale_on_load_keeps_a_turned_photo_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    draw_photo().save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg", at_least=128).size == (150, 225)


def test_a_program_made_before_scale_on_load_reads_as_it_did():
    card = ImageInput((64, 64)).card()
    assert ImageInput.from_card(card).scale_on_load
    del card["scale_on_load"]
    assert not ImageInput.from_card(card).scale_on_load


def test_large_pictures_are_decoded_once_for_all_runs(tmp_path, monkeypatch):
    photos = make_shapes(tmp_path / "photos", 10, size=160)
    options = {"size": 32, "cache": tmp_path / "cache"}
    first = build_learner(photos, **options).dls.labelled
    assert any("kept shrunk" in note for note in first.notes)

    monkeypatch.setattr(ImageInput, "read", lambda *_: pytest.fail("read again"))
    second = build_learner(photos, **options).dls.labelled
    assert np.array_equal(first.pixels, second.pixels)
    assert first.table.equals(second.table)


def test_a_cache_entry_that_is_damaged_or_of_another_content_is_not_used(tmp_path):
    photos = make_shapes(tmp_path / "photos", 10, size=160)
    options = {"size": 32, "cache": tmp_path / "cache"}
    first = build_learner(photos, **options).dls.labelled
    entry = next((tmp_path / "cache").rglob("*.png"))
    entry.write_bytes(entry.read_bytes()[:100])
    draw_shape("disc", np.random.default_rng(7), 160).save(first.table.path[0])
    again = build_learner(photos, **options).dls.labelled
    assert np.array_equal(first.pixels[1:], again.pixels[1:])
    assert not np.array_equal(first.pixels[0], again.pixels[0])
    assert np.array_equal(again.pixels[0], again.image_input.prepare(first.table.path[0]))


def test_a_cache_that_cannot_be_written_is_told_and_stops_nothing(tmp_path):
    photos = make_shapes(tmp_path / "photos", 10, size=160)
    (tmp_path / "file").write_text("in the way")
    labelled = build_learner(photos, size=32, cache=tmp_path / "file" / "cache").dls.labelled
    assert any("not kept for the next run: cannot write" in note for note in labelled.notes)
    assert np.array_equal(labelled.pixels[0], labelled.image_input.prepare(labelled.table.path[0]))
    with pytest.raises(DataError, match="expected a folder"):
        build_learner(photos, size=32, cache=tmp_path / "file")


def test_a_home_that_cannot_be_looked_into_stops_nothing(tmp_path, monkeypatch):
    photos = make_shapes(tmp_path / "photos", 10, size=160)
    monkeypatch.delenv("TOOLKIT_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert build_learner(photos, size=32).dls.labelled.cache is None
    monkeypatch.setattr(Path, "exists", lambda self: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    cache = ImageCache(tmp_path / "cache", ImageInput((32, 32)))
    assert "Permission denied" in cache.trouble


def test_small_pictures_need_no_cache(shapes, tmp_path):
    build_learner(shapes, cache=tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_the_program_of_large_photos_answers_as_the_learner(photos, tmp_path):
    for number in range(8, 40):
        draw_photo(number).save(photos / ("left", "right")[number % 2] / f"{number}.jpg")
    learn = build_learner(photos, size=32, cache=tmp_path / "cache")
    program = export(learn, tmp_path / "program.pyz")
    paths = learn.dls.labelled.table.path[:4]
    expected, _ = learn.get_preds(dl=learn.dls.test_dl(list(paths)))
    for path, row in zip(paths, expected, strict=True):  # the program reads the photos themselves
        found = program.predict(path).probabilities
        assert [found[name] for name in learn.dls.vocab] == pytest.approx(row.tolist(), abs=1e-3)
