"""CSV files as people have them, read in pieces of constant memory: whatever delimiter, encoding or faulty row, of any length.

Training and the exported program read the same cells in the same file; it needs the standard library alone.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

from toolkit.errors import ConversionError

if TYPE_CHECKING:
    from _csv import Reader

DELIMITERS = "\t;|,"  # where several fit, the earlier: commas also stand in numbers and sentences
HEAD = 2**20  # bytes that encoding and delimiter are decided on
SAMPLE = 100  # rows of them that the delimiter is decided on
LONGEST_LINE = 2**20  # characters: a file without line ends is no table
CHUNK = 2048  # rows: cells of more of them fall out of the caches, and reading takes twice as long
PIECE = 512  # rows that are lists at a time: with more of them, most of the time is the garbage collector's

# how files that are no text start
MAGIC = {
    b"PK\x03\x04": "a ZIP archive: unpack it first", b"\x1f\x8b": "a gzip archive: unpack it first",
    b"BZh91AY&SY": "a bzip2 archive: unpack it first", b"\xfd7zXZ\0": "an xz archive: unpack it first",
    b"\x28\xb5\x2f\xfd": "a zstd archive: unpack it first", b"7z\xbc\xaf": "a 7-Zip archive: unpack it first",
    b"\xd0\xcf\x11\xe0": "an old Excel or Word file: save it as .xlsx or CSV", b"SQLite format 3\0": "an SQLite database",
    b"PAR1\x15": "a Parquet file", b"ARROW1\0": "an Arrow file", b"\x89HDF": "an HDF5 file", b"\x93NUMPY": "a NumPy array",
    b"\x89PNG": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture", b"GIF89a": "a GIF picture", b"%PDF-": "a PDF document",
}  # fmt: skip
BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
# what bytes that are not in the encoding become: their characters in cp1252, as browsers do it
STRAY = {0xDC00 + byte: bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in range(128, 256)}


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows. `first` is the number of the first of them in the file, 1 for the first below the header; `columns`
    holds one list of cells, as written, for each name; `ragged` says, by position in the chunk, which rows had cells missing
    (here "") or too many (here cut off: these are `cut`, too)."""

    first: int
    columns: list[list[str]]
    ragged: dict[int, str]
    cut: frozenset[int] = frozenset()


