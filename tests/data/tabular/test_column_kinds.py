"""What a column is taken for: a guess that is told, and that a user can overrule."""

import numpy as np
import pandas as pd
import pytest

from toolkit.data.tabular.column_kinds import fit_column
from toolkit.errors import DataError
from toolkit.na_values import NA_VALUES
from toolkit.program.tabular.inputs import TabularInput

N = 60
NUMBERS = np.arange(N)


def decided(cells, name="x", text=False, asked=None) -> str:
    return str(fit_column(name, pd.Series(cells), text=text, asked=asked)[1])


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        (NUMBERS % 7 + 0.5, "x: number (0.5 to 6.5)"),
        ([f"{value % 7}.5" for value in NUMBERS], "x: number (0.5 to 6.5, read from text)"),
        ([f"${value % 7},000.50" for value in NUMBERS], "x: number (0.5 to 6000.5, read from text, written as in '$0,000.50')"),
        ([f"{value % 7},25" for value in NUMBERS], "x: number (0.25 to 6.25, read from text, with decimal commas)"),
        (["a", "b", "c"] * 20, "x: category (3 different values)"),
        (["a", "b", None] * 20, "x: category (2 different values; 20 missing)"),
        (["a", "b", "none", "", "?"] * 12, "x: category (2 different values; 36 missing, written as '?' or 'none')"),
        (["yes", "no"] * 30, "x: boolean (no and yes)"),
        ([True, False] * 30, "x: boolean (true and false)"),
        ([0, 1, 1] * 20, "x: boolean (0 and 1)"),
        (pd.date_range("2020-01-01", periods=N), "x: date (dates)"),
        ([f"{value % 28 + 1:02}.03.2021" for value in NUMBERS], "x: date (dates written as %d.%m.%Y)"),
        ([f"2021-03-{value % 28 + 1:02} 10:30" for value in NUMBERS], "x: date (dates)"),
        ([f"0{value % 5}23" for value in NUMBERS], "x: category (5 different values)"),
        ([5] * N, "x: left out (constant: always 5)"),
        ([None] * N, "x: left out (every value is missing)"),
        (["?", "", "NA"] * 20, "x: left out (every value is missing)"),
        ([f"AB{value}" for value in NUMBERS], "x: left out (an identifier: 60 different values in 60 rows)"),
        ([f"a few words on case {value}" for value in NUMBERS], "x: left out (free text: 60 different values in 60 rows)"),
        (NUMBERS + 1, "x: left out (an identifier: 60 different whole numbers in 60 rows)"),
        (NUMBERS * 37 % 1009, "x: number (0 to 999)"),
        ([[1, 2]] * N, "x: left out (its cells are lists or other structures)"),
        ([np.inf, 1.5, 2.5] * 20, "x: number (1.5 to 2.5)"),
        ([np.inf] * 30 + [-np.inf] * 30, "x: left out (no number in it is finite)"),
    ],
)
def test_kinds(cells, told):
    assert decided(cells) == told


def test_a_name_tells_an_identifier_from_a_number():
    scattered = NUMBERS * 37 % 1009
    assert decided(scattered, "customer_id").startswith("customer_id: left out (an identifier")
    assert decided(scattered, "paid").startswith("paid: number")


def test_a_user_overrules():
    assert decided(NUMBERS, asked="number") == "x: number (as asked)"
    assert decided(["a", "b"] * 30, asked="left out") == "x: left out (as asked)"
    assert decided(NUMBERS % 3, asked="category") == "x: category (as asked)"
    assert decided([f"2021{value % 12 + 1:02}01" for value in NUMBERS], asked="date") == "x: date (as asked)"
    with pytest.raises(DataError, match="column 'x': no number in it, such as 'a'"):
        decided(["a", "b"] * 30, asked="number")
    with pytest.raises(DataError, match="column 'x': 'a' is no date written as one of iso, %d.%m.%Y"):
        decided(["a", "b"] * 30, asked="date")


def test_ten_thousand_categories_are_a_column_as_any_other():
    cells = pd.Series([f"c{value % 10_000}" for value in range(40_000)])
    column, decision = fit_column("x", cells, text=True)
    assert str(decision) == "x: category (10000 different values)"
    assert len(set(TabularInput((column,)).prepare({"x": cells}, text=True).codes[:, 0])) == 10_000


def test_rare_categories_are_taken_together():
    column, decision = fit_column("x", pd.Series(["a"] * 50 + ["b"] * 5 + ["c", "d"]), text=True)
    assert str(decision) == "x: category (4 different values; 2 in rows too few to learn from, taken together)"
    assert column.values == ("a", "b")
    prepared = TabularInput((column,)).prepare({"x": ["c", "never seen", "a"]}, text=True)
    assert prepared.codes[:, 0].tolist() == [1, 1, 2]


def test_numbers_in_words_of_their_own_for_missing_are_still_numbers():
    column, _ = fit_column("x", pd.Series(["unknown", "1", "2", "3"] * 20), text=True, na_values=frozenset({"unknown"}))
    assert column.kind == "number"
    assert column.had_missing
    prepared = TabularInput((column,), na_values=frozenset({"unknown"})).prepare({"x": ["unknown", "2"]}, text=True)
    assert prepared.numbers.tolist() == [[0.0, 1.0], [0.0, 0.0]]


@pytest.mark.parametrize("text", [True, False])
def test_a_number_may_mean_a_missing_value(text):
    cells = pd.Series([999, 1.5, 2.5, 3.5] * 20)
    column, decision = fit_column("x", cells.astype(str) if text else cells, text=text, na_values=NA_VALUES | {"999"})
    assert "20 missing" in str(decision)
    assert (column.low, column.high, column.had_missing) == (1.5, 3.5, True)
    table = TabularInput((column,), na_values=column.na_values)
    for cell in (999, "999", 999.0, "999.0"):
        assert table.prepare_row({"x": cell}).numbers.tolist() == [[0.0, 1.0]]
        assert table.prepare({"x": [cell]}, text=isinstance(cell, str)).numbers.tolist() == [[0.0, 1.0]]
