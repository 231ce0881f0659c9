"""The sample tables are what their rules make, to the byte, and their rules leave something that a straight line cannot learn."""

import csv
import importlib.util
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from helpers import ROOT
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

SAMPLES = ROOT / "sample_data"
FILES = ("breast_cancer.csv", "admissions.csv", "income.csv")


@pytest.fixture(scope="module")
def rules():
    spec = importlib.util.spec_from_file_location("make_tables", SAMPLES / "make_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def floor(rules):
    return rules.best_possible()


def rows(name):
    """The features that are learnt from, a date as days and without the name of the row, and what is predicted."""
    frame = pd.read_csv(SAMPLES / name, na_values="?")
    for column in frame.columns.intersection(["started", "applied"]):
        frame[column] = (pd.to_datetime(frame[column]) - pd.Timestamp("2024-12-31")).dt.days
    return frame.iloc[:, 1:-1], frame.iloc[:, -1]


def straight(model):
    """A linear model on numbers and categories, each with a column that says what was missing."""
    numbers = make_pipeline(SimpleImputer(add_indicator=True), StandardScaler())
    texts = make_column_selector(dtype_exclude="number")
    columns = (numbers, make_column_selector(dtype_include="number")), (OneHotEncoder(handle_unknown="ignore"), texts)
    return make_pipeline(make_column_transformer(*columns), model)


def with_categories(features):
    return features.astype(dict.fromkeys(features.select_dtypes(exclude="number").columns, "category"))


def out_of_fold(predict, features, target):
    """What `predict(train features, train target, test features)` says of each fifth of the rows, learnt from the others."""
    fold, told = np.arange(len(target)) % 5, np.empty(len(target))
    for number in range(5):
        train, test = fold != number, fold == number
        told[test] = predict(features[train], target[train], features[test])
    return told


def test_making_the_tables_again_gives_the_committed_files(tmp_path):
    subprocess.run([sys.executable, str(SAMPLES / "make_tables.py"), str(tmp_path)], check=True, capture_output=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes(), name


@pytest.mark.parametrize(("name", "count"), list(zip(FILES, (569, 1000, 3000), strict=True)))
def test_a_table_is_small_plain_and_rectangular(name, count):
    data = (SAMPLES / name).read_bytes()
    assert len(data) < 300_000
    assert b"\r" not in data
    header, *cells = csv.reader(data.decode("utf-8").splitlines())
    assert (len(cells), {len(row) for row in cells}) == (count, {len(header)})
    assert len(set(header)) == len(header)
    assert all(row[-1] not in ("", "?") for row in cells), "what is predicted is never missing"


def test_the_tumours_are_those_of_scikit_learn():
    features, diagnosis = pd.read_csv(SAMPLES / FILES[0]).iloc[:, :-1], pd.read_csv(SAMPLES / FILES[0])["diagnosis"]
    from sklearn.datasets import load_breast_cancer

    published = load_breast_cancer()
    assert list(features) == list(published.feature_names)
    assert (features.to_numpy() == published.data).all()
    assert (diagnosis == published.target_names[published.target]).all()


@pytest.mark.parametrize("name", FILES[1:])
def test_made_tables_miss_some_cells_name_each_row_once_and_hold_a_date(name):
    frame = pd.read_csv(SAMPLES / name, dtype=str, keep_default_na=False)
    missing = frame.isin(["", "?"]).mean()
    assert 0.005 < missing.mean() < 0.05
    assert missing.max() < 0.1
    assert frame.iloc[:, 0].is_unique
    dates = frame["applied" if name == "admissions.csv" else "started"]
    pd.to_datetime(dates[dates != ""], format="%Y-%m-%d")


def test_missing_cells_are_blank_in_some_columns_and_question_marks_in_others():
    frame = pd.read_csv(SAMPLES / "income.csv", dtype=str, keep_default_na=False)
    asked = set(frame.columns[(frame == "?").any()])
    assert asked == {"occupation", "region", "years_experience"}
    assert set(frame.columns[(frame == "").any()]) == {"education", "hours_per_week", "started", "commute_km"}


def test_nobody_has_been_longer_in_the_job_than_at_work():
    features, _ = rows("income.csv")
    known = features.dropna(subset=["started", "years_experience"])
    assert (-known["started"] / 365.25 <= known["years_experience"] + 0.01).all()


def test_the_floors_are_those_that_are_documented(floor):
    told = (SAMPLES / "SOURCE.md").read_text(encoding="utf-8")
    assert floor["admissions ROC AUC"] == pytest.approx(0.917, abs=0.002)
    assert floor["admissions accuracy"] == pytest.approx(0.834, abs=0.003)
    assert floor["income R²"] == pytest.approx(0.872, abs=0.002)
    assert floor["income RMSE"] == pytest.approx(8800, rel=0.01)
    assert "ROC AUC 0.917, accuracy 0.834" in told
    assert "R² 0.872, RMSE 8,800" in told


def test_the_rules_score_their_floor_on_the_committed_rows(rules, floor):
    table, probability = rules.admissions()
    assert roc_auc_score(table["admitted"] == "yes", probability) == pytest.approx(floor["admissions ROC AUC"], abs=0.02)
    assert np.mean(table["admitted"] == "yes") == pytest.approx(probability.mean(), abs=0.03)
    table, expected = rules.income()
    assert r2_score(table["income"], expected) == pytest.approx(floor["income R²"], abs=0.03)
    assert (table["income"] / expected).mean() == pytest.approx(1, abs=0.015)


def test_trees_come_near_the_floor_of_income_and_a_straight_line_stays_below(rules):
    features, income = rows("income.csv")

    def line(x, y, new):
        return straight(LinearRegression()).fit(x, y).predict(new)

    def trees(x, y, new):
        model = HistGradientBoostingRegressor(
            learning_rate=0.05, max_iter=200, max_leaf_nodes=8, categorical_features="from_dtype", random_state=0
        )
        return model.fit(x, y).predict(new)

    best = r2_score(income, rules.income()[1])
    grown = r2_score(income, out_of_fold(trees, with_categories(features), income))
    assert best - 0.06 < grown < best
    assert r2_score(income, out_of_fold(line, features, income)) < grown - 0.05


def test_trees_come_near_the_floor_of_admissions_and_a_straight_line_cannot_reach_it(rules):
    """Of 1,000 rows both lack some; that the line stays below however much it sees is asked of 20,000 new ones."""
    features, admitted = rows("admissions.csv")

    def trees(x, y, new):
        model = HistGradientBoostingClassifier(
            learning_rate=0.05, max_iter=120, max_leaf_nodes=4, categorical_features="from_dtype", random_state=0
        )
        return model.fit(x, y).predict_proba(new)[:, 1]

    best = roc_auc_score(admitted == "yes", rules.admissions()[1])
    grown = roc_auc_score(admitted == "yes", out_of_fold(trees, with_categories(features), admitted == "yes"))
    assert best - 0.03 < grown < best
    table, probability = rules.admissions(20_000, seed=1)
    many, yes = pd.DataFrame(table).drop(columns=["applicant", "applied", "admitted"]), table["admitted"] == "yes"
    line = straight(LogisticRegression(max_iter=500)).fit(many, yes)
    assert roc_auc_score(yes, line.predict_proba(many)[:, 1]) < roc_auc_score(yes, probability) - 0.02
