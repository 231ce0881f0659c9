"""The tabular recipe: from a table to a fastai Learner whose test part nothing was fitted to, and to a whole run."""

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.callback.core import Callback
from helpers import ROOT
from helpers.tabular_people import made

from recipes.tabular import build_learner, main
from toolkit.data.tabular.options import as_table_options
from toolkit.data.tabular.prepare import labelled_tabular
from toolkit.errors import DataError, RunError, ToolkitError
from toolkit.evaluation import evaluate
from toolkit.evaluation.tabular.scores import tabular_answers
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.learning.tabular.learner import blend_trees
from toolkit.reports.images.explain import Explainer


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return made()


@pytest.fixture(scope="module")
def file(frame, tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "people.csv"
    frame.to_csv(path, index=False)
    return path


def test_no_value_of_the_test_reaches_what_is_fitted(frame):
    """Neither categories nor medians, scales, first weights, nor an epoch of training know what stands in the test rows."""
    first = build_learner(frame, "bought", leave_out="paid")
    test = first.dls.labelled.rows_of("test")
    altered = frame.copy()
    altered.loc[test, "age"] = 10**6
    altered.loc[test, "weight"] = np.inf
    altered.loc[test, "work"] = "moon"
    altered.loc[test, "joined"] = pd.Timestamp("1900-01-01")
    second = build_learner(altered, "bought", leave_out="paid")
    assert second.dls.labelled.tabular_input == first.dls.labelled.tabular_input
    assert (second.dls.labelled.table.split == first.dls.labelled.table.split).all()
    for part in (0, 1):
        for ours, theirs in zip(first.dls[part].dataset.held, second.dls[part].dataset.held, strict=True):
            assert torch.equal(ours, theirs)
    assert not torch.equal(first.dls[2].dataset.held[0], second.dls[2].dataset.held[0])
    for learn in (first, second):
        fit(learn, epochs=1)
        blend_trees(learn)
    assert all(map(torch.equal, first.model.state_dict().values(), second.model.state_dict().values()))
    assert first.trees.to_dict() == second.trees.to_dict()


def test_loaders_are_train_valid_and_a_labelled_test(frame):
    learn = build_learner(frame, "bought", leave_out="paid", batch_size=16)
    labelled = learn.dls.labelled
    assert [loader.n for loader in learn.dls.loaders] == [len(labelled.rows_of(part)) for part in ("train", "valid", "test")]
    seen = torch.cat([codes for codes, _, _ in learn.dls.train])
    assert len(seen) == learn.dls.train.n
    everything = torch.cat([numbers for _, numbers, _ in learn.dls[2]])
    assert np.array_equal(everything, labelled.numbers[labelled.rows_of("test")])
    answers, targets = learn.get_preds(dl=learn.dls[2])
    assert np.array_equal(targets.flatten(), labelled.targets[labelled.rows_of("test")])
    assert torch.allclose(answers.sum(1), torch.ones(len(answers)))


def test_each_training_row_is_seen_once_an_epoch(frame):
    learn = build_learner(frame, "paid", batch_size=7, leave_out="bought")
    seen = torch.cat([targets for _, _, targets in learn.dls.train]).flatten().tolist()
    known = learn.dls.labelled.targets[learn.dls.labelled.rows_of("train")].tolist()
    assert sorted(seen) == sorted(known)


def test_fewer_rows_than_a_batch_are_learnt_from(frame):
    learn = build_learner(frame.head(30), "paid", batch_size=512, leave_out="bought")
    before = [value.clone() for value in learn.model.parameters()]
    fit(learn, epochs=1)
    assert not all(map(torch.equal, before, learn.model.parameters()))


@pytest.mark.parametrize("arch", ["tabm", "plain"])
@pytest.mark.parametrize("target", ["bought", "paid"])
def test_the_learner_is_fastais(frame, arch, target):
    learn = build_learner(frame, target, arch=arch, leave_out="paid" if target == "bought" else "bought")
    fit(learn, epochs=2)
    row = frame.iloc[0].copy()
    shown, decoded, answer = learn.predict(row)
    expected = tabular_answers(learn, np.array([0]))["network"][0]
    assert np.allclose(answer.flatten(), expected, rtol=1e-5)
    assert str(shown.items.iloc[0].name) == "0"
    assert decoded is not None
    again, _ = learn.get_preds(dl=learn.dls.test_dl(frame))
    assert np.allclose(again, tabular_answers(learn, np.arange(len(frame)))["network"], rtol=1e-4, atol=1e-5)
    learn.show_results(max_n=2)
    unlabelled = learn.dls.test_dl(frame.assign(**{target: None}))
    assert np.allclose(learn.get_preds(dl=unlabelled)[0], again)


def test_rows_unlike_those_in_training_are_answered_by_learner_and_program_alike(frame, tmp_path):
    learn = build_learner(frame, "bought", leave_out="paid")
    fit(learn, epochs=2)
    program = export(learn, tmp_path / "program.pyz")
    odd = pd.DataFrame(
        {
            "work": pd.Categorical([" sea", "moon", None, "FARM"], ["moon", "FARM", " sea"]),
            "age": ["44", None, float("inf"), 10**9],
            "joined": [None, "2021-05-05", "soon", pd.Timestamp("2021-01-01")],
            "weight": [np.nan, 1e300, -5, "70"],
            "house": [1, 2, 3, 4],
            "hat": ["red"] * 4,
        }
    )
    expected, _ = learn.get_preds(dl=learn.dls.test_dl(odd))
    for place, answer in enumerate(program.predict_many(odd)):
        assert answer.probabilities["yes"] == pytest.approx(float(expected[place, 1]), abs=1e-4)
        assert answer.notes
        assert program.predict(odd.iloc[place]).probabilities == pytest.approx(answer.probabilities, abs=1e-6)


def test_columns_may_be_called_what_fastai_calls_its_own(frame):
    names = {"age": "c", "weight": "cats", "work": "y", "joined": "items", "house": "c missing", "bought": "vocab"}
    learn = build_learner(frame.rename(columns=names).drop(columns="paid"), "vocab")
    fit(learn, epochs=1)
    assert evaluate(learn).n_test == len(learn.dls.labelled.rows_of("test"))
    learn.predict(frame.rename(columns=names).iloc[0])


def test_csv_parquet_excel_and_frame_are_learnt_from_alike(frame, file, tmp_path):
    frame.to_parquet(tmp_path / "people.parquet")
    frame.to_excel(tmp_path / "people.xlsx", index=False)
    found = [
        build_learner(data, "bought").dls.labelled
        for data in (frame, file, tmp_path / "people.parquet", tmp_path / "people.xlsx")
    ]
    for other in found[1:]:
        assert np.array_equal(other.codes, found[0].codes)
        assert np.allclose(other.numbers, found[0].numbers)
        assert [decision.kind for decision in other.decisions] == [decision.kind for decision in found[0].decisions]
        assert (other.table.split == found[0].table.split).all()


def test_a_test_file_is_the_test_and_nothing_else(file, tmp_path):
    later = made(50, seed=1)
    later.assign(bought=later.bought.where(later.index > 2, "maybe")).to_csv(tmp_path / "later.csv", index=False)
    labelled = build_learner(file, "bought", test=tmp_path / "later.csv").dls.labelled
    assert labelled.table.split.value_counts().to_dict() == {"train": 216, "valid": 24, "test": 47}
    assert set(labelled.table.path[labelled.table.split == "test"]) == {str(tmp_path / "later.csv")}
    assert labelled.rejected == [(f"{tmp_path / 'later.csv'} row {row}", "its class has no training row") for row in (1, 2, 3)]
    later.drop(columns=["age", "bought"]).to_csv(tmp_path / "lacking.csv", index=False)
    with pytest.raises(DataError, match=r"lacking\.csv: lacks the target 'bought', which .*people\.csv has"):
        build_learner(file, "bought", test=tmp_path / "lacking.csv")
    later.drop(columns="age").to_csv(tmp_path / "lacking.csv", index=False)
    with pytest.raises(DataError, match=r"lacks column 'age'"):
        build_learner(file, "bought", test=tmp_path / "lacking.csv")
    assert build_learner(file, "bought", test=tmp_path / "lacking.csv", leave_out="age").dls[2].n == 50


def test_groups_of_a_given_test_are_not_learnt_from(frame):
    houses = frame.house[:20].unique()
    labelled = build_learner(frame, "bought", test=made(60, seed=1).assign(house=houses[0]), group_by="house").dls.labelled
    aside = (frame.house == houses[0]).sum()
    assert len(labelled.rejected) == aside > 0
    assert labelled.rejected[0][1] == "its group stands in the test"
    assert (labelled.table.split == "test").sum() == 60


def test_groups_and_time(frame):
    labelled = build_learner(frame, "bought", group_by="house").dls.labelled
    assert (labelled.table.groupby("group").split.nunique() == 1).all()
    assert "house" not in labelled.tabular_input.names
    labelled = build_learner(frame, "bought", time="joined").dls.labelled
    last = [labelled.frame.joined[labelled.rows_of(part)] for part in ("train", "valid", "test")]
    assert last[0].max() < last[1].min()
    assert last[1].max() < last[2].min()


def test_a_column_of_parts_is_kept_to(frame):
    parts = np.array(["train", "val", "test"])[np.arange(len(frame)) % 3]
    labelled = build_learner(frame.assign(split=parts), "bought").dls.labelled
    assert labelled.table.split.tolist() == ["valid" if part == "val" else part for part in parts]
    assert "split" not in labelled.tabular_input.names


def test_values_stay_within_the_range(frame):
    learn = build_learner(frame, "paid", target_range="0,500", leave_out="bought")
    fit(learn, epochs=1)
    learn.dls.labelled.numbers[:] = 50
    answers = tabular_answers(learn)["network"]
    assert ((answers > 0) & (answers < 500)).all()
    with pytest.raises(DataError, match=r"'paid' goes from .* outside the range 0 to 10"):
        build_learner(frame, "paid", target_range=(0, 10))
    with pytest.raises(DataError, match="a range is for numbers"):
        build_learner(frame, "bought", target_range=(0, 10))
    with pytest.raises(DataError, match="expected two numbers, the lower first, such as 0,100"):
        build_learner(frame, "paid", target_range="7")


def test_rare_classes_weigh_more_where_asked(frame):
    rare = frame.assign(bought=np.where(np.arange(len(frame)) % 12, "no", "yes")).drop(columns="paid")
    weights = build_learner(rare, "bought", class_weights="balanced").loss_func.func.weight
    assert weights[1] > 3 * weights[0]
    assert build_learner(rare, "bought").loss_func.func.weight is None


@pytest.mark.parametrize(
    ("change", "target", "message"),
    [
        (
            lambda f: f.assign(bought="yes"),
            "bought",
            "the target column 'bought' holds always 'yes': there is nothing to tell apart",
        ),
        (lambda f: f.assign(bought=None), "bought", "'bought' holds nothing but missing values"),
        (lambda f: f, "sold", "no column 'sold': name the target column, one of 'age', 'weight'"),
        (lambda f: f, "", "no target was named"),
        (
            lambda f: f.assign(name=[f"n{i}" for i in range(len(f))]),
            "name",
            "240 different values in 240 rows, too many for classes",
        ),
        (lambda f: f.head(8), "bought", "8 rows with a target are too few"),
        (lambda f: f[["bought"]], "bought", "no column is left to learn 'bought' from: there is no other column"),
        (lambda f: f[["bought"]].assign(x=1), "bought", "no column is left to learn 'bought' from: x: left out"),
        (lambda f: f.head(0), "bought", "DataFrame: no rows below the header"),
    ],
)
def test_what_cannot_be_learnt_from_is_told(frame, change, target, message):
    with pytest.raises(DataError, match=message):
        build_learner(change(frame), target)


def test_rows_without_a_target_are_set_aside(frame):
    lacking = frame.assign(bought=frame.bought.where(frame.index != 5))
    labelled = build_learner(lacking, "bought").dls.labelled
    assert labelled.rejected == [("row 6", "no value in the target column 'bought'")]
    worded = frame.assign(bought=frame.bought.replace("no", "None"))
    with pytest.raises(DataError, match=r"holds always 'yes'.*'None' means a missing one; --missing '!none' makes it a value"):
        build_learner(worded, "bought")
    assert build_learner(worded, "bought", missing="!none").dls.labelled.classes == ("None", "yes")
    with pytest.raises(DataError, match="strict: set aside 1: row 6: no value in the target column 'bought'"):
        build_learner(lacking, "bought", strict=True)


def test_odd_values_of_a_regressions_target_are_named(frame, tmp_path):
    texts = frame.astype(str).assign(paid=frame.paid.astype(str).where(frame.index != 7, "a lot"))
    texts.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"t\.csv row 8: 'a lot' in the target column 'paid' is no finite number"):
        build_learner(tmp_path / "t.csv", "paid", task="regression")


