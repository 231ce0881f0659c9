"""From a table to rows that are checked, split and ready to learn from: the first station for spreadsheets.

The order matters: first the split, and only then, from training rows alone, what a column is, its categories, medians and scales.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data.items import PARTS, summary
from toolkit.data.splitting import USUAL_SPLIT, SplitOptions
from toolkit.data.table_files import Table, contents_of, read_table
from toolkit.data.tabular.column_kinds import LEFT_OUT, Decision, fit_column
from toolkit.data.tabular.labelled import LabelledTabular
from toolkit.data.tabular.leaks import leak_notes
from toolkit.data.tabular.options import TableOptions, parts_given, texts_of
from toolkit.data.tabular.splitting import split_rows
from toolkit.data.tabular.targets import Target, read_target
from toolkit.data.times import times_of
from toolkit.errors import DataError
from toolkit.program.cells import is_missing, python_value, quoted
from toolkit.program.tabular.columns import Column
from toolkit.program.tabular.inputs import TabularInput

MOST_TOLD = 12  # columns whose odd cells are told of


def labelled_tabular(
    data: Path | str | pd.DataFrame,
    options: TableOptions,
    *,
    split: SplitOptions = USUAL_SPLIT,
    strict: bool = False,
) -> LabelledTabular:
    """Read and split a table; see `read_table` for what it may be, `split_rows` for the split and `fit_column` for the columns.

    Rows without a value of the target, or that a CSV lacks cells of, are set aside; with `strict` they are an error. Raises
    `DataError` for what cannot be learnt from.
    """
    tables = [read_table(data, strict=strict, sheet=options.sheet)]
    if isinstance(options.test, pd.DataFrame) or options.test:
        tables.append(read_table(options.test, strict=strict, sheet=options.sheet))
    source, text = tables[0].source, all(each.text for each in tables)
    options = options.resolved(tables[0].frame, source)
    rows = _together(tables, options)
    _check_strict(strict, rows.rejected)
    target, rows.table["label"], rows.table["target"] = read_target(
        rows.frame, rows.table, options=options, source=source, rejected=rows.rejected
    )
    rows.table["content"] = contents_of(rows.frame, options.na_values)
    _split(rows, options, regression=not target.classes, split=split)
    target = _learnable(rows, target) if target.classes else target
    _check_strict(strict, rows.rejected)

    columns, decisions = _fit(rows, options, text=tables[0].text)
    names = {column.name for column in columns}
    tabular_input = TabularInput(
        tuple(columns), tuple(name for name in rows.frame.columns if name not in names), options.na_values
    )
    prepared = tabular_input.prepare({name: rows.frame[name] for name in tabular_input.names}, text)
    targets = rows.table.pop("target").to_numpy(dtype=np.int64 if target.classes else np.float32)
    notes = [*(note for each in tables for note in each.notes), *_odd_cells(prepared.notes, rows.table)]
    labelled = LabelledTabular(
        frame=rows.frame, table=rows.table, target=target, tabular_input=tabular_input, codes=prepared.codes,
        numbers=prepared.numbers, targets=targets, decisions=decisions, by=options.by, text=text, rejected=rows.rejected,
        notes=notes,
    )  # fmt: skip
    return replace(labelled, notes=[*notes, *leak_notes(labelled, split.seed)])


@dataclass
class _Rows:
    """Rows while they are sorted out; as in `LabelledTabular`, but that `table` has a column `target` as well."""

    frame: pd.DataFrame
    table: pd.DataFrame
    rejected: list[tuple[str, str]]

    def drop(self, unwanted: np.ndarray, reasons: str | list[str]) -> None:
        """Set the rows aside where `unwanted` is True, with one reason or each with its own."""
        aside = self.table[unwanted]
        reasons = [reasons] * len(aside) if isinstance(reasons, str) else reasons
        for path, row, reason in zip(aside.path, aside.row, reasons, strict=True):
            self.rejected.append((f"{path} row {row}".strip(), reason))
        self.frame = self.frame[~unwanted].reset_index(drop=True)
        self.table = self.table[~unwanted].reset_index(drop=True)


def _together(tables: list[Table], options: TableOptions) -> _Rows:
    """All rows that have a value of the target; for each its file, its number in it, and "test" where the file
    is the test's."""
    for each in tables[1:]:
        _check_columns(tables[0], each, options=options)
    names = list(tables[0].frame.columns)
    frame = pd.concat([each.frame.reindex(columns=names) for each in tables], ignore_index=True)
    described = []
    for number, each in enumerate(tables):
        part = "test" if number else None
        file = each.source if Path(each.source).suffix else ""  # not of a DataFrame
        described.append(pd.DataFrame({"path": file, "row": each.rows, "split": part}, dtype=object))
    rows = _Rows(frame, pd.concat(described, ignore_index=True), [aside for each in tables for aside in each.rejected])
    cells = frame[options.target].map(python_value)
    missing = cells.map(lambda cell: is_missing(cell, options.na_values)).to_numpy(dtype=bool)
    rows.drop(missing, [_nothing_in(options.target, cell) for cell in cells[missing]])
    return rows


