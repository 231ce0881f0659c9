"""How a table is to be read: what a user said of its rows and columns, and the columns that are meant.

Names are given in one string, in another case or with commas in them, and are checked before anything is learnt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data.items import PART_NAMES, SPLIT_COLUMNS
from toolkit.data.tabular.column_kinds import CATEGORY, DATE, LEFT_OUT
from toolkit.errors import DataError
from toolkit.na_values import NA_VALUES
from toolkit.program.cells import is_missing, python_value, text_of
from toolkit.program.tabular.columns import NUMBER

TASKS = ("auto", "classification", "regression")
AWAY = "!"  # before a word that does not mean a missing value here
Ends = tuple[float, float] | tuple[None, None]


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

    `target` is the column to predict, `test` a table of its own for the test, `task` one of `TASKS`. `na_values`, in lower case,
    mean a missing value. Rows of one value in `group_by` stay together, `time` orders them, scores are broken down `by` columns.
    `low` and `high` bound numbers to predict. `split` is the column that says the part of a row, "" where there is none;
    `resolved` finds it.
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
        target = column_named(frame, self.target, what="target", source=source)
        overrides = {
            each.name: names_in(frame, getattr(self.overrides, each.name), what=each.name, source=source)
            for each in fields(ColumnOverrides)
        }
        group_by, time = (
            column_named(frame, name, what=what, source=source) if name else ""
            for name, what in ((self.group_by, "group_by"), (self.time, "time"))
        )
        by = names_in(frame, self.by, what="by", source=source)
        for option, names in (*overrides.items(), ("group_by", (group_by,)), ("time", (time,)), ("by", by)):
            if target in names:
                raise DataError(f"{option} {target!r} is what is predicted: name another column")
        every = [name for names in overrides.values() for name in names]
        twice = next((name for name in every if every.count(name) > 1), None)
        if twice is not None:
            raise DataError(f"column {twice!r} is named for two kinds: name it once")
        return replace(
            self, target=target, overrides=ColumnOverrides(**overrides), group_by=group_by, time=time, by=by,
            split=_split_column(frame, target),
        )  # fmt: skip


def as_table_options(
    target: str,
    *,
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
    """The options of a recipe as `TableOptions`: names with commas between them, or one by one. `missing` adds to the usual words
    for a missing value; "!none" takes "none" away. `target_range` is such as "0,100". Raises `DataError` for a task that is none
    of `TASKS`, or a range that is none."""
    if task not in TASKS:
        raise DataError(f"task {task!r}; choose from {', '.join(TASKS)}")
    said = {word.lower() for word in _listed(missing)}
    kept = {word.removeprefix(AWAY) for word in said if word.startswith(AWAY) and word != AWAY}
    low, high = range_of(target_range, "range", example="0,100")
    return TableOptions(
        target=name_of(target), test=test, task=task,
        overrides=ColumnOverrides(_entries(numbers), _entries(categories), _entries(dates), _entries(leave_out)),
        na_values=(NA_VALUES | {word for word in said if not word.startswith(AWAY)}) - kept,
        group_by=group_by, time=time, by=_entries(by), low=low, high=high, sheet=sheet,
    )  # fmt: skip


def name_of(label: object) -> str:
    """The name of a column, which pandas may hold as a number or a tuple, as text."""
    return " ".join(map(str, label)) if isinstance(label, tuple) else str(label)


def column_named(frame: pd.DataFrame, name: str, *, what: str, source: str) -> str:
    """The name of a column as the data writes it; `what` it is for, and the `source` of the table, for messages. Raises
    `DataError` where there is none."""
    names = list(frame.columns)
    if name in names:
        return name
    alike = [other for other in names if other.strip().casefold() == name.strip().casefold()]
    if name and len(alike) == 1:
        return alike[0]
    there = ", ".join(map(repr, names[:30])) + (", …" if len(names) > 30 else "")
    said = f"no column {name!r}" if name else f"no {what} was named"
    raise DataError(f"{source}: {said}: name the {what} column, one of {there}")


def names_in(frame: pd.DataFrame, entries: Sequence[str], *, what: str, source: str) -> tuple[str, ...]:
    """The columns that `entries` name, each a name, or several with commas between them."""
    found: list[str] = []
    for entry in entries:
        parts = [entry] if entry in frame.columns else filter(None, map(str.strip, entry.split(",")))
        found += [column_named(frame, part, what=what, source=source) for part in parts]
    return tuple(found)


def range_of(asked: str | Sequence[float], option: str, *, example: str) -> Ends:
    """The two ends that an option gives, in one string with a comma between them or one by one, None where it gives none. Raises
    `DataError`, which names the `option` and an `example`, for what is no range."""
    parts = _listed(asked)
    try:
        ends = [float(part) for part in parts]
    except ValueError:
        ends = []
    if not parts:
        return None, None
    if not (len(ends) == 2 and np.isfinite(ends).all() and ends[0] < ends[1]):
        raise DataError(f"{option} {asked!r}: expected two numbers, the lower first, such as {example}")
    return ends[0], ends[1]


def parts_given(frame: pd.DataFrame, table: pd.DataFrame, *, split: str) -> pd.Series:
    """The part that each row was given, by its file or the column `split`, None where it is to be decided."""
    if not split:
        return table.split
    said = texts_of(frame[split]).map(lambda text: PART_NAMES[text.lower()], na_action="ignore")
    return table.split.where(table.split.notna(), said).astype(object).where(lambda part: part.notna(), None)


def texts_of(cells: pd.Series) -> pd.Series:
    """Cells as texts without blanks around them, None where one is missing."""
    return cells.map(lambda cell: None if is_missing(python_value(cell)) else text_of(python_value(cell)).strip()).astype(object)


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


def _listed(words: str | Sequence[object]) -> list[str]:
    parts = words.split(",") if isinstance(words, str) else words
    return [word for part in parts if (word := str(part).strip())]
