"""A program of ratings says what its learner says, and holds nobody's history where it is told to."""

import io
import json
import subprocess
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers.collab_programs import KINDS, NAMES, SAMPLE, exported, named_ratings
from helpers.programs import forged, rewritten

from recipes.collaborative_filtering import build_learner
from toolkit.errors import ConversionError, DataError, ExportError, ProgramError
from toolkit.export import export
from toolkit.learning.collab.fold_in import fold_in_user
from toolkit.program import load
from toolkit.program.cli import main
from toolkit.program.collab.selftest import selftest

pytest_plugins = ["helpers.collab_runs"]

LIKES = ["Demon Slayer", "Chainsaw Man"]
PRIVATE = {"users.json", "people.npy", "seen_starts.npy", "seen_items.npy", "seen_values.npy"}


def of(run, user):
    """The rows of a user, of all parts."""
    return run.labelled.table[run.labelled.table.user == user]


def test_held_out_rows_are_answered_as_the_learner_answers_them(run):
    program, labelled, learn = run.program, run.labelled, run.learn
    model, everything = learn.fold_in_model(), labelled.seen("all", positive=not program.rated)
    for user, item in labelled.table.iloc[labelled.held_out("test")[:60]][["user", "item"]].to_numpy():
        code, place = np.array([labelled.users.index(user)]), np.array([labelled.items.index(item)])
        answer = program.predict(user, item)
        expected = model.ratings(model.pairs(learn.fold_in_users(code, everything), place))[0]
        assert (answer.value if program.rated else answer.score) == pytest.approx(float(expected), abs=1e-4)
        if program.rated:  # the network itself, for somebody of whom it knows training rows alone
            own = model.ratings(model.pairs(learn.user_vectors()[code], place))[0]
            network = learn.predict({"user": user, "item": item})[1]
            assert float(own) == pytest.approx(np.clip(network, labelled.low, labelled.high), abs=1e-4)


def test_what_a_user_is_shown_is_the_learners_ranking_of_what_they_have_not_seen(run):
    program, labelled, learn = run.program, run.labelled, run.learn
    model = learn.fold_in_model()
    for code in (0, 7, labelled.n_users - 1):
        user = labelled.users[code]
        seen = set(of(run, user)["item"])
        scores = model.scores(learn.fold_in_users(np.array([code]), labelled.seen("all", positive=not program.rated))[0])
        others = [place for place in np.argsort(-scores) if labelled.items[place] not in seen]
        found = program.recommend(user=user, n=5)
        assert [each.score for each in found] == pytest.approx(model.ratings(scores[others[:5]]).tolist(), abs=1e-4)
        assert seen.isdisjoint(each.item for each in program.recommend(user=user, n=1000))
        assert len(program.recommend(user=user, n=1000)) == len(others), "all that is left, though fewer than asked for"


def test_a_newcomer_is_solved_for_as_the_learner_solves(run):
    program, model, items = run.program, run.learn.fold_in_model(), run.labelled.items
    scores = model.scores(model.solve(np.array([2, 11, 5])))
    found = program.recommend(likes=[items[2], items[11], items[5]], n=1000)
    assert {each.item for each in found} == set(items) - {items[2], items[11], items[5]}
    expected = {items[place]: float(value) for place, value in enumerate(model.ratings(scores))}
    assert all(each.score == pytest.approx(expected[each.item], abs=1e-4) for each in found)
    if program.rated:
        given = model.scores(model.solve(np.array([2, 11]), np.array([5.0, 1.0])))
        value = program.predict(likes={items[2]: 5, items[11]: 1}, item=items[0]).value
        assert value == pytest.approx(float(model.ratings(given[0])), abs=1e-4)


def test_a_persons_own_history_as_likes_is_what_a_stranger_with_it_gets(run):
    labelled = run.labelled
    known = labelled.seen("all", positive=not run.program.rated)
    person = fold_in_user(run.learn.fold_in_model(), known, user=4)
    history = {labelled.items[place]: float(known[[4]][:, [place]].sum()) for place in known[[4]].indices}
    found = run.program.recommend(likes=history if run.program.rated else list(history), n=3)
    scores = run.learn.fold_in_model().scores(person)
    expected = {labelled.items[place]: float(value) for place, value in enumerate(run.learn.fold_in_model().ratings(scores))}
    assert all(each.score == pytest.approx(expected[each.item], abs=1e-4) for each in found)


def test_all_members_are_plain_arrays_and_the_self_test_passes(run):
    assert selftest(run.program) == []
    assert len(run.program.card["golden"]) == 3
    assert run.program.card["needs"] == ["numpy"]
    with zipfile.ZipFile(run.path) as archive:
        names = archive.namelist()
        for name in names:
            if name.endswith(".npy"):
                assert np.load(io.BytesIO(archive.read(name)), allow_pickle=False).dtype != object
    assert {name.split(".")[-1] for name in names} == {"py", "npy", "json"}
    assert set(names) >= PRIVATE


