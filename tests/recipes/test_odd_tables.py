"""Tables as they come: what is odd about a target or a column is read rightly, or told with its row and what to do."""

import numpy as np
import pandas as pd
import pytest
from helpers.tabular_people import made

from recipes.tabular import build_learner
from toolkit.data.tabular.options import as_table_options
from toolkit.data.tabular.prepare import labelled_tabular
from toolkit.errors import DataError
from toolkit.evaluation.tabular.scores import tabular_answers
from toolkit.learning.fitting import fit


def labelled(data, target, **options):
    return labelled_tabular(data, as_table_options(target, **options))


def test_a_table_of_categories_alone_is_read_by_the_learner_as_by_the_program():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.integers(0, 2, (200, 3)), columns=list("abc"))
    frame["y"] = np.where(frame.a == frame.b, "same", "other")
    learn = build_learner(frame, "y")
    fit(learn, epochs=1)
    answers, _ = learn.get_preds(dl=learn.dls.test_dl(frame))
    assert np.allclose(answers, tabular_answers(learn, np.arange(200))["network"], atol=1e-6)


def test_month_before_day_is_told_from_day_before_month_however_the_file_is_sorted():
    moments = pd.date_range("2020-01-01", periods=6000, freq="13min")
    frame = pd.DataFrame(
        {"at": moments.strftime("%m/%d/%Y %H:%M"), "x": np.arange(6000) % 7 + 0.5, "y": np.arange(6000) % 97 / 7}
    )
    found = labelled(frame, "y")
    assert str(found.decisions[0]) == "at: date (dates written as %m/%d/%Y)"
    assert not found.notes
    ordered = labelled(frame, "y", time="at")
    assert ordered.rows_of("test").min() > ordered.rows_of("train").max()


def test_dates_that_could_be_read_in_two_ways_are_told():
    firsts = pd.date_range("2015-01-01", periods=60, freq="MS").strftime("%m/%d/%Y")
    decision = labelled(pd.DataFrame({"at": firsts, "y": np.arange(60) / 7}), "y").decisions[0]
    assert str(decision) == "at: date (dates written as %d/%m/%Y, which %m/%d/%Y would fit as well)"


def test_times_of_several_zones_are_put_in_order():
    texts = ["2024-01-01T10:00+00:00", "2024-01-01T10:30+05:00", "2024-01-01T09:00+00:00"] + [
        f"2024-02-{day:02}" for day in range(1, 28)
    ]
    found = labelled(pd.DataFrame({"at": texts, "x": np.arange(30) % 4 + 0.5, "y": np.arange(30) / 7}), "y", time="at")
    assert found.table.split[:3].tolist() == ["train"] * 3
    assert found.rows_of("test").tolist() == list(range(24, 30))


@pytest.mark.parametrize(
    ("written", "value"),
    [("7,208", 7208), ("$2,514.50", 2514.5), ("-$5", -5), ("(5.00)", -5), ("\u22125", -5), ("45 %", 45), ("1 234", 1234)],
)
def test_numbers_as_people_write_them(written, value):
    texts = [f"{number * 37:,}" for number in range(1, 60)]
    frame = pd.DataFrame({"x": [written, *texts], "y": [written, *texts]})
    found = labelled(frame, "y", task="regression")
    assert found.targets[0] == value
    column = found.tabular_input.columns[0]
    assert column.read(written)[0] == pytest.approx(max(value, column.limits[0]))


def test_a_stray_word_among_numbers_to_predict_is_named(tmp_path):
    pd.DataFrame({"x": range(100), "y": [*range(99), "unknown"]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError, match=r"t\.csv row 100: 'unknown' in the target column 'y' is no finite number.*task class"):
        labelled(tmp_path / "t.csv", "y")


def test_whole_numbers_written_as_floats_are_the_same_categories_and_classes(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"f": rng.integers(0, 2, 200), "x": rng.normal(size=200)})
    frame["y"] = frame.f + 1
    frame.astype({"f": float, "y": float}).to_csv(tmp_path / "floats.csv", index=False)
    found = labelled(tmp_path / "floats.csv", "y", test=frame)
    assert found.classes == ("1.0", "2.0")
    assert not found.rejected
    assert (found.table.split == "test").sum() == 200
    read = found.tabular_input.prepare_row
    assert [read({"f": cell, "x": 0.5}).codes[0, 0] for cell in (1, 1.0, True, "1", "1.0", 0)] == [3, 3, 3, 3, 3, 2]
    assert read({"f": 1, "x": 0.5}).notes[0] == ()


@pytest.mark.parametrize(
    "cells",
    [
        [1.5, "?", 2.5, 3.5],
        [1.5, pd.NA, 2.5, 3.5],
        [2**64, 10**400, 3, 4],
        [np.array([1, 2]), np.array([3]), 1, 2],
        ["unknown", 5, 6, 7],
    ],
)
def test_columns_of_mixed_cells_are_read(cells):
    frame = pd.DataFrame({"x": pd.Series(cells * 25, dtype=object), "z": np.arange(100) % 7 * 1.5, "y": ["a", "b"] * 50})
    assert np.isfinite(labelled(frame, "y").numbers).all()


def test_a_word_that_comes_late_in_a_column_of_numbers_is_a_missing_value():
    cells = pd.Series([*np.arange(5000) / 7, *["unknown"] * 20], dtype=object)
    found = labelled(pd.DataFrame({"x": cells, "y": ["a", "b"] * 2510}), "y")
    assert found.decisions[0].kind == "number"
    assert any("'unknown' is no number: taken as missing" in note for note in found.notes)


def test_names_are_found_whatever_their_case_type_or_commas(tmp_path):
    frame = made().rename(columns={"house": "net, total"})
    found = labelled(frame, "Bought", leave_out="net, total", by="Work", group_by=" AGE ")
    assert found.target.name == "bought"
    assert found.by == ("work",)
    assert not {"net, total", "age"} & set(found.tabular_input.names)
    assert labelled(pd.DataFrame({0: np.arange(50) % 9 * 1.5, 1: ["a", "b"] * 25}), 1).target.name == "1"


def test_one_date_throughout_is_left_out():
    found = labelled(made().assign(joined=["2020-01-01", None] * 120), "bought")
    assert next(decision.why for decision in found.decisions if decision.column == "joined").startswith(
        "all its dates are the same; "
    )


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            1.7e9 + np.arange(100.0),
            r"the values of 'y' lie close together for their size.*subtract a fixed number first, such as 1.7",
        ),
        (np.arange(100) * 1e37, "'y' goes from 0 to 9.9e\\+38: give it in another unit"),
        (np.arange(100) * 1e-50, "give it in another unit"),
    ],
)
def test_values_that_single_precision_cannot_tell_apart_are_refused(values, message):
    with pytest.raises(DataError, match=message):
        labelled(pd.DataFrame({"x": np.arange(100) % 7 * 1.5, "y": values}), "y")


def test_a_row_is_the_same_in_a_csv_and_in_a_frame(tmp_path):
    frame = made()
    frame.to_csv(tmp_path / "people.csv", index=False)
    assert labelled(frame, "bought").table.content.tolist() == labelled(tmp_path / "people.csv", "bought").table.content.tolist()
