"""The samples are what the scripts beside them make, to the byte, and are complete: every class by every voice and user."""

import csv
import filecmp
import subprocess
import sys
import wave
from collections import Counter

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

SAMPLES = ROOT / "sample_data"


@pytest.mark.parametrize(
    ("script", "folder", "count"),
    [
        ("make.py", "digits", 1797),
        ("make_sounds.py", "sounds", 480),
        ("make_mouse.py", "mouse", 288 + 36),
        ("make_roads.py", "roads", 240 + 240 + 1),
    ],
)
def test_making_the_samples_again_gives_the_committed_files(script, folder, count, tmp_path):
    subprocess.run([sys.executable, str(SAMPLES / script), str(tmp_path)], check=True, capture_output=True)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    kept = sorted(path.relative_to(SAMPLES) for path in (SAMPLES / folder).rglob("*") if path.is_file())
    assert [path for path in made if path.parts[0] == folder] == kept
    assert len(kept) == count
    _, differing, missing = filecmp.cmpfiles(tmp_path, SAMPLES, [str(path) for path in made], shallow=False)
    assert (differing, missing) == ([], [])


def test_every_word_is_said_ten_times_by_every_voice():
    files = list((SAMPLES / "sounds").glob("*/*.wav"))
    takes = Counter((path.parent.name, *path.stem.split("_")[:2]) for path in files)
    words, voices = ("ai", "au", "ia", "iu", "ua", "ui"), [f"voice{number}" for number in range(1, 9)]
    assert takes == {(word, word, voice): 10 for word in words for voice in voices}


def test_sounds_are_short_mono_and_neither_silent_nor_clipped():
    for path in (SAMPLES / "sounds").glob("*/*.wav"):
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8000, 1, 2), path
        assert 0.3 <= len(samples) / 8000 <= 0.8, path
        assert 4000 < np.abs(samples.astype(int)).max() < 32767, path


def test_the_long_recording_is_loud_where_its_table_says_and_quiet_elsewhere():
    with wave.open(str(SAMPLES / "sound_long.wav")) as file:
        sound = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    with (SAMPLES / "sound_long.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["label"] for row in rows) == dict.fromkeys(("ai", "au", "ia", "iu", "ua", "ui"), 3)
    spoken = np.zeros(len(sound), bool)
    for row in rows:
        spoken[round(8000 * float(row["start"])) : round(8000 * float(row["stop"]))] = True
    assert sound[spoken].std() > 20 * sound[~spoken].std()


def test_every_user_draws_every_gesture_and_works_six_sessions():
    users = [f"user{number}" for number in range(1, 7)]
    shapes = ("check", "circle", "spiral", "square", "swipe", "zigzag")
    drawn = Counter((path.parent.name, *path.stem.split("_")[:2]) for path in (SAMPLES / "mouse/gestures").glob("*/*.csv"))
    assert drawn == {(shape, shape, user): 8 for shape in shapes for user in users}
    worked = {(path.parent.name, path.name) for path in (SAMPLES / "mouse/users").glob("*/*.csv")}
    assert worked == {(user, f"session_{number}.csv") for user in users for number in range(1, 7)}


def test_mouse_logs_ascend_in_time_stay_on_the_screen_and_release_what_they_press():
    for path in (SAMPLES / "mouse").rglob("*.csv"):
        with path.open() as file:
            header, *rows = csv.reader(file)
        assert header == ["time", "x", "y", "button", "state"], path
        time, x, y = (np.array([float(row[column]) for row in rows]) for column in range(3))
        assert (np.diff(time) > 0).all(), path
        assert 0 <= x.min() <= x.max() < 1600, path
        assert 0 <= y.min() <= y.max() < 900, path
        assert {row[3] for row in rows} <= {"NoButton", "Left", "Right", "Scroll"}, path
        states = Counter(row[4] for row in rows)
        assert set(states) <= {"Move", "Drag", "Pressed", "Released", "Down", "Up"}, path
        assert states["Pressed"] == states["Released"] > 0, path
        if path.parent.parent.name == "users":
            assert 1500 <= len(rows) < 2000, path


def test_every_drive_has_eight_frames_and_every_frame_its_mask():
    pictures, masks = ([path.stem for path in (SAMPLES / "roads" / name).iterdir()] for name in ("images", "masks"))
    assert sorted(pictures) == sorted(masks) == [f"drive{drive:02d}_{frame}" for drive in range(30) for frame in range(8)]


def test_masks_have_the_size_of_their_picture_and_hold_numbers_of_classes_only():
    codes = (SAMPLES / "roads" / "codes.txt").read_text().split()
    assert codes == ["sky", "building", "tree", "road", "car"]
    shown = Counter()
    for path in (SAMPLES / "roads" / "masks").iterdir():
        with Image.open(path) as mask, Image.open(SAMPLES / "roads" / "images" / f"{path.stem}.jpg") as picture:
            assert (mask.mode, picture.mode, mask.size, picture.size) == ("P", "RGB", (128, 96), (128, 96)), path
            shown.update(np.unique(mask).tolist())
    assert set(shown) == set(range(len(codes)))
    assert min(shown[number] for number in range(4)) == 240
    assert shown[codes.index("car")] > 0.85 * 240
