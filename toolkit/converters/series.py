"""Series of numbers become Gramian angular fields: up to three columns of a table, each a channel of the picture.

It needs numpy alone, and shows how little a converter for a new kind of input is.
"""

from __future__ import annotations

import math
from array import array
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from toolkit.converters.sources import check_source, source_name
from toolkit.converters.tables import Rows, open_table
from toolkit.errors import ConversionError, ToolkitError
from toolkit.na_values import NA_VALUES

KINDS = ("summation", "difference")
LARGEST = 1024  # pixels a side
MOST_ROWS, MOST_BYTES = 1_000_000, 2**28
PROBED_ROWS = 100  # by which a column is found to hold numbers
SAME = 1e-9  # of the greatest value: what rounding leaves of a constant


@dataclass(frozen=True)
class Series:
    """A CSV or TSV, a row a moment, equally spaced -> Gramian angular fields (Wang and Oates, "Imaging Time-Series to Improve
    Classification and Imputation", IJCAI 2015).

    A column is averaged to `size` points (piecewise aggregate approximation: the means of equally long stretches), scaled so
    that the least is -1 and the greatest 1, and read as cosines of angles f. Row i, column j of the picture is cos(fi + fj)
    for `kind` "summation", sin(fi - fj) for "difference", from black at -1 to white at 1. Time runs from the upper left to
    the lower right. A column's level and unit are not in the picture.

    `columns` names up to three, with commas between; "" takes the first three that hold numbers (by the first hundred rows):
    name them where one is a clock. They are red, green and blue, and repeat in turn where there are fewer: one gives a grey
    picture, and no channel is empty, since a network's first weights expect all three. What is empty, NA, NaN or infinite is
    filled in on the line between its neighbours. At least `size` rows are needed, at most a million (256 MiB) are taken.
    """

    size: int = 128
    columns: str = ""
    kind: str = "summation"

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    def __post_init__(self) -> None:
        if not isinstance(self.size, int) or not 2 <= self.size <= LARGEST:
            raise ToolkitError(f"series: size {self.size!r}; expected a whole number from 2 to {LARGEST}")
        if self.kind not in KINDS:
            raise ToolkitError(f"series: kind {self.kind!r}; choose from {', '.join(KINDS)}")
        if not isinstance(self.columns, str) or len(self.columns.split(",")) > 3:
            raise ToolkitError(f"series: columns {self.columns!r}; expected up to three names in one string, with commas between")

    def __call__(self, source: Path | bytes) -> Image.Image:
        """Return an RGB picture of `size` x `size`. Raises `ConversionError`, which names the source, the row and the column."""
        opened, name = check_source(source), source_name(source)
        length = opened.stat().st_size if isinstance(opened, Path) else opened.getbuffer().nbytes
        if length > MOST_BYTES:
            raise ConversionError(name, f"{length / 1e6:.0f} MB, more than {MOST_BYTES / 1e6:.0f}: cut it into shorter series")
        with open_table(source) as rows:
            fields = [self._field(np.array(values), column, name=name) for column, values in self._read(rows)]
        return Image.fromarray(np.stack([fields[channel % len(fields)] for channel in range(3)], axis=-1))

    def _read(self, rows: Rows) -> list[tuple[str, array[float]]]:
        """(column, values) of the columns that are shown; missing values are NaN."""
        numbered = ((rows.row, cells) for cells in rows)
        head = list(islice(numbered, PROBED_ROWS))
        wanted = [column.strip() for column in self.columns.split(",") if column.strip()] or _with_numbers(rows, head)
        if absent := [column for column in wanted if column not in rows.names]:
            there = ", ".join(rows.names[:12]) + (", …" if len(rows.names) > 12 else "")
            raise ConversionError(rows.name, f"row 1: no column {absent[0]!r} to be shown (`columns`); it has {there}")
        series = [(column, rows.names.index(column), array("d")) for column in wanted]
        for row, cells in islice(chain(head, numbered), MOST_ROWS + 1):
            if any(cells[len(rows.names) :]):
                raise ConversionError(rows.name, f"row {row}: {len(cells)} cells in {len(rows.names)} columns: quote commas")
            for column, place, values in series:
                values.append(_number(rows, row, column=column, cell=cells[place] if place < len(cells) else ""))
        length = len(series[0][2])
        if not self.size <= length <= MOST_ROWS:
            todo = "cut it into shorter series" if length > MOST_ROWS else f"set size to {length} or less"
            raise ConversionError(rows.name, f"{length} rows; expected from {self.size} (size) to {MOST_ROWS}: {todo}")
        return [(column, values) for column, _, values in series]

    def _field(self, values: np.ndarray, column: str, *, name: str) -> np.ndarray:
        """Grey levels, uint8 (size, size), of one column's values (rows,)."""
        usable = np.isfinite(values)
        if not usable.any():
            raise ConversionError(name, f"column {column!r}: no number in {len(values)} rows: name others in `columns`")
        values = np.interp(np.arange(len(values)), np.flatnonzero(usable), values[usable])
        points = _scaled(_averaged(_scaled(values), self.size))
        if not points.any():
            raise ConversionError(name, f"column {column!r}: constant over its {self.size} points: name others in `columns`")
        cosines = 2 * points - 1
        sines = np.sqrt(1 - cosines**2)
        if self.kind == "summation":
            field = np.outer(cosines, cosines) - np.outer(sines, sines)
        else:
            field = np.outer(sines, cosines) - np.outer(cosines, sines)
        return np.rint(127.5 * (field + 1)).clip(0, 255).astype(np.uint8)


def _with_numbers(rows: Rows, head: list[tuple[int, list[str]]]) -> list[str]:
    """The first three columns in which `head` has numbers, and nothing else but missing values."""
    found = []
    for place, column in enumerate(rows.names):
        with suppress(ConversionError):
            numbers = [_number(rows, row, column=column, cell=cells[place]) for row, cells in head if place < len(cells)]
            found += [column] if any(map(math.isfinite, numbers)) else []
    if not found:
        raise ConversionError(rows.name, f"no column of numbers in its first {len(head)} rows: expected one to three")
    return found[:3]


def _number(rows: Rows, row: int, *, column: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        if cell.strip().lower() in NA_VALUES:
            return math.nan
        expected = "expected a number with a decimal point, or nothing where it is missing"
        raise ConversionError(rows.name, f"row {row}, column {column!r}: {cell[:20]!r}; {expected}") from error


def _averaged(values: np.ndarray, count: int) -> np.ndarray:
    """The means of `count` equally long stretches; a value that two of them share counts in each by its part."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    ends = np.linspace(0, len(values), count + 1)
    return np.diff(np.interp(ends, np.arange(len(sums)), sums)) * (count / len(values))


def _scaled(values: np.ndarray) -> np.ndarray:
    """Values brought to 0 … 1; zeros where they are all the same."""
    values = values / (np.abs(values).max() or 1.0)  # differences of the largest floats stay finite
    low, high = values.min(), values.max()
    return (values - low) / (high - low) if high - low > SAME else np.zeros(len(values))
