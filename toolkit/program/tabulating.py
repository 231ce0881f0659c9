"""The command line of a program that predicts from tables: CSV files in, CSV files with predictions and notes out, row by row.

It is a file of its own because it writes tables of any length, and answers a row that is given in words.
"""

from __future__ import annotations

import csv
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np

from toolkit.errors import ConversionError, ProgramError
from toolkit.files import replacing
from toolkit.program.csv_files import Chunk, CsvTable, open_csv
from toolkit.program.outputs import ClassOutput
from toolkit.program.table_program import TableProgram

STANDARD = "-"  # standard input or output
MOST_TOLD = 8  # columns whose notes are summed up


def answer_row(program: TableProgram, text: str, as_json: bool, top: int, reasons: bool) -> int:
    """Predict one row given as a JSON object; return the exit status. Raises `ConversionError` where it is none."""
    try:
        row = json.loads(text)
    except ValueError as error:
        raise ConversionError("--row", f"not JSON ({error}): give an object such as {_example(program)}") from error
    if not isinstance(row, dict):
        raise ConversionError("--row", f"expected one JSON object, such as {_example(program)}")
    answer = program.predict(row)
    moved = program.why(row) if reasons else []
    if as_json:
        said = {"notes": list(answer.notes), **({"why": [reason.to_json() for reason in moved]} if reasons else {})}
        print(json.dumps({**_as_json(answer, top), **said}, ensure_ascii=False))
        return 0
    print(answer.text(top))
    for note in answer.notes:
        print(f"  note: {note}")
    for reason in moved:
        print(f"  {reason}")
    return 0


def answer_files(program: TableProgram, items: list[str], out: str | None, as_json: bool, strict: bool) -> int:
    """Predict every row of each CSV; return the exit status, 1 where a row or a file could not be read.

    NAME.csv becomes NAME.predicted.csv in the current folder, with the cells as they are, and behind them `predicted`,
    `probability` (not where a number is predicted) and `notes`. `out` names another file, "-" is standard output; of several
    files it is the folder. With `as_json` a JSON object a row is printed instead. Raises `ProgramError` where that cannot be.
    """
    failed = 0
    for item in items:
        try:
            with open_csv(sys.stdin.buffer if item == STANDARD else Path(item)) as table:
                place = STANDARD if as_json else _place(item, out, len(items) > 1)
                with _opened(place) as stream:
                    counted = _write(program, table, stream, as_json, strict)
        except ConversionError as error:
            if strict:
                raise
            failed += 1
            print(f"error: {error}", file=sys.stderr)
            continue
        failed += counted.failed
        _tell(item, place, table, counted)
    return 1 if failed else 0


class _Counted:
    """What happened to the rows of a file: how many there were, how many could not be predicted, and the notes by column."""

    def __init__(self) -> None:
        self.rows = self.failed = self.noted = 0
        self.notes: Counter[str] = Counter()
        self.example: dict[str, str] = {}

    def add(self, row: int, notes: tuple[str, ...]) -> None:
        self.noted += 1
        for note in notes:
            about = note.partition(": ")[0]
            self.notes[about] += 1
            self.example.setdefault(about, f"row {row}, {note}")


def _write(program: TableProgram, table: CsvTable, stream: TextIO, as_json: bool, strict: bool) -> _Counted:
    counted = _Counted()
    added = _added(table.names, ["predicted", *(["probability"] if isinstance(program.output, ClassOutput) else []), "notes"])
    writer = csv.writer(stream, delimiter=table.delimiter, lineterminator="\n")
    if not as_json:
        writer.writerow([*table.names, *added])
    for chunk in table.chunks():
        if strict and chunk.ragged:
            place, reason = next(iter(chunk.ragged.items()))
            raise ConversionError(table.source, f"row {chunk.first + place}: {reason}")
        columns = _predicted(program, table, chunk, counted)
        if as_json:
            stream.writelines(_json_lines(chunk, added, columns))
        else:
            writer.writerows(zip(*chunk.columns, *columns, strict=True))
    return counted


