"""Hard times for a run: killed anywhere, a disk that is full, a folder that is taken, a folder of another version."""

import json
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
from helpers import ROOT
from helpers.image_samples import make_shapes

from recipes.image_classification import build_learner
from toolkit.errors import DataError, RunError
from toolkit.files import PART, locked
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run

resource = pytest.importorskip("resource", reason="kills and full disks are made with POSIX means")

SHORT = ["--epochs", "2", "--lr", "3e-3", "--batch-size", "16"]


def command(*arguments):
    return [sys.executable, "-m", "recipes.image_classification", *map(str, arguments)]


def recipe(*arguments, **options):
    options = {"cwd": ROOT, **options}
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, timeout=300, **options)


@pytest.mark.parametrize(
    ("moment", "there", "not_yet"),
    [
        ("export", ".program.pyz.*" + PART, "program.pyz"),
        ("the report", "program.pyz", "report.html"),
    ],
)
def test_a_kill_during(tmp_path, moment, there, not_yet):
    data = make_shapes(tmp_path / "shapes", 40)
    run = tmp_path / "run"
    process = subprocess.Popen(command(data, *SHORT, "--run", run), cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None and not list(run.glob(there)):
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert process.returncode == -signal.SIGKILL, f"{moment} was over too soon"
    assert not (run / not_yet).exists()

    done = recipe(data, *SHORT, "--run", run, "--resume")
    assert done.returncode == 0, done.stderr
    assert (run / "report.html").read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert subprocess.run([sys.executable, run / "program.pyz", "--selftest"], check=False).returncode == 0
    assert not list(run.rglob("*" + PART))


def test_a_full_disk_is_said_where_a_checkpoint_is_written(tmp_path):
    data = make_shapes(tmp_path / "shapes", 20)

    def little_room():
        resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))

    done = recipe(data, *SHORT, "--run", tmp_path / "run", preexec_fn=little_room)
    assert done.returncode == 1
    assert done.stderr.startswith("error: cannot write ")
    assert "best.pth: File too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list((tmp_path / "run").rglob("*" + PART))

    assert recipe(data, *SHORT, "--run", tmp_path / "run", "--resume").returncode == 0


def test_a_place_that_cannot_be_written_to_is_said_before_training(tmp_path):
    data = make_shapes(tmp_path / "shapes", 20)
    (tmp_path / "file").write_text("in the way")
    done = recipe(data, *SHORT, "--run", tmp_path / "file" / "run")
    assert done.returncode == 1
    assert "cannot write to" in done.stderr
    (tmp_path / "runs").write_text("in the way")
    done = recipe(data, *SHORT, cwd=tmp_path)
    assert done.returncode == 1
    assert "name another folder with --run" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_another_run_writes_to_is_refused(tmp_path):
    data = make_shapes(tmp_path / "shapes", 20)
    run = tmp_path / "run"
    with locked(run):
        done = recipe(data, *SHORT, "--run", run)
        assert done.returncode == 1
        assert "another process is writing there" in done.stderr
    assert not (run / "items.csv").exists()
    assert recipe(data, *SHORT, "--run", run).returncode == 0
    with locked(run):
        done = recipe(data, *SHORT, "--run", run, "--resume")
        assert done.returncode == 1
        assert "another process is writing there" in done.stderr


