"""From a table to rows that are checked, split and ready to learn from: the first station for spreadsheets.

It is a file of its own because here the order matters: first the split, and only then, from training rows alone, what a column
is, its categories, medians and scales.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data.column_kinds import LEFT_OUT, Decision, fit_column
from toolkit.data.items import PART_NAMES, PARTS, SPLIT_COLUMNS, summary
from toolkit.data.table_files import Table, read_table
from toolkit.data.table_leaks import leak_notes
from toolkit.data.table_split import split_rows
from toolkit.data.table_targets import TASKS, Reading, Target, read_target
from toolkit.errors import DataError
from toolkit.program.cells import FORMATS, ISO, is_missing, moment_of, number_of, plain, shown, text_of
from toolkit.program.tables import TableInput

MOST_TOLD = 12  # columns whose odd cells are told of


@dataclass
class LabelledTable:
    """Rows of a table with what is to be predicted, split.

    `frame`: the rows as read, all columns. `table`: for each row `path` (the file, where there is one), `row` (1 is the first
    below the header), `label`, `group`, `split` and `content` (a hash of its cells). `codes`, int64 (rows, categories), and
    `numbers`, float32 (rows, features), are the rows as `table_input` prepares them, `targets` class numbers (int64) or values
    (float32).
    `decisions` say what each column was taken for. `by` names the columns by whose values scores are broken
    down. `text`: the cells of `frame` are texts, as a CSV has them.
    """

    frame: pd.DataFrame
    table: pd.DataFrame
    target: Target
    table_input: TableInput
    codes: np.ndarray
    numbers: np.ndarray
    targets: np.ndarray
    decisions: list[Decision]
    by: tuple[str, ...]
    text: bool
    set_aside: list[tuple[str, str]]
    notes: list[str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, none where a number is predicted."""
        return self.target.classes

    @property
    def regression(self) -> bool:
        """Whether a number is predicted."""
        return not self.target.classes

    def rows_of(self, part: str) -> np.ndarray:
        """The positions of the rows of "train", "valid" or "test"."""
        return np.flatnonzero((self.table.split == part).to_numpy())

    def describe(self) -> str:
        """How many rows each part holds, what each column was taken for, and what was set aside, for a reader."""
        counts = self.table.split.value_counts()
        parts = ", ".join(f"{counts.get(part, 0)} {part}" for part in PARTS)
        what = f"one of {len(self.classes)} classes" if self.classes else "a number"
        lines = [f"{len(self.table)} rows: {parts}; predicted is {self.target.name!r}, {what}"]
        lines += [f"  {decision}" for decision in self.decisions] + self.notes
        return "\n".join(lines + ([summary(self.set_aside)] if self.set_aside else []))


def labelled_table(
    data: Path | str | pd.DataFrame,
    reading: Reading,
    valid_pct: float = 0.1,
    test_pct: float = 0.2,
    seed: int = 42,
    strict: bool = False,
) -> LabelledTable:
    """Read and split a table; see `read_table` for what it may be, `split_rows` for the split and `fit_column` for the columns.

    Rows without a value of the target, or that a CSV lacks cells of, are set aside; with `strict` they are an error. Raises
    `DataError` for what cannot be learnt from.
    """
    if reading.task not in TASKS:
        raise DataError(f"task {reading.task!r}; choose from {', '.join(TASKS)}")
    if seed < 0:
        raise DataError(f"seed {seed}: expected a number from 0")
    tables = [read_table(data, strict, reading.sheet)]
    if reading.test is not None and str(reading.test):
        tables.append(read_table(reading.test, strict, reading.sheet))
        _check_columns(*tables, reading.target)
    frame, table = _together(tables)
    name = _column(frame, reading.target, "target", tables[0].source)
    reading = replace(reading, target=name)
    roles = _roles(frame, reading, tables[0].source)
    set_aside = [aside for each in tables for aside in each.set_aside]
    notes = [note for each in tables for note in each.notes]

    frame, table, dropped = _with_target(frame, table, name, reading.words)
    set_aside += dropped
    _check_strict(strict, set_aside)
    target, table["label"], targets = read_target(frame, table, reading, tables[0].source)
    table["group"] = _texts(frame[reading.group_by]) if reading.group_by else None
    table["split"] = _given(frame, table, roles.get("split"))
    if reading.group_by:
        frame, table, targets, dropped = _apart_from_the_test(frame, table, targets)
        set_aside += dropped
    time = _moments(frame[reading.time], reading) if reading.time else None
    group = table.group if reading.group_by else None
    table["split"] = split_rows(table.label, not target.classes, table.split, group, time, valid_pct, test_pct, seed).to_numpy()
    if target.classes:
        frame, table, targets, target, dropped = _learnable(frame, table, targets, target)
        set_aside += dropped
        _check_strict(strict, set_aside)
    text = all(each.text for each in tables)
    cells = frame if text else frame.map(_hashable)
    table["content"] = pd.util.hash_pandas_object(cells, index=False).map("{:016x}".format)
    columns, decisions = _fit(frame, table, reading, roles, text)
    left_out = tuple(column for column in frame.columns if column not in {column.name for column in columns})
    table_input = TableInput(tuple(columns), left_out, reading.words)
    prepared = table_input.prepare({column: frame[column] for column in table_input.names}, text)
    labelled = LabelledTable(
        frame,
        table,
        target,
        table_input,
        prepared.codes,
        prepared.numbers,
        targets,
        decisions,
        reading.by,
        text,
        set_aside,
        notes,
    )
    labelled.notes += [*_odd_cells(prepared.notes, table), *leak_notes(labelled, seed)]
    return labelled


