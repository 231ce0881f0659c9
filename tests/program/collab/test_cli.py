"""The command line of a program that recommends: titles in, lines, JSON or a CSV for everyone out."""

import csv
import json
import os
import shutil
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from helpers.collab_samples import USERS, samples, write_recommender

from toolkit.program import load
from toolkit.program.cli import main
from toolkit.program.collab.arrays import KnownUsers, members_of
from toolkit.program.collab.dot_model import DotModel


@pytest.fixture(scope="module")
def paths(tmp_path_factory):
    return samples(tmp_path_factory.mktemp("recommenders"))


@pytest.fixture
def said(capsys):
    """Run the command line of a program: (status, stdout, stderr)."""

    def run(program, *arguments):
        try:
            status = main(str(program), [str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code
        found = capsys.readouterr()
        return status, found.out, found.err

    return run


@pytest.fixture
def tell(said, paths, tmp_path, monkeypatch):
    """Run the ranker's command line in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: said(paths.ranker, *arguments)


def test_a_program_carried_elsewhere_recommends(paths, tmp_path):
    program = shutil.copy(paths.ranker, tmp_path / "what next.pyz")
    command = [sys.executable, "-I", str(program), "--likes", "Demon Slayer", "Chainsaw Man"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0].split("  ")[1:3] == ["1", "Hell's Paradise"]
    assert lines[0].endswith("because you like Demon Slayer: Kimetsu no Yaiba and Chainsaw Man")
    assert len(lines) == 11  # ten, and a note
    assert lines[-1] == "  note: 'Demon Slayer' is taken for 'Demon Slayer: Kimetsu no Yaiba'"


def test_the_same_in_json_and_as_many_as_asked_for(tell, paths):
    program = load(paths.ranker)
    for arguments, answer in (
        (["--likes", "chainsaw man", "xyzzy"], program.recommend(likes=["chainsaw man", "xyzzy"], n=2)),
        (["--user", "u4"], program.recommend(user="u4", n=2)),
        (["--similar", "夏目友人帳"], program.similar("夏目友人帳", n=2)),
    ):
        status, out, told = tell(*arguments, "--top", "2")
        assert (status, out, told) == (0, answer.text() + "\n", "")
        assert json.loads(tell(*arguments, "--top", "2", "--json")[1]) == json.loads(json.dumps(answer.to_json()))
    assert len(tell("--user", "u4")[1].splitlines()) == 10


def test_columns_are_even_where_titles_are_wide(tell):
    lines = tell("--likes", "K-On!", "--top", "4")[1].splitlines()
    wide = [line for line in lines if "夏目友人帳" in line]
    assert len(wide) == 1
    assert len({line.index(" 0.") + 5 * (line in wide) for line in lines if "夏目友人帳" in line or "Barakamon" in line}) == 1


def test_predictions(tell, said, paths):
    status, out, _ = said(paths.rater, "--predict", "u0", "jujutsu kaisen")
    assert (status, float(out)) == (0, pytest.approx(load(paths.rater).predict("u0", "Jujutsu Kaisen").value, abs=0.01))
    assert json.loads(said(paths.rater, "--predict", "u0", "Chainsaw Man", "--json")[1])["notes"] == [
        "'Chainsaw Man' is rated already: they gave it 4"
    ]
    assert tell("--predict", "u0", "K-On!")[1].startswith("rank ")
    assert tell("--predict", "u0", "Chainsaw Man")[1].splitlines()[1] == "  note: 'Chainsaw Man' is seen already"
    found = json.loads(tell("--likes", "Chainsaw Man", "--predict", "Dorohedoro", "--json")[1])
    assert (set(found), found["of"]) == ({"rank", "of", "score", "notes"}, 14)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--likes", "xyzzy"], "error: --likes: 'xyzzy': none of the 15 titles and ids that are known\n"),
        (["--likes", "godfather 9"], "did you mean 'Godfather, The (1972)'"),
        (["--likes", "K-On!", "xyzzy", "--strict"], "error: 'xyzzy': none of the 15"),
        (["--likes", "Chainsow Man", "--strict"], "error: 'Chainsow Man': not surely one item (did you mean 'Chainsaw Man'?)"),
        (["--likes", ""], "error: --likes: '': none of the 15"),
        (["--user", "nobody"], "error: user 'nobody': none of the 30 users that are known here"),
        (["--similar", "xyzzy"], "error: 'xyzzy': none of the 15"),
        (["--predict", "u0", "xyzzy"], "error: 'xyzzy': none of the 15"),
        (["--predict", "nobody", "K-On!"], "error: user 'nobody'"),
    ],
)
def test_who_and_what_is_unknown_is_told(tell, arguments, message):
    status, out, told = tell(*arguments)
    assert (status, out) == (1, "")
    assert message in told


def test_everyone_goes_into_a_csv(tell, paths, tmp_path):
    status, out, told = tell("--everyone", "--top", "3")
    assert (status, out) == (0, "")
    assert told == "30 users, up to 3 items for each, written to recommendations.csv\n"
    with open(tmp_path / "recommendations.csv", encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == ["user", "rank", "item", "title", "score", "reason"]
    assert len(rows) == 3 * USERS
    answers = load(paths.ranker).recommend_many(n=3)
    expected = [
        (user, str(rank), each.item, each.title, each.reason) for user, found in answers for rank, each in enumerate(found, 1)
    ]
    assert [(row["user"], row["rank"], row["item"], row["title"], row["reason"]) for row in rows] == expected
    text = (tmp_path / "recommendations.csv").read_text(encoding="utf-8")
    assert tell("--everyone", "--top", "3", "--out", "-")[1] == text
    assert tell("--everyone", "--top", "3", "--out", "mine.csv")[0] == 0
    assert (tmp_path / "mine.csv").read_text(encoding="utf-8") == text
    lines = tell("--everyone", "--top", "2", "--json")[1].splitlines()
    assert [json.loads(line)["user"] for line in lines] == [f"u{number}" for number in range(USERS)]


def test_everyone_tells_where_little_is_left_and_where_it_cannot_write(tell, tmp_path):
    assert "30 of them have fewer than 99 items left" in tell("--everyone", "--top", "99")[2]
    (tmp_path / "folder").mkdir()
    assert tell("--everyone", "--out", "folder")[::2] == (1, "error: folder: a folder: name the CSV to write with --out\n")
    (tmp_path / "file").write_text("kept")
    status, _, told = tell("--everyone", "--out", "file/below.csv")
    assert status == 1
    assert "cannot write file/below.csv" in told
    if hasattr(os, "mkfifo"):
        assert tell("--everyone", "--out", os.devnull)[0] == 0
        assert not os.path.isfile(os.devnull)


def test_a_program_without_users_writes_for_nobody(said, paths, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for arguments in (["--everyone"], ["--everyone", "--json"], ["--user", "u1"]):
        status, out, told = said(paths.private, *arguments)
        assert (status, out) == (1, "")
        assert "made without anybody's history (--no-users)" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name at least one item to predict"),
        (["--likes"], "--likes: expected at least one argument"),
        (["--user", "u1", "--likes", "K-On!"], "--likes and --user are different questions: ask one at a time"),
        (["--similar", "K-On!", "--everyone"], "--similar and --everyone are different questions"),
        (["--predict", "u1"], "--predict takes a user and an item"),
        (["--predict", "u1", "K", "On"], "--predict takes a user and an item"),
        (["--likes", "K-On!", "--predict", "u1", "K-On!"], "--predict with --likes takes one title"),
        (["people.csv"], "this program recommends and takes no files: ask with --likes"),
        (["people.csv", "--user", "u1"], "--user is asked without files"),
        (["--row", "{}"], "--row is for programs that predict from the rows of a table; this one recommends and takes no files"),
        (["--row", "{}", "--user", "u1"], "--row is for programs that predict from the rows of a table"),
        (["--user", "u1", "--out", "x.csv"], "--out is for --everyone; --user answers in words"),
        (["--everyone", "--json", "--out", "x.csv"], "--json prints to standard output: leave out --out"),
        (["--user", "u1", "--top", "0"], "'0': expected a whole number from 1"),
    ],
)
def test_options_that_do_not_go_together_are_explained(tell, tmp_path, arguments, message):
    status, _, told = tell(*arguments)
    assert status == 2
    assert message in told
    assert list(tmp_path.iterdir()) == []


def test_programs_of_other_tasks_refuse_these_options(said, trained):
    for arguments in (["--likes", "K-On!"], ["--user", "5"], ["--everyone"]):
        status, _, told = said(trained[1] / "program.pyz", *arguments)
        assert status == 2
        assert f"{arguments[0]} is for programs that recommend; this one predicts from files" in told


def test_about_tells_whose_history_is_inside(said, paths):
    status, out, _ = said(paths.rater, "--about")
    assert status == 0
    for words in (
        "rater: collaborative filtering, made 2026",
        "input: what somebody likes, by titles or ids of 15 items, or the id of one of 30 known users\n",
        "inside are the factors of items, and each user's id, taste and history: keep it as private",
        "output: items that they have not seen, each with the rating expected, 1 to 5, and the reason\n",
        "pip install numpy\n",
    ):
        assert words in out
    out = said(paths.private, "--about")[1]
    assert "input: what somebody likes, by titles or ids of 15 items\n" in out
    assert "inside are the factors of items only: nobody's history, no users (--no-users)" in out
    assert "an item that one person alone chose is among them" in out
    assert "each with a score, which only ranks, and the reason" in out
    assert "by ids of 15 items" in said(paths.bare, "--about")[1]


def test_self_test_from_the_command_line(tell):
    assert tell("--selftest")[:2] == (0, "2 golden inputs: answered as at export\n")


def test_everyone_is_never_held_in_memory(said, tmp_path):
    rng = np.random.default_rng(0)
    model = DotModel(rng.standard_normal((200, 4)).astype(np.float32), np.zeros(200, np.float32), np.eye(4), np.zeros(4))
    ids = [str(number) for number in range(200)]

    def peak(users):
        names, seen = [f"u{number}" for number in range(users)], rng.integers(0, 200, users)
        known = KnownUsers(names, rng.standard_normal((users, 4)), np.arange(users + 1), seen, np.ones(users))
        members = members_of(model, ids, titles=None, popularity=np.ones(200), users=known)
        path = write_recommender(tmp_path / f"{users}.pyz", model, members, users=users, titles=False)
        program = load(path)
        stream = program.recommend_many()
        next(stream)
        tracemalloc.start()
        count = sum(1 for _ in stream)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == users - 1
        return most

    assert peak(3000) < 1.2 * peak(1000)
