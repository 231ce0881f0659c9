"""The rows of a table of ratings, made clean: user, item, rating and time, each pair of user and item once.

Everything that can be wrong with a row is found here, over a million rows at a time: different cells are few and read once each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data.collab.columns import LARGEST
from toolkit.data.collab.options import NONE, CollabOptions
from toolkit.data.items import summary
from toolkit.data.table_files import Table
from toolkit.data.tabular.column_kinds import decimal_sign
from toolkit.data.times import times_of
from toolkit.errors import DataError
from toolkit.na_values import UNMISTAKABLE
from toolkit.program.cells import float_of, is_missing, number_of, python_value, quoted, text_of

WHOLE = re.compile(r"-?\d{1,1000}(\.0+)?", re.ASCII)
MISSING, NO_NUMBER, NOT_FINITE, TOO_LARGE, OUTSIDE = 1, 2, 3, 4, 5  # what can be wrong with a rating


@dataclass
class Rows:
    """Rows that can be learnt from, in the order of their files.

    `users`, `items` and `labels` are the different texts (object arrays), `table` has for each row its `path`, `row`, the numbers
    `user`, `item` and `label` of its texts (int64), `value` (float64, 1 where there are no ratings), `time` (float64, NaN where
    it is unknown) and `tested`: whether it is of the file to test on.
    """

    table: pd.DataFrame
    users: np.ndarray
    items: np.ndarray
    labels: np.ndarray
    cells: pd.DataFrame  # as read, with an index as that of `table`: what else there is to know of items
    rejected: list[tuple[str, str]]
    notes: list[str]

    def drop(self, unwanted: np.ndarray, reason: str) -> None:
        """Set the rows aside where `unwanted` is True."""
        self.rejected += [(where, reason) for where in self.places(unwanted)]
        self.keep(~unwanted)

    def keep(self, wanted: np.ndarray) -> None:
        """Go on with the rows where `wanted` is True alone."""
        if not wanted.all():
            self.table, self.cells = (each[wanted].reset_index(drop=True) for each in (self.table, self.cells))

    def places(self, rows: np.ndarray) -> list[str]:
        """What a user calls the rows where `rows` is True."""
        of = self.table[rows]
        return [f"{path} row {row}".strip() for path, row in zip(of.path, of.row, strict=True)]


def read_rows(tables: list[Table], options: CollabOptions) -> Rows:
    """The rows of the data, and of the test where there is one, without those that cannot be used and without repeated pairs.

    `options` are resolved. Raises `DataError` where most ratings cannot be used, or nothing is left.
    """
    frames = [tables[0].frame[_columns(options)], *(_of_test(each, options) for each in tables[1:])]
    lengths = [len(each) for each in frames]
    cells = pd.concat(frames, ignore_index=True)
    users_of_rows, users = _ids(cells[options.user])
    items_of_rows, items = _ids(cells[options.item])
    files = np.array([each.source if Path(each.source).suffix else "" for each in tables], dtype=object)
    table = pd.DataFrame(
        {
            "path": pd.Series(np.repeat(files, lengths), dtype=object),
            "row": np.concatenate([each.rows for each in tables]),
            "user": users_of_rows, "item": items_of_rows, "value": 1.0, "label": 0, "time": np.nan,
            "tested": np.repeat(np.arange(len(tables)) > 0, lengths),
        }
    )  # fmt: skip
    rejected = [aside for each in tables for aside in each.rejected]
    rows = Rows(table, users, items, np.array([""], dtype=object), cells, rejected, [])
    repeats = np.isin(users_of_rows, np.flatnonzero(users == options.user)) & np.isin(
        items_of_rows, np.flatnonzero(items == options.item)
    )
    rows.drop(repeats, "repeats the names of the columns")
    for role, name in (("user", options.user), ("item", options.item)):
        rows.drop((rows.table[role] < 0).to_numpy(), f"no {role} in column {name!r}")
    if options.rating and len(rows.table):
        _read_ratings(rows, options, source=tables[0].source)
    if not len(rows.table):
        raise DataError(f"{tables[0].source}: no row is left to learn from: {summary(rows.rejected)}")
    if options.time:
        rows.table["time"] = times_of(rows.cells[options.time], options.time)
        if missing := int(rows.table.time.isna().sum()):
            rows.notes.append(f"{missing} of {len(rows.table)} rows have no time that can be read in column {options.time!r}")
    _drop_repeats(rows, options)
    return rows


def ids_of(cells: pd.Series, na_values: frozenset[str] = UNMISTAKABLE) -> tuple[np.ndarray, np.ndarray]:
    """The number of each cell's text, int64, -1 where it holds nothing, and the different texts, without blanks around them."""
    try:
        codes, distinct = pd.factorize(cells)
    except TypeError:  # cells that cannot be compared, such as lists
        codes, distinct = pd.factorize(cells.map(str))
    known = (python_value(cell) for cell in distinct)
    bare = [None if is_missing(cell, na_values) else text_of(cell).strip() for cell in known]
    again, texts = pd.factorize(np.array([*bare, None], dtype=object))  # 1, 1.0 and " 1" are one; the last is for -1
    return again[codes].astype(np.int64), np.asarray(texts, dtype=object)


