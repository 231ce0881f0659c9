"""Tables of text (CSV, TSV), row by row in one pass: what logs and series are written in.

A program that carries these converters has no pandas.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.converters.sources import check_source, source_name
from toolkit.errors import ConversionError

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = ",\t;|"
LONGEST_LINE = 2**20  # characters: a file without line ends is no table


@dataclass
class Rows:
    """An open table: `names` are its columns as written, without blanks around them; iterating gives the rows, lists of
    strings, empty lines left out. `name` is the source's, for messages; `row` the line of the row last given, the
    header's being 1."""

    name: str
    names: list[str]
    reader: Reader

    @property
    def row(self) -> int:
        return self.reader.line_num + 1  # the header was read before it

    def __iter__(self) -> Iterator[list[str]]:
        try:
            yield from filter(None, self.reader)
        except csv.Error as error:
            raise ConversionError(self.name, f"row {self.row}: not a table of text ({error})") from error
        except UnicodeDecodeError as error:
            raise ConversionError(self.name, f"after row {self.row}: not text in UTF-8 ({error.reason})") from error
        except OSError as error:
            raise ConversionError(self.name, error.strerror or str(error)) from error


@contextmanager
def open_table(source: Path | str | bytes) -> Iterator[Rows]:
    """Open a table whose first line names its columns: UTF-8 (with or without a byte-order mark) or UTF-16 with one;
    commas, tabs, semicolons or bars between the cells.

    Raises `ConversionError` for a source that is missing, empty or no text, and, while rows are read, for those that
    cannot be.
    """
    opened, name = check_source(source), source_name(source)
    try:
        binary = open(opened, "rb") if isinstance(opened, Path) else opened  # noqa: SIM115
        start = binary.read(4)
        binary.seek(0)
        encoding = "utf-16" if start[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
        with io.TextIOWrapper(binary, encoding, newline="") as text:
            yield _rows(name, text)
    except OSError as error:
        raise ConversionError(name, error.strerror or str(error)) from error


def _rows(name: str, text: io.TextIOWrapper) -> Rows:
    try:
        header = text.readline(LONGEST_LINE)
    except UnicodeDecodeError as error:
        raise ConversionError(name, "not a table of text in UTF-8") from error
    if "\0" in header or len(header) >= LONGEST_LINE:
        raise ConversionError(name, "not a table of text")
    delimiter = max(DELIMITERS, key=header.count)  # a comma where there is none of them
    try:
        names = [cell.strip() for cell in next(csv.reader([header], delimiter=delimiter), [])]
    except csv.Error as error:
        raise ConversionError(name, f"row 1: not a table of text ({error})") from error
    if not any(names):
        raise ConversionError(name, "row 1: no column names")
    lines = iter(partial(text.readline, LONGEST_LINE), "")  # a line without an end is read in pieces
    return Rows(name, names, csv.reader(lines, delimiter=delimiter))
