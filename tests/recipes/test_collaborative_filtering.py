"""The recipe of collaborative filtering: from a table to a run that beats simple methods, goes on after a stop, and says what is
wrong."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from helpers import ROOT
from helpers.collab_learners import made_ratings
from helpers.collab_programs import KINDS, NAMES, exported, named_ratings

from recipes.collaborative_filtering import build_learner, main
from toolkit.errors import DataError, ToolkitError
from toolkit.evaluation import evaluate
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.program import load

pytest_plugins = ["helpers.collab_runs"]

EACH = pytest.mark.parametrize(("objective", "form"), KINDS, ids=NAMES)


@pytest.fixture(scope="module")
def frame():
    return named_ratings()


@pytest.fixture(scope="module")
def file(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "liked.csv"
    frame.to_csv(path, index=False)
    return path


def test_stars_of_the_sample_are_estimated_better_than_by_simple_methods(stars):
    found = {name: row["RMSE"].value for name, row in stars.scores.table.items() if "RMSE" in row}
    assert found["network"] < found["biases"] - 0.18
    assert found["network"] < found["global mean"] - 0.2
    assert found["network"] < found["untrained network"] - 0.2
    assert found["network"] < min(value for name, value in found.items() if name != "network") - 0.02
    assert stars.scores.verdict.startswith("better than the best simple method")


def test_what_to_show_first_is_found_better_than_by_popularity(first):
    found = {name: row["nDCG@10"].value for name, row in first.scores.table.items()}
    assert found["network"] > 2 * found["popularity"]
    assert found["network"] > found["item neighbours"] + 0.05
    assert found["network"] > found["untrained network"] + 0.2
    assert found["network"] > max(found.values()) - 0.03, "what is best of EASE and ALS is near"


@EACH
@pytest.mark.parametrize("split", ["time", "last", "user"])
def test_all_splits_are_learnt_scored_and_exported(frame, tmp_path, split, objective, form):
    if form == "neural" and split != "user":
        frame = frame.head(300)  # people are solved for one by one
    run = exported(tmp_path, frame, objective=objective, form=form, split=split)
    labelled, groups = run.labelled, run.scores.by_group["users"]
    assert labelled.way == split
    if split == "user":
        assert set(groups) == {"cold, with likes"}
    elif split == "last":
        assert set(groups) == {"warm"}
    else:
        assert labelled.table.time[labelled.rows_of("train")].max() < labelled.table.time[labelled.rows_of("test")].min()
    person = labelled.users[-1]
    seen = set(labelled.table["item"][labelled.table.user == person])
    assert seen.isdisjoint(each.item for each in run.program.recommend(user=person))


@EACH
def test_users_and_items_with_one_rating(frame, tmp_path, objective, form):
    lone = pd.DataFrame(
        {"user": ["one", "two", "person-001"], "item": ["thing 3", "rare", "rarer"], "rating": [4, 2, 5], "time": [0, 1, 2]}
    )
    run = exported(tmp_path, pd.concat([frame, lone]), objective=objective, form=form)
    rows = run.labelled.table.set_index("user").split
    assert rows["one"] == rows["two"] == "train"
    for user, has in (("one", "thing 3"), ("two", "rare")):
        assert np.isfinite(run.learn.predict({"user": user, "item": "thing 5"})[1])
        found = run.program.recommend(user=user, n=50)
        assert has not in {each.item for each in found}
        assert len(found) == run.labelled.n_items - 1
    assert len(run.program.recommend(likes=["rare"], n=3)) == 3


def test_three_people_and_three_things_are_enough(tmp_path):
    few = pd.DataFrame({"user": list("aaabbbccc"), "item": list("xyzxyzxyz"), "rating": [1, 2, 3, 5, 4, 2, 3, 3, 1]})
    for objective in ("rating", "ranking"):
        run = exported(tmp_path, few, objective=objective)
        assert len(run.program.recommend(likes=["x"])) == run.labelled.n_items - 1
        assert "too few to rely on" in run.scores.verdict


def test_choices_alone_are_ranked(frame):
    learn = build_learner(frame[["user", "item"]])
    assert learn.spec.objective == "ranking"
    fit(learn, 1)
    assert set(evaluate(learn).table["network"]) == set(evaluate(learn).table["popularity"])
    with pytest.raises(DataError, match="objective rating needs ratings, and no column of ratings was found"):
        build_learner(frame[["user", "item"]], objective="rating")


def test_ratings_of_any_range_are_estimated_within_it(frame, tmp_path):
    moved = frame.assign(rating=100 * (frame.rating - 3))
    run = exported(tmp_path, moved, rating_range="-200,200")
    assert (run.labelled.low, run.labelled.high) == (-200, 200)
    plain = exported(tmp_path, frame, rating_range="1,5")
    user, item = plain.labelled.users[3], plain.labelled.items[7]
    expected = 100 * (plain.program.predict(user, item).value - 3)
    assert run.program.predict(user, item).value == pytest.approx(expected, abs=1)
    assert (run.scores.predictions.predicted.between(-200, 200)).all()


def test_files_frames_and_duplicates_are_learnt_from_alike(frame, file, tmp_path):
    twice = pd.concat([frame.assign(rating=1, time=-1), frame])  # the latest stands
    twice.to_csv(tmp_path / "twice.csv", index=False, sep=";")
    found = [build_learner(data) for data in (frame, file, str(file), tmp_path / "twice.csv")]
    for learn in found:
        fit(learn, 1)
    for other in found[1:3]:
        assert all(map(torch.equal, found[0].model.parameters(), other.model.parameters()))
    ours, theirs = (learn.dls.labelled.table[["user", "item", "label"]] for learn in (found[0], found[3]))
    assert set(ours.astype(str).itertuples(index=False)) == set(theirs.astype(str).itertuples(index=False))
    contrary = f"{(frame.rating > 1).sum()} pairs with different ratings"
    note = f"{len(frame)} rows repeat a pair of user and item ({contrary}): the latest by 'time' stands"
    assert note in found[3].dls.labelled.notes


def test_a_whole_run_and_going_on(file, tmp_path, capsys):
    main(file, epochs=2, run=str(tmp_path / "run"))
    said = capsys.readouterr().out
    assert "ratings from 1 to 5 by 60 users of 40 items" in said
    assert "objective rating, form dot, factors 24" in said
    assert "verdict: " in said
    assert "--about" in said
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"program.pyz", "report.html", "scores.json", "predictions.csv", "log.csv", "run.json", "checkpoints"} <= names
    before = json.loads((tmp_path / "run" / "scores.json").read_text())
    log = (tmp_path / "run" / "log.csv").read_text()
    main(file, epochs=2, run=str(tmp_path / "run"), resume=True)
    assert json.loads((tmp_path / "run" / "scores.json").read_text()) == before
    assert (tmp_path / "run" / "log.csv").read_text() == log
    assert load(tmp_path / "run" / "program.pyz").recommend(user="person-001")


def test_a_whole_run_without_users(file, tmp_path, capsys):
    main(file, objective="ranking", epochs=1, run=str(tmp_path / "run"), no_users=True)
    program = load(tmp_path / "run" / "program.pyz")
    assert not program.users
    assert b"person-" not in (tmp_path / "run" / "program.pyz").read_bytes()
    assert len(program.recommend(likes=["thing 3"])) == 10
    assert json.loads((tmp_path / "run" / "run.json").read_text())["no_users"] is True


@EACH
def test_a_stopped_training_goes_on_to_the_same_result(file, tmp_path, objective, form):
    class Stop(Callback):
        def after_epoch(self):
            if self.epoch == 1:
                raise KeyboardInterrupt

    found, tastes = [], []
    for stopped in (False, True):
        learn = build_learner(file, objective=objective, form=form)
        with Run.open("liked", learn, settings={}, folder=tmp_path / str(stopped)) as place:
            if stopped:
                learn.add_cb(Stop())
                with pytest.raises(KeyboardInterrupt):
                    fit(learn, epochs=4, patience=0, run=place)
                learn = build_learner(file, objective=objective, form=form)
        with Run.open("liked", learn, settings={}, folder=tmp_path / str(stopped), resume=True) as place:
            log = fit(learn, epochs=4, patience=0, run=place, resume=True)
        found.append(learn.model.state_dict())
        tastes.append(([row["train_loss"] for row in log], learn.fold_in_model().vectors.tolist()))
    assert all(map(torch.equal, found[0].values(), found[1].values()))
    assert tastes[0] == tastes[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"form": "deep"}, "form 'deep'; choose from dot, neural"),
        ({"objective": "stars"}, "objective 'stars'; choose from auto, rating, ranking"),
        ({"split": "half"}, "split 'half'; choose from random, time, last, user"),
        ({"factors": -1}, "factors -1, batch_size 0: expected whole numbers from 0"),
        ({"batch_size": -5}, "batch_size -5: expected whole numbers from 0"),
        ({"user": "customer"}, "no column 'customer': name the user column, one of 'user', 'item', 'rating', 'time'"),
        ({"user": "item", "item": "item"}, "column 'item' is named for two things"),
        ({"rating": "item"}, "which column is the item\\? Name it with item"),
        ({"rating_range": "5,1"}, "rating_range '5,1': expected two numbers, the lower first, such as 1,5"),
        ({"rating_range": "20,30"}, "20"),
        ({"liked_from": 9.0}, "no rating that is trained on is 9 or more"),
        ({"liked_from": float("nan")}, "liked_from nan: expected a rating"),
        ({"valid_pct": 0.0}, "valid_pct 0.0: expected a share between 0 and 1"),
        ({"test_pct": 2.0}, "test_pct 2.0: expected a share between 0 and 1"),
        ({"valid_pct": 0.5, "test_pct": 0.5}, "leave nothing to train on"),
        ({"seed": -1}, "seed -1: expected a whole number from 0"),
        ({"titles": "nowhere.csv"}, "nowhere.csv"),
        ({"test": "nowhere.csv"}, "nowhere.csv"),
        ({"rating": "none", "objective": "rating"}, "objective rating needs ratings, and they are ignored"),
        ({"epochs": -1}, "epochs -1"),
        ({"lr": -1.0}, "lr -1.0"),
    ],
    ids=str,
)
def test_wrong_options_are_told_in_one_line(file, tmp_path, options, message):
    with pytest.raises(ToolkitError, match=message) as raised:
        main(file, run=str(tmp_path / "run"), **options)
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.glob("run/program.pyz"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user,item,rating\n", "no rows below the header"),
        ("user\na\nb\n", "one column, 'user': a user and an item are the least"),
        ("user,item\na,x\na,y\na,z\n", "the user column 'user' holds only 'a'"),
        ("user,item\na,x\nb,x\nc,x\n", "the item column 'item' holds only 'x'"),
        ("user,item,rating\na,x,3\na,y,3\nb,x,3\nb,y,3\nc,x,3\nc,y,3\n", "every rating that is trained on.*is 3"),
        ("user,item\na,x\nb,y\n", "too few for split 'random'"),
        ("1,2,3\n4,5,6\n7,8,1\n", "the first line, 1, 2, 3, seems to be a row already"),
    ],
)
def test_what_cannot_be_learnt_from_is_told(tmp_path, text, message):
    path = tmp_path / "odd.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as raised:
        build_learner(path)
    assert ("odd.csv" in str(raised.value)) == ("split" not in message)
    assert "\n" not in str(raised.value)


def test_ratings_outside_the_range_are_set_aside_and_told(frame):
    odd = frame.assign(rating=frame.rating.where(frame.index != 4, 50))
    learn = build_learner(odd, rating_range="1,5")
    assert len(learn.dls.labelled.rejected) == 1
    assert "row 5" in learn.dls.labelled.rejected[0][0]
    assert "set aside" in learn.dls.labelled.describe()
    with pytest.raises(DataError, match="strict: set aside 1: row 5"):
        build_learner(odd, rating_range="1,5", strict=True)


def test_ids_may_be_numbers_texts_or_both():
    frame = made_ratings()
    mixed = frame.astype({"user": object})
    mixed.loc[frame.user == 3, "user"] = "three"
    learn = build_learner(mixed)
    fit(learn, 1)
    assert learn.predict({"user": "three", "item": 5})[1] != learn.predict({"user": 4, "item": "5"})[1]
    texts = build_learner(frame.astype({"user": str, "item": float}))
    numbers = build_learner(frame)
    assert texts.dls.labelled.users == numbers.dls.labelled.users
    assert (texts.dls.labelled.item_codes == numbers.dls.labelled.item_codes).all()


def test_the_command_names_what_is_wrong(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "recipes.collaborative_filtering", "nowhere.csv", "--run", str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: nowhere.csv: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
