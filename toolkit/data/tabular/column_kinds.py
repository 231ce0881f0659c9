"""Which columns of a table are numbers, categories, dates or nothing to learn from, and what training rows say of each.

Every decision is a guess that a user reads, and can overrule.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from toolkit.data.times import MOSTLY, date_form
from toolkit.errors import DataError
from toolkit.na_values import NA_VALUES
from toolkit.program.cells import (
    FALSE,
    FORMATS,
    ISO,
    TRUE,
    Cells,
    as_sequence,
    float_of,
    is_missing,
    moment_of,
    number_of,
    python_value,
    quoted,
    text_of,
)
from toolkit.program.tabular.columns import CSV, FIRST, NUMBER, PARTS, TEXT, CategoryColumn, Column, DateColumn, NumberColumn

CATEGORY, BOOLEAN, DATE, LEFT_OUT = "category", "boolean", "date", "left out"
DISTINCT = 0.9  # share of distinct values from which texts name rows, not kinds of rows
RAREST = 3  # training rows that a category is learnt from
SAMPLE = 2000  # distinct values that a guess looks at
ID_NAME = re.compile(r"(?i:(^|[_\s.-])(id|uuid|guid|index|key|nr|no|number|row)$|^unnamed(: ?\d+)?$|^column \d+$)|[a-z]I[dD]$")
COMMA = re.compile(r"[^,]*,\d{1,2}|[^,]*,\d{4,}|[^,]*\d\.\d{3},\d+|-?0,\d+")
POINT = re.compile(r"[^.]*\.\d{1,2}|[^.]*\.\d{4,}|.*,\d{3}\.\d*|-?0\.\d+")
CODED = re.compile(r"0\d+")  # a number that begins with a zero is a code


@dataclass(frozen=True)
class Decision:
    """What a column was taken for, and why."""

    column: str
    kind: str
    why: str

    def __str__(self) -> str:
        return f"{self.column}: {self.kind} ({self.why})"


@dataclass(frozen=True)
class _CellCounts:
    """The training cells of a column: those that hold something, each distinct one with its count."""

    name: str
    total: int
    counts: dict[object, int]
    text: bool
    na_values: frozenset[str]
    nothing: tuple[str, ...] = ()  # texts that mean a missing value

    @property
    def there(self) -> int:
        return sum(self.counts.values())

    @property
    def had_missing(self) -> bool:
        return self.there < self.total

    @property
    def missing(self) -> str:
        """How many values are missing, and in which words, for a reader."""
        written = f", written as {' or '.join(map(quoted, sorted(self.nothing)))}" if self.nothing else ""
        return f"; {self.total - self.there} missing{written}" if self.had_missing else ""

    @property
    def typed(self) -> str:
        kinds = {isinstance(cell, str) for cell in self.counts}
        return CSV if self.text or len(kinds) > 1 else TEXT if True in kinds else NUMBER

    @property
    def sample(self) -> list[object]:
        return list(self.counts)[:: -(-len(self.counts) // SAMPLE)]  # from all over: files are often sorted

    @cached_property
    def texts(self) -> bool:
        return any(isinstance(cell, str) for cell in self.counts)

    def share(self, fits: Callable[[object], object]) -> float:
        """The share of the distinct values that `fits` finds something in."""
        return sum(fits(cell) is not None for cell in self.sample) / max(1, len(self.sample))


def fit_column(
    name: str, cells: Cells | pd.Series, *, text: bool, asked: str | None = None, na_values: frozenset[str] = NA_VALUES
) -> tuple[Column | None, Decision]:
    """A column fitted to its training `cells`, None where it is left out, and what was decided.

    `text`: cells are texts as a CSV has them. `asked` is the kind that a user wants: "number", "category", "date" or "left out".
    Raises `DataError` where cells are not of that kind.
    """
    seen = _look(name, cells, text=text, na_values=na_values)
    if seen is None:
        return None, Decision(name, LEFT_OUT, "its cells are lists or other structures")
    if asked == LEFT_OUT:
        return None, Decision(name, LEFT_OUT, "as asked")
    if not seen.there:
        return None, Decision(name, LEFT_OUT, "every value is missing")
    if asked is None and isinstance(getattr(cells, "dtype", None), pd.CategoricalDtype):
        asked = CATEGORY  # somebody said so already
    if len(seen.counts) == 1 and not seen.had_missing:
        return None, Decision(name, LEFT_OUT, f"constant: always {quoted(next(iter(seen.counts)))}")
    kind, why, how = (asked, "as asked", _how(seen, asked)) if asked else _guess(seen)
    if kind == DATE and len({moment_of(cell, how) for cell in seen.counts} - {None}) == 1:
        return None, Decision(name, LEFT_OUT, f"all its dates are the same{seen.missing}")
    if kind == LEFT_OUT:
        return None, Decision(name, LEFT_OUT, why)
    if kind in (NUMBER, DATE):
        column = (_number if kind == NUMBER else _date)(seen, cells, how=how)
        return column, Decision(name, kind, why + seen.missing)
    category = _category(seen, kind == BOOLEAN)
    rare = f"; {category.rare} in rows too few to learn from, taken together" if category.rare else ""
    return category, Decision(name, kind, why + rare + seen.missing)


def _look(name: str, cells: Cells | pd.Series, *, text: bool, na_values: frozenset[str]) -> _CellCounts | None:
    series = cells if isinstance(cells, pd.Series) else pd.Series(cells)
    try:
        counted = series.value_counts(dropna=False, sort=False)
    except TypeError:
        return None
    counts: dict[object, int] = {}
    nothing = set()
    numbers = {number_of(word) for word in na_values} - {None}  # that mean a missing value, such as 999
    for cell, count in zip(counted.index.tolist(), counted.tolist(), strict=True):
        cell = python_value(cell)
        if isinstance(cell, (list, tuple, dict, set, bytes)):
            return None
        meant = bool(numbers) and isinstance(cell, str) and number_of(cell) in numbers
        if not (meant or is_missing(cell, na_values)):
            counts[cell] = counts.get(cell, 0) + int(count)
        elif isinstance(cell, str) and cell.strip():
            nothing.add(cell.strip())
    return _CellCounts(name, len(series), counts, text=text, na_values=na_values, nothing=tuple(nothing))


def _guess(seen: _CellCounts) -> tuple[str, str, str]:
    """Kind, reason, and how it is written: a decimal sign or the form of dates."""
    cells, distinct = seen.sample, len(seen.counts)
    if all(isinstance(cell, bool) for cell in cells):
        return BOOLEAN, "true and false", ""
    if not seen.texts and all(isinstance(cell, (int, float)) for cell in cells):
        return _of_numbers(seen, [value for cell in seen.counts if (value := _number_in(cell)) is not None])
    if seen.share(_as_date(ISO)) >= MOSTLY and not seen.texts:
        return DATE, "dates", ISO
    if not seen.texts:
        return LEFT_OUT, f"its cells are {type(cells[0]).__name__}, which is neither number, text nor date", ""
    decimal = decimal_sign(seen.sample)
    written = _written_as_numbers(seen, decimal)
    if written is not None:
        found = [value for cell in seen.counts if (value := _number_in(cell, decimal)) is not None]
        return _of_numbers(seen, found, decimal=decimal, how=written)
    form, others = date_form([cell for cell in seen.sample if isinstance(cell, str)])
    if form:
        told = "dates" if form == ISO else f"dates written as {form}"
        return DATE, told + (f", which {' and '.join(others)} would fit as well" if others else ""), form
    if distinct == 2 and not {text_of(cell).strip().lower() for cell in cells} - TRUE - FALSE:
        return BOOLEAN, " and ".join(sorted(map(text_of, cells))), ""
    if distinct > DISTINCT * seen.there and seen.there >= 20:
        blanks = np.mean([text_of(cell).strip().count(" ") for cell in cells])
        what = "free text" if blanks >= 3 else "an identifier"
        return LEFT_OUT, f"{what}: {distinct} different values in {seen.there} rows", ""
    return CATEGORY, f"{distinct} different values", ""


def _of_numbers(seen: _CellCounts, found: list[float], *, decimal: str = ".", how: str = "") -> tuple[str, str, str]:
    whole = all(value == int(value) for value in found)
    distinct = len(set(found))
    if not distinct:
        return LEFT_OUT, "no number in it is finite", ""
    if distinct == 2 and set(found) == {0, 1}:
        return BOOLEAN, "0 and 1", ""
    if whole and distinct == seen.there and seen.there >= 20:
        consecutive = max(found) - min(found) < 1.5 * distinct
        if ID_NAME.search(seen.name) or (consecutive and sorted(found) in (found, found[::-1])):
            return LEFT_OUT, f"an identifier: {distinct} different whole numbers in {seen.there} rows", ""
    return NUMBER, f"{quoted(float(min(found)))} to {quoted(float(max(found)))}{how}", decimal


def _how(seen: _CellCounts, asked: str) -> str:
    """How a column of the kind that was asked for is written. Raises `DataError` where it is not of that kind."""
    if asked == NUMBER:
        decimal = decimal_sign(seen.sample)
        if not any(_number_in(cell, decimal) is not None for cell in seen.sample):
            raise DataError(
                f"column {seen.name!r}: no number in it, such as {quoted(seen.sample[0])}: leave it out of the numbers"
            )
        return decimal
    if asked == DATE:
        form = max((ISO, *FORMATS), key=lambda form: seen.share(_as_date(form)))
        if seen.share(_as_date(form)) < MOSTLY:
            known = ", ".join((ISO, *FORMATS))
            raise DataError(f"column {seen.name!r}: {quoted(seen.sample[0])} is no date written as one of {known}")
        return form
    return ""


def _number_in(cell: object, decimal: str = ".") -> float | None:
    """A finite number, None where a cell holds none."""
    value = number_of(cell, decimal) if isinstance(cell, str) else float_of(cell) if isinstance(cell, (int, float)) else None
    return value if value is not None and np.isfinite(value) else None


def decimal_sign(texts: Iterable[object]) -> str:
    """The decimal sign of texts: a comma where such as 3,5 or 1.234,5 are the more. 7,208 may be either, and is thousands."""
    bare = [str(text).strip() for text in texts]
    commas, points = (sum(bool(pattern.fullmatch(text)) for text in bare) for pattern in (COMMA, POINT))
    return "," if commas > points else "."


def _written_as_numbers(seen: _CellCounts, decimal: str) -> str | None:
    """How numbers stand in a column of texts, for the reader ("" where plainly); None where it holds none."""
    texts = [str(cell).strip() for cell in seen.sample]
    if any(CODED.fullmatch(text) for text in texts):
        return None
    if seen.share(lambda cell: number_of(str(cell), decimal)) < MOSTLY:
        return None
    said = [] if seen.text else ["read from text"]
    if decimal == ",":
        said.append("with decimal commas")
    elif sum(_is_plain(text) for text in texts) < len(texts) / 2:
        said.append(f"written as in {quoted(texts[0])}")
    return "".join(f", {word}" for word in said)


def _is_plain(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text))


def _as_date(form: str) -> Callable[[object], object]:
    return lambda cell: moment_of(cell, form)


def _number(seen: _CellCounts, cells: Cells | pd.Series, *, how: str) -> NumberColumn:
    free = NumberColumn(
        seen.name, fill=0.0, mean=0.0, std=1.0, low=-1e300, high=1e300, had_missing=True, decimal=how, typed=seen.typed,
        na_values=seen.na_values,
    )  # fmt: skip
    values, _ = free.values(as_sequence(cells), seen.text)
    return _fitted(seen.name, values, seen=seen, decimal=how)


def _fitted(name: str, values: np.ndarray, *, seen: _CellCounts, decimal: str = ".") -> NumberColumn:
    there = values[~np.isnan(values)]
    with np.errstate(over="ignore"):  # of numbers near the largest there are
        std = float(there.std())
    mean = float(there.mean())
    return NumberColumn(
        name, fill=float(np.median(there)), mean=mean, std=std if std > 1e-9 * max(1.0, abs(mean)) else 1.0,
        low=float(there.min()), high=float(there.max()), had_missing=len(there) < len(values), decimal=decimal,
        typed=seen.typed, na_values=seen.na_values,
    )  # fmt: skip


def _date(seen: _CellCounts, cells: Cells | pd.Series, *, how: str) -> DateColumn:
    known = {cell: moment_of(cell, how) for cell in seen.counts}
    moments = [known.get(python_value(cell)) for cell in cells]
    parts = []
    for part, read in PARTS.items():
        values = np.array([np.nan if moment is None else read(moment) for moment in moments])
        if len(np.unique(values[~np.isnan(values)])) > 1:
            parts.append(_fitted(f"{seen.name}: {part}", values, seen=seen))
    missing = any(moment is None for moment in moments)
    return DateColumn(seen.name, tuple(parts), form=how, had_missing=missing, na_values=seen.na_values)


def _category(seen: _CellCounts, boolean: bool) -> CategoryColumn:
    counts: dict[str, int] = {}
    for cell, count in seen.counts.items():
        text = text_of(cell).strip() if seen.text else text_of(cell)
        counts[text] = counts.get(text, 0) + count
    kept = {value: count for value, count in counts.items() if count >= RAREST or len(counts) == 2} or counts
    values = tuple(sorted(kept, key=lambda value: (number_of(value) is None, number_of(value) or 0.0, value)))
    mode = max(range(len(values)), key=lambda place: kept[values[place]]) + FIRST
    if seen.total - seen.there > max(kept.values()):
        mode = 0
    return CategoryColumn(
        seen.name, values, mode=mode, had_missing=seen.had_missing, rare=sum(counts.values()) - sum(kept.values()),
        boolean=boolean, typed=seen.typed, na_values=seen.na_values,
    )  # fmt: skip