def _predicted(program: TableProgram, table: CsvTable, chunk: Chunk, counted: _Counted) -> list[list[str]]:
    """What is written behind the cells of each row: the answer, its probability, and the notes."""
    prepared = program.input.prepare(dict(zip(table.names, chunk.columns, strict=True)), text=True)
    answers = program.run(prepared.codes, prepared.numbers)
    notes = ["; ".join(said) for said in prepared.notes] if any(prepared.notes) else [""] * len(answers)
    for place, said in enumerate(prepared.notes):
        if said:
            counted.add(chunk.first + place, said)
    columns = _in_words(program, answers)
    for place, reason in chunk.ragged.items():  # its cells stand in the wrong columns
        for column in columns:
            column[place] = ""
        notes[place] = f"not predicted: {reason}"
        counted.failed += 1
        counted.notes["rows"] += 1
        counted.example.setdefault("rows", f"row {chunk.first + place}, {reason}")
    counted.rows += len(answers)
    return [*columns, notes]


def _in_words(program: TableProgram, answers: np.ndarray) -> list[list[str]]:
    if isinstance(program.output, ClassOutput):
        best = answers.argmax(axis=1)
        names = program.output.classes
        shares = answers[np.arange(len(answers)), best]
        return [[names[number] for number in best.tolist()], [f"{share:.4f}" for share in shares.tolist()]]
    return [[f"{value:.7g}" for value in answers[:, 0].tolist()]]


def _json_lines(chunk: Chunk, added: list[str], columns: list[list[str]]) -> Iterator[str]:
    for place, values in enumerate(zip(*columns, strict=True)):
        yield json.dumps({"row": chunk.first + place, **dict(zip(added, values, strict=True))}, ensure_ascii=False) + "\n"


def _as_json(answer: object, top: int) -> dict:
    if hasattr(answer, "value"):
        return {"value": answer.value}
    likeliest = dict(list(answer.probabilities.items())[:top])
    return {"label": answer.label, "probability": answer.probability, "probabilities": likeliest}


def _added(names: list[str], wanted: list[str]) -> list[str]:
    """Names for further columns that the table does not have yet."""
    free: Callable[[str], str] = lambda name: name if name not in names else free(f"{name}_")  # noqa: E731
    return [free(name) for name in wanted]


def _place(item: str, out: str | None, several: bool) -> str | Path:
    name = "predicted.csv" if item == STANDARD else f"{Path(item).stem}.predicted.csv"
    if out is None:
        return STANDARD if item == STANDARD else Path(name)
    if out == STANDARD:
        return STANDARD
    path = Path(out) / name if several or Path(out).is_dir() else Path(out)
    if item != STANDARD and path.exists() and path.samefile(item):
        raise ProgramError(f"{path}: is the file that is read: name another with --out")
    return path


@contextmanager
def _opened(place: str | Path) -> Iterator[TextIO]:
    """A stream to write rows to; a file is there when all of it is written, or as it was before."""
    if place == STANDARD:
        yield sys.stdout
        return
    with replacing(place) as temporary, open(temporary, "w", encoding="utf-8", newline="") as stream:
        yield stream


def _tell(item: str, place: str | Path, table: CsvTable, counted: _Counted) -> None:
    where = "" if place == STANDARD else f", written to {place}"
    lines = [f"{item}: {counted.rows} rows, {counted.noted} with notes{where}", *table.notes]
    lines += [f"{about}: {count} rows, such as {counted.example[about]}" for about, count in counted.notes.most_common(MOST_TOLD)]
    if len(counted.notes) > MOST_TOLD:
        lines.append(f"… and notes on {len(counted.notes) - MOST_TOLD} more columns: see the column of notes")
    print("\n  ".join(lines), file=sys.stderr)


def _example(program: TableProgram) -> str:
    shown = {}
    for column in program.input.columns[:3]:
        values = getattr(column, "values", None)
        shown[column.name] = values[0] if values and isinstance(values, tuple) else getattr(column, "fill", "2024-12-31")
    return "'" + json.dumps(shown, ensure_ascii=False)[:-1] + (", …}'" if len(program.input.columns) > 3 else "}'")
