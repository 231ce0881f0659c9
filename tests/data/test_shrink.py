"""A tree of photos shrunk once: what is made, what is kept, what is left alone, and what a stop at any moment leaves."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from helpers.image_samples import draw_photo
from PIL import Image

from toolkit.converters import fit_image, read_image
from toolkit.data.shrink import shrink_one, shrink_tree
from toolkit.errors import ConversionError, DataError, RunError
from toolkit.files import PART, locked

resource = pytest.importorskip("resource", reason="kills and full disks are made with POSIX means")


def shrink(*arguments, **options):
    command = [sys.executable, "-m", "toolkit.data.shrink", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120, **options)


def test_a_tree_keeps_its_names_and_proportions(photos, tmp_path):
    draw_photo(size=(500, 1000)).save(photos / "left" / "tall.png")
    outcome = shrink_tree(photos, tmp_path / "small", size=100)
    assert outcome.counts == {"shrunk": 9}
    made = tmp_path / "small"
    assert {p.relative_to(made) for p in made.rglob("*.*g")} == {p.relative_to(photos) for p in photos.rglob("*.*g")}
    assert Image.open(made / "left" / "tall.png").size == (100, 200)
    assert Image.open(made / "left" / "tall.png").format == "PNG"
    assert Image.open(made / "right" / "1.jpg").size == (150, 100)


def test_small_pictures_are_copied_to_the_byte(shapes, tmp_path):
    assert shrink_tree(shapes, tmp_path / "small", size=32).counts == {"already small": 60}
    name = "box/box_003.png"
    assert (tmp_path / "small" / name).read_bytes() == (shapes / name).read_bytes()


def test_every_format_that_is_read_can_be_written(tmp_path):
    for suffix in ("jpg", "jpeg", "jfif", "png", "bmp", "gif", "tif", "tiff", "webp", "ppm", "pgm", "pbm"):
        kind = {"jpg": "jpeg", "jfif": "jpeg", "tif": "tiff", "pgm": "ppm", "pbm": "ppm"}.get(suffix, suffix)
        (tmp_path / "all").mkdir(exist_ok=True)
        draw_photo().save(tmp_path / "all" / f"x.{suffix}", kind)
    assert shrink_tree(tmp_path / "all", tmp_path / "small", size=64).counts == {"shrunk": 12}
    whole = np.asarray(fit_image(draw_photo(), (64, 96))).astype(int)
    for path in (tmp_path / "small").glob("x.*"):
        assert np.abs(np.asarray(read_image(path)).astype(int) - whole).mean() < 12, path  # a GIF holds 256 colours


def test_again_does_only_what_changed(photos, tmp_path):
    small = tmp_path / "small"
    shrink_tree(photos, small, size=100)
    assert shrink_tree(photos, small, size=100).counts == {"up to date": 8}
    draw_photo(99).save(photos / "left" / "0.jpg")
    (small / "right" / "1.jpg").unlink()
    assert shrink_tree(photos, small, size=100).counts == {"up to date": 6, "shrunk": 2}
    assert shrink_tree(photos, small, size=50).counts == {"shrunk": 8}


def test_what_has_gone_goes(photos, tmp_path):
    small = tmp_path / "small"
    shrink_tree(photos, small, size=100)
    (photos / "left" / "0.jpg").rename(photos / "right" / "0.jpg")
    (photos / "left" / "2.jpg").write_bytes(b"damaged by now")
    outcome = shrink_tree(photos, small, size=100)
    assert outcome.counts == {"up to date": 6, "shrunk": 1, "removed": 2}
    assert {path.name for path in small.rglob("*.jpg")} == {f"{number}.jpg" for number in range(8) if number != 2}
    assert (small / "right" / "0.jpg").exists()


def test_a_folder_of_somebody_elses_files_is_not_written_into(photos, shapes, tmp_path):
    before = (photos / "left" / "0.jpg").read_bytes()
    shrink_tree(shapes, tmp_path / "small", size=32)
    for source, target in ((shapes, photos), (tmp_path / "small", photos), (tmp_path / "small", shapes)):
        with pytest.raises(DataError, match="files that this command did not make"):
            shrink_tree(source, target, size=16)
    with pytest.raises(DataError, match="holds what was made of .*shapes.*: name another folder"):
        shrink_tree(photos, tmp_path / "small", size=32)
    (tmp_path / "link").symlink_to(photos)
    with pytest.raises(DataError, match="name a folder other than"):
        shrink_tree(photos, tmp_path / "link", size=16)
    assert (photos / "left" / "0.jpg").read_bytes() == before


def test_a_file_that_somebody_put_into_the_target_stays(photos, tmp_path):
    shrink_tree(photos, tmp_path / "small", size=100)
    (tmp_path / "small" / "left" / "mine.jpg").write_bytes(b"mine")
    draw_photo(9).save(photos / "left" / "mine.jpg")
    outcome = shrink_tree(photos, tmp_path / "small", size=100)
    assert outcome.counts == {"up to date": 8}
    assert "which this command did not make" in outcome.failed[0][1]
    (photos / "left" / "mine.jpg").unlink()
    shrink_tree(photos, tmp_path / "small", size=100)
    assert (tmp_path / "small" / "left" / "mine.jpg").read_bytes() == b"mine"


def test_a_result_made_just_before_a_kill_is_not_taken_for_an_earlier_one(photos, tmp_path, monkeypatch):
    small = tmp_path / "small"
    shrink_tree(photos, small, size=100)

    def killed(item, path, size):
        shrink_one(item, path, size=size)
        raise KeyboardInterrupt

    monkeypatch.setattr("toolkit.data.shrink.shrink_one", killed)
    with pytest.raises(KeyboardInterrupt):
        shrink_tree(photos, small, size=50, jobs=1)
    monkeypatch.undo()
    shrink_tree(photos, small, size=100)
    assert {min(Image.open(path).size) for path in small.rglob("*.jpg")} == {100}


def test_work_in_hand_ends_before_the_folder_is_let_go_of(photos, tmp_path, monkeypatch):
    (photos / "left" / "0.jpg").write_bytes(b"")
    at_work = []

    def slow(item, path, size):
        if item.name == "0.jpg":
            time.sleep(0.05)
        else:
            at_work.append(item)
            time.sleep(0.3)
            at_work.remove(item)
        return shrink_one(item, path, size=size)

    monkeypatch.setattr("toolkit.data.shrink.shrink_one", slow)
    with pytest.raises(ConversionError):
        shrink_tree(photos, tmp_path / "small", size=100, jobs=4, strict=True)
    assert at_work == []


def test_a_folder_that_cannot_be_listed_is_not_taken_for_empty(photos, tmp_path, monkeypatch):
    small, scandir = tmp_path / "small", os.scandir
    shrink_tree(photos, small, size=100)

    def refuse(path):
        if Path(path).name == "left":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match="left: cannot be looked into"):
        shrink_tree(photos, small, size=100)
    monkeypatch.undo()
    assert len(list(small.rglob("*.jpg"))) == 8


def test_a_file_that_became_a_folder_takes_two_passes(photos, tmp_path):
    small = tmp_path / "small"
    shrink_tree(photos, small, size=100)
    (photos / "left" / "0.jpg").rename(tmp_path / "aside.jpg")
    (photos / "left" / "0.jpg").mkdir()
    (tmp_path / "aside.jpg").rename(photos / "left" / "0.jpg" / "x.jpg")
    assert "a file stands where a folder should be" in shrink_tree(photos, small, size=100).failed[0][1]
    assert shrink_tree(photos, small, size=100).failed == []
    assert (small / "left" / "0.jpg" / "x.jpg").exists()


def test_a_link_to_a_folder_beside_it_does_not_rename_it(photos, tmp_path):
    (photos / "best").symlink_to(photos / "left")
    shrink_tree(photos, tmp_path / "small", size=100)
    assert {path.name for path in (tmp_path / "small").iterdir() if path.is_dir()} == {"left", "right"}


def test_linked_folders_and_long_names_are_shrunk_too(photos, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "left").symlink_to(photos / "left")
    shutil.copy(photos / "left" / "0.jpg", tmp_path / "data" / ("猫" * 80 + ".jpg"))
    assert shrink_tree(tmp_path / "data", tmp_path / "small", size=100).counts == {"shrunk": 5}


def test_a_name_that_is_no_text_is_listed(photos, tmp_path):
    try:
        shutil.copy(photos / "left" / "0.jpg", os.fsencode(photos) + b"/left/bad\xff.jpg")
    except OSError:
        pytest.skip("this file system holds only names that are text")
    outcome = shrink_tree(photos, tmp_path / "small", size=100)
    assert outcome.counts == {"shrunk": 8}
    assert "not valid UTF-8" in outcome.failed[0][1]
    assert "bad" in (tmp_path / "small" / "failed.csv").read_text()


def test_a_record_that_is_damaged_is_named(photos, tmp_path):
    shrink_tree(photos, tmp_path / "small", size=100)
    record = tmp_path / "small" / ".done.sqlite"
    record.write_bytes(record.read_bytes()[:4096] + bytes(range(256)) * 32)
    with pytest.raises(RunError, match=r"\.done\.sqlite: damaged .*name a new folder"):
        shrink_tree(photos, tmp_path / "small", size=100)


def test_a_photo_of_a_hundred_megapixels_is_shrunk(tmp_path):
    (tmp_path / "photos").mkdir()
    Image.new("RGB", (12_000, 9_000), "teal").save(tmp_path / "photos" / "large.jpg")
    Image.new("RGB", (12_000, 9_000), "teal").save(tmp_path / "photos" / "large.png", compress_level=1)
    with pytest.warns(Image.DecompressionBombWarning):
        outcome = shrink_tree(tmp_path / "photos", tmp_path / "small", size=100)
    assert outcome.counts == {"shrunk": 1}
    assert outcome.failed == [(str(tmp_path / "photos" / "large.png"), "108 megapixels, more than 89: save it smaller")]


def test_a_bad_file_is_listed_and_stops_nothing(photos, tmp_path):
    whole = (photos / "left" / "0.jpg").read_bytes()
    (photos / "left" / "half.jpg").write_bytes(whole[: len(whole) // 2])
    (photos / "left" / "none.jpg").write_bytes(b"")
    done = shrink(photos, tmp_path / "small", "--size", 64)
    assert done.returncode == 1
    assert "8 shrunk" in done.stdout
    assert "2 set aside" in done.stderr
    listed = (tmp_path / "small" / "failed.csv").read_text()
    assert "half.jpg" in listed
    assert "none.jpg,empty (0 bytes)" in listed
    assert not (tmp_path / "small" / "left" / "half.jpg").exists()
    for target in ("strict", "small"):
        with pytest.raises(ConversionError, match=r"half\.jpg|none\.jpg"):
            shrink_tree(photos, tmp_path / target, size=64, strict=True)
    assert (tmp_path / "small" / "failed.csv").exists()
    for name in ("half.jpg", "none.jpg"):
        (photos / "left" / name).unlink()
    assert shrink(photos, tmp_path / "small", "--size", 64).returncode == 0
    assert not (tmp_path / "small" / "failed.csv").exists()


def test_a_target_inside_the_source_is_not_shrunk_again(photos):
    for _ in range(2):
        outcome = shrink_tree(photos, photos / "small", size=64)
        assert sum(outcome.counts.values()) == 8


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nowhere", "small"], 1, "nowhere: no such folder"),
        (["PHOTOS", "PHOTOS"], 1, "name a folder other than"),
        (["PHOTOS"], 2, "usage:"),
        (["PHOTOS", "small", "--size", "2"], 1, "expected 8 pixels or more"),
        (["PHOTOS", "small", "--size", "big"], 2, "invalid int value"),
    ],
)
def test_wrong_arguments_are_said_in_one_line(photos, arguments, status, words):
    done = shrink(*(photos if word == "PHOTOS" else word for word in arguments))
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_kill_leaves_whole_pictures_and_the_same_command_goes_on(tmp_path):
    (tmp_path / "photos").mkdir()
    draw_photo(size=(1800, 1200)).save(tmp_path / "photos" / "0.png", compress_level=0)
    for number in range(1, 60):
        shutil.copy(tmp_path / "photos" / "0.png", tmp_path / "photos" / f"{number}.png")
    small = tmp_path / "small"
    command = [sys.executable, "-m", "toolkit.data.shrink", str(tmp_path / "photos"), str(small), "--size", "400"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None and len(list(small.glob("*.png"))) < 5:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    made = list(small.glob("*.png"))
    assert 5 <= len(made) < 60
    assert all(Image.open(path).convert("RGB").size == (600, 400) for path in made)

    outcome = shrink_tree(tmp_path / "photos", small, size=400)
    assert outcome.counts["up to date"] == len(made)
    assert len(list(small.glob("*.png"))) == 60
    assert not list(small.rglob("*" + PART))


def test_two_at_once_are_kept_apart(photos, tmp_path):
    with locked(tmp_path / "small"):
        done = shrink(photos, tmp_path / "small")
        assert done.returncode == 1
        assert "another process is writing there" in done.stderr
    assert shrink(photos, tmp_path / "small").returncode == 0


def test_a_full_disk_is_said_and_leaves_no_half_picture(photos, tmp_path):
    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, 16_384))

    Image.effect_noise((900, 600), 100).save(photos / "noise.jpg")
    done = shrink(photos, tmp_path / "small", "--size", 500, preexec_fn=little_room)
    assert done.returncode == 1
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "small" / "noise.jpg").exists()
    assert not list((tmp_path / "small").rglob("*" + PART))