def test_the_card_says_what_is_inside(run):
    card = run.program.card
    assert (card["task"], card["input"]["kind"]) == ("collaborative_filtering", "ratings")
    assert card["input"]["items"] == run.labelled.n_items
    assert card["input"]["users"] == len(run.labelled.users)
    assert card["input"]["form"] == run.learn.spec.form
    assert card["scores"]["verdict"] == run.scores.verdict


@pytest.mark.parametrize(("objective", "form"), KINDS, ids=NAMES)
def test_without_users_nobody_is_in_any_byte(objective, form, tmp_path, capsys):
    frame = named_ratings()
    learn = build_learner(frame, objective=objective, form=form)
    export(learn, tmp_path / "with.pyz")
    program = export(learn, tmp_path / "private.pyz", users=False)
    texts = {}
    for name in ("with", "private"):
        path = tmp_path / f"{name}.pyz"
        with zipfile.ZipFile(path) as archive:
            texts[name] = path.read_bytes() + b"".join(archive.read(member) for member in archive.namelist())
            members = set(archive.namelist())
            arrays = {each: np.load(io.BytesIO(archive.read(each))) for each in members if each.endswith(".npy")}
    assert b"person-0" in texts["with"]
    assert b"person-" not in texts["private"]
    assert not PRIVATE & members
    items = learn.dls.labelled.n_items
    history = learn.dls.labelled.seen("all")
    for array in arrays.values():  # nothing in it has as many entries as there are people or rows, nor tells who chose what
        assert not {len(learn.dls.labelled.users), len(learn.dls.labelled.users) + 1, history.nnz} & set(array.shape)
    chosen = learn.dls.labelled.seen("train", positive=True)[:, :items]
    assert arrays["popularity.npy"].tolist() == np.bincount(chosen.indices, minlength=items).tolist()
    assert program.card["input"]["users"] == 0
    assert selftest(program) == []
    like = learn.dls.labelled.items[3]
    whole = load(tmp_path / "with.pyz")
    assert [each.item for each in program.recommend(likes=[like])] == [each.item for each in whole.recommend(likes=[like])]
    with pytest.raises(ConversionError, match="made without anybody's history"):
        program.recommend(user="person-001")
    with pytest.raises(ConversionError, match="made without anybody's history"):
        list(program.recommend_many())
    assert main(str(tmp_path / "private.pyz"), ["--user", "person-001"]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("error: ")
    assert said.err.count("\n") == 1
    assert main(str(tmp_path / "private.pyz"), ["--about"]) == 0
    assert "inside are the factors of items only: nobody's history, no users (--no-users)" in capsys.readouterr().out
    assert main(str(tmp_path / "with.pyz"), ["--about"]) == 0
    assert "each user's id, taste and history" in capsys.readouterr().out


def test_who_likes_two_dark_shows_is_shown_the_third(sample, tmp_path):
    found = sample.program.recommend(likes=LIKES)
    assert found[0].title == "Hell's Paradise"
    assert "Demon Slayer" in found[0].reason
    assert "Chainsaw Man" in found[0].reason
    assert sample.program.recommend(likes=["demon slayr", "CHAINSAW MAN"])[0].title == "Hell's Paradise"
    program = tmp_path / "elsewhere.pyz"
    program.write_bytes(sample.path.read_bytes())
    done = subprocess.run(
        [sys.executable, "-I", program, "--likes", *LIKES], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines()[0].split() == ["1", "Hell's", "Paradise", *done.stdout.splitlines()[0].split()[3:]]
    assert done.stderr == ""


def test_a_program_of_each_kind_needs_numpy_alone(run, tmp_path):
    code = """
import sys
for name in ("PIL", "pandas", "torch", "fastai", "fastcore", "sklearn", "scipy", "onnx", "onnxruntime", "toolkit"):
    sys.modules[name] = None  # as where it is not installed
del sys.modules["toolkit"]
import runpy
path, *questions = sys.argv[1:]
for question in questions:
    sys.argv = [path, *question.split("|")]
    try:
        runpy.run_path(path, run_name="__main__")
    except SystemExit as end:
        print("status", end.code)
    for name in [name for name in sys.modules if name.startswith("toolkit")]:
        del sys.modules[name]
"""
    copied = tmp_path / "program.pyz"
    copied.write_bytes(run.path.read_bytes())
    user, items = run.labelled.users[0], run.labelled.items
    asked = [
        f"--likes|{items[0]}|{items[1]}", f"--user|{user}", f"--predict|{user}|{items[2]}", f"--similar|{items[3]}",
        "--everyone|--out|-", "--selftest", "--about",
    ]  # fmt: skip
    done = subprocess.run([sys.executable, "-I", "-c", code, copied, *asked], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout.count("status 0") == len(asked), done.stdout + done.stderr
    assert "status 1" not in done.stdout
    assert "3 golden inputs: answered as at export" in done.stdout
    table = pd.read_csv(io.StringIO(done.stdout[done.stdout.index("user,rank") : done.stdout.index("status 0\n3 golden")]))
    assert set(table.user) == set(run.labelled.users)


@pytest.mark.parametrize("part", ["vectors", "offset"])
def test_export_refuses_a_program_that_answers_otherwise_and_leaves_the_old_file(run, part, tmp_path, monkeypatch):
    if not hasattr(run.learn.fold_in_model(), part):
        pytest.skip("a network has no offsets of items")
    path, model = tmp_path / "program.pyz", run.learn.fold_in_model()
    path.write_bytes(b"as it was")
    altered = replace(model, **{part: getattr(model, part) + np.float32(0.05)})
    monkeypatch.setattr(run.learn, "fold_in_model", lambda: altered)
    with pytest.raises(ExportError, match="the program's score of a held-out row would be .* off the learner's"):
        export(run.learn, path)
    assert path.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_export_refuses_another_way_of_solving(run, tmp_path, monkeypatch):
    solve = type(run.learn.fold_in_model()).solve
    monkeypatch.setattr(
        "toolkit.program.collab.program.Recommender.run",
        lambda self, items, values, wanted: self.model.pairs(
            np.tile(1.1 * solve(self.model, items, values) + 0.1, (len(wanted), 1)), wanted
        ),
    )
    with pytest.raises(ExportError, match="the program's score for somebody who is solved for would be"):
        export(run.learn, tmp_path / "program.pyz")
    assert list(tmp_path.iterdir()) == []


def test_the_self_test_finds_altered_answers(run, tmp_path):
    def answer(card):
        card["golden"][1]["output"][0] += 0.01 * max(map(abs, card["golden"][1]["output"])) + 1e-3

    problems = selftest(load(forged(run.path, tmp_path / "a.pyz", answer)))
    assert len(problems) == 1


def test_no_golden_inputs_where_none_are_wanted(run, tmp_path, capsys):
    export(run.learn, tmp_path / "p.pyz", golden=0)
    assert main(str(tmp_path / "p.pyz"), ["--selftest"]) == 1
    assert "no golden inputs" in capsys.readouterr().err


def test_an_altered_program_is_told(run, tmp_path):
    def doubled(name, data):
        return data[:-4] + b"\0\0\0\0" if name == "vectors.npy" else data

    with pytest.raises(ProgramError, match="vectors.npy inside it was altered"):
        load(rewritten(run.path, tmp_path / "x.pyz", doubled))


@pytest.mark.parametrize("objective", ["rating", "ranking"])
def test_people_who_were_left_out_of_training_are_known_to_the_program(objective, tmp_path):
    run = exported(tmp_path, named_ratings(), objective=objective, split="user")
    labelled = run.labelled
    assert labelled.n_users < len(labelled.users)
    user = labelled.users[-1]
    known = labelled.seen("all", positive=objective == "ranking")
    person = fold_in_user(run.learn.fold_in_model(), known, user=len(labelled.users) - 1)
    scores = run.learn.fold_in_model().ratings(run.learn.fold_in_model().scores(person))
    expected = dict(zip(labelled.items, scores.tolist(), strict=False))
    found = run.program.recommend(user=user, n=5)
    assert all(each.score == pytest.approx(expected[each.item], abs=1e-4) for each in found)
    assert set(of(run, user)["item"]).isdisjoint(each.item for each in found)


def test_items_that_training_did_not_meet_are_not_in_the_program(tmp_path):
    rare = pd.DataFrame({"user": ["person-000"], "item": ["only in the test"], "rating": [5], "time": [10**6]})
    run = exported(tmp_path, pd.concat([named_ratings(), rare]), split="time")
    assert "only in the test" in run.labelled.items[run.labelled.n_items :]
    assert "only in the test" not in (tmp_path / "program.pyz").read_bytes().decode("latin1")
    with pytest.raises(ConversionError, match="none of the"):
        run.program.predict("person-000", "only in the test")
    with pytest.raises(DataError, match="'only in the test' is none of the"):
        run.learn.predict({"user": "person-000", "item": "only in the test"})


def test_titles_and_ids_travel(tmp_path):
    frame = named_ratings()
    titles = pd.DataFrame({"item": frame["item"].unique()}).assign(title=lambda table: "Title of " + table["item"])
    run = exported(tmp_path, frame, titles=titles)
    assert run.program.recommend(likes=["title of thing 3"], n=1)[0].title.startswith("Title of thing ")
    assert run.program.recommend(likes=["thing 3"], n=1)[0].title.startswith("Title of thing ")
    with zipfile.ZipFile(run.path) as archive:
        named = json.loads(archive.read("items.json"))
    assert dict(zip(named["ids"], named["titles"], strict=True)) == dict(titles.to_numpy())


def test_the_sample_program_knows_its_people(sample):
    rows = pd.read_csv(SAMPLE)
    for user in ("u001", "u475"):
        found = sample.program.recommend(user=user)
        assert len(found) == 10
        assert set(rows.title[rows.user == user]).isdisjoint(each.title for each in found)
        assert all(each.reason.startswith("because you like ") for each in found[:1])
    with pytest.raises(ConversionError, match="none of the 520 users that are known here"):
        sample.program.recommend(user="u999")