def test_two_runs_started_at_once_get_a_folder_each(tmp_path):
    data = make_shapes(tmp_path / "shapes", 20)
    both = [subprocess.Popen(command(data, *SHORT), cwd=tmp_path, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    for name in ("shapes", "shapes-2"):
        assert (tmp_path / "runs" / name / "report.html").exists()
        assert len((tmp_path / "runs" / name / "log.csv").read_text().splitlines()) == 4


def test_one_process_may_go_on_with_its_own_run(shapes, tmp_path):
    learn = build_learner(shapes)
    first = Run.open("x", learn, settings={}, folder=tmp_path / "run")
    with pytest.raises(RunError, match="another process is writing there"):
        Run.open("x", learn, settings={}, folder=tmp_path / "run")
    with pytest.raises(RunError, match="epochs was None, is 3"):
        Run.open("x", learn, settings={"epochs": 3}, folder=tmp_path / "run", resume=True)
    with pytest.raises(RunError, match="another process"), locked(first.folder):
        pass  # neither of the two has taken the folder from the first
    with Run.open("x", learn, settings={}, folder=tmp_path / "run", resume=True) as run:
        assert run.folder == tmp_path / "run"


def test_where_the_cache_is_may_change_between_a_stop_and_the_rest(shapes, tmp_path):
    learn = build_learner(shapes)
    Run.open("x", learn, settings={"cache": "auto", "epochs": 3}, folder=tmp_path / "run").close()
    Run.open("x", learn, settings={"cache": "none", "epochs": 3}, folder=tmp_path / "run", resume=True).close()
    with pytest.raises(RunError, match="epochs was 3, is 4"):
        Run.open("x", learn, settings={"cache": "none", "epochs": 4}, folder=tmp_path / "run", resume=True)


def test_a_run_of_another_version_is_not_gone_on_with(shapes, tmp_path):
    learn = build_learner(shapes)
    with Run.open("x", learn, settings={}, folder=tmp_path / "run") as run:
        described = json.loads((run.folder / "run.json").read_text())
    for other in ({"format": 99}, {"format": None}):
        changed = {name: value for name, value in {**described, **other}.items() if value is not None}
        (run.folder / "run.json").write_text(json.dumps(changed))
        with pytest.raises(RunError, match="written by another version"):
            Run.open("x", learn, settings={}, folder=run.folder, resume=True)
    (run.folder / "run.json").write_text("{ half")
    with pytest.raises(RunError, match="cannot be read"):
        Run.open("x", learn, settings={}, folder=run.folder, resume=True)


def test_what_a_transferred_body_learnt_from_does_not_test_it(shapes, tmp_path):
    learn = build_learner(shapes, seed=1)
    with Run.open("x", learn, settings={}, folder=tmp_path / "run") as run:
        fit(learn, 1, lr=1e-3, run=run)
    options = {"weights": str(tmp_path / "run")}
    assert build_learner(shapes, seed=1, **options).dls.labelled.rejected == []
    with pytest.raises(DataError, match=r"learnt from \d+ of the 12 test pictures"):
        build_learner(shapes, seed=2, **options)

    items = pd.read_csv(run.folder / "items.csv", dtype=str)
    row = items.index[items.split == "test"][0]
    items.loc[row, "split"] = "train"
    items.to_csv(run.folder / "items.csv", index=False)
    labelled = build_learner(shapes, seed=1, **options).dls.labelled
    (aside,) = labelled.rejected
    assert aside[0] == items.path[row]
    assert "learnt from" in aside[1]
    with pytest.raises(DataError, match="learnt from 1 of the 12 test pictures"):
        build_learner(shapes, seed=1, strict=True, **options)
    assert (labelled.table.split == "test").sum() == 11
    assert len(labelled.pixels) == 59

    items.drop(columns="content").to_csv(run.folder / "items.csv", index=False)
    labelled = build_learner(shapes, seed=2, **options).dls.labelled
    assert any("is not known (it kept no record)" in note for note in labelled.notes)


def test_what_the_run_before_the_last_learnt_from_counts_too(shapes, tmp_path):
    first = build_learner(shapes, seed=1)
    with Run.open("x", first, settings={}, folder=tmp_path / "first") as run:
        fit(first, 1, lr=1e-3, run=run)
    others = make_shapes(tmp_path / "others", 20, seed=9)
    second = build_learner(others, weights=str(tmp_path / "first"))
    with Run.open("x", second, settings={}, folder=tmp_path / "second") as run:
        fit(second, 1, lr=1e-3, run=run)
    with pytest.raises(DataError, match="test pictures"):
        build_learner(shapes, seed=2, weights=str(tmp_path / "second"))
