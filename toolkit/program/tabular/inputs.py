"""What a program that predicts from tables takes: rows of cells -> the arrays that the model reads, with notes on what was odd.

Training reads its rows with it too: however a column or a cell is written, both see the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np

from toolkit.errors import ConversionError
from toolkit.na_values import NA_VALUES
from toolkit.program.cells import Cells, as_sequence, quoted
from toolkit.program.tabular.columns import (
    FIRST,
    CategoryColumn,
    Column,
    DateColumn,
    Notes,
    NumberColumn,
    column_card,
    column_from_card,
)

MOST_HEADERS = 64  # orders of columns that are remembered

Answer = Callable[
    [np.ndarray, np.ndarray], np.ndarray
]  # of a model: codes, numbers -> probabilities (n, classes) or values (n, 1)


@dataclass(frozen=True)
class Prepared:
    """Rows as the model reads them: `codes` int64 (n, categories) and `numbers` float32 (n, features), standardised values first,
    then 1.0 for each that is missing; `notes` has for each row what was done to it."""

    codes: np.ndarray
    numbers: np.ndarray
    notes: Sequence[tuple[str, ...]]


@dataclass(frozen=True)
class Header:
    """How the columns of a source answer to ours: `keys` has the source's name for each of ours, None where it has none.
    `remarks` say what changes no answer, columns that are additional or in another order; `losses` what does."""

    keys: tuple[Any, ...]
    remarks: tuple[str, ...]
    losses: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What every row is told: remarks, then losses."""
        return self.remarks + self.losses


