"""Scores of tables: the program's answer beside the untrained network, simple methods and boosted trees, and by group."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers.tabular_rows import TARGETS, knowing_learner, labelled_people, people
from scipy.sparse import issparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, r2_score, roc_auc_score
from sklearn.neighbors import NearestCentroid

from recipes.tabular import build_learner
from toolkit.errors import DataError
from toolkit.evaluation import evaluate
from toolkit.evaluation.bootstrap import Interval
from toolkit.evaluation.comparison import compare
from toolkit.evaluation.scores import Scores
from toolkit.evaluation.tabular.baselines import one_hot, tabular_baselines, with_gaps
from toolkit.evaluation.tabular.groups import values_of
from toolkit.evaluation.tabular.scores import tabular_answers

SIMPLE = {
    "income": ["majority class", "nearest centroid", "logistic regression", "gradient-boosted trees"],
    "euros": ["mean", "linear regression", "gradient-boosted trees"],
}
CONSTANT = SimpleNamespace(weight=0.25, predict=lambda codes, numbers: np.tile(np.float32([0.3, 0.7]), (len(codes), 1)))


@pytest.fixture(scope="module")
def binary():
    labelled = labelled_people(by=("sex", "town", "age", "joined"))
    return labelled, evaluate(knowing_learner(labelled))


@pytest.fixture(scope="module")
def values():
    labelled = labelled_people("euros", by=("sex",))
    return labelled, evaluate(knowing_learner(labelled))


def test_two_classes_are_scored_by_how_they_are_ranked(binary):
    labelled, scores = binary
    test = labelled.rows_of("test")
    answer = tabular_answers(knowing_learner(labelled))["network"]
    assert list(scores.table) == ["network", "untrained network", *SIMPLE["income"]]
    assert (scores.headline, scores.answers, scores.positive, scores.n_test) == ("ROC AUC", "network", "high", len(test))
    hits = labelled.targets[test] == 0
    network = scores.table["network"]
    assert network["ROC AUC"].value == pytest.approx(roc_auc_score(hits, answer[:, 0]))
    assert network["average precision"].value == pytest.approx(average_precision_score(hits, answer[:, 0]))
    assert network["ROC AUC"].low < network["ROC AUC"].value < network["ROC AUC"].high
    assert scores.table["majority class"]["ROC AUC"].value == 0.5
    assert network["ROC AUC"].value > scores.table["untrained network"]["ROC AUC"].value
    best = max(SIMPLE["income"], key=lambda name: scores.table[name]["ROC AUC"].value)
    assert scores.best_simple == best
    assert scores.difference.value == pytest.approx(network["ROC AUC"].value - scores.table[best]["ROC AUC"].value)
    assert "ROC AUC" in scores.verdict


def test_numbers_are_scored_by_their_errors(values):
    labelled, scores = values
    test = labelled.rows_of("test")
    assert list(scores.table) == ["network", "untrained network", *SIMPLE["euros"]]
    assert list(scores.table["network"]) == ["R²", "RMSE", "MAE"]
    answer = tabular_answers(knowing_learner(labelled))["network"]
    assert scores.table["network"]["R²"].value == pytest.approx(r2_score(labelled.targets[test], answer[:, 0]), rel=1e-4)
    assert scores.table["mean"]["R²"].value == pytest.approx(0, abs=0.05)
    assert scores.table["linear regression"]["R²"].value > 0.7
    assert scores.predictions.label.tolist() == pytest.approx(labelled.targets[test])
    assert (scores.headline, scores.confusion, scores.calibration) == ("R²", {}, [])


@pytest.mark.parametrize(("target", "headline"), [("income", "ROC AUC"), ("level", "accuracy"), ("euros", "R²")])
def test_a_learner_of_the_recipe_is_scored_by_what_it_predicts(target, headline, tmp_path):
    people(200).to_csv(tmp_path / "people.csv", index=False)
    others = ",".join(name for name in TARGETS if name != target)
    learn = build_learner(tmp_path / "people.csv", target, leave_out=others, by="sex", arch="plain")
    with learn.no_bar(), learn.no_logging():
        expected = learn.get_preds(dl=learn.dls[2])[0].numpy()
    assert tabular_answers(learn)["network"] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    scores = evaluate(learn)
    assert scores.headline == headline
    assert scores.table["network"] == scores.table["untrained network"]  # it has not learnt yet
    assert scores.n_test == len(expected)
    assert set(scores.by_group["sex"]) == {"F", "M"}


def test_more_classes_are_scored_by_accuracy():
    labelled = labelled_people("level")
    scores = evaluate(knowing_learner(labelled))
    assert (scores.headline, scores.positive) == ("accuracy", "")
    right = (scores.predictions.predicted == scores.predictions.label).mean()
    assert scores.table["network"]["accuracy"].value == pytest.approx(right)
    assert sum(point["count"] for point in scores.calibration) == len(labelled.rows_of("test"))


def test_where_trees_are_blended_in_the_verdict_is_about_both():
    labelled = labelled_people(by=("sex",))
    learn = knowing_learner(labelled, CONSTANT)
    answers = tabular_answers(learn)
    assert list(answers) == ["network and trees", "network", "trees"]
    assert answers["network and trees"] == pytest.approx(0.75 * answers["network"] + 0.25 * answers["trees"])
    scores = evaluate(learn)
    assert list(scores.table)[:4] == ["network and trees", "network", "trees", "untrained network"]
    assert scores.answers == "network and trees"
    assert scores.verdict.startswith("network and trees: ")
    assert scores.predictions.probability.to_numpy() == pytest.approx(answers["network and trees"].max(axis=1))
    best = scores.table[scores.best_simple]["ROC AUC"].value
    assert scores.difference.value == pytest.approx(scores.table["network and trees"]["ROC AUC"].value - best)


def test_that_trees_are_better_is_said():
    labelled = labelled_people(count=1000)
    neither = (abs(labelled.frame.age - 45) < 10).to_numpy(np.int64)  # what is neither high nor low in anything
    labelled = replace(labelled, targets=neither)
    scores = evaluate(knowing_learner(labelled))
    assert scores.verdict.startswith("worse than gradient-boosted trees")
    assert "--blend" in scores.verdict
    assert "trees alone" in evaluate(knowing_learner(labelled, CONSTANT)).verdict


def test_groups_are_scored_by_themselves(binary):
    labelled, scores = binary
    test, answer = labelled.rows_of("test"), tabular_answers(knowing_learner(labelled))["network"]
    assert set(scores.by_group) == {"sex", "town", "age", "joined"}
    women = (labelled.frame.sex.iloc[test] == "F").to_numpy()
    found = scores.by_group["sex"]["F"]
    assert found["n"] == women.sum()
    expected = roc_auc_score(labelled.targets[test][women] == 0, answer[women, 0])
    assert found["metrics"]["ROC AUC"].value == pytest.approx(expected)
    for values in scores.by_group.values():
        assert sum(each["n"] for each in values.values()) == len(test)
    assert "(fewer than 20 rows each)" in scores.by_group["town"]
    *quartiles, missing = scores.by_group["age"]
    assert missing == "(missing)"
    assert len(quartiles) == 4
    assert all(" to " in name for name in quartiles)
    assert next(iter(scores.by_group["joined"])) in ("2020", "2021", "2022", "2023")


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1,5", "2,5", "?", "3,5"] * 20, {"1,5": 20, "2,5": 20, "3,5": 20, "(missing)": 20}),
        ([str(number) for number in range(80)], {"0 to 19": 20, "20 to 39": 20, "40 to 59": 20, "60 to 79": 20}),
        ([f"name {number}" for number in range(80)], {"(fewer than 20 rows each)": 80}),
        (["a"] * 50 + ["b"] * 27 + ["c"] * 3, {"a": 50, "b": 27, "c": 3}),
        (["a"] * 50 + ["b"] * 27 + ["c", "d", "d"], {"a": 50, "b": 27, "(fewer than 20 rows each)": 3}),
        ([True, False] * 40, {"True": 40, "False": 40}),
    ],
)
def test_values_of_a_column_that_is_not_learnt_from_make_groups(cells, expected):
    labelled = SimpleNamespace(frame=pd.DataFrame({"extra": cells}, dtype=object), tabular_input=labelled_people().tabular_input)
    found = values_of(labelled, np.arange(80), column="extra")
    assert {name: len(rows) for name, rows in found.items()} == expected


def test_groups_of_rows_are_what_the_bootstrap_draws():
    labelled = labelled_people(by=("sex",))
    labelled.table["group"] = [f"house {number // 10}" for number in range(400)]
    scores = evaluate(knowing_learner(labelled))
    assert scores.resampled == "groups"
    assert scores.predictions.group.nunique() == 40
    labelled.table["group"] = [f"house {number % 2}" for number in range(400)]
    assert "only 2 groups" in evaluate(knowing_learner(labelled)).verdict


@pytest.mark.parametrize("which", ["binary", "values"])
def test_scores_are_read_back_as_they_were_written(which, request, tmp_path):
    scores = request.getfixturevalue(which)[1]
    scores.save(tmp_path)
    again = Scores.load(tmp_path)
    pd.testing.assert_frame_equal(again.predictions, scores.predictions, check_dtype=False)
    assert again.to_json() == scores.to_json()
    assert str(again) == str(scores)
    assert again.by_group["sex"]["F"]["metrics"] == scores.by_group["sex"]["F"]["metrics"]
    card = scores.card()
    assert card["by_group"]["sex"]["F"]["n"] == scores.by_group["sex"]["F"]["n"]
    assert "held-out rows" in str(scores)
    assert f"{scores.headline} by sex: " in str(scores)


def test_runs_are_compared_row_by_row(binary, values, tmp_path):
    one = binary[1]
    one.save(tmp_path)
    guessing = one.predictions.assign(probability=0.5, probability_of_label=0.5)
    found = compare({"one": Scores.load(tmp_path), "guessing": replace(one, predictions=guessing)})
    assert found.n_common == one.n_test
    assert found.table["one"]["ROC AUC"].value == pytest.approx(one.table["network"]["ROC AUC"].value)
    assert found.differences["guessing"]["ROC AUC"].value == pytest.approx(0.5 - one.table["network"]["ROC AUC"].value)
    assert found.verdicts[0].startswith("guessing is worse than one")
    assert "points of ROC AUC" in found.verdicts[0]

    other = values[1]
    exact = other.predictions.assign(predicted=other.predictions.label)
    found = compare({"other": other, "exact": replace(other, predictions=exact)})
    assert found.table["other"]["RMSE"].value == pytest.approx(other.table["network"]["RMSE"].value, rel=1e-4)
    assert found.differences["exact"]["R²"].value == pytest.approx(1 - other.table["network"]["R²"].value, rel=1e-4)
    with pytest.raises(DataError, match="classes of items and numbers: compare runs of one task"):
        compare({"one": one, "other": other})


def test_simple_methods_answer_for_classes_and_numbers():
    labelled = labelled_people("level")
    test = labelled.rows_of("test")
    for answer in tabular_baselines(labelled, test).values():
        assert answer.shape == (len(test), 3)
        assert answer.sum(axis=1) == pytest.approx(1)
    bounded = labelled_people("euros")
    free = tabular_baselines(bounded, bounded.rows_of("test"))
    bounded = replace(bounded, target=replace(bounded.target, low=15_000, high=25_000))
    for name, answer in tabular_baselines(bounded, bounded.rows_of("test")).items():
        assert answer.shape == (len(test), 1)
        assert np.array_equal(answer, free[name].clip(15_000, 25_000))
        assert (name == "mean") == np.array_equal(answer, free[name])  # the others would go beyond


@pytest.mark.filterwarnings("ignore:.*zero standard deviation")
def test_simple_methods_equal_scikit_learns_on_filled_rows():
    labelled = labelled_people()
    test, known = labelled.rows_of("test"), np.concatenate([labelled.rows_of("train"), labelled.rows_of("valid")])
    hot = one_hot(labelled, known)
    assert issparse(hot)
    full, answers = hot.toarray(), tabular_baselines(labelled, test)
    nearest = NearestCentroid().fit(full[known], labelled.targets[known]).predict(full[test])
    assert np.array_equal(answers["nearest centroid"].argmax(axis=1), nearest)
    logistic = LogisticRegression(max_iter=200).fit(full[known], labelled.targets[known])
    assert answers["logistic regression"] == pytest.approx(logistic.predict_proba(full[test]), abs=1e-3)


def test_trees_see_that_a_number_is_missing():
    labelled = labelled_people()
    values = with_gaps(labelled.tabular_input, labelled.numbers)
    assert values.shape[1] == len(labelled.tabular_input.numeric)
    assert np.array_equal(np.isnan(values[:, 0]), labelled.frame.age.isna())
    assert not np.isnan(values[:, 1:]).any()


def test_ten_thousand_categories_stay_sparse():
    labelled = labelled_people(count=2000)
    names = np.random.default_rng(0).integers(0, 10_000, 2000)
    column = replace(labelled.tabular_input.categories[0], name="id", values=tuple(map(str, range(10_000))))
    wider = replace(labelled.tabular_input, columns=(*labelled.tabular_input.columns, column))
    labelled = replace(labelled, tabular_input=wider, codes=np.column_stack([labelled.codes, names + 2]))
    known = np.concatenate([labelled.rows_of("train"), labelled.rows_of("valid")])
    hot = one_hot(labelled, known)
    assert hot.nnz < 2000 * 30
    centred = hot[known].multiply(hot[known]).mean(axis=0) - np.square(hot[known].mean(axis=0))
    assert centred[-10_002:].sum() == pytest.approx(1)  # weighs as much as a number
    answers = tabular_baselines(labelled, labelled.rows_of("test"))
    assert roc_auc_score(labelled.targets[labelled.rows_of("test")], answers["logistic regression"][:, 1]) > 0.8


def test_the_same_seed_finds_the_same_scores(binary):
    labelled, scores = binary
    assert evaluate(knowing_learner(labelled)).to_json() == scores.to_json()


def test_a_figure_far_from_one_is_shown_with_as_many_digits_as_tell_it():
    assert str(Interval(0.9274, 0.92, 0.93)) == "0.927 [0.920, 0.930]"
    assert str(Interval(54321.123, 53000.4, 56000.9)) == "54321 [53000, 56001]"
    assert str(Interval(321.123, 300.4, 350.9)) == "321.12 [300.40, 350.90]"
    assert str(Interval(0.000054, 0.00005, 0.00006)) == "0.000054 [0.000050, 0.000060]"
    assert str(Interval(0.0, -0.0001, 0.0001)) == "0.000 [0.000, 0.000]"


def test_a_table_without_test_rows_is_refused():
    labelled = labelled_people()
    learnt = labelled.table.split.replace("test", "train")
    labelled = replace(labelled, table=labelled.table.assign(split=learnt))
    with pytest.raises(DataError, match="no test rows"):
        evaluate(knowing_learner(labelled))