def test_wrong_options(frame):
    for options, message in (
        ({"arch": "forest"}, "arch 'forest'; choose from auto, tabm, plain"),
        ({"class_weights": "auto"}, "class weights 'auto'; choose from none, root, balanced"),
        ({"task": "guess"}, "task 'guess'; choose from auto, classification, regression"),
        ({"numbers": "hat"}, "no column 'hat': name the numbers column, one of"),
        ({"leave_out": "bought"}, "leave_out 'bought' is what is predicted: name another column"),
        ({"numbers": "age", "categories": "age"}, "column 'age' is named for two kinds"),
        ({"seed": 1.5}, "seed 1.5: expected a whole number"),
        ({"arch": "plain", "batch_size": 1}, "batch_size 1: the plain network has batch norms"),
        ({"group_by": "hat"}, "no column 'hat': name the group_by column"),
        ({"by": "bought"}, "by 'bought' is what is predicted"),
        ({"batch_size": -1}, "batch_size -1"),
        ({"test_pct": 2}, "test_pct 2"),
    ):
        with pytest.raises(ToolkitError, match=message):
            build_learner(frame, "bought", **options)


def test_numbers_with_decimal_commas_semicolons_and_quoted_lines(frame, tmp_path):
    german = frame.assign(remark="two\nlines")
    german.to_csv(tmp_path / "german.csv", sep=";", decimal=",", index=False, encoding="utf-8-sig")
    frame.assign(remark="two\nlines").to_csv(tmp_path / "plain.csv", index=False)
    ours, plain = (labelled_tabular(tmp_path / f"{name}.csv", as_table_options("paid")) for name in ("german", "plain"))
    assert np.allclose(ours.numbers, plain.numbers)
    assert np.allclose(ours.targets, plain.targets)
    assert any("decimal commas" in str(decision) for decision in ours.decisions)