@dataclass
class CsvTable:
    """An open table. `names` are its columns, distinct, without blanks around them; `notes` say how it was read, where that
    is not plain. Of the header, empty cells at its end over empty columns do not count. `mark`: who reads such a file, Excel say,
    takes UTF-8 for what it is by a byte-order mark alone."""

    source: str
    names: list[str]
    delimiter: str
    encoding: str
    mark: bool
    _reader: Reader = field(repr=False)
    _notes: list[str] = field(repr=False)

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for a user; one may come while rows are read."""
        return tuple(self._notes)

    def chunks(self, size: int = CHUNK) -> Iterator[Chunk]:
        """The rows, `size` or somewhat fewer at a time, in one pass; empty lines are skipped. Raises `ConversionError` where
        reading cannot go on."""
        first, width = 1, len(self.names)
        columns: list[list[str]] = [[] for _ in self.names]
        ragged: dict[int, str] = {}
        cut: set[int] = set()
        while rows := self._take(min(size, PIECE)):
            cells = list(zip(*rows, strict=False))
            widths = set(map(len, rows))
            if widths != {width} and not (widths == {width + 1} and not any(cells[width])):
                rows, faults, over = _straightened(rows, width)
                cells = list(zip(*rows, strict=True))
                ragged.update((len(columns[0]) + place, fault) for place, fault in faults.items())
                cut.update(len(columns[0]) + place for place in over)
            for column, more in zip(columns, cells, strict=False):
                column.extend(more)
            if len(columns[0]) > size - PIECE:
                yield Chunk(first, columns, ragged, frozenset(cut))
                first += len(columns[0])
                columns, ragged, cut = [[] for _ in self.names], {}, set()
        if columns[0]:
            yield Chunk(first, columns, ragged, frozenset(cut))

    def _take(self, size: int) -> list[list[str]]:
        try:
            return list(islice(self._reader, size))
        except csv.Error as error:
            line = f"line {self._reader.line_num}"
            if "field limit" in str(error):
                limit = csv.field_size_limit()
                problem = f"a cell of more than {limit:,} characters: is a quote opened before it and never closed?"
                raise ConversionError(self.source, f"{line}: {problem}") from error
            raise ConversionError(self.source, f"{line}: not a table of text ({error})") from error
        except UnicodeDecodeError as error:  # of a stream of text that was opened elsewhere
            raise ConversionError(self.source, f"not text in {error.encoding}: open it as bytes") from error
        except OSError as error:
            raise ConversionError(self.source, error.strerror or str(error)) from error


@contextmanager
def open_csv(source: Path | str | TextIO | BinaryIO) -> Iterator[CsvTable]:
    """Open a table whose first line names its columns.

    Commas, semicolons, tabs or bars stand between its cells, double quotes around some; it is in UTF-8, UTF-16, or else read
    as cp1252. A stream is read from where it stands and left open.

    Raises `ConversionError` for what is missing, empty, or no table of text, and says what it seems to be.
    """
    if not isinstance(source, (str, Path)):
        name = getattr(source, "name", None)
        yield _opened(name if isinstance(name, str) else f"<{type(source).__name__}>", source)
        return
    name = str(source)
    try:
        stream = open(source, "rb")  # noqa: SIM115
    except IsADirectoryError as error:
        raise ConversionError(name, "a folder, not a file") from error
    except FileNotFoundError as error:
        raise ConversionError(name, "no such file") from error
    except (OSError, ValueError) as error:  # a name with a zero byte in it
        raise ConversionError(name, getattr(error, "strerror", None) or str(error)) from error
    with stream:
        yield _opened(name, stream)


def distinct_names(cells: Sequence[str]) -> tuple[list[str], list[str]]:
    """Names for columns, from the cells of a header, and a note on each that had to be made: "x", "x" gives "x", "x.2", and
    where the third cell is empty, the third column is called "column 3"."""
    stems = [cell.strip() or f"column {position}" for position, cell in enumerate(cells, start=1)]
    written, given, notes = {cell.strip() for cell in cells}, set(), []
    for position, (cell, stem) in enumerate(zip(cells, stems, strict=True), start=1):
        name, number = stem, 1
        while name in given or (name != cell.strip() and name in written):
            number += 1
            name = f"{stem}.{number}"
        if not cell.strip():
            notes.append(f"column {position} has no name: it is called {name!r}")
        elif name != stem:
            notes.append(f"duplicate column name {stem!r}: column {position} is called {name!r}")
        given.add(name)
        stems[position - 1] = name
    return stems, notes


def _opened(name: str, stream: TextIO | BinaryIO) -> CsvTable:
    notes: list[str] = []
    try:
        blocks: Iterator[str]
        head = _read(stream, HEAD)
        if isinstance(head, str):
            encoding, blocks = "", chain([head], _further(stream))
        else:
            encoding = _encoding(name, head, notes=notes)
            blocks = _decoded(chain([head], _further(stream)), encoding, notes=notes)
        text = next(blocks, "").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise ConversionError(name, f"not text in {error.encoding}: open it as bytes") from error
    except OSError as error:
        raise ConversionError(name, error.strerror or str(error)) from error
    if not text.strip():
        raise ConversionError(name, "empty" if not head else "no column names: it holds blanks only")
    _check_text(name, text)

    start, delimiter = 0, ""
    if hint := re.match(r'\s*"?sep=(.)"?[ \t]*(\r\n|\r|\n)', text, re.IGNORECASE):  # a line that Excel reads the same way
        start, delimiter = hint.end(), hint[1]
    whole = len(head) < HEAD
    text = text[start:]
    delimiter = delimiter or _delimiter(text, whole)
    lines = chain.from_iterable(_lines(name, chain([text], blocks)))
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=_blanks_first(text, delimiter, whole=whole))
    try:
        header = next((row for row in reader if any(map(str.strip, row))), [])
    except csv.Error as error:
        raise ConversionError(name, f"line 1: not a table of text ({error})") from error
    if not header:
        raise ConversionError(name, "no column names")
    used = max([_used(row) for row in _sample(text, delimiter, whole=whole)[1:]], default=0)
    names, about = distinct_names(header[: max(_used(header), used)])
    if delimiter != ("\t" if name.lower().endswith((".tsv", ".tab")) else ","):
        notes.insert(0, f"delimiter {'tab' if delimiter == chr(9) else repr(delimiter)}")
    if len(names) == 1:
        notes.append("one column only: no comma, semicolon, tab or bar stands in its first line")
    if all(map(_is_number, names)):
        notes.append("the first line holds numbers only: it was taken for the names of the columns")
    notes.extend(about)
    marked = encoding not in ("", "utf-8")
    return CsvTable(name, names, delimiter, encoding.removesuffix("-sig"), marked, reader, notes)


def _read(stream: Any, count: int) -> str | bytes:
    """The next `count` bytes or characters, also of a stream that gives fewer at a time."""
    parts = [stream.read(count)]
    held = len(parts[0])
    while parts[-1] and held < count:
        parts.append(stream.read(count - held))
        held += len(parts[-1])
    return parts[0][:0].join(parts)


def _further(stream: Any) -> Iterator[Any]:
    """What comes after the head, block by block."""
    while block := stream.read(HEAD):
        yield block


def _encoding(name: str, head: bytes, *, notes: list[str]) -> str:
    for start, what in MAGIC.items():
        if head.startswith(start):
            what = "an Excel workbook" if start == b"PK\x03\x04" and b"xl/" in head else what
            raise ConversionError(name, f"not a table of text: it seems to be {what}{'' if ':' in what else ': save it as CSV'}")
    for mark, encoding in BOMS.items():
        if head.startswith(mark):
            return encoding
    zeros = [head[place : 2**14 : 2].count(0) * 4 > min(len(head), 2**14) for place in (0, 1)]
    if zeros[0] != zeros[1]:  # every other byte: characters of two
        notes.append("read as UTF-16, though it does not start with a byte-order mark")
        return "utf-16-be" if zeros[0] else "utf-16-le"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head, len(head) < HEAD)
    except UnicodeDecodeError:
        notes.append("read as cp1252 because it is not UTF-8")
        return "cp1252"
    return "utf-8"


def _decoded(blocks: Iterator[bytes], encoding: str, *, notes: list[str]) -> Iterator[str]:
    """The text of `blocks`. Bytes that are not in the encoding become characters of cp1252 (of UTF-16: question marks)."""
    make = codecs.getincrementaldecoder(encoding)
    strict = make("strict")
    # the last, empty block ends what a character was begun of
    for block in chain(blocks, [b""]):
        try:
            text = strict.decode(block, not block)
        except UnicodeDecodeError:
            lenient = make("replace" if encoding.startswith("utf-16") else "surrogateescape")
            lenient.setstate(strict.getstate())
            text = lenient.decode(block, not block).translate(STRAY)
            strict.setstate(lenient.getstate())
            note = f"some bytes are not {encoding.removesuffix('-sig')}: they were read as cp1252"
            if encoding != "cp1252" and note not in notes:
                notes.append(note)
        yield text


def _check_text(name: str, text: str) -> None:
    """Raise `ConversionError` for text that is no table."""
    start = text[:4096].lstrip()
    if re.match(r'\{\s*"|\[\s*[\[{]', start):
        raise ConversionError(name, "not a table of text: it seems to be JSON")
    if re.match(r"<(!doctype|html|\?xml)", start, re.IGNORECASE):
        raise ConversionError(name, f"not a table of text: it seems to be {'XML' if start[1] == '?' else 'a web page'}")
    controls = len(re.findall(r"[\0-\x08\x0e-\x1f]", start))
    if controls * 100 > len(start) or "\0" in start.partition("\n")[0]:
        raise ConversionError(name, "not a table of text: it holds bytes that no text does")


def _lines(name: str, blocks: Iterator[str]) -> Iterator[Iterator[str]]:
    """Lines with their ends, of each block those that end in it."""
    rest = ""
    for block in blocks:
        text = rest + block
        end = text.rfind("\n") + 1
        # a carriage return that ends the block may be half a line end
        end = max(end, text.rfind("\r", end, len(text) - 1) + 1)
        yield io.StringIO(text[:end], newline="")
        rest = text[end:]
        if len(rest) > LONGEST_LINE:
            raise ConversionError(name, f"not a table of text: a line of more than {LONGEST_LINE:,} characters")
    yield io.StringIO(rest, newline="")


def _sample(text: str, delimiter: str, *, whole: bool, skip: bool = True) -> list[list[str]]:
    """The header and the first rows; of a text that goes on, the last of them may be cut and is left out."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=skip)
    rows: list[list[str]] = []
    try:
        rows.extend(islice((row for row in reader if any(map(str.strip, row))), SAMPLE + 1))
    except csv.Error:  # told where the rows are read
        return rows
    return rows if whole or len(rows) > SAMPLE else rows[:-1]


