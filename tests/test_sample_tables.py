"""The sample tables are what their script makes, to the byte, and hold as much as their rules say."""

import csv
import importlib.util
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import log_loss, r2_score, roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

SAMPLES = ROOT / "sample_data"


def script():
    spec = importlib.util.spec_from_file_location("make_tables", SAMPLES / "make_tables.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_making_the_tables_again_gives_the_committed_files(tmp_path):
    done = subprocess.run(
        [sys.executable, str(SAMPLES / "make_tables.py"), str(tmp_path)], check=True, capture_output=True, text=True
    )
    made = sorted(path.name for path in tmp_path.iterdir())
    assert made == ["admissions.csv", "breast_cancer.csv", "income.csv"]
    for name in made:
        assert (tmp_path / name).read_bytes() == (SAMPLES / name).read_bytes(), name
        assert (SAMPLES / name).stat().st_size < 300_000
    said = (SAMPLES / "SOURCE.md").read_text(encoding="utf-8")
    for figures in ("ROC AUC 0.935, accuracy 0.878, log loss 0.281", "R² 0.850, RMSE 8,048"):
        assert figures in done.stdout
        assert figures in said


def test_the_tumours_are_those_of_scikit_learn():
    table, data = pd.read_csv(SAMPLES / "breast_cancer.csv"), load_breast_cancer()
    assert table.columns.tolist() == [*data.feature_names, "diagnosis"]
    assert np.array_equal(table.iloc[:, :-1].to_numpy(), data.data)
    assert table.diagnosis.tolist() == data.target_names[data.target].tolist()


@pytest.mark.parametrize(("name", "rows", "missing"), [("admissions.csv", 1000, {"?", ""}), ("income.csv", 3000, {"?", ""})])
def test_made_tables_are_whole_and_little_is_missing(name, rows, missing):
    with (SAMPLES / name).open(encoding="utf-8") as file:
        header, *cells = csv.reader(file)
    assert len(cells) == rows
    assert len(set(header)) == len(header)
    assert {len(row) for row in cells} == {len(header)}
    assert missing <= {cell for row in cells for cell in row}
    assert all(row[-1] not in missing for row in cells)
    assert len({row[0] for row in cells}) == rows
    assert 0.005 < np.mean([cell in missing for row in cells for cell in row]) < 0.02


def test_who_is_admitted_follows_the_rule_and_a_plain_model_comes_near_to_it():
    _, chances = script().admissions()
    table = pd.read_csv(SAMPLES / "admissions.csv", na_values="?")
    admitted = table.admitted == "yes"
    assert log_loss(admitted, chances) == pytest.approx(0.281, abs=0.001)
    # of those who had a given chance, as many were admitted
    for low, high in ((0, 0.1), (0.1, 0.5), (0.5, 0.9), (0.9, 1)):
        among = (chances >= low) & (chances < high)
        assert admitted[among].mean() == pytest.approx(chances[among].mean(), abs=0.06)
    cells = pd.get_dummies(table.drop(columns=["applicant", "region", "applied", "admitted"]), dtype=float)
    cells["days"] = (pd.to_datetime(table.applied) - pd.Timestamp("2023-09-01")).dt.days
    cells = cells.fillna(cells.median())
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.3))
    found = cross_val_predict(model, cells, admitted, cv=10, method="predict_proba")[:, 1]
    assert 0.915 < roc_auc_score(admitted, found) < roc_auc_score(admitted, chances) == pytest.approx(0.935, abs=0.001)


def test_incomes_follow_the_rule_and_a_plain_model_comes_near_to_it():
    _, means = script().income()
    table = pd.read_csv(SAMPLES / "income.csv", na_values="?")
    assert np.log(table.income / means).std() == pytest.approx(0.18, abs=0.01)
    assert table.income.skew() > 1
    cells = pd.get_dummies(table.drop(columns=["person", "survey", "started", "income"]), dummy_na=True, dtype=float)
    cells["years"] = (pd.Timestamp("2024-01-01") - pd.to_datetime(table.started)).dt.days / 365.25
    cells["squared"], cells["hours"] = cells.years**2, np.log(cells.hours)
    cells = cells.fillna(cells.median())
    found = np.exp(cross_val_predict(LinearRegression(), cells, np.log(table.income), cv=10) + 0.18**2 / 2)
    assert 0.8 < r2_score(table.income, found) < r2_score(table.income, means) == pytest.approx(0.850, abs=0.001)