def test_infinite_values_and_empty_columns_are_told_and_learnt_around(frame):
    odd = frame.assign(weight=frame.weight.where(frame.index % 50 != 0, np.inf), nothing=None)
    labelled = build_learner(odd, "bought").dls.labelled
    assert "nothing: left out (every value is missing)" in map(str, labelled.decisions)
    assert any(note.startswith("weight: 5 odd cells, such as row 1, infinite: taken as missing") for note in labelled.notes)
    assert np.isfinite(labelled.numbers).all()


def test_a_whole_run_and_going_on(file, tmp_path, capsys):
    main(file, "bought", blend=True, epochs=2, run=str(tmp_path / "run"), by="work", leave_out="paid")
    said = capsys.readouterr().out
    assert "240 rows: 168 train, 24 valid, 48 test; predicted is 'bought', one of 2 classes" in said
    assert "work: category (3 different values)" in said
    assert "verdict: " in said
    names = {path.name for path in (tmp_path / "run").iterdir()}
    assert {
        "program.pyz",
        "report.html",
        "scores.json",
        "predictions.csv",
        "log.csv",
        "items.csv",
        "run.json",
        "trees.json",
    } <= names
    before = json.loads((tmp_path / "run" / "scores.json").read_text())
    with pytest.raises(RunError, match=r"a run on a table: python .*program\.pyz --row '{…}' --why explains one row"):
        Explainer(tmp_path / "run")
    main(file, "bought", blend=True, epochs=2, run=str(tmp_path / "run"), by="work", leave_out="paid", resume=True)
    assert json.loads((tmp_path / "run" / "scores.json").read_text()) == before
    work = before["by_group"]["work"]
    assert "(fewer than 20 rows each)" in work  # of 48 rows three kinds cannot have 20 each
    assert sum(group["n"] for group in work.values()) == 48


def test_a_stopped_training_goes_on_to_the_same_result(file, tmp_path):
    class Stop(Callback):
        def after_epoch(self):
            if self.epoch == 1:
                raise KeyboardInterrupt

    found = []
    for stopped in (False, True):
        learn = build_learner(file, "bought")
        with Run.open("people", learn, settings={}, folder=tmp_path / str(stopped)) as place:
            if stopped:
                learn.add_cb(Stop())
                with pytest.raises(KeyboardInterrupt):
                    fit(learn, epochs=4, patience=0, run=place)
                learn = build_learner(file, "bought")
        with Run.open("people", learn, settings={}, folder=tmp_path / str(stopped), resume=True) as place:
            fit(learn, epochs=4, patience=0, run=place, resume=True)
        found.append(learn.model.state_dict())
    assert all(map(torch.equal, found[0].values(), found[1].values()))


def test_the_command_names_what_is_wrong(file):
    done = subprocess.run(
        [sys.executable, "-m", "recipes.tabular", str(file), "sold"], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {file}: no column 'sold': name the target column, one of 'age'")
    assert "Traceback" not in done.stderr