def _together(tables: list[Table]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All rows, and for each its file, its number in it, and "test" where it comes from the test file."""
    frame = pd.concat([each.frame[list(tables[0].frame.columns)] for each in tables], ignore_index=True)
    described = []
    for number, each in enumerate(tables):
        part = "test" if number else None
        file = each.source if Path(each.source).suffix else ""  # not of a DataFrame
        described.append(pd.DataFrame({"path": file, "row": each.rows, "split": part}, dtype=object))
    return frame, pd.concat(described, ignore_index=True)


def _check_columns(train: Table, test: Table, target: str) -> None:
    absent = [name for name in train.frame.columns if name not in test.frame.columns]
    if absent:
        what = (
            f"the target {target!r}" if target in absent else f"column{'s' if absent[1:] else ''} {', '.join(map(repr, absent))}"
        )
        raise DataError(f"{test.source}: has no {what}, as {train.source} has: give it the same columns")


def _column(frame: pd.DataFrame, name: str, what: str, source: str) -> str:
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


def _roles(frame: pd.DataFrame, reading: Reading, source: str) -> dict[str, str]:
    """Which column says the part of a row, and checks of the columns that a user named."""
    for option, names in (("group_by", [reading.group_by]), ("time", [reading.time]), ("by", reading.by)):
        for name in filter(None, names):
            _column(frame, name, option, source)
            if name == reading.target:
                raise DataError(f"{option} {name!r} is what is predicted: name another column")
    reading.wishes.check(list(frame.columns))
    if reading.wishes.kind_of(reading.target):
        raise DataError(f"column {reading.target!r} is what is predicted: name it for nothing else")
    for name in frame.columns:
        if str(name).strip().lower() in SPLIT_COLUMNS and name != reading.target:
            parts = {text_of(cell).strip().lower() for cell in frame[name] if not is_missing(plain(cell))}
            if parts and parts <= set(PART_NAMES):
                return {"split": name}
    return {}


def _given(frame: pd.DataFrame, table: pd.DataFrame, column: str | None) -> pd.Series:
    """The part that each row was given, None where it is to be decided."""
    if column is None:
        return table.split
    said = frame[column].map(lambda cell: None if is_missing(plain(cell)) else PART_NAMES[text_of(cell).strip().lower()])
    return table.split.where(table.split.notna(), said.astype(object)).astype(object)


def _with_target(
    frame: pd.DataFrame, table: pd.DataFrame, name: str, words: frozenset[str]
) -> tuple[pd.DataFrame, pd.DataFrame, list[tuple[str, str]]]:
    """The rows that have a value of the target, and the others to be set aside."""
    missing = frame[name].map(lambda cell: is_missing(plain(cell), words)).to_numpy(dtype=bool)
    return *_kept(frame, table, ~missing), _aside(table[missing], f"no value in the target column {name!r}")


def _kept(frame: pd.DataFrame, table: pd.DataFrame, wanted: np.ndarray) -> tuple[pd.DataFrame, pd.DataFrame]:
    return frame[wanted].reset_index(drop=True), table[wanted].reset_index(drop=True)


def _apart_from_the_test(
    frame: pd.DataFrame, table: pd.DataFrame, targets: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray, list[tuple[str, str]]]:
    """The rows but those of groups that stand in a test that was given: what is like it must not be learnt from."""
    tested = table.group[table.split == "test"].dropna().unique()
    wanted = ~(table.group.isin(tested) & table.split.isna()).to_numpy()
    return *_kept(frame, table, wanted), targets[wanted], _aside(table[~wanted], "its group stands in the test")


def _aside(rows: pd.DataFrame, reason: str) -> list[tuple[str, str]]:
    return [(f"{path} row {row}".strip(), reason) for path, row in zip(rows.path, rows.row, strict=True)]


def _learnable(
    frame: pd.DataFrame, table: pd.DataFrame, targets: np.ndarray, target: Target
) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray, Target, list[tuple[str, str]]]:
    """The rows whose class has a training row, with the classes numbered anew."""
    learnt = np.unique(targets[(table.split == "train").to_numpy()])
    wanted = np.isin(targets, learnt)
    classes = tuple(target.classes[number] for number in learnt)
    if len(classes) < 2:
        raise DataError(f"only {classes[0]!r} of {target.name!r} is in the training part: there is nothing to tell apart")
    dropped = _aside(table[~wanted], "its class has no training row")
    frame, table = _kept(frame, table, wanted)
    for part in PARTS:
        if not (table.split == part).any():
            raise DataError(f"nothing is left for {part}: {summary(dropped)}")
    return frame, table, np.searchsorted(learnt, targets[wanted]), replace(target, classes=classes), dropped


def _moments(cells: pd.Series, reading: Reading) -> pd.Series:
    """A column to order rows by: numbers, or dates in seconds; NaN where a cell holds neither."""
    plain_cells = [plain(cell) for cell in cells]
    texts = [cell for cell in plain_cells if isinstance(cell, str) and not is_missing(cell, reading.words)]
    if all(number_of(cell) is not None for cell in texts) and not any(hasattr(cell, "year") for cell in plain_cells):
        found = [np.nan if is_missing(cell, reading.words) else number_of(str(cell)) for cell in plain_cells]
        return pd.Series(found, dtype=float)
    form = next((form for form in (ISO, *FORMATS) if all(moment_of(cell, form) for cell in texts[:2000])), None)
    if form is None:
        raise DataError(f"time {reading.time!r}: {shown(texts[0])} is neither a number nor a date such as 2024-12-31")
    moments = [moment_of(cell, form) for cell in plain_cells]
    return pd.Series([np.nan if moment is None else moment.timestamp() for moment in moments], dtype=float)


def _texts(cells: pd.Series) -> pd.Series:
    return cells.map(lambda cell: None if is_missing(plain(cell)) else text_of(plain(cell)).strip()).astype(object)


def _fit(
    frame: pd.DataFrame, table: pd.DataFrame, reading: Reading, roles: dict[str, str], text: bool
) -> tuple[list, list[Decision]]:
    """The columns that are learnt from, fitted to the training rows alone, and what each column was taken for."""
    train = frame[(table.split == "train").to_numpy()]
    kept_out = {
        reading.target: "what is predicted",
        roles.get("split"): "says which part a row is in",
        reading.group_by: "keeps rows together",
        reading.time: "orders the rows",
    }
    columns, decisions = [], []
    for name in frame.columns:
        if name == reading.target:
            continue
        asked = reading.wishes.kind_of(name)
        if name in kept_out and asked is None:
            decisions.append(Decision(name, LEFT_OUT, kept_out[name]))
            continue
        column, decision = fit_column(name, train[name], text, asked, reading.words)
        decisions.append(decision)
        columns += [column] if column is not None else []
    if not columns:
        told = "; ".join(map(str, decisions)) or "there is no other column"
        raise DataError(f"no column is left to learn {reading.target!r} from: {told}")
    return columns, decisions


def _odd_cells(notes: Sequence[tuple[str, ...]], table: pd.DataFrame) -> list[str]:
    """What was done to cells of the data, for the columns where that was seldom and where it was often."""
    counts: Counter[str] = Counter()
    example: dict[str, str] = {}
    for row, said in enumerate(notes):
        for note in said:
            column = note.partition(": ")[0]
            counts[column] += 1
            example.setdefault(column, f"row {table.row[row]}, {note.partition(': ')[2]}")
    told = [
        f"{column}: {count} odd cell{'s' if count > 1 else ''}, such as {example[column]}"
        for column, count in counts.most_common()
    ]
    return told[:MOST_TOLD] + ([f"… and odd cells in {len(told) - MOST_TOLD} more columns"] if len(told) > MOST_TOLD else [])


def _hashable(cell: object) -> str:
    return f"{type(cell).__name__} {cell}"


def _check_strict(strict: bool, set_aside: list[tuple[str, str]]) -> None:
    if strict and set_aside:
        raise DataError("strict: " + summary(set_aside))
