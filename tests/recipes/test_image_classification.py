"""The recipe as a script: one command from a folder to a program, and clear words when something is wrong."""

import json
import shutil
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from helpers import ROOT
from helpers.image_samples import make_shapes

from recipes.image_classification import build_learner, main
from toolkit.errors import DataError
from toolkit.evaluation import evaluate
from toolkit.learning.fitting import fit


def recipe(*arguments, cwd=ROOT):
    command = [sys.executable, "-m", "recipes.image_classification", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=cwd)


def test_one_command_leads_from_a_messy_folder_to_a_program(tmp_path):
    data = make_shapes(tmp_path / "My shapes №1", 30)
    whole = (data / "box" / "box_000.png").read_bytes()
    (data / "box" / "half.png").write_bytes(whole[: len(whole) // 2])
    (data / "disc" / "zero.jpg").write_bytes(b"")
    done = recipe(data, "--epochs", 3, "--lr", "3e-3", "--batch-size", 16, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "My shapes №1"
    assert {path.name for path in run.iterdir()} == {
        "program.pyz", "report.html", "scores.json", "predictions.csv", "log.csv", "items.csv", "run.json", "training.npz",
        "checkpoints", ".lock",
    }  # fmt: skip
    for words in (
        "90 items of 3 classes: 63 train, 9 valid, 18 test",
        "set aside 2",
        "half.png",
        "zero.jpg",
        "verdict:",
        "arch small",
    ):
        assert words in done.stdout
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert described["epochs"] == 3
    assert described["seed"] == 42
    assert described["highest_lr"] == 3e-3
    assert len(described["set_aside"]) == 2
    assert "torch" in described["versions"]
    scores = json.loads((run / "scores.json").read_text(encoding="utf-8"))
    card = subprocess.run([sys.executable, run / "program.pyz", "--about", "--json"], capture_output=True, check=True).stdout
    assert json.loads(card)["scores"]["table"] == scores["table"]


def test_the_script_and_python_give_the_same_probabilities(tmp_path):
    data = make_shapes(tmp_path / "shapes", 12)
    main(data, epochs=2, lr=3e-3, batch_size=16, run=str(tmp_path / "run"))
    written = pd.read_csv(tmp_path / "run" / "predictions.csv")
    learn = build_learner(data, batch_size=16)
    fit(learn, 2, lr=3e-3)
    found = evaluate(learn).predictions
    assert written.predicted.tolist() == found.predicted.tolist()
    assert written.probability.to_numpy() == pytest.approx(found.probability.to_numpy(), abs=1e-6)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nowhere"], 1, "nowhere: no such folder or CSV"),
        ([], 2, "usage:"),
        (["nowhere", "--epochs", "many"], 2, "invalid int value"),
        (["nowhere", "--nonsense"], 2, "unrecognized arguments"),
        (["DATA", "--arch", "resnet99"], 1, "unknown architecture 'resnet99'"),
        (["DATA", "--converter", "smell"], 1, "no converter is registered as 'smell'"),
        (["DATA", "--augment", "wild"], 1, "photo, symbol, none"),
        (["DATA", "--resize", "stretch"], 1, "squish, crop, pad"),
        (["DATA", "--weights", "lost.pth"], 1, "no such file or folder"),
        (["DATA", "--test-pct", "2"], 1, "expected a share between 0 and 1"),
        (["DATA", "--resume"], 1, "no run named"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_without_a_traceback(tmp_path, arguments, status, words):
    data = make_shapes(tmp_path / "shapes", 6)
    done = recipe(*(data if word == "DATA" else word for word in arguments), cwd=tmp_path)
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_run_that_was_killed_goes_on_with_resume_to_the_same_answers(tmp_path):
    data = make_shapes(tmp_path / "shapes", 40)
    options = [data, "--epochs", 12, "--lr", "3e-3", "--batch-size", 16]
    assert recipe(*options, "--run", tmp_path / "whole").returncode == 0

    command = [sys.executable, "-m", "recipes.image_classification", *map(str, options), "--run", str(tmp_path / "killed")]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    log = tmp_path / "killed" / "log.csv"
    while process.poll() is None and not (log.exists() and len(log.read_text().splitlines()) > 4):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "killed" / "program.pyz").exists()

    done = recipe(*options, "--run", tmp_path / "killed", "--resume")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "killed" / "predictions.csv").read_text() == (tmp_path / "whole" / "predictions.csv").read_text()
    epochs = [line.split(",")[0] for line in log.read_text().splitlines()]
    assert epochs == ["epoch", *map(str, range(13))]


def test_a_second_run_takes_a_folder_of_its_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    data = make_shapes(tmp_path / "shapes", 10)
    for _ in range(2):
        main(str(data), epochs=1, lr=3e-3, golden=0)
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["shapes", "shapes-2"]


def test_called_from_python_errors_are_exceptions(tmp_path):
    with pytest.raises(DataError):
        main(tmp_path / "nowhere")


def test_the_official_split_of_real_photos_is_kept(shared_data, tmp_path):
    from recipes.image_classification import build_learner

    for part in ("train", "test"):
        for label in ("cat", "dog"):
            source = sorted((shared_data / "images_cifar10" / part / label).iterdir())[:20]
            (tmp_path / part / label).mkdir(parents=True)
            for path in source:
                shutil.copy(path, tmp_path / part / label)
    table = build_learner(tmp_path).dls.labelled.table
    assert {path.parts[-3] for path in table.path[table.split == "test"]} == {"test"}
    assert {path.parts[-3] for path in table.path[table.split != "test"]} == {"train"}
    assert (table.split == "test").sum() == 40
