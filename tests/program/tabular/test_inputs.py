"""Rows as a model reads them: every cell has an answer, whatever it holds, and a note where something was done to it."""

import json
from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

from toolkit.data.tabular.column_kinds import fit_column
from toolkit.errors import ConversionError
from toolkit.program.tabular.inputs import TabularInput

ROWS = pd.DataFrame(
    {
        "age": [20, 30, 40, 50, 60, 70] * 10,
        "weight": [50.5, None, 70.25, 80.0, 90.0, 61.0] * 10,
        "work": ["farm", "office", "farm", "sea", "office", "farm"] * 10,
        "smokes": ["yes", "no", "no", "no", "yes", "no"] * 10,
        "level": [1, 2, 3, 1, 2, 3] * 10,
        "joined": pd.date_range("2020-01-01", periods=60, freq="9D"),
    }
)
USUAL = {"age": 40, "weight": 70.25, "work": "farm", "smokes": "no", "level": 2, "joined": "2020-06-01"}


def fitted(rows: pd.DataFrame, text: bool = False, asked: dict | None = None) -> TabularInput:
    columns = [fit_column(name, rows[name], text=text, asked=(asked or {}).get(name))[0] for name in rows.columns]
    return TabularInput(tuple(column for column in columns if column is not None), ("id",))


@pytest.fixture(scope="module")
def table() -> TabularInput:
    return fitted(ROWS, asked={"level": "category"})


def notes_of(table: TabularInput, **cells: object) -> tuple[str, ...]:
    return table.prepare_row({**USUAL, **cells}).notes[0]


def test_training_rows_have_no_notes_and_standardised_numbers(table):
    prepared = table.prepare(ROWS)
    assert not any(prepared.notes)
    ages = prepared.numbers[:, table.features.index("age")]
    assert ages.mean() == pytest.approx(0, abs=1e-6)
    assert ages.std() == pytest.approx(1, abs=1e-6)
    assert prepared.numbers[1, table.features.index("weight missing")] == 1
    assert prepared.numbers[1, table.features.index("weight")] == pytest.approx(
        (70.25 - ROWS.weight.mean()) / ROWS.weight.std(ddof=0)
    )


def test_a_row_by_itself_is_read_as_among_others(table):
    odd = {
        "age": [41, "42", None, 1e9, True],
        "work": ["farm", " sea", None, "moon", 3],
        "joined": ["2020-02-03", None, "x", 5, ""],
    }
    cells = {**{name: [value] * 5 for name, value in USUAL.items()}, **odd}
    together = table.prepare(cells)
    for place in range(5):
        alone = table.prepare_row({name: values[place] for name, values in cells.items()})
        assert np.array_equal(alone.codes[0], together.codes[place])
        assert np.array_equal(alone.numbers[0], together.numbers[place])
        assert alone.notes[0] == together.notes[place]


@pytest.mark.parametrize(
    ("cells", "note"),
    [
        ({"age": None}, "age: missing, which it never was in training: taken as 45"),
        ({"age": float("nan")}, "age: missing, which it never was in training: taken as 45"),
        ({"age": "40"}, "age: the text '40' read as the number 40"),
        ({"age": 400}, "age: 400 lies far outside 20 to 70, the range in training: taken as 95"),
        ({"age": -(10**400)}, "age: -1e+300 lies far outside 20 to 70, the range in training: taken as -5"),
        ({"age": float("inf")}, "age: infinite: taken as missing"),
        ({"age": "forty"}, "age: 'forty' is no number: taken as missing"),
        ({"age": [40]}, "age: [40] is no number: taken as missing"),
        ({"work": None}, "work: missing, which it never was in training"),
        ({"work": "moon"}, "work: 'moon' is none of the 3 categories that were learnt"),
        ({"work": " farm "}, "work: stray blanks in ' farm ': read as 'farm'"),
        ({"work": "Farm"}, "work: 'Farm' read as 'farm'"),
        ({"work": 7}, "work: '7' is none of the 3 categories that were learnt"),
        ({"smokes": True}, "smokes: 'True' read as 'yes'"),
        ({"level": "2"}, "level: the text '2' read as the category 2, which was no text in training"),
        ({"joined": "soon"}, "joined: 'soon' is no date as in training (2024-12-31): taken as missing"),
        ({"joined": None}, "joined: missing, which it never was in training: a usual date stands for it"),
        ({"joined": "1066-10-14"}, "joined: '1066-10-14' lies far outside the dates in training"),
        ({"hat": 1}, "the column 'hat' was not learnt from: left aside"),
    ],
)
def test_what_was_not_in_training_is_answered_and_noted(table, cells, note):
    prepared = table.prepare_row({**USUAL, **cells})
    assert prepared.notes[0] == (note,)
    assert np.isfinite(prepared.numbers).all()
    assert (prepared.codes < table.cardinalities).all()
    assert (prepared.codes >= 0).all()


