"""The file of a program that recommends: what is altered or does not fit is told; it needs numpy alone."""

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from helpers.collab_samples import IDS, TITLES, USERS, npy, samples, write_recommender, write_sample

from toolkit.errors import ProgramError
from toolkit.program import load
from toolkit.program.collab.arrays import members_of
from toolkit.program.collab.dot_model import DotModel
from toolkit.program.collab.selftest import selftest


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return samples(tmp_path_factory.mktemp("recommenders"))


def test_golden_likes_are_answered_as_at_export(paths, tmp_path):
    for path in (paths.ranker, paths.rater, paths.private, paths.bare):
        program = load(path)
        assert len(program.card["golden"]) == 2
        assert selftest(program) == []

    def bent(members):
        members["offset.npy"] = npy(np.linspace(0, 1, 15, dtype=np.float32))

    problems = selftest(load(write_sample(tmp_path / "bent.pyz", change=bent)))
    assert len(problems) == 2
    assert problems[0].startswith("likes 1: the scores are [")

    def lost(members):
        members["title_keys.npy"] = npy(np.arange(15, dtype=np.uint64))
        members["part_keys.npy"], members["part_items.npy"] = npy(np.zeros(0, np.uint64)), npy(np.zeros(0, np.int32))

    assert any("is not found by its title" in each for each in selftest(load(write_sample(tmp_path / "lost.pyz", change=lost))))


@pytest.mark.parametrize(
    ("member", "data", "message"),
    [
        ("vectors.npy", npy(np.zeros((14, 4), np.float32)), r"vectors.npy is float32 \(14, 4\), expected float32 15 x n"),
        ("vectors.npy", npy(np.zeros((15, 5), np.float32)), r"prior.npy is float64 \(4, 4\), expected float64 5 x 5"),
        ("vectors.npy", npy(np.zeros((15, 4))), "vectors.npy is float64"),
        ("vectors.npy", npy(np.asfortranarray(np.ones((15, 4), np.float32))), "vectors.npy is no array"),
        ("vectors.npy", npy(np.full((15, 4), np.nan, np.float32)), "vectors.npy has numbers that are not finite"),
        ("vectors.npy", npy(np.zeros((15, 4), np.float32))[:-1], "vectors.npy is float32"),
        ("vectors.npy", npy(np.array([None] * 15)), "vectors.npy is no array"),
        ("vectors.npy", b"", "vectors.npy is no array"),
        ("vectors.npy", b"\x93NUMPY\x01\x00\xff\xff" + b"[" * 70_000, "vectors.npy is no array"),
        ("prior.npy", npy(np.zeros((4, 4))), "prior.npy is no precision"),
        ("items.json", b"[" * 100_000, "items.json cannot be read"),
        ("popularity.npy", npy(np.zeros(15, np.int32)), "popularity.npy is int32"),
        ("title_items.npy", npy(np.full(15, 15, np.int32)), "title_items leads out of the catalogue"),
        ("items.json", b"{}", "items.json cannot be read"),
        ("items.json", b"[", "items.json cannot be read"),
        ("items.json", json.dumps({"ids": IDS[1:], "titles": TITLES}).encode(), "its ids are not the 15 texts"),
        ("items.json", json.dumps({"ids": IDS, "titles": [1] * 15}).encode(), "its titles are not the 15 texts"),
        ("items.json", json.dumps({"ids": ["1"] * 15, "titles": TITLES}).encode(), "two items have one id"),
        ("users.json", json.dumps({"ids": ["1"] * USERS}).encode(), "two users have one id"),
        ("people.npy", npy(np.zeros((USERS, 3), np.float32)), "people.npy is float32"),
        ("seen_starts.npy", npy(np.arange(USERS + 1)[::-1].copy()), "what users have seen does not fit"),
        ("seen_items.npy", npy(np.full(4 * USERS, -1, np.int32)), "users have seen items that are not there"),
    ],
)
def test_members_that_do_not_fit_are_told(tmp_path, member, data, message):
    path = write_sample(tmp_path / "forged.pyz", change=lambda members: members.update({member: data}))
    with pytest.raises(ProgramError, match=message):
        load(path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"input": {"objective": "guessing"}}, "lacks or garbles 'guessing'"),
        ({"input": {"objective": "rating"}}, "another range of ratings"),
        ({"input": {"form": "crystal ball"}}, "lacks or garbles 'crystal ball'"),
        ({"input": {"items": "many"}}, "are not the many texts"),
        ({"output": {"low": "one"}}, "lacks or garbles"),
        ({"output": {"like": None}}, "lacks or garbles"),
        ({"output": {"like": float("nan")}}, "what a like stands for"),
        ({"input": {"objective": "rating"}, "output": {"low": 5, "high": 1}}, "the range of ratings"),
    ],
)
def test_cards_that_do_not_fit_are_told(tmp_path, changed, message):
    with pytest.raises(ProgramError, match=message):
        load(write_sample(tmp_path / "forged.pyz", **changed))


def test_a_file_without_users_holds_nobodys_history(paths):
    with zipfile.ZipFile(paths.private) as archive:
        names = set(archive.namelist())
    assert not {"users.json", "people.npy", "seen_items.npy", "seen_starts.npy", "seen_values.npy"} & names
    assert {name.split(".")[-1] for name in names} == {"py", "npy", "json"}
    assert load(paths.private).recommend(likes=["Chainsaw Man"], n=1)[0].item in IDS


def test_a_catalogue_of_one_item(tmp_path):
    model = DotModel(np.ones((1, 2), np.float32), np.zeros(1, np.float32), np.eye(2), np.zeros(2))
    program = load(
        write_recommender(tmp_path / "one.pyz", model, members_of(model, ["1"], titles=["Only"], popularity=np.ones(1)))
    )
    assert [each.title for each in program.recommend(likes=[])] == ["Only"]
    assert len(program.recommend(likes=["only"])) == 0
    assert program.predict(likes=[], item="Only").rank == 1
    assert len(program.similar("only")) == 0


def test_a_recommender_loads_nothing_but_numpy(paths, tmp_path):
    code = """
import sys
for name in ("PIL", "pandas", "torch", "fastai", "sklearn", "scipy", "onnx", "onnxruntime"):
    sys.modules[name] = None  # as where it is not installed
import runpy
sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print("status", end.code)
"""
    arguments = [sys.executable, "-c", code, str(paths.ranker), "--likes", "demon slayer", "Chainsaw Man"]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "Hell's Paradise" in done.stdout.splitlines()[0]
    assert done.stdout.splitlines()[-1] == "status 0"
    assert done.stderr == ""
