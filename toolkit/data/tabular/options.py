"""How a table is to be read: what a user said of its rows and columns, and the columns that are meant.

It is a file of its own because names are given in one string, in another case or with commas in them, and are checked before
anything is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data.items import PART_NAMES, SPLIT_COLUMNS
from toolkit.data.tabular.column_kinds import CATEGORY, DATE, LEFT_OUT, date_form
from toolkit.errors import DataError
from toolkit.program.cells import ISO, NA_VALUES, is_missing, moment_of, number_of, python_value, quoted, text_of
from toolkit.program.tabular.columns import NUMBER

TASKS = ("auto", "classification", "regression")
EPOCH = datetime(1970, 1, 1)
AWAY = "!"  # before a word that does not mean a missing value here


@dataclass(frozen=True)
class ColumnOverrides:
    """What a user says of columns, by name; the rest is guessed."""

    numbers: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()

    def kind_of(self, name: str) -> str | None:
        """What was asked for a column, None where nothing was."""
        asked = ((NUMBER, self.numbers), (CATEGORY, self.categories), (DATE, self.dates), (LEFT_OUT, self.leave_out))
        return next((kind for kind, names in asked if name in names), None)


@dataclass(frozen=True)
class TableOptions:
    """How a table is to be read: the options of the recipe that are about rows and columns.

    `na_values` mean a missing value. `split` is the column that says the part of a row, "" where there is none; `resolved` finds it.
    """

    target: str = ""
    test: Path | str | pd.DataFrame | None = None
    task: str = "auto"
    overrides: ColumnOverrides = field(default_factory=ColumnOverrides)
    na_values: frozenset[str] = NA_VALUES
    group_by: str = ""
    time: str = ""
    by: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    sheet: str = ""
    split: str = ""

    def resolved(self, frame: pd.DataFrame, source: str) -> TableOptions:
        """The same with the names of columns as `frame` writes them. Raises `DataError` for one that it does not have, or that
        is named for two things."""
        target = column_named(frame, self.target, "target", source)
        wished = {each.name: names_in(frame, getattr(self.overrides, each.name), each.name, source) for each in fields(ColumnOverrides)}
        others = {
            "group_by": column_named(frame, self.group_by, "group_by", source) if self.group_by else "",
            "time": column_named(frame, self.time, "time", source) if self.time else "",
        }
        by = names_in(frame, self.by, "by", source)
        for option, names in (*wished.items(), *((option, (name,)) for option, name in others.items()), ("by", by)):
            if target in names:
                raise DataError(f"{option} {target!r} is what is predicted: name another column")
        every = [name for names in wished.values() for name in names]
        twice = next((name for name in every if every.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"column {twice!r} is named for two kinds: name it once")
        return replace(self, target=target, overrides=ColumnOverrides(**wished), by=by, split=_split_column(frame, target), **others)


def as_table_options(
    target: str,
    test: Path | str | pd.DataFrame | None = None,
    task: str = "auto",
    numbers: str | Sequence[str] = "",
    categories: str | Sequence[str] = "",
    dates: str | Sequence[str] = "",
    leave_out: str | Sequence[str] = "",
    missing: str | Sequence[str] = "",
    group_by: str = "",
    time: str = "",
    by: str | Sequence[str] = "",
    target_range: str | Sequence[float] = "",
    sheet: str = "",
) -> TableOptions:
    """The options of a recipe as a `TableOptions`: names with commas between them, or one by one. `missing` adds to the usual words
    for a missing value; "!none" takes "none" away."""
    if task not in TASKS:
        raise DataError(f"task {task!r}; choose from {', '.join(TASKS)}")
    said = {word.lower() for word in _listed(missing)}
    kept = {word.removeprefix(AWAY) for word in said if word.startswith(AWAY) and word != AWAY}
    na_values = (NA_VALUES | {word for word in said if not word.startswith(AWAY)}) - kept
    overrides = ColumnOverrides(*(_entries(names) for names in (numbers, categories, dates, leave_out)))
    return TableOptions(name_of(target), test, task, overrides, na_values, group_by, time, _entries(by), *_ends(target_range), sheet)


def name_of(label: object) -> str:
    """The name of a column, which pandas may hold as a number or a tuple, as text."""
    return " ".join(map(str, label)) if isinstance(label, tuple) else str(label)


def column_named(frame: pd.DataFrame, name: str, what: str, source: str) -> str:
    """The name of a column as the data writes it. Raises `DataError` where there is none."""
    names = list(frame.columns)
    if name in names:
        return name
    alike = [other for other in names if other.strip().casefold() == name.strip().casefold()]
    if name and len(alike) == 1:
        return alike[0]
    there = ", ".join(map(repr, names[:30])) + (", …" if len(names) > 30 else "")
    said = f"no column {name!r}" if name else f"no {what} was named"
    raise DataError(f"{source}: {said}: name the {what} column, one of {there}")


def names_in(frame: pd.DataFrame, entries: Sequence[str], what: str, source: str) -> tuple[str, ...]:
    """The columns that `entries` name, each a name, or several with commas between them."""
    found: list[str] = []
    for entry in entries:
        parts = [entry] if entry in frame.columns else filter(None, map(str.strip, entry.split(",")))
        found += [column_named(frame, part, what, source) for part in parts]
    return tuple(found)


def parts_given(frame: pd.DataFrame, table: pd.DataFrame, reading: TableOptions) -> pd.Series:
    """The part that each row was given, by its file or a column, None where it is to be decided."""
    if not reading.split:
        return table.split
    said = texts_of(frame[reading.split]).map(lambda text: PART_NAMES[text.lower()], na_action="ignore")
    return table.split.where(table.split.notna(), said).astype(object).where(lambda part: part.notna(), None)


def texts_of(cells: pd.Series) -> pd.Series:
    """Cells as texts without blanks around them, None where one is missing."""
    return cells.map(lambda cell: None if is_missing(python_value(cell)) else text_of(python_value(cell)).strip()).astype(object)


def moments_of(cells: pd.Series, reading: TableOptions) -> pd.Series:
    """A column to order rows by: numbers, or dates in seconds since 1970; NaN where a cell holds neither."""
    found = [python_value(cell) for cell in cells]
    texts = [cell for cell in found if isinstance(cell, str) and not is_missing(cell, reading.na_values)]
    if not any(hasattr(cell, "year") for cell in found) and all(number_of(text) is not None for text in texts):
        return pd.Series([np.nan if is_missing(cell, reading.na_values) else number_of(str(cell)) for cell in found], dtype=float)
    form, _ = date_form(list(dict.fromkeys(texts))) if texts else (ISO, [])
    if not form:
        raise DataError(f"time {reading.time!r}: {quoted(texts[0])} is neither a number nor a date such as 2024-12-31")
    return pd.Series([_seconds(cell, form) for cell in found], dtype=float)


def _seconds(cell: object, form: str) -> float:
    """Seconds since 1970: of a moment with a time zone in UTC, of others as if they were."""
    if isinstance(cell, str) and form == ISO and moment_of(cell):
        cell = datetime.fromisoformat(cell.strip())
    if isinstance(cell, datetime) and cell.tzinfo is not None and not is_missing(cell):
        cell = cell.astimezone(UTC)
    moment = None if is_missing(cell) else moment_of(cell, form)
    return np.nan if moment is None else (moment - EPOCH).total_seconds()


def _split_column(frame: pd.DataFrame, target: str) -> str:
    """The column that says which part each row is in, "" where there is none."""
    for name in frame.columns:
        if name.strip().lower() in SPLIT_COLUMNS and name != target:
            said = set(texts_of(frame[name]).dropna().str.lower())
            if said and said <= set(PART_NAMES):
                return name
    return ""


def _entries(names: str | Sequence[str]) -> tuple[str, ...]:
    """Names as they were given: they are taken apart where the columns are known."""
    return ((names,) if names.strip() else ()) if isinstance(names, str) else tuple(map(name_of, names))


def _listed(na_values: str | Sequence[str]) -> list[str]:
    parts = na_values.split(",") if isinstance(na_values, str) else na_values
    return [word for part in parts if (word := str(part).strip())]


def _ends(asked: str | Sequence[float]) -> tuple[float | None, float | None]:
    parts = _listed(asked)
    try:
        ends = tuple(map(float, parts))
    except ValueError:
        ends = ()
    if parts and not (len(ends) == 2 and np.isfinite(ends).all() and ends[0] < ends[1]):
        raise DataError(f"range {asked!r}: expected two numbers, the lower first, such as 0,100")
    return ends if parts else (None, None)