def test_a_missing_value_as_in_training_needs_no_note(table):
    for nothing in (None, float("nan"), "", "?", "NA", pd.NA, pd.NaT, np.float64("nan")):
        assert notes_of(table, weight=nothing) == ()


def test_columns_are_taken_by_their_names(table):
    turned = dict(reversed(USUAL.items()))
    prepared, ordinary = table.prepare_row(turned), table.prepare_row(USUAL)
    assert np.array_equal(prepared.numbers, ordinary.numbers)
    assert prepared.notes[0] == ("the columns stand in another order: taken by their names",)
    renamed = {" Age" if name == "age" else name: cell for name, cell in USUAL.items()}
    assert table.prepare_row(renamed).notes[0] == ("the column ' Age' is taken for 'age'",)
    lacking = {name: cell for name, cell in USUAL.items() if name != "age"}
    assert table.prepare_row(lacking).notes[0] == ("no column 'age': taken as missing",)
    assert notes_of(table, id=7) == ()  # the data had it, and it was left out
    with pytest.raises(ConversionError, match=r"none of its columns \(hat\) is one that was learnt from \(age, weight"):
        table.prepare_row({"hat": 1})


def test_types_do_not_matter_where_they_say_the_same(table):
    for age in (40, 40.0, np.int8(40), np.float32(40)):
        assert np.array_equal(table.prepare_row({**USUAL, "age": age}).numbers, table.prepare_row(USUAL).numbers)
    for joined in (date(2020, 6, 1), datetime(2020, 6, 1), pd.Timestamp("2020-06-01"), np.datetime64("2020-06-01")):
        assert table.prepare_row({**USUAL, "joined": joined}).notes[0] == ()
        assert np.array_equal(table.prepare_row({**USUAL, "joined": joined}).numbers, table.prepare_row(USUAL).numbers)
    reordered = ROWS.assign(work=pd.Categorical(ROWS.work, ["sea", "office", "farm"]))
    assert np.array_equal(table.prepare(reordered).codes, table.prepare(ROWS).codes)


def test_text_of_a_csv_is_read_as_the_same_numbers_without_notes():
    texts = ROWS.drop(columns="joined").map(lambda cell: "" if pd.isna(cell) else str(cell))
    prepared = fitted(texts, text=True).prepare(texts, text=True)
    assert not any(prepared.notes)
    assert np.allclose(prepared.numbers, fitted(ROWS.drop(columns="joined")).prepare(ROWS.drop(columns="joined")).numbers)


def test_numbers_with_decimal_commas_and_thousands():
    rows = pd.DataFrame({"cost": ["1.234,50", "7,5", "12", "0,25", "3.000"] * 5})
    table = fitted(rows, text=True)
    values = table.prepare(rows, text=True).numbers[:5, 0] * table.numeric[0].std + table.numeric[0].mean
    assert values == pytest.approx([1234.5, 7.5, 12, 0.25, 3000], abs=1e-3)


def test_a_row_that_fits_the_schema_has_no_note(table):
    schema = table.schema()
    assert schema["required"] == list(ROWS.columns)
    rng = np.random.default_rng(0)
    for _ in range(50):
        row = {}
        for name, cell in schema["properties"].items():
            if "enum" in cell:
                row[name] = cell["enum"][rng.integers(len(cell["enum"]))]
            elif "minimum" in cell:
                row[name] = rng.uniform(cell["minimum"], cell["maximum"])
            else:
                row[name] = "2020-05-05" if name == "joined" else int(rng.integers(1, 4))
        assert table.prepare_row(row).notes[0] == (), row


def test_the_card_says_all_that_is_needed_to_read_rows(table):
    again = TabularInput.from_card(json.loads(json.dumps(table.card())))
    assert again == table


def test_the_typical_row_is_usual_in_every_column(table):
    ordinary = table.typical()
    assert [column.values[code - 2] for column, code in zip(table.categories, ordinary.codes[0], strict=True)] == [
        "farm",
        "no",
        "1",
    ]
    assert ordinary.numbers[0, table.features.index("age")] == pytest.approx(0, abs=1e-6)


def test_places_find_all_that_a_column_became(table):
    codes, numbers = table.places("joined")
    assert codes == []
    assert [table.features[place].partition(":")[0] for place in numbers] == ["joined"] * (len(numbers) - 1) + ["joined missing"]
    assert table.places("work") == ([0], [])
    assert [table.features[place] for place in table.places("weight")[1]] == ["weight", "weight missing"]
