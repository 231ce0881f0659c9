"""The command line of a program that predicts from tables: CSV files in, CSV files with predictions and notes out, row by row."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from toolkit.errors import ConversionError, ProgramError
from toolkit.files import STANDARD, writing
from toolkit.program.csv_files import Chunk, CsvTable, open_csv
from toolkit.program.options import MOST_PROBABLE, add_top
from toolkit.program.outputs import ClassOutput, Estimate, Prediction
from toolkit.program.tabular.inputs import Header
from toolkit.program.tabular.program import TabularProgram

DOES = "predict from the rows of a table"
TAKES = "takes files of rows, or --row"
HINT = "CSV files"
MOST_TOLD = 8  # columns whose notes are summed up


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only programs of tables are asked."""
    add_top(parser)
    parser.add_argument(
        "--out", metavar="PLACE",
        help="the CSV to write (default: NAME.predicted.csv; -: standard output), or for several files the folder",
    )  # fmt: skip
    parser.add_argument("--row", metavar="JSON", help="one row, an object of column: cell, instead of files")
    parser.add_argument("--why", action="store_true", help="which columns moved the prediction for --row, and how far")


def asked(chosen: argparse.Namespace) -> bool:
    """Whether something is to be predicted."""
    return bool(chosen.items) or chosen.row is not None


def wrong_use(chosen: argparse.Namespace) -> str:
    """What is wrong with a combination of options, "" where nothing is."""
    if chosen.row is not None and chosen.items:
        return "--row is a row of its own: give it without files"
    return "--why explains the prediction for a --row" if chosen.why and chosen.row is None else ""


def answer(program: TabularProgram, chosen: argparse.Namespace) -> int:
    """Answer a row, or every row of each CSV; return the exit status."""
    top = chosen.top or MOST_PROBABLE
    if chosen.row is not None:
        return answer_row(program, chosen.row, as_json=chosen.json, top=top, reasons=chosen.why)
    return answer_files(program, chosen.items, out=chosen.out, as_json=chosen.json, top=top, strict=chosen.strict)


def answer_row(program: TabularProgram, text: str, *, as_json: bool, top: int, reasons: bool) -> int:
    """Predict one row given as a JSON object; return the exit status. Raises `ConversionError` where it is none."""
    try:
        row = json.loads(text)
    except ValueError as error:
        raise ConversionError("--row", f"not JSON ({error}): give an object such as {_example(program)}") from error
    if not isinstance(row, dict):
        raise ConversionError("--row", f"expected one JSON object, such as {_example(program)}")
    try:
        answer = program.predict(row)
    except ConversionError as error:
        raise ConversionError("--row", error.reason) from error
    moved = program.why(row) if reasons else []
    if as_json:
        said = {"why": [reason.to_json() for reason in moved]} if reasons else {}
        print(json.dumps({**_as_json(answer, top), **said}, ensure_ascii=False))
        return 0
    print(answer.text(top))
    for note in answer.notes:
        print(f"  note: {note}")
    for reason in moved:
        print(f"  {reason}")
    return 0


def answer_files(program: TabularProgram, items: list[str], *, out: str | None, as_json: bool, top: int, strict: bool) -> int:
    """Predict every row of each CSV; return the exit status, 1 where a row or a file could not be read.

    NAME.csv becomes NAME.predicted.csv in the current folder, with the cells as they are, and behind them `predicted`,
    `probability` (not where a number is predicted) and `notes`. `out` names another file, "-" is standard output; of several
    files it is the folder. With `as_json` a JSON object a row is printed instead. Raises `ProgramError` where that cannot be.
    """
    if as_json and out not in (None, STANDARD):
        raise ProgramError("--json prints to standard output: leave out --out")
    places = [STANDARD if as_json else _place(item, out, several=len(items) > 1) for item in items]
    _check_places(items, places)
    failed = 0
    for item, place in zip(items, places, strict=True):
        try:
            with (
                open_csv(sys.stdin.buffer if item == STANDARD else Path(item)) as table,
                writing(place, "utf-8-sig" if table.mark else "utf-8") as stream,
            ):
                header = _header(program, table)
                lines = (
                    _JsonLines(program, item, top=top, stream=stream)
                    if as_json
                    else _CsvRows(program, table, stream=stream, remarks=len(header.remarks))
                )
                counted = _write(program, table, header=header, lines=lines, strict=strict)
        except ConversionError as error:
            if strict:
                raise
            failed += 1
            if as_json:
                print(json.dumps({"item": item, "error": error.reason}, ensure_ascii=False))
            print(f"error: {error}", file=sys.stderr)
            continue
        failed += counted.failed
        _tell(item, place, table=table, counted=counted)
    return 1 if failed else 0


