"""A table is read from a CSV, Parquet, Excel or a DataFrame, and what cannot be read is named with its place."""

import sys
import zipfile
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from openpyxl import Workbook

from toolkit.data import table_files
from toolkit.data.table_files import read_table
from toolkit.errors import DataError, MissingPackage


def written(folder, content, name="table.csv"):
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def workbook(path, **sheets):
    book = Workbook()
    book.remove(book.active)
    for title, rows in sheets.items():
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_cells_of_a_csv_are_texts_as_written(tmp_path):
    table = read_table(written(tmp_path, 'id;size;when;note\n007;1,50;;NA\n8;2;?;"a\n b"\n'))
    assert table.text
    assert table.frame.dtypes.eq(object).all()
    assert table.frame.to_dict("list") == {
        "id": ["007", "8"], "size": ["1,50", "2"], "when": ["", "?"], "note": ["NA", "a\n b"],
    }  # fmt: skip
    assert table.rows.tolist() == [1, 2]
    assert table.notes == [f"{tmp_path / 'table.csv'}: delimiter ';'"]


def test_ragged_rows_are_set_aside_and_the_others_keep_their_numbers(tmp_path):
    path = written(tmp_path, "a,b\n1,2\n3\n\n4,5\n6,7,8\n9,10\n")
    table = read_table(path)
    assert table.frame.a.tolist() == ["1", "4", "9"]
    assert table.rows.tolist() == [1, 3, 5]
    assert isinstance(table.frame.index, pd.RangeIndex)
    assert table.rejected == [
        (f"{path} row 2", "1 cell where the header has 2"),
        (f"{path} row 4", "3 cells where the header has 2"),
    ]
    with pytest.raises(DataError, match=r"table.csv row 2: 1 cell where the header has 2"):
        read_table(path, strict=True)


def test_duplicate_names_are_told_apart_wherever_they_come_from(tmp_path):
    rows = [["x", "x", None], [1, 2, 3], [4, 5, 6]]
    frame = pd.DataFrame(rows[1:], columns=["x", "x", ""])
    for data in (written(tmp_path, "x,x,\n1,2,3\n4,5,6\n"), workbook(tmp_path / "a.xlsx", one=rows), frame):
        table = read_table(data)
        assert table.frame.columns.tolist() == ["x", "x.2", "column 3"]
        assert [int(value) for value in table.frame["x.2"]] == [2, 5]
        assert len(table.notes) == 2
        assert "duplicate column name 'x': column 2 is called 'x.2'" in table.notes[0]


def test_parquet_keeps_types_and_an_index_with_a_name(tmp_path):
    frame = pd.DataFrame(
        {"n": [1.5, None], "c": pd.Categorical(["a", "b"]), "t": pd.to_datetime(["2024-01-01", None]), "lists": [[1], [2, 3]]}
    )
    frame.to_parquet(tmp_path / "plain.parquet")
    frame.set_index(pd.Index(["p", "q"], name="who")).to_parquet(tmp_path / "named.parquet")
    frame.set_index(pd.Index(["p", "q"])).to_parquet(tmp_path / "unnamed.pq")
    table = read_table(tmp_path / "plain.parquet")
    assert not table.text
    assert table.frame.columns.tolist() == ["n", "c", "t"]
    assert table.frame.n.tolist()[0] == 1.5
    assert table.frame.t[0] == datetime(2024, 1, 1)
    assert "column 'lists' holds lists" in table.notes[0]
    assert read_table(tmp_path / "named.parquet").frame.who.tolist() == ["p", "q"]
    assert read_table(tmp_path / "unnamed.pq").frame.columns.tolist() == ["n", "c", "t"]


def test_a_workbook_gives_typed_cells_of_its_first_or_of_the_named_sheet(tmp_path):
    rows = [[None], ["name", "size", "when"], ["a", 1, datetime(2024, 2, 3)], [None, None, None], ["b", 2.5, None], ["c"]]
    path = workbook(tmp_path / "book.xlsx", people=rows, other=[["x"], [1]])
    table = read_table(path)
    assert table.frame.columns.tolist() == ["name", "size", "when"]
    assert table.frame.name.tolist() == ["a", "b", "c"]
    assert table.frame["size"].tolist()[:2] == [1, 2.5]
    assert table.frame["size"].isna().tolist() == [False, False, True]
    assert table.frame.when[0] == datetime(2024, 2, 3)
    assert table.notes == [f"{path}: the sheet 'people' is read, the first of 'people', 'other'"]
    chosen = read_table(path, sheet="other")
    assert chosen.frame.to_dict("list") == {"x": [1]}
    assert chosen.notes == []
    with pytest.raises(DataError, match="no sheet 'none'; choose from 'people', 'other'"):
        read_table(path, sheet="none")