def _ids(cells: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """`ids_of`, but that whole numbers that were written as floats are written plainly."""
    codes, texts = ids_of(cells)
    bare = whole_texts(texts)
    if bare is texts:
        return codes, texts
    again, texts = pd.factorize(bare)
    return np.where(codes < 0, -1, again[codes]), texts


def whole_texts(texts: np.ndarray) -> np.ndarray:
    """Ids without ".0" behind them, where all are whole numbers: so they are written once one cell of a column was empty."""
    if any(text.endswith(".0") for text in texts) and all(map(WHOLE.fullmatch, texts)):
        return np.array([text.partition(".")[0] for text in texts], dtype=object)
    return texts


def _columns(options: CollabOptions) -> list[str]:
    return [name for name in (options.user, options.item, options.rating, options.time, options.title) if name]


def _of_test(table: Table, options: CollabOptions) -> pd.DataFrame:
    """The columns of a test, under the names that the data has for them; a time and a title may be missing."""
    found: dict[str, str] = {}
    for name in _columns(options):
        alike = [each for each in table.frame.columns if each == name] or [
            each for each in table.frame.columns if each.casefold() == name.casefold()
        ]
        if not alike and name not in (options.time, options.title):
            there = ", ".join(map(repr, table.frame.columns[:30]))
            raise DataError(
                f"the test, {table.source}: lacks column {name!r} of the data: give it the same columns (it has {there})"
            )
        found |= {name: alike[0]} if alike else {}
    return table.frame[list(found.values())].set_axis(list(found), axis=1).reindex(columns=_columns(options))


def _read_ratings(rows: Rows, options: CollabOptions, *, source: str) -> None:
    """Fill in `value` and `label`; set rows aside whose rating is none."""
    cells = rows.cells[options.rating]
    codes, different = pd.factorize(cells.astype(object), use_na_sentinel=False)
    distinct = [python_value(cell) for cell in different]
    decimal = decimal_sign(cell for cell in distinct if isinstance(cell, str))
    values, faults = np.zeros(len(distinct)), np.zeros(len(distinct), dtype=np.int64)
    for place, cell in enumerate(distinct):
        value = _number(cell, decimal)
        if is_missing(cell):
            faults[place] = MISSING
        elif value is None:
            faults[place] = NO_NUMBER
        elif not np.isfinite(value):
            faults[place] = NOT_FINITE
        elif abs(value) > LARGEST:
            faults[place] = TOO_LARGE
        elif options.low is not None and options.high is not None and not options.low <= value <= options.high:
            faults[place] = OUTSIDE
        else:
            values[place] = value
    rows.labels = np.array([text_of(cell).strip() for cell in distinct], dtype=object)
    rows.table["value"], rows.table["label"] = values[codes], codes
    bad = np.flatnonzero(faults[codes] > 0)
    reasons = [_reason(distinct[code], faults[code], options=options) for code in range(len(distinct))]
    if 2 * len(bad) > len(codes):
        number, reason = rows.table.row[bad[0]], reasons[codes[bad[0]]]
        raise DataError(
            f"{source}: {len(bad)} of {len(codes)} rows have no rating in column {options.rating!r} that can be used "
            f"(row {number}: {reason}): name another column with rating or another rating_range, or leave ratings out with "
            f"rating {NONE!r}"
        )
    rows.rejected += zip(rows.places(faults[codes] > 0), (reasons[codes[row]] for row in bad), strict=True)
    rows.keep(faults[codes] == 0)
    _tell_of_placeholder(rows, options)


def _number(cell: object, decimal: str) -> float | None:
    if isinstance(cell, str):
        truth = {"true": 1.0, "false": 0.0}.get(cell.strip().lower())
        return number_of(cell, decimal) if truth is None else truth
    return float_of(cell) if isinstance(cell, (int, float)) else None


def _tell_of_placeholder(rows: Rows, options: CollabOptions) -> None:
    """Note a lowest rating that seems to stand for none, as -1, and 0 in most rows, do in known data sets."""
    values, counts = np.unique(rows.table.value, return_counts=True)
    if options.low is not None or len(values) < 3 or values[1] < 0:
        return
    if values[0] < 0 or (values[0] == 0 and 2 * counts[0] > counts.sum()):
        others = f"{values[1]:g} to {values[-1]:g}"
        rows.notes.append(
            f"{counts[0]} of {counts.sum()} ratings are {values[0]:g}, all others from {others}: if it means that there is "
            f"none, set it aside with rating_range {values[1]:g},{values[-1]:g}"
        )


def _reason(cell: object, fault: int, *, options: CollabOptions) -> str:
    if fault == MISSING:
        return f"no rating in column {options.rating!r}"
    if fault == OUTSIDE:
        return f"rating {quoted(cell)} is outside {options.low:g} to {options.high:g}"
    if fault == TOO_LARGE:
        return f"rating {quoted(cell)} is larger than {LARGEST:g} (is it a time?)"
    return f"rating {quoted(cell)} is no {'finite ' if fault == NOT_FINITE else ''}number"


def _drop_repeats(rows: Rows, options: CollabOptions) -> None:
    """Keep one row of each pair of user and item: of the test's file, else the latest, else the last."""
    table = rows.table
    pair = table.user.to_numpy() * len(rows.items) + table.item.to_numpy()
    tested = table.tested.to_numpy()
    shared = ~tested & np.isin(pair, pair[tested])
    later = np.lexsort((np.arange(len(pair)), np.nan_to_num(table.time, nan=-np.inf), pair, tested))
    last = np.append((np.diff(pair[later]) != 0) | np.diff(tested[later]), True)
    wanted = np.zeros(len(pair), dtype=bool)
    wanted[later[last]] = True
    repeats = int((~wanted).sum())
    if repeats:
        values = table.groupby([pair, tested]).value.agg(["size", "min", "max"])
        contrary = int(((values["size"] > 1) & (values["min"] < values["max"])).sum())
        stands = f"the latest by {options.time!r}" if options.time else "the last in the file"
        other = f" ({contrary} pairs with different ratings)" if contrary else ""
        rows.notes.append(
            f"{repeats} rows repeat a pair of user and item{other}: {stands} stands"
            if options.rating
            else f"{repeats} rows repeat a pair of user and item: each pair counts once"
        )
    if shared.any():
        rows.notes.append(f"{int(shared.sum())} rows of pairs that stand in the test, too, are not learnt from")
    rows.keep(wanted & ~shared)
