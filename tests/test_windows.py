"""Long recordings are learnt from window by window: no recording on two sides, and the program sees what training saw."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from toolkit.data.items import find_items
from toolkit.data.sounds import usual_sound
from toolkit.data.windows import Window, file_of, labelled_windows
from toolkit.errors import DataError, ToolkitError
from toolkit.evaluation import Scores
from toolkit.evaluation.evaluate import predictions
from toolkit.program import load
from toolkit.program.inputs import ImageInput
from toolkit.program.outputs import pool
from toolkit.reports.explain import Explainer

RATE = 8000


def test_all_windows_of_a_recording_are_in_its_group_and_on_one_side(listener):
    table = listener[0].dls.labelled.table
    assert table.groupby("path").split.nunique().max() == 1
    assert (table.groupby("path").group.nunique() == 1).all()
    assert table.path.nunique() == 16
    assert set(table.split) == {"train", "valid", "test"}


def test_recordings_that_cannot_be_heard_are_set_aside(listener):
    reasons = {item.rpartition("/")[2]: reason for item, reason in listener[0].dls.labelled.set_aside}
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
        assert whole.probabilities[whole.label] == pytest.approx(pool(expected[rows]).max(), abs=1e-3)


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


def test_windows_read_from_memory_again_or_from_the_cache_are_the_same(recordings, tmp_path):
    def build(**options):
        items = find_items(recordings, (".wav",))
        sound = build_learner_input(items)
        return labelled_windows(items, sound, seed=0, **options)

    def build_learner_input(items):
        from toolkit.converters.sound import Sound

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
    assert build(cache=tmp_path / "cache").pixels.tobytes() == held.pixels.tobytes()
    with pytest.raises(DataError, match="allow a cache on disk"):
        build(cache="none", budget=0)


def test_training_windows_may_stand_closer_together_than_those_of_the_test(tmp_path):
    from recipes.mouse_classification import build_learner as mouse_learner

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
    assert learn.about["epochs"] == 7


def test_a_converter_without_windows_is_refused():
    from toolkit.converters.series import Series

    with pytest.raises(ToolkitError, match="has no windows"):
        ImageInput((32, 32), converter=Series(size=32), windowed=True)


def test_the_pool_of_windows_is_their_geometric_mean():
    answers = np.array([[0.9, 0.1], [0.4, 0.6]], dtype=np.float32)
    expected = np.sqrt([0.9 * 0.4, 0.1 * 0.6])
    assert pool(answers) == pytest.approx(expected / expected.sum(), rel=1e-5)
    assert pool(np.array([[1.0, 0.0], [0.5, 0.5]], dtype=np.float32))[1] > 0