def test_a_dataframe_is_copied_and_its_names_become_plain():
    frame = pd.DataFrame([[1, 2], [3, 4]], columns=pd.MultiIndex.from_tuples([("a", "x"), ("a", "y")]), index=[5, 5])
    table = read_table(frame)
    assert table.frame.columns.tolist() == ["a x", "a y"]
    assert table.frame.index.tolist() == [0, 1]
    table.frame.iloc[0, 0] = 99
    assert frame.iloc[0, 0] == 1
    assert read_table(pd.DataFrame({1: [2], " b ": [3]})).frame.columns.tolist() == ["1", "b"]
    named = read_table(pd.DataFrame({"v": [1, 2]}, index=pd.Index(["p", "q"], name="who")))
    assert named.frame.to_dict("list") == {"who": ["p", "q"], "v": [1, 2]}


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.csv", None, "no such file"),
        ("empty.csv", b"", r"empty \(0 bytes\)"),
        ("header.csv", b"a,b\n", "no rows below the header"),
        ("all_ragged.csv", b"a,b\n1\n", "row 1: 1 cell where the header has 2"),
        ("picture.csv", b"\x89PNG\r\n\x1a\n", "seems to be a PNG picture"),
        ("table.json", b"{}", r"'.json' are not read; choose one of .csv, .tsv"),
        ("old.xls", b"\xd0\xcf", "save it as .xlsx or CSV"),
        ("table", b"a,b\n1,2\n", "'nothing' are not read"),
        ("text.parquet", b"a,b\n1,2\n", "cannot be read as a Parquet file"),
        ("text.xlsx", b"a,b\n1,2\n", "cannot be read as an Excel workbook"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, name, content, said):
    if content is not None:
        written(tmp_path, content, name)
    with pytest.raises(DataError, match=said) as caught:
        read_table(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_folders_other_objects_and_sheets_of_a_csv(tmp_path):
    with pytest.raises(DataError, match="a folder, not a table: give a file"):
        read_table(tmp_path)
    path = written(tmp_path, "a,b\n1,2\n", "people.csv")
    with pytest.raises(DataError, match=r"a folder, not a table: name one of its files, such as .*people.csv"):
        read_table(tmp_path)
    with pytest.raises(DataError, match="a path or a pandas DataFrame, not ndarray"):
        read_table(np.zeros((2, 2)))
    with pytest.raises(DataError, match="only Excel workbooks have sheets"):
        read_table(path, sheet="one")
    with pytest.raises(DataError, match="DataFrame: no rows"):
        read_table(pd.DataFrame({"a": []}))


def test_what_would_not_fit_into_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
    frame = pd.DataFrame({"a": range(100), "b": range(100)})
    frame.to_parquet(tmp_path / "t.parquet")
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_excel(tmp_path / "t.xlsx", index=False)
    monkeypatch.setattr(table_files, "MOST_CELLS", 150)
    for name in ("t.parquet", "t.csv", "t.xlsx"):
        with pytest.raises(DataError, match=f"{name}: .* rows of 2 columns .*: learn from a sample"):
            read_table(tmp_path / name)


def test_a_workbook_that_unpacks_to_more_than_memory_is_refused(tmp_path):
    path = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("xl/sheet1.xml", "w") as member:
        for _ in range(1030):
            member.write(bytes(2**20))
    with pytest.raises(DataError, match=r"once unpacked, more than 1: save it as CSV"):
        read_table(path)


@pytest.mark.parametrize(("package", "name"), [("pyarrow", "a.parquet"), ("openpyxl", "a.xlsx")])
def test_a_missing_package_is_named_with_its_command(tmp_path, monkeypatch, package, name):
    written(tmp_path, b"PAR1", name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackage, match=rf"{package} is needed .*: pip install 'fastai-toolkit\[tabular\]'"):
        read_table(tmp_path / name)