def _nothing_in(target: str, cell: object) -> str:
    word = cell.strip() if isinstance(cell, str) else ""
    hint = f" ({quoted(word)} means a missing one; --missing '!{word.lower()}' makes it a value)" if word else ""
    return f"no value in the target column {target!r}{hint}"


def _check_columns(train: Table, test: Table, *, options: TableOptions) -> None:
    """Raise `DataError` where the test lacks a column, other than those that the user leaves out."""
    needed = [name for name in train.frame.columns if name not in options.overrides.leave_out]
    absent = [name for name in needed if name not in test.frame.columns]
    if absent:
        several = f"column{'s' if absent[1:] else ''} {', '.join(map(repr, absent))}"
        what = f"the target {options.target!r}" if options.target in absent else several
        raise DataError(f"{test.source}: lacks {what}, which {train.source} has: give it the same columns, or leave them out")


def _split(rows: _Rows, options: TableOptions, *, regression: bool, split: SplitOptions) -> None:
    """Give each row its group and its part; what is like a test that was given is not learnt from."""
    rows.table["group"] = texts_of(rows.frame[options.group_by]) if options.group_by else None
    rows.table["split"] = parts_given(rows.frame, rows.table, split=options.split)
    if options.group_by:
        tested = rows.table.group[rows.table.split == "test"].dropna().unique()
        rows.drop((rows.table.group.isin(tested) & rows.table.split.isna()).to_numpy(), "its group stands in the test")
    time = times_of(rows.frame[options.time], options.time, na_values=options.na_values) if options.time else None
    parts = split_rows(
        rows.table.label, regression, split=split, given=rows.table.split,
        group=rows.table.group if options.group_by else None, time=None if time is None else pd.Series(time),
    )  # fmt: skip
    rows.table["split"] = parts.to_numpy()


def _learnable(rows: _Rows, target: Target) -> Target:
    """Set aside the rows whose class has no training row, number the classes anew, and return those that are left."""
    learnt = np.unique(rows.table.target[rows.table.split == "train"].to_numpy(dtype=np.int64))
    classes = tuple(target.classes[number] for number in learnt)
    if len(classes) < 2:
        raise DataError(f"only {classes[0]!r} of {target.name!r} is in the training part: there is nothing to tell apart")
    rows.drop(~rows.table.target.isin(learnt).to_numpy(), "its class has no training row")
    for part in PARTS:
        if not (rows.table.split == part).any():
            raise DataError(f"nothing is left for {part}: {summary(rows.rejected)}")
    rows.table["target"] = np.searchsorted(learnt, rows.table.target.to_numpy(dtype=np.int64))
    return replace(target, classes=classes)


def _fit(rows: _Rows, options: TableOptions, *, text: bool) -> tuple[list[Column], list[Decision]]:
    """The columns that are learnt from, fitted to the training rows alone, and what each column was taken for."""
    train = rows.frame[(rows.table.split == "train").to_numpy()]
    kept_out = {
        options.target: "what is predicted",
        options.split: "says which part a row is in",
        options.group_by: "keeps rows together",
        options.time: "orders the rows",
    }
    columns, decisions = [], []
    for name in rows.frame.columns:
        if name == options.target:
            continue
        asked = options.overrides.kind_of(name)
        if name in kept_out and asked is None:
            decisions.append(Decision(name, LEFT_OUT, kept_out[name]))
            continue
        column, decision = fit_column(name, train[name], text=text, asked=asked, na_values=options.na_values)
        decisions.append(decision)
        columns += [column] if column is not None else []
    if not columns:
        told = "; ".join(map(str, decisions)) or "there is no other column"
        raise DataError(f"no column is left to learn {options.target!r} from: {told}")
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


def _check_strict(strict: bool, rejected: list[tuple[str, str]]) -> None:
    if strict and rejected:
        raise DataError("strict: " + summary(rejected))