class _Counted:
    """What happened to the rows of a file: how many there were, how many had notes, on which columns, and how many could not be
    predicted."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.rows = self.noted = self.failed = 0
        self.columns: Counter[str] = Counter()
        self.example: dict[str, str] = {}
        self.fault = ""

    def add(self, chunk: Chunk, notes: Sequence[tuple[str, ...]]) -> None:
        """Count the rows of a chunk."""
        self.rows += len(notes)
        self.failed += len(chunk.ragged)
        for place, reason in islice(chunk.ragged.items(), 0 if self.fault else 1):
            self.fault = f"row {chunk.first + place}: {reason}"
        for place, said in enumerate(notes):
            if len(said) > len(self.header.remarks) and place not in chunk.ragged:
                self.noted += 1
                for note in said[len(self.header.notes) :]:
                    column, _, rest = note.partition(": ")
                    self.columns[column] += 1
                    self.example.setdefault(column, f"row {chunk.first + place}: {rest}")


class _CsvRows:
    """Writes rows as they were read, the answers behind them."""

    def __init__(self, program: TabularProgram, table: CsvTable, *, stream: TextIO, remarks: int) -> None:
        self.remarks = remarks  # notes on every row that are told once
        self.classes = program.output.classes if isinstance(program.output, ClassOutput) else None
        self.writer = csv.writer(stream, delimiter=table.delimiter, lineterminator="\n")
        wanted = ["predicted", *(["probability"] if self.classes else []), "notes"]
        self.writer.writerow([*table.names, *_added(table.names, wanted)])

    def write(self, chunk: Chunk, answers: np.ndarray, *, notes: Sequence[tuple[str, ...]]) -> None:
        """Write the rows of a chunk; one that could not be read gets no answer."""
        columns = self._in_words(answers)
        said = ["; ".join(each[self.remarks :]) for each in notes] if any(notes) else [""] * len(notes)
        for place, reason in chunk.ragged.items():
            for column in columns:
                column[place] = ""
            said[place] = f"not predicted: {reason}"
        self.writer.writerows(zip(*chunk.columns, *columns, said, strict=True))

    def _in_words(self, answers: np.ndarray) -> list[list[str]]:
        if not self.classes:
            return [[f"{value:.7g}" for value in answers[:, 0].tolist()]]
        best = answers.argmax(axis=1)
        shares = answers[np.arange(len(answers)), best]
        return [[self.classes[number] for number in best.tolist()], [f"{share:.4f}" for share in shares.tolist()]]


class _JsonLines:
    """Writes a JSON object for each row."""

    def __init__(self, program: TabularProgram, item: str, *, top: int, stream: TextIO) -> None:
        self.output, self.item, self.top, self.stream = program.output, item, top, stream

    def write(self, chunk: Chunk, answers: np.ndarray, *, notes: Sequence[tuple[str, ...]]) -> None:
        """Write the rows of a chunk; one that could not be read gets an error."""
        for place, (answer, said) in enumerate(zip(answers, notes, strict=True)):
            reason = chunk.ragged.get(place)
            found = {"error": reason} if reason else _as_json(self.output.one(answer, said), self.top)
            line = {"item": self.item, "row": chunk.first + place, **found}
            self.stream.write(json.dumps(line, ensure_ascii=False) + "\n")


def _header(program: TabularProgram, table: CsvTable) -> Header:
    try:
        return program.input.header(table.names)
    except ConversionError as error:
        raise ConversionError(table.source, error.reason) from error


def _write(program: TabularProgram, table: CsvTable, *, header: Header, lines: _CsvRows | _JsonLines, strict: bool) -> _Counted:
    counted = _Counted(header)
    for chunk in table.chunks():
        if strict and chunk.ragged:
            place, reason = next(iter(chunk.ragged.items()))
            raise ConversionError(table.source, f"row {chunk.first + place}: {reason}")
        prepared = program.input.prepare(dict(zip(table.names, chunk.columns, strict=True)), text=True)
        lines.write(chunk, program.run(prepared.codes, prepared.numbers), notes=prepared.notes)
        counted.add(chunk, prepared.notes)
    return counted


def _as_json(answer: Prediction | Estimate, top: int) -> dict[str, Any]:
    notes = list(answer.notes)
    if isinstance(answer, Estimate):
        return {"value": answer.value, "notes": notes}
    likeliest = dict(list(answer.probabilities.items())[:top])
    return {"label": answer.label, "probability": answer.probability, "probabilities": likeliest, "notes": notes}


def _added(names: list[str], wanted: list[str]) -> list[str]:
    """Names for further columns that the table does not have yet."""
    free: Callable[[str], str] = lambda name: name if name not in names else free(f"{name}_")  # noqa: E731
    return [free(name) for name in wanted]


def _place(item: str, out: str | None, *, several: bool) -> str | Path:
    """Where the answers to a file go. Raises `ProgramError` for one place for several."""
    name = "predicted.csv" if item == STANDARD else f"{Path(item).stem}.predicted.csv"
    if out == STANDARD or (out is None and item == STANDARD):
        return STANDARD
    if out is None:
        return Path(name)
    if several and Path(out).is_file():
        raise ProgramError(f"{out}: a file, and there are several to predict: name a folder with --out")
    return Path(out) / name if several or Path(out).is_dir() or out.endswith(("/", os.sep)) else Path(out)


def _check_places(items: list[str], places: list[str | Path]) -> None:
    """Raise `ProgramError` where answers would overwrite what is read, or other answers."""
    read = {Path(item).resolve() for item in items if item != STANDARD}
    taken: dict[Path, str] = {}
    for item, place in zip(items, places, strict=True):
        if place == STANDARD:
            continue
        path = Path(place).resolve()
        if path in read:
            raise ProgramError(f"{place}: the answers to {item} would overwrite what is read: name another with --out")
        if path in taken:
            raise ProgramError(f"{place}: the answers to {taken[path]} and {item} would both go there: predict them one by one")
        taken[path] = item


def _tell(item: str, place: str | Path, *, table: CsvTable, counted: _Counted) -> None:
    where = "" if place == STANDARD else f", written to {place}"
    lines = [f"{item}: {_rows(counted.rows)}, {counted.noted} with notes{where}", *table.notes]
    lines += [f"{_rows(counted.failed)} not predicted, such as {counted.fault}"] if counted.failed else []
    lines += [f"every row: {note}" for note in counted.header.notes]
    most = counted.columns.most_common(MOST_TOLD)
    lines += [f"{column}: {_rows(count)}, such as {counted.example[column]}" for column, count in most]
    if len(counted.columns) > MOST_TOLD:
        lines.append(f"… and notes on {len(counted.columns) - MOST_TOLD} more columns: see the column of notes")
    print("\n  ".join(lines), file=sys.stderr)


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"


def _example(program: TabularProgram) -> str:
    cells = {}
    for column in program.input.columns[:3]:
        values = getattr(column, "values", None)
        cells[column.name] = values[0] if values and isinstance(values, tuple) else getattr(column, "fill", "2024-12-31")
    return "'" + json.dumps(cells, ensure_ascii=False)[:-1] + (", …}'" if len(program.input.columns) > 3 else "}'")