def _delimiter(text: str, whole: bool) -> str:
    """The one that cuts most of the first rows into as many cells as the header has, and the header into the most."""
    scores = {}
    for delimiter in DELIMITERS:
        header, *rows = _sample(text, delimiter, whole=whole) or [[]]
        if len(header) > 1:
            fit = sum(_used(row) <= len(header) <= len(row) for row in rows)
            scores[delimiter] = (round(fit / len(rows), 1) if rows else 1.0, len(header))
    return max(scores, key=lambda delimiter: scores[delimiter], default=",")


def _blanks_first(text: str, delimiter: str, *, whole: bool) -> bool:
    """Whether blanks follow the delimiters: in every row, or somewhere before a quote, where they are no part of the cell."""
    header, *rows = _sample(text, delimiter, whole=whole, skip=False) or [[]]
    if any(cell[:1] == " " and cell.lstrip(" ")[:1] == '"' for row in (header, *rows) for cell in row[1:]):
        return True
    cells = [cell for row in rows for cell in row[1:] if cell]
    return bool(cells) and all(cell[0] == " " for cell in cells)


def _used(row: list[str]) -> int:
    """How many cells a row has, without the empty ones at its end."""
    return max((place for place, cell in enumerate(row, start=1) if cell.strip()), default=0)


def _is_number(text: str) -> bool:
    return bool(re.fullmatch(r"[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?", text))


def _straightened(rows: list[list[str]], width: int) -> tuple[list[list[str]], dict[int, str], set[int]]:
    """The rows, each `width` cells long, without empty lines, what was wrong with which, and those that cells were cut off."""
    kept: list[list[str]] = []
    ragged: dict[int, str] = {}
    cut: set[int] = set()
    for row in rows:
        count = len(row)
        if count != width:
            if count == 0 or (count == 1 and not row[0].strip()):
                continue
            if _used(row) > width:
                cut.add(len(kept))
            if count < width or len(kept) in cut:
                unclosed = "; is a quote opened and never closed?" if any("\n" in cell for cell in row) else ""
                ragged[len(kept)] = f"{count} {'cell' if count == 1 else 'cells'} where the header has {width}{unclosed}"
            row = (row + [""] * (width - count))[:width]
        kept.append(row)
    return kept, ragged, cut
