"""Long recordings are learnt from window by window: no recording on two sides, and the program sees what training saw."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from helpers import ROOT
from helpers.sound_samples import write_recording

from recipes.mouse_classification import build_learner as mouse_learner
from recipes.sound_classification import build_learner
from toolkit.converters.sound import Sound
from toolkit.data.images.sounds import usual_sound
from toolkit.data.images.window_reader import Window, file_of
from toolkit.data.images.windows import labelled_windows
from toolkit.data.items import find_items
from toolkit.data.splitting import SplitOptions
from toolkit.errors import ConversionError, DataError, ToolkitError
from toolkit.evaluation import Scores, evaluate
from toolkit.evaluation.comparison import compare
from toolkit.evaluation.images.hand_crafted import mfcc_and_svm
from toolkit.evaluation.images.scores import predictions
from toolkit.program import load
from toolkit.program.images.inputs import ImageInput
from toolkit.program.outputs import aggregate
from toolkit.reports.images.explain import Explainer

RATE = 8000


def test_all_windows_of_a_recording_are_in_its_group_and_on_one_side(listener):
    table = listener[0].dls.labelled.table
    assert table.groupby("path").split.nunique().max() == 1
    assert (table.groupby("path").group.nunique() == 1).all()
    assert table.path.nunique() == 16
    assert set(table.split) == {"train", "valid", "test"}


def test_recordings_that_cannot_be_heard_are_set_aside(listener):
    reasons = {item.rpartition("/")[2]: reason for item, reason in listener[0].dls.labelled.rejected}
    assert reasons["text.wav"].startswith("not a sound that libsndfile reads")
    assert reasons["one.wav"].startswith("too short")


def test_whole_recordings_are_scored_beside_windows(listener):
    _, folder, scores = listener
    assert scores.n_whole < scores.n_test
    assert scores.whole["network"]["accuracy"].value == 1.0
    assert "MFCC statistics + SVM" in scores.whole
    assert scores.resampled == "groups"
    assert "too few to rely on" in scores.verdict
    assert {"start", "stop", "group"} <= set(scores.predictions)
    loaded = Scores.load(folder)
    assert (loaded.whole, loaded.gap, loaded.n_whole) == (scores.whole, scores.gap, scores.n_whole)


def test_the_report_has_whole_files_and_what_a_leaking_split_would_have_claimed(listener):
    page = (listener[1] / "report.html").read_text()
    assert "Whole files" in page
    assert "What leaking would have claimed" in page
    assert f"{listener[2].gap.random.value:.3f}" in page
    assert "sound classification" in page


def test_the_program_sees_the_windows_of_the_test(listener):
    learn, folder, _ = listener
    expected = predictions(learn, learn.dls[2])[0]
    program = load(folder / "program.pyz")
    items = list(learn.dls[2].dataset.items)
    for path in dict.fromkeys(map(file_of, items)):
        rows = [row for row, item in enumerate(items) if item.path == path]
        found = list(program.windows(path))
        assert [(start, stop) for start, stop, _ in found] == [(items[row].start, items[row].stop) for row in rows]
        assert np.abs(np.stack([answer for _, _, answer in found]) - expected[rows]).max() < 1e-4
        whole = program.predict(path)
        assert [moment.start for moment in whole.timeline] == [items[row].start for row in rows]
        assert whole.probabilities[whole.label] == pytest.approx(aggregate(expected[rows]).max(), abs=1e-3)


def test_the_command_line_of_the_program_prints_a_time_line(listener, recordings, tmp_path):
    mixed = np.concatenate([soundfile.read(recordings / label / f"{label}_7.wav")[0] for label in ("low", "high")])
    soundfile.write(tmp_path / "mixed.wav", mixed, RATE)

    def run(*arguments):
        command = [sys.executable, str(listener[1] / "program.pyz"), *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    told = json.loads(run("--json", "mixed.wav").stdout)
    assert [moment["label"] for moment in told["timeline"]][:3] == ["low"] * 3
    assert told["timeline"][-1]["label"] == "high"
    assert told["timeline"][-1]["stop"] == pytest.approx(7.5)
    lines = run("mixed.wav").stdout.splitlines()
    assert lines[1].split()[:5] == ["0.00", "to", lines[1].split()[2], "s", "low"]
    bad = run("mixed.wav", recordings / "low" / "text.wav")
    assert bad.returncode == 1
    assert "not a sound that libsndfile reads" in bad.stderr
    assert "numpy, pillow, onnxruntime, scipy, soundfile" in run("--about").stdout
    assert run("--selftest").returncode == 0


def test_one_window_of_a_recording_is_explained_with_its_like(listener, recordings):
    explainer = Explainer(listener[1])
    explanation = explainer.explain(recordings / "low" / "low_3.wav")
    assert explanation.prediction.label == "low"
    assert explanation.item.endswith(" s")
    assert all(near.span for near in explanation.neighbours)
    assert "cannot be shown" not in str(explainer.page(explanation))


def test_recordings_never_change_and_give_the_same_windows_twice(recordings):
    items = find_items(recordings, (".wav",))
    table, rejected = items.table.copy(), list(items.rejected)
    sound = ImageInput((32, 32), converter=Sound(size=32, duration=1.0, step=0.5, **usual_sound(items.table.path)), windowed=True)
    first, second = (labelled_windows(items, sound, cache="none") for _ in range(2))
    assert items.table.equals(table)
    assert items.rejected == rejected
    assert len(first.rejected) > len(rejected)
    assert first.table.equals(second.table)
    assert (first.pixels == second.pixels).all()
    assert (first.rejected, first.notes) == (second.rejected, second.notes)


def test_windows_read_from_memory_again_or_from_the_cache_are_the_same(recordings, tmp_path):
    def build(**options):
        items = find_items(recordings, (".wav",))
        sound = build_learner_input(items)
        return labelled_windows(items, sound, split=SplitOptions(seed=0), **options)

    def build_learner_input(items):
        return ImageInput(
            (32, 32), converter=Sound(size=32, duration=1.0, step=0.5, **usual_sound(items.table.path)), windowed=True
        )

    held = build(cache="none")
    for _ in range(2):  # written, then read
        kept = build(cache=tmp_path / "cache", budget=0)
        assert kept.pixels is None
        assert kept.table.drop(columns="item").equals(held.table.drop(columns="item"))
        for row in (0, 5, len(held.table) - 1):
            window = kept.items[row]
            assert isinstance(window, Window)
            assert (kept.read_window(window, kept.table.content[row]) == held.pixels[row]).all()
    entries = list((tmp_path / "cache").rglob("*.windows"))
    assert len(entries) == 16
    entries[0].write_bytes(b"damaged")
    within = bytearray(entries[1].read_bytes())
    within[20:60] = bytes(40)
    entries[1].write_bytes(within)
    for _ in range(2):
        assert build(cache=tmp_path / "cache").pixels.tobytes() == held.pixels.tobytes()
    with pytest.raises(DataError, match="allow a cache on disk"):
        build(cache="none", budget=0)


def test_training_windows_may_stand_closer_together_than_those_of_the_test(tmp_path):
    rng = np.random.default_rng(0)
    for user, pace in (("fast", 0.01), ("slow", 0.05)):
        for session in range(5):
            places = np.cumsum(rng.normal(0, 9, (400, 2)), axis=0) + 900
            rows = [f"{pace * i:.3f},{x:.0f},{y:.0f}" for i, (x, y) in enumerate(places)]
            (tmp_path / user).mkdir(exist_ok=True)
            (tmp_path / user / f"{session}.csv").write_text("\n".join(["time,x,y", *rows]))
    learn = mouse_learner(tmp_path, window=100, overlap=4, size=32, cache="none")
    counts = learn.dls.labelled.table.groupby(["split", "path"]).size()
    assert set(counts["train"]) == {13}
    assert set(counts["test"]) == {4}
    assert learn.spec.epochs == 7


def test_a_class_of_one_recording_does_not_end_the_run_and_is_noted(tmp_path):
    write_recording(tmp_path / "few" / "a" / "only.wav", 400, 6, 0)
    for number in range(4):
        write_recording(tmp_path / "few" / "b" / f"{number}.wav", 1500, 3, number)
    learn = build_learner(tmp_path / "few", window=1.0, size=32, cache="none")
    assert "no test item of a: how well it is recognised is not measured" in learn.dls.labelled.notes
    image_input = learn.dls.labelled.image_input
    scores = evaluate(learn, hand_crafted=mfcc_and_svm(image_input.converter, windowed=True))
    assert scores.gap is not None


def test_windows_of_other_stretches_are_not_compared(listener):
    scores = listener[2]
    moved = scores.predictions.assign(start=scores.predictions.start + 0.25)
    with pytest.raises(DataError, match="no test item is in all of them"):
        compare({"one": scores, "other": replace(scores, predictions=moved)})
    assert compare({"one": scores, "same": scores}).n_common == scores.n_test


def test_a_learner_of_windows_does_not_take_a_whole_file_for_one(listener, recordings):
    with pytest.raises(DataError, match="looks at windows"):
        listener[0].predict(recordings / "low" / "low_0.wav")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": -3}, "overlap -3; expected a whole number from 1|overlap -3: expected"),
        ({"window": 2.5}, "length 2.5; expected a whole number"),
        ({"seed": -1}, "seed -1: expected a whole number from 0"),
    ],
)
def test_numbers_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ToolkitError, match=message):
        mouse_learner(ROOT / "sample_data" / "mouse" / "users", cache="none", **{"window": 256, **options})


def test_a_converter_without_windows_is_refused():
    from toolkit.converters.series import Series

    with pytest.raises(ToolkitError, match="has no windows"):
        ImageInput((32, 32), converter=Series(size=32), windowed=True)


def test_a_converter_that_finds_no_window_in_a_file_is_an_error_that_names_it(monkeypatch):
    sound = Sound(size=32, duration=1.0)
    monkeypatch.setattr(Sound, "windows", lambda self, source: iter(()))
    with pytest.raises(ConversionError, match="empty.wav: holds not one window"):
        next(ImageInput((32, 32), converter=sound, windowed=True).windows("empty.wav"))


def test_the_pool_of_windows_is_their_geometric_mean():
    answers = np.array([[0.9, 0.1], [0.4, 0.6]], dtype=np.float32)
    expected = np.sqrt([0.9 * 0.4, 0.1 * 0.6])
    assert aggregate(answers) == pytest.approx(expected / expected.sum(), rel=1e-5)
    assert aggregate(np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32))[1] > 0