@dataclass(frozen=True)
class TabularInput:
    """Rows of a table -> `Prepared`.

    `columns` are those that are learnt from, in the data's order. `left_out` are the names of others that the data had (what is
    predicted among them): they may be there or not. `na_values` are the texts that mean missing, in lower case.
    """

    columns: tuple[Column, ...]
    left_out: tuple[str, ...] = ()
    na_values: frozenset[str] = NA_VALUES

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def categories(self) -> tuple[CategoryColumn, ...]:
        """The columns that `codes` has."""
        return tuple(column for column in self.columns if isinstance(column, CategoryColumn))

    @cached_property
    def cardinalities(self) -> tuple[int, ...]:
        """The number of codes of each."""
        return tuple(len(column.values) + FIRST for column in self.categories)

    @cached_property
    def numeric(self) -> tuple[NumberColumn, ...]:
        """The numbers, and the parts of dates, whose values `numbers` has first."""
        parts = (column.parts if isinstance(column, DateColumn) else (column,) for column in self._measured)
        return tuple(chain.from_iterable(parts))

    @cached_property
    def _measured(self) -> tuple[NumberColumn | DateColumn, ...]:
        return tuple(column for column in self.columns if not isinstance(column, CategoryColumn))

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The names of what `numbers` has: values, then whether each number or date is missing."""
        return (*(column.name for column in self.numeric), *(f"{column.name} missing" for column in self._measured))

    def places(self, name: str) -> tuple[list[int], list[int]]:
        """Where a column stands in `codes` and in `numbers`: its value, or its parts, and whether it is missing."""
        codes = [place for place, column in enumerate(self.categories) if column.name == name]
        measured = [column.name for column in self._measured]
        if name not in measured:
            return codes, []
        column = self._measured[measured.index(name)]
        owned = column.parts if isinstance(column, DateColumn) else (column,)
        first = next(place for place, each in enumerate(self.numeric) if each is owned[0])
        return codes, [*range(first, first + len(owned)), len(self.numeric) + measured.index(name)]

    def typical(self) -> Prepared:
        """One row that is typical in every column: the mode of categories, the median of numbers."""
        codes = np.array([[column.mode for column in self.categories]], dtype=np.int64)
        values = [(column.fill - column.mean) / column.std for column in self.numeric]
        return Prepared(codes, np.array([values + [0.0] * len(self._measured)], dtype=np.float32), [()])

    @cached_property
    def _headers(self) -> dict[tuple[object, ...], Header]:
        return {}

    def header(self, names: Iterable[object]) -> Header:
        """How columns called `names` answer to ours. Raises `ConversionError` where none of them does."""
        names = tuple(names)
        known = self._headers.get(names)
        if known is None:
            known = self._match(names)
            if len(self._headers) < MOST_HEADERS:
                self._headers[names] = known
        return known

    def _match(self, names: tuple[object, ...]) -> Header:
        given = {str(name): name for name in names}
        folded: dict[str, list[str]] = {}
        for name in given:
            folded.setdefault(_folded(name), []).append(name)
        keys: list[object] = []
        notes: list[str] = []
        for name in self.names:
            alike = [other for other in folded.get(_folded(name), []) if other not in self.names]
            if name in given:
                keys.append(given[name])
            elif len(alike) == 1:
                keys.append(given[alike[0]])
                notes.append(f"the column {quoted(alike[0])} is taken for {quoted(name)}")
            else:
                keys.append(None)
                notes.append(f"no column {quoted(name)}: taken as missing")
        if not any(key is not None for key in keys):
            wanted, found = _listed(self.names), _listed(map(str, names))
            raise ConversionError("the table", f"none of its columns ({found}) is one that was learnt from ({wanted})")
        spare = set(map(_folded, self.left_out))
        remarks = [
            f"the column {quoted(str(name))} was not learnt from: left aside"
            for name in names
            if name not in keys and _folded(str(name)) not in spare
        ]
        there = [names.index(key) for key in keys if key is not None]
        if there != sorted(there):
            remarks.append("the columns stand in another order: taken by their names")
        return Header(tuple(keys), tuple(remarks), tuple(notes))

    def prepare(self, cells: Mapping[str, Any], text: bool = False) -> Prepared:
        """Whole columns: a dict of lists or arrays, or a pandas DataFrame. `text`: all cells are texts, as in a CSV.

        Raises `ConversionError` where no column is one of ours.
        """
        header = self.header(cells.keys())
        count = len(cells[next(key for key in header.keys if key is not None)])
        codes = np.zeros((count, len(self.categories)), dtype=np.int64)
        numbers = np.zeros((count, len(self.features)), dtype=np.float32)
        said: list[tuple[str, Notes]] = []
        at_code, at_value, at_flag = 0, 0, len(self.numeric)
        for column, key in zip(self.columns, header.keys, strict=True):
            absent = key is None
            given = [None] * count if absent else as_sequence(cells[key])
            if isinstance(column, CategoryColumn):
                codes[:, at_code], notes = column.numbers(given, text)
                at_code += 1
            elif isinstance(column, NumberColumn):
                values, notes = column.values(given, text)
                numbers[:, at_value] = column.standardised(values)
                numbers[:, at_flag] = np.isnan(values)
                at_value, at_flag = at_value + 1, at_flag + 1
            else:
                width = len(column.parts)
                numbers[:, at_value : at_value + width], numbers[:, at_flag], notes = _dates(column, given, text=text)
                at_value, at_flag = at_value + width, at_flag + 1
            said.append((column.name, {} if absent else notes))
        return Prepared(codes, numbers, _by_row(count, header.notes, said=said))

    def prepare_row(self, row: Mapping[str, object]) -> Prepared:
        """One row, as `prepare` reads it, in a few microseconds."""
        header = self.header(row.keys())
        codes, values, flags = [], [], []
        notes: list[str] = []
        for key, (column, kind, least, most, mean, std, known) in zip(header.keys, self._quick, strict=True):
            cell = None if key is None else row[key]
            given = type(cell)
            if kind == "number":
                if (given is int or given is float) and least <= cell <= most and not known:
                    values.append((cell - mean) / std)
                    flags.append(0.0)
                    continue
                value, note = column.read(cell)
                missing = value != value
                values.append(((column.fill if missing else value) - mean) / std)
                flags.append(float(missing))
            elif kind == "category":
                code = known.get(cell) if given is str else None
                if code is not None:
                    codes.append(code)
                    continue
                code, note = column.read(cell)
                codes.append(code)
            else:
                parts, flag, found = _dates(column, [cell], text=False)
                values.extend(parts[0].tolist())
                flags.append(float(flag[0]))
                note = found.get(0, "")
            if note and key is not None:
                notes.append(f"{column.name}: {note}")
        numbers = np.array([values + flags], dtype=np.float32)
        return Prepared(np.array([codes], dtype=np.int64), numbers, [(*header.notes, *notes)])

    @cached_property
    def _quick(self) -> list[tuple[Any, ...]]:
        """What `prepare_row` asks of each column, looked up once."""
        found: list[tuple[Any, ...]] = []
        for column in self.columns:
            if isinstance(column, NumberColumn):
                found.append((column, column.kind, *column.limits, column.mean, column.std, column.na_numbers))
            else:
                known = column.codes if isinstance(column, CategoryColumn) and column.typed != "number" else {}
                found.append((column, column.kind, 0.0, 0.0, 0.0, 1.0, known))
        return found

    def schema(self) -> dict[str, Any]:
        """A row that needs no note, as a JSON schema (draft 2020-12). Others are answered too, and say what was done."""
        return {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "properties": {column.name: column.schema() for column in self.columns},
            "required": list(self.names),
        }

    def card(self) -> dict[str, Any]:
        """What `from_card` takes: plain values, for program.json."""
        columns = [column_card(column) for column in self.columns]
        return {"kind": "table", "columns": columns, "left_out": list(self.left_out), "words": sorted(self.na_values)}

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> TabularInput:
        """The input that program.json describes."""
        na_values = frozenset(card["words"])
        return cls(tuple(column_from_card(column, na_values) for column in card["columns"]), tuple(card["left_out"]), na_values)


def _dates(column: DateColumn, cells: Cells, *, text: bool) -> tuple[np.ndarray, np.ndarray, Notes]:
    """The parts of dates, standardised, float32 (n, parts), whether each is missing, and the notes by row."""
    known: dict[object, tuple[Any, ...]] = {}
    found = np.empty((len(cells), len(column.parts)), dtype=np.float32)
    missing, notes = np.zeros(len(cells), dtype=np.float32), dict[int, str]()
    for row, cell in enumerate(cells):
        kept = known.get(cell) if isinstance(cell, (str, date)) else None
        if kept is None:
            moment, note = column.read(cell, text)
            pairs = [(part, part.within(column.part(moment, part)) if moment else (np.nan, "")) for part in column.parts]
            far = next((said for part, (_, said) in pairs if said and part.name.endswith(": days")), "")
            parts = [((part.fill if value != value else value) - part.mean) / part.std for part, (value, _) in pairs]
            kept = parts, moment is None, note or (f"{quoted(cell)} lies far outside the dates in training" if far else "")
            if isinstance(cell, (str, date)):
                known[cell] = kept
        found[row], missing[row], note = kept
        if note:
            notes[row] = note
    return found, missing, notes


def _by_row(count: int, of_all: tuple[str, ...], *, said: list[tuple[str, Notes]]) -> list[tuple[str, ...]]:
    """The notes of each row: those of the table, then its own."""
    found = [of_all] * count
    for name, notes in said:
        for row, note in notes.items():
            found[row] = (*found[row], f"{name}: {note}")
    return found


def _folded(name: str) -> str:
    return name.strip().casefold()


def _listed(names: Iterable[str], most: int = 8) -> str:
    names = list(names)
    return ", ".join(names[:most]) + (f", … {len(names) - most} more" if len(names) > most else "")
