"""The columns of a table as a model reads them: numbers, categories, dates; and what each makes of a cell that it was not shown.

These few rules are the guardrails: whatever a cell holds, the column has an answer and a note.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from toolkit.na_values import NA_VALUES
from toolkit.program.cells import (
    FALSE,
    ISO,
    TRUE,
    Cells,
    float_of,
    is_missing,
    moment_of,
    number_of,
    python_value,
    quoted,
    text_of,
)

NONE, OTHER, FIRST = 0, 1, 2  # codes: missing, a category that was not learnt, the first that was
OTHER_SIGN = {".": ",", ",": "."}
REACH = 0.5  # times the range of the training values, beyond which a number is far out
PARTS: dict[str, Callable[[datetime], float]] = {
    "year": lambda moment: moment.year,
    "month": lambda moment: moment.month,
    "day": lambda moment: moment.day,
    "weekday": lambda moment: moment.weekday(),
    "day of year": lambda moment: moment.timetuple().tm_yday,
    "hour": lambda moment: moment.hour + moment.minute / 60,
    "days": lambda moment: (moment - datetime(1970, 1, 1)).total_seconds() / 86400,
}  # of a date: numbers each; days since 1970
CSV, TEXT, NUMBER = "csv", "text", "number"  # what cells were in training: of a CSV nobody can tell
MODE = "usual"  # what a card calls it
Notes = dict[int, str]  # row -> what was done with its cell


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers: standardised, the median where one is missing.

    `fill` is the median of the training values, `mean` and `std` theirs, `low` and `high` their range. `had_missing`: whether
    training met a missing one. `decimal` is "," where texts are written so, `typed` what training's cells were: "number", "text",
    or "csv" where nobody can tell. `na_values` are the texts that mean missing.
    """

    name: str
    fill: float
    mean: float
    std: float
    low: float
    high: float
    had_missing: bool = False
    decimal: str = "."
    typed: str = CSV
    na_values: frozenset[str] = NA_VALUES
    kind: str = field(default="number", init=False)

    @cached_property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest number that are taken as they are."""
        reach = REACH * (self.high - self.low)
        return self.low - reach, self.high + reach

    @cached_property
    def na_numbers(self) -> tuple[float, ...]:
        """The numbers that mean a missing value, such as 999."""
        numbers = (number_of(word, self.decimal) for word in self.na_values)
        return tuple(number for number in numbers if number is not None and np.isfinite(number))

    def read(self, cell: object, text: bool = False) -> tuple[float, str]:
        """A cell as a number within the limits, NaN where it is missing, and a note where something was done to it. `text`: all
        cells of this source are texts, so that one is nothing to note."""
        cell, note = python_value(cell), ""
        if is_missing(cell, self.na_values):
            return np.nan, self._unmissed
        if isinstance(cell, str):
            value = number_of(cell, self.decimal)
            if value is None and (value := number_of(cell, OTHER_SIGN[self.decimal])) is not None:
                return self.within(value, f"{quoted(cell)} read as {quoted(value)}, though decimals were otherwise in training")
            if value is None:
                return np.nan, f"{quoted(cell)} is no number: taken as missing"
            note = "" if text or self.typed == TEXT else f"the text {quoted(cell)} read as the number {quoted(value)}"
        elif isinstance(cell, (int, float)):
            value = float_of(cell)
        else:
            return np.nan, f"{quoted(cell)} is no number: taken as missing"
        return (np.nan, self._unmissed) if value in self.na_numbers else self.within(value, note)

    @property
    def _unmissed(self) -> str:
        """The note on a missing value."""
        return "" if self.had_missing else f"missing, which it never was in training: taken as {quoted(self.fill)}"

    def within(self, value: float, note: str = "") -> tuple[float, str]:
        """A number brought within the limits, NaN where it is infinite, and what was done, or else `note`."""
        least, most = self.limits
        if least <= value <= most:
            return value, note
        if not np.isfinite(value):
            return np.nan, "infinite: taken as missing" if value == value else note
        limit = least if value < least else most
        known = f"{quoted(self.low)} to {quoted(self.high)}"
        return limit, f"{quoted(value)} lies far outside {known}, the range in training: taken as {quoted(limit)}"

    def values(self, cells: Cells, text: bool = False) -> tuple[np.ndarray, Notes]:
        """Whole columns of cells as `read` reads one: float64 (n,) with NaN where missing, and the notes by row."""
        numbers = self._at_once(cells, text)
        if numbers is None:
            return _one_by_one(self.read, cells, text=text)
        if self.na_numbers:
            numbers[np.isin(numbers, self.na_numbers)] = np.nan
        least, most = self.limits
        notes: Notes = {}
        for row in np.flatnonzero(~((numbers >= least) & (numbers <= most))).tolist():
            value = float(numbers[row])
            if value == value or not self.had_missing:
                numbers[row], note = self.within(value) if value == value else self.read(None)
                notes[row] = note
        return numbers, notes

    def _at_once(self, cells: Cells, text: bool) -> np.ndarray | None:
        """All cells as numbers in one call, None where that cannot be done."""
        kind = getattr(getattr(cells, "dtype", None), "kind", "O")
        if kind in "iuf":
            return np.array(cells, dtype=np.float64)
        if not text or self.decimal != ".":
            return None
        try:
            return np.array(list(map(float, cells)))
        except (ValueError, TypeError):
            return None

    def standardised(self, values: np.ndarray) -> np.ndarray:
        """Values float64 (n,) as the network sees them, float32 (n,): `fill` where they are NaN."""
        return ((np.where(np.isnan(values), self.fill, values) - self.mean) / self.std).astype(np.float32)

    def schema(self) -> dict[str, Any]:
        """What a cell that needs no note looks like, as a JSON schema."""
        return {"type": ["number", "null"] if self.had_missing else "number", "minimum": self.low, "maximum": self.high}


@dataclass(frozen=True)
class CategoryColumn:
    """A column of categories: the code of `values[i]` is i + 2; 0 is missing, 1 any category that was not learnt.

    `rare` is how many training rows had a category too rare to be learnt, `mode` the commonest code, 0 where most are missing.
    `boolean` marks a column of yes and no, in whatever words; `typed` as for numbers.
    """

    name: str
    values: tuple[str, ...]
    mode: int = FIRST
    had_missing: bool = False
    rare: int = 0
    boolean: bool = False
    typed: str = CSV
    na_values: frozenset[str] = NA_VALUES
    kind: str = field(default="category", init=False)

    @cached_property
    def codes(self) -> dict[str, int]:
        """The code of each category as it is written."""
        return {value: number for number, value in enumerate(self.values, FIRST)}

    @cached_property
    def _folded(self) -> dict[str, int]:
        """Those that are the only one of their letters, whatever the case."""
        found: dict[str, list[int]] = {}
        for value, code in self.codes.items():
            found.setdefault(value.casefold(), []).append(code)
        return {text: codes[0] for text, codes in found.items() if len(codes) == 1}

    @cached_property
    def _valued(self) -> dict[float, int]:
        """Those that are the only one of the number they say: "1" and "1.0" say the same."""
        found: dict[float, list[int]] = {}
        for value, code in self.codes.items():
            number = number_of(value)
            if number is not None and np.isfinite(number):
                found.setdefault(number, []).append(code)
        return {number: codes[0] for number, codes in found.items() if len(codes) == 1}

    def read(self, cell: object, text: bool = False) -> tuple[int, str]:
        """The code of a cell, and a note where something was done to it; `text` as for numbers."""
        cell = python_value(cell)
        if is_missing(cell, self.na_values):
            return NONE, "" if self.had_missing else "missing, which it never was in training"
        written = text_of(cell)
        note = "" if text else self._retyped(cell, written)
        if written in self.codes:
            return self.codes[written], note
        if self.typed == CSV and isinstance(cell, (int, float)) and (code := self._valued.get(float_of(cell))) is not None:
            return code, note  # of a CSV nobody can tell "1.0" from 1
        bare = written.strip()
        if bare in self.codes:
            return self.codes[bare], f"stray blanks in {quoted(written)}: read as {quoted(bare)}"
        code = self._folded.get(bare.casefold(), self._as_boolean(bare.lower()) if self.boolean else None)
        if code is None and (number := number_of(bare)) is not None:
            code = self._valued.get(number)
        if code is not None:
            return code, f"{quoted(written)} read as {quoted(self.values[code - FIRST])}"
        return OTHER, f"{quoted(bare)} is none of the {len(self.values)} categories that were learnt"

    def _retyped(self, cell: object, written: str) -> str:
        if self.typed == NUMBER and isinstance(cell, str):
            return f"the text {quoted(cell)} read as the category {written}, which was no text in training"
        if self.typed == TEXT and not isinstance(cell, str):
            return f"{type(cell).__name__} {quoted(cell)} read as the category {quoted(written)}, which was text in training"
        return ""

    def _as_boolean(self, word: str) -> int | None:
        """The code of the value that means the same as `word`."""
        meant = next((words for words in (TRUE, FALSE) if word in words), frozenset())
        named = next((code for value, code in self.codes.items() if value.lower() in meant), None)
        return named if named is not None or not meant else self._valued.get(1.0 if meant is TRUE else 0.0)

    def numbers(self, cells: Cells, text: bool = False) -> tuple[np.ndarray, Notes]:
        """Whole columns of cells as `read` reads one: int64 (n,) codes, and the notes by row."""
        if text:
            get = self._written.get
            codes = np.array([get(cell, -1) for cell in cells], dtype=np.int64)
            odd = np.flatnonzero(codes < 0).tolist()
            found, notes = _one_by_one(self.read, [cells[row] for row in odd], text=text)
            codes[odd] = found
            return codes, {odd[place]: note for place, note in notes.items()}
        codes, notes = _one_by_one(self.read, cells, text=text)
        return codes.astype(np.int64), notes

    @cached_property
    def _written(self) -> dict[str, int]:
        """The texts that are read without a note."""
        return {**self.codes, **({word: NONE for word in self.na_values if word not in self.codes} if self.had_missing else {})}

    def schema(self) -> dict[str, Any]:
        """What a cell that needs no note looks like, as a JSON schema."""
        named: list[object] = [*self.values, *([None] if self.had_missing else [])]
        if self.typed == NUMBER:
            return {"type": ["number", "null"] if self.had_missing else "number"}
        return {"enum": named}


@dataclass(frozen=True)
class DateColumn:
    """A column of dates, or moments, read as numbers: year, month, weekday, … each a `NumberColumn` named "NAME: part".

    `form` is how they are written in text; see `moment_of`.
    """

    name: str
    parts: tuple[NumberColumn, ...]
    form: str = ISO
    had_missing: bool = False
    na_values: frozenset[str] = NA_VALUES
    kind: str = field(default="date", init=False)

    def read(self, cell: object, text: bool = False) -> tuple[datetime | None, str]:
        """A cell as a moment, None where it is missing, and a note where something was done to it."""
        cell = python_value(cell)
        if is_missing(cell, self.na_values):
            return None, "" if self.had_missing else "missing, which it never was in training: a usual date stands for it"
        moment, note = moment_of(cell, self.form), ""
        if moment is None:
            moment, note = moment_of(cell), f"{quoted(cell)} read as an ISO date"
        return moment, note if moment else f"{quoted(cell)} is no date as in training ({self.example}): taken as missing"

    @property
    def example(self) -> str:
        """A date as they are written."""
        return datetime(2024, 12, 31).strftime("%Y-%m-%d" if self.form == ISO else self.form)

    def part(self, moment: datetime | None, column: NumberColumn) -> float:
        """One part of a moment, NaN where it is missing."""
        return np.nan if moment is None else float(PARTS[column.name[len(self.name) + 2 :]](moment))

    def schema(self) -> dict[str, Any]:
        """What a cell that needs no note looks like, as a JSON schema."""
        described = {"type": ["string", "null"] if self.had_missing else "string"}
        return {**described, "format": "date-time" if "hour" in str(self.parts) else "date"} if self.form == ISO else described


Column = NumberColumn | CategoryColumn | DateColumn
KINDS = {"number": NumberColumn, "category": CategoryColumn, "date": DateColumn}


def column_card(column: Column) -> dict[str, Any]:
    """A column as plain values; `column_from_card` reads them. The words for missing are the table's."""
    card = {MODE if name == "mode" else name: value for name, value in asdict(column).items() if name != "na_values"}
    return card | ({"parts": [column_card(part) for part in column.parts]} if isinstance(column, DateColumn) else {})


def column_from_card(card: dict[str, Any], na_values: frozenset[str]) -> Column:
    """The column that a card describes."""
    fields = {"mode" if name == MODE else name: value for name, value in card.items() if name != "kind"}
    if card["kind"] == "category":
        fields["values"] = tuple(map(str, fields["values"]))
    elif card["kind"] == "date":
        fields["parts"] = tuple(column_from_card(part, na_values) for part in fields["parts"])
    return KINDS[card["kind"]](**fields, na_values=na_values)


def _one_by_one(read: Callable[[object, bool], tuple[float, str]], cells: Cells, *, text: bool) -> tuple[np.ndarray, Notes]:
    """`read` for each cell, once for each text."""
    found, notes = np.empty(len(cells)), dict[int, str]()
    known: dict[str, tuple[float, str]] = {}
    for row, cell in enumerate(cells):
        if type(cell) is str:
            value, note = known.get(cell) or known.setdefault(cell, read(cell, text))
        else:
            value, note = read(cell, text)
        found[row] = value
        if note:
            notes[row] = note
    return found, notes
