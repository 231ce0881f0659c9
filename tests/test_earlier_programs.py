"""What was made earlier lives on: a program of each kind opens today, passes its self-test and answers as it did, by today's
runtime and by the one inside it; and the scores that earlier runs wrote down are still read and compared.

How the files were made stands in earlier_programs/README.md.
"""

import json
import lzma
import math
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

from toolkit.evaluation import Scores
from toolkit.program import load

KEPT = ROOT / "tests" / "earlier_programs"
INPUTS = KEPT / "inputs"
RUNS = KEPT / "run_folders"
KINDS = (
    "images", "bytes", "series", "sound", "sound_windowed", "mouse", "segmentation", "segmentation_own_scale",
    "tabular_classes", "tabular_values", "rating_dot", "rating_dot_no_users", "rating_neural", "ranking_dot", "ranking_neural",
)  # fmt: skip
COMPARED = ("images", "sound_windowed", "segmentation", "tabular_classes", "tabular_values", "rating_dot", "ranking_dot")
CLOSE = 1e-6


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory):
    """The path of an earlier program by its kind."""
    folder = tmp_path_factory.mktemp("earlier")

    def path_of(kind):
        path = folder / f"{kind}.pyz"
        if not path.exists():
            path.write_bytes(lzma.decompress((KEPT / f"{kind}.pyz.xz").read_bytes()))
        return path

    return path_of


def kept(kind):
    """What was asked of a program, and what it answered."""
    return json.loads((KEPT / f"{kind}.json").read_text(encoding="utf-8"))


def told(answer):
    """An answer as plain values, a mask as an array."""
    if isinstance(answer, (list, tuple)):
        return [told(each) for each in answer]
    if hasattr(answer, "to_json"):
        return answer.to_json()
    if hasattr(answer, "mask"):
        return {"areas": answer.areas, "mask": answer.mask}
    if hasattr(answer, "timeline"):
        moments = [[moment.start, moment.stop, moment.label, moment.probability] for moment in answer.timeline]
        return {**vars(answer), "timeline": moments, "notes": list(answer.notes)}
    return {**vars(answer), "notes": list(answer.notes)} if hasattr(answer, "notes") else answer


def assert_same(found, expected, where=""):
    """The same, numbers to a millionth; in a mapping order counts too, and what it did not have earlier does not matter."""
    if isinstance(found, np.ndarray):
        with Image.open(KEPT / "masks" / expected) as mask:
            assert np.array_equal(found, np.asarray(mask)), where
    elif isinstance(expected, dict):
        assert [name for name in found if name in expected] == list(expected), where
        for name, value in expected.items():
            assert_same(found[name], value, f"{where}/{name}")
    elif isinstance(expected, list):
        assert len(found) == len(expected), where
        for place, (one, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(one, other, f"{where}/{place}")
    elif isinstance(expected, float):
        assert math.isclose(found, expected, rel_tol=CLOSE, abs_tol=CLOSE), f"{where}: {found}, earlier {expected}"
    else:
        assert found == expected, where


def module(name, *arguments):
    """The exit status of `python -m name …`, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            runpy.run_module(name, run_name="__main__")
    return stopped.value.code or 0


def own_runtime(path, *arguments):
    """What a program file prints that is run by itself, away from this checkout."""
    command = [sys.executable, str(path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", timeout=60, check=False, cwd=INPUTS)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_of_each_kind_made_earlier_answers_as_it_did(unpacked, kind):
    program = load(unpacked(kind))
    for number, call in enumerate(kept(kind)["calls"]):
        given = {
            name: INPUTS / value["file"] if isinstance(value, dict) and set(value) == {"file"} else value
            for name, value in call["arguments"].items()
        }
        answer = getattr(program, call["method"])(**given)
        answer = list(answer) if call["method"] == "recommend_many" else answer
        assert_same(told(answer), call["answer"], f"{kind}: {call['method']} {number}")


@pytest.mark.parametrize("kind", KINDS)
def test_todays_command_line_tells_of_it_tests_it_and_asks_it(unpacked, kind, capsys, monkeypatch):
    monkeypatch.chdir(INPUTS)
    path, answers = unpacked(kind), kept(kind)
    assert module("toolkit.program", path, "--about") == 0
    about = capsys.readouterr().out
    assert about.startswith(f"{kind}: ")
    assert all(word in about for word in ("input: ", "output: ", "verdict: ", "needs: "))
    assert module("toolkit.program", path, "--selftest") == 0
    assert "golden inputs: answered as at export" in capsys.readouterr().out
    assert module("toolkit.program", path, *answers["command"]) == 0
    assert_same([json.loads(line) for line in capsys.readouterr().out.splitlines()], answers["printed"], kind)


@pytest.mark.parametrize("kind", KINDS)
def test_run_by_itself_it_needs_nothing_of_today(unpacked, kind):
    path, answers = unpacked(kind), kept(kind)
    assert "golden inputs: answered as at export" in own_runtime(path, "--selftest")
    printed = own_runtime(path, *answers["command"])
    assert_same([json.loads(line) for line in printed.splitlines()], answers["printed"], kind)


@pytest.mark.parametrize("name", [*COMPARED, "images_again"])
def test_the_scores_that_an_earlier_run_wrote_down_are_read_and_told_alike(name):
    assert str(Scores.load(RUNS / name)) + "\n" == (RUNS / name / "scores.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", COMPARED)
def test_an_earlier_run_is_compared_as_it_was(name, tmp_path, capsys, monkeypatch):
    other = RUNS / f"{name}_again"
    if not other.exists():  # a run beside its copy
        other = shutil.copytree(RUNS / name, tmp_path / other.name)
    monkeypatch.chdir(tmp_path)
    assert module("toolkit.reports", "compare", RUNS / name, other, "--html", tmp_path / "page.html") == 0
    said = capsys.readouterr().out
    assert (RUNS / name / "compared.txt").read_text(encoding="utf-8") in said
    assert "How they learnt" in (tmp_path / "page.html").read_text(encoding="utf-8")
