"""A table from wherever it is kept, a CSV, a Parquet file, an Excel workbook or a DataFrame, as rows with distinct column names.

What can be wrong with a file is found here, what can be wrong with its columns is not: nothing knows what is predicted.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit.errors import ConversionError, DataError
from toolkit.needs import require
from toolkit.program.cells import float_of, is_missing, moment_of, number_of, python_value
from toolkit.program.csv_files import distinct_names, open_csv

CSV_SUFFIXES = (".csv", ".tsv", ".tab", ".txt")
PARQUET_SUFFIXES = (".parquet", ".pq")
EXCEL_SUFFIXES = (".xlsx", ".xlsm")
READ = ", ".join((*CSV_SUFFIXES, *PARQUET_SUFFIXES, *EXCEL_SUFFIXES))
MOST_CELLS = 500_000_000
MOST_UNPACKED = 2**30  # bytes that a workbook may hold once unpacked
NESTED = (list, tuple, set, dict, np.ndarray)


@dataclass(frozen=True)
class Table:
    """Rows as they were read.

    `frame` has a `RangeIndex` and distinct names (str) without blanks around them; its cells are texts exactly as written
    (`text`, of a CSV), or values of any type. `rows` are the numbers of its rows as a user counts them, 1 for the first below
    the header, int64. `source` names it in messages; `rejected` lists (where, reason) for rows that could not be used,
    `notes` what a user should know besides.
    """

    frame: pd.DataFrame
    rows: np.ndarray
    text: bool
    source: str
    rejected: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_table(data: Path | str | pd.DataFrame, strict: bool = False, *, sheet: str = "") -> Table:
    """Read a CSV (see `open_csv`), a Parquet file, an Excel workbook (its `sheet`; "" is the first) or a DataFrame.

    Rows of a CSV that have not as many cells as its header are set aside; with `strict` they are an error. Columns of a
    DataFrame's index that have a name become columns. Raises `DataError` for what cannot be read, or holds no rows.
    """
    if isinstance(data, pd.DataFrame):
        table = _from_frame(data, "DataFrame")
    else:
        path = _checked(data)
        suffix = path.suffix.lower()
        if sheet and suffix not in EXCEL_SUFFIXES:
            raise DataError(f"{path}: sheet {sheet!r} was asked for, but only Excel workbooks have sheets")
        if suffix in CSV_SUFFIXES:
            table = _from_csv(path, strict)
        elif suffix in PARQUET_SUFFIXES:
            table = _from_parquet(path)
        else:
            table = _from_excel(path, sheet)
    if table.frame.empty:
        aside = f" ({table.rejected[0][0]}: {table.rejected[0][1]})" if table.rejected else ""
        what = "no rows below the header" if len(table.frame.columns) else "no columns"
        raise DataError(f"{table.source}: {what}{aside}")
    return table


def _checked(data: Path | str) -> Path:
    if not isinstance(data, (str, Path)):
        raise DataError(f"a table is a path or a pandas DataFrame, not {type(data).__name__}")
    path = Path(data)
    try:
        if path.is_dir():
            held = sorted(each.name for each in path.iterdir() if each.suffix.lower() in READ.split(", "))
            said = f"name one of its files, such as {path / held[0]}" if held else f"give a file: {READ}"
            raise DataError(f"{path}: a folder, not a table: {said}")
        if not path.exists():
            raise DataError(f"{path}: no such file; a table is one of {READ}, or a DataFrame")
        if path.suffix.lower() not in READ.split(", "):
            old = " (save it as .xlsx or CSV)" if path.suffix.lower() in (".xls", ".ods") else ""
            raise DataError(f"{path}: files ending in {path.suffix or 'nothing'!r} are not read{old}; choose one of {READ}")
        if path.is_file() and path.stat().st_size == 0:
            raise DataError(f"{path}: empty (0 bytes)")
    except (OSError, ValueError) as error:  # a name too long, or with a zero byte in it
        raise DataError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    return path


def _from_csv(path: Path, strict: bool) -> Table:
    rejected: list[tuple[str, str]] = []
    numbers: list[int] = []
    try:
        with open_csv(path) as table:
            columns: list[list[str]] = [[] for _ in table.names]
            for chunk in table.chunks():
                count = len(chunk.columns[0])
                for place, reason in chunk.ragged.items():
                    where = f"{path} row {chunk.first + place}"
                    if strict:
                        raise DataError(f"strict: {where}: {reason}: mend the row")
                    rejected.append((where, reason))
                wanted = [place for place in range(count) if place not in chunk.ragged] if chunk.ragged else range(count)
                numbers.extend(chunk.first + place for place in wanted)
                for column, cells in zip(columns, chunk.columns, strict=True):
                    column.extend([cells[place] for place in wanted] if chunk.ragged else cells)
                _check_size(str(path), rows=len(numbers), columns=len(columns))
    except ConversionError as error:
        raise DataError(str(error)) from error
    frame = pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in zip(table.names, columns, strict=True)})
    return Table(frame, np.array(numbers, dtype=np.int64), True, str(path), rejected, [f"{path}: {note}" for note in table.notes])


def _from_parquet(path: Path) -> Table:
    require("pyarrow", why="to read Parquet files", extra="tabular")
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_size(str(path), rows=file.metadata.num_rows, columns=file.metadata.num_columns)
            # the index of a DataFrame as plain columns; one without a name says nothing
            frame = file.read().to_pandas(ignore_metadata=True)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read as a Parquet file ({error})") from error
    unnamed = [name for name in frame.columns if re.fullmatch(r"__index_level_\d+__", str(name))]
    return _from_frame(frame.drop(columns=unnamed), str(path))


def _from_excel(path: Path, sheet: str) -> Table:
    require("openpyxl", why="to read Excel workbooks", extra="tabular")
    from openpyxl import load_workbook

    notes = []
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
        if unpacked > MOST_UNPACKED:
            raise DataError(
                f"{path}: holds {unpacked / 2**30:.1f} GiB once unpacked, more than {MOST_UNPACKED / 2**30:.0f}: save it as CSV"
            )
        book = load_workbook(path, read_only=True, data_only=True)
        try:
            sheets = [each.title for each in book.worksheets]
            if sheet and sheet not in sheets:
                raise DataError(f"{path}: no sheet {sheet!r}; choose from {', '.join(map(repr, sheets))}")
            if not sheets:
                raise DataError(f"{path}: no sheet with cells")
            if len(sheets) > 1 and not sheet:
                notes.append(f"{path}: the sheet {sheets[0]!r} is read, the first of {', '.join(map(repr, sheets))}")
            cells = book[sheet or sheets[0]]
            cells.reset_dimensions()  # what a file says of them is not always so
            header, rows, numbers = _sheet_rows(str(path), cells.iter_rows(values_only=True))
        finally:
            book.close()
    except DataError:
        raise
    except Exception as error:  # openpyxl lets through whatever its parsers raise
        raise DataError(f"{path}: cannot be read as an Excel workbook ({error or type(error).__name__})") from error
    columns = zip(*rows, strict=True) if rows else [()] * len(header)
    # one column at a time, so that each has its own type
    frame = pd.DataFrame({place: pd.Series(list(column)) for place, column in enumerate(columns)})
    frame.columns = header
    table = _from_frame(frame, str(path))
    return Table(table.frame, np.array(numbers, dtype=np.int64), False, str(path), notes=notes + table.notes)


def _sheet_rows(source: str, rows: Iterable[tuple[Any, ...]]) -> tuple[list[str], list[tuple[Any, ...]], list[int]]:
    """The header, the rows below it that hold anything, all of one length, and their numbers."""
    kept: list[tuple[Any, ...]] = []
    width = 0
    for row in rows:
        used = max((place for place, cell in enumerate(row, start=1) if cell is not None), default=0)
        if used:
            width = max(width, used)
            kept.append(row[:used])
            _check_size(source, rows=len(kept), columns=width)
    header, *below = [(*row, *[None] * (width - len(row))) for row in kept] or [()]
    return ["" if cell is None else str(cell) for cell in header], below, list(range(1, len(below) + 1))


def _from_frame(frame: pd.DataFrame, source: str) -> Table:
    named = [level for level in frame.index.names if level is not None and level not in frame.columns]
    frame = frame.reset_index(level=named) if named else frame.copy()
    frame.index = pd.RangeIndex(len(frame))
    written = [" ".join(map(str, name)) if isinstance(name, tuple) else str(name) for name in frame.columns]
    names, about = distinct_names(written)
    frame.columns = pd.Index(names, dtype=object)
    notes = [f"{source}: {note}" for note in about]
    for name in names:
        if frame[name].dtype == object and any(isinstance(cell, NESTED) for cell in islice(frame[name], 1000)):
            frame = frame.drop(columns=name)
            notes.append(f"{source}: column {name!r} holds lists or tables, not single values: left out")
    return Table(frame, np.arange(1, len(frame) + 1), False, source, notes=notes)


def _check_size(source: str, *, rows: int, columns: int) -> None:
    if rows * columns > MOST_CELLS:
        raise DataError(
            f"{source}: {rows:,} rows of {columns:,} columns or more, more than {MOST_CELLS:,} cells: learn from a sample of the "
            "rows, or leave out columns"
        )


def contents_of(frame: pd.DataFrame, na_values: frozenset[str]) -> pd.Series:
    """A hash of each row's cells, 16 hexadecimal digits: the same for the same row, be it kept as text in a CSV or as numbers and
    dates."""
    total = np.zeros(len(frame), dtype=np.uint64)
    for name in frame.columns:
        try:
            codes, distinct = pd.factorize(frame[name], use_na_sentinel=False)
        except TypeError:  # cells that cannot be compared
            codes, distinct = pd.factorize(frame[name].map(str))
        texts = np.array([_canonical(python_value(cell), na_values) for cell in distinct], dtype=object)
        total = total * np.uint64(0x9E3779B97F4A7C15) + pd.util.hash_array(texts)[codes]
    return pd.Series([f"{value:016x}" for value in total.tolist()], dtype=object)


def _canonical(cell: object, na_values: frozenset[str]) -> str:
    if is_missing(cell, na_values):
        return ""
    number = number_of(cell) if isinstance(cell, str) else float_of(cell) if isinstance(cell, (int, float)) else None
    if number is not None:
        return repr(number)
    moment = moment_of(cell)
    return str(cell).strip() if moment is None else moment.isoformat()
