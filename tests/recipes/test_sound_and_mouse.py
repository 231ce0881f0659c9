"""The sound and the mouse recipe, as scripts and from Python, on a part of the sample data."""

import json
import shutil
import subprocess
import sys

import pytest
from helpers import ROOT

from recipes.mouse_classification import build_learner as build_mouse
from recipes.sound_classification import build_learner as build_sound
from toolkit.errors import DataError, ToolkitError
from toolkit.learning.images.spectrogram_augment import SpectrogramWarp

SAMPLES = ROOT / "sample_data"


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    """Two words by eight voices, and files that are no sounds."""
    folder = tmp_path_factory.mktemp("words") / "words"
    for word in ("ai", "ua"):
        (folder / word).mkdir(parents=True)
        for path in (SAMPLES / "sounds" / word).glob("*_0[0-2].wav"):
            shutil.copy(path, folder / word)
        for number in range(30):
            (folder / word / f"notes_{number}.txt").write_text("no sound")
    (folder / "ai" / "ai_voice1_99.wav").write_text("no sound either")
    return folder


def script(recipe, *arguments, cwd=ROOT):
    command = [sys.executable, "-m", f"recipes.{recipe}", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=cwd)


def test_the_sound_script_goes_the_whole_road(words, tmp_path):
    run = tmp_path / "run"
    done = script("sound_classification", words, "--group-by", r"_(voice\d+)_", "--epochs", 2, "--lr", 0.003, "--run", run)
    assert done.returncode == 0, done.stderr
    assert "60 files of other kinds left out (.txt)" in done.stdout
    assert "ai_voice1_99.wav: not a sound that libsndfile reads" in done.stdout
    assert "MFCC statistics + SVM" in done.stdout
    assert "the split matters: MFCC statistics + SVM" in done.stdout
    assert json.loads((run / "scores.json").read_text())["task"] == "sound_classification"
    heard = subprocess.run(
        [sys.executable, str(run / "program.pyz"), str(SAMPLES / "sounds" / "ai" / "ai_voice1_00.wav")],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert heard.stdout.split()[1] in ("ai", "ua")
    assert script("sound_classification", words, "--run", run).returncode == 1


def test_the_mouse_script_goes_the_whole_road(tmp_path):
    for shape in ("circle", "zigzag"):
        shutil.copytree(SAMPLES / "mouse" / "gestures" / shape, tmp_path / "logs" / shape)
    with open(tmp_path / "logs" / "circle" / "circle_user1_00.csv", "a") as log:
        log.write("99.0,65535,65535,NoButton,Move\n99.1,65535,65535,NoButton,Move\n")
    (tmp_path / "logs" / "circle" / "circle_user1_99.csv").write_text("time,x,y\n0,5,5\n1,5,5\n")
    done = script(
        "mouse_classification", tmp_path / "logs", "--group-by", r"_(user\d+)_", "--epochs", 2, "--lr", 0.003,
        "--augment", "mirror-scale", "--run", tmp_path / "run",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "circle_user1_99.csv: no movement" in done.stdout
    assert "rows left out in 1 of 96 logs: 2 off the screen" in done.stdout
    assert "kinematic features + random forest" in done.stdout
    assert "the split matters" in done.stdout


def test_labels_come_from_file_names_and_from_csvs_too(words, tmp_path):
    by_name = build_sound(words, label_re=r"^(\w\w)_", cache="none")
    assert by_name.dls.labelled.classes == ("ai", "ua")
    rows = [f"{path},{path.parent.name}" for path in sorted(words.rglob("*.wav"))]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *rows]))
    by_csv = build_sound(tmp_path / "labels.csv", cache="none")
    assert len(by_csv.dls.labelled.table) == len(by_name.dls.labelled.table) == 48


def test_spectrograms_are_warped_and_masked_and_tracks_only_mirrored_where_asked(words):
    def steps(learn):
        return [type(tfm).__name__ for tfm in learn.dls.train.after_batch.fs]

    assert SpectrogramWarp.__name__ in steps(build_sound(words, cache="none"))
    assert not {"Flip", "AffineCoordTfm", "SpectrogramWarp"} & set(steps(build_mouse(SAMPLES / "mouse" / "gestures")))
    assert "Flip" in str(build_mouse(SAMPLES / "mouse" / "gestures", augment="mirror").dls.train.after_batch)


def test_the_rate_is_that_of_the_recordings(words):
    sound = build_sound(words, cache="none").dls.labelled.image_input.converter
    assert (sound.rate, sound.fft, sound.hop) == (8000, 256, 64)
    assert build_sound(words, rate=16_000, cache="none").dls.labelled.image_input.converter.rate == 16_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": "stereo"}, "channels 'stereo'; choose from plain, deltas, resolutions"),
        ({"fmax": 9000.0}, "fmax 9000.0; expected a number from 1 to 4000"),
        ({"augment": "flip"}, "augment 'flip'; choose from"),
        ({"arch": "resnet1"}, "resnet1"),
        ({"window": -1.0}, "duration -1.0"),
        ({"window": 1.0, "duration": 2.0}, "both say how many seconds are seen at once"),
    ],
)
def test_options_that_make_no_sense_are_refused(words, options, message):
    with pytest.raises(ToolkitError, match=message):
        build_sound(words, cache="none", **options)


def test_a_folder_without_any_sound_is_refused():
    with pytest.raises(DataError, match="no file ends in one of .wav"):
        build_sound(SAMPLES / "digits")
