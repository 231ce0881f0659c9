"""Finding items and their labels: a folder per class, a CSV, or a regular expression on the file name.

What is found is one table, an item a row. Reading adds columns to it, setting aside leaves rows out, and each time a new table is
returned: what a caller holds stays as it was found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import pandas as pd

from toolkit.errors import ConversionError, DataError
from toolkit.program.csv_files import open_csv

PARTS = ("train", "valid", "test")
PART_NAMES = {"train": "train", "training": "train", "valid": "valid", "val": "valid", "validation": "valid"}
PART_NAMES |= {"test": "test", "testing": "test"}
FILE_COLUMNS = ("file", "filename", "file_name", "path", "image", "name", "fname")
LABEL_COLUMNS = ("label", "labels", "class", "category", "target")
NOT_UTF8 = "its name is not valid UTF-8: rename it"
SPLIT_COLUMNS = ("split", "part", "set", "subset")
COLUMNS = ["path", "label", "group", "split"]

T = TypeVar("T", bound="Items")


@dataclass(frozen=True)
class Items:
    """What was found. It never changes: each method returns a new one.

    `table` has one row an item: `path` (Path), `label` (str), `group` (str or None), `split` ("train", "valid", "test",
    or None where it is still to be decided). Its index is the place in what was found, or read. `rejected` lists (item, reason)
    for each that cannot be used, `notes` what a user should know besides.
    """

    table: pd.DataFrame
    root: Path
    rejected: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def keep(self, wanted: pd.Series, reason: pd.Series | str) -> Self:
        """Those where the boolean Series `wanted` is True; the others are set aside, with one reason or each with its own. The
        index stays, so that what was read beside the table is picked once, at the end (see `picked`)."""
        aside = self.table.path[~wanted]
        reasons = [reason] * len(aside) if isinstance(reason, str) else reason[~wanted]
        rejected = [(str(path), str(why)) for path, why in zip(aside, reasons, strict=True)]
        return replace(self, table=self.table[wanted], rejected=[*self.rejected, *rejected])

    def joined(self, facts: pd.DataFrame) -> Self:
        """With the columns of `facts`, a row for each item in this order; from here on the index is the place in these."""
        return replace(self, table=self.table.reset_index(drop=True).join(facts.reset_index(drop=True)))

    def assign(self, **columns: Any) -> Self:
        """With these columns, new ones or others in their place, as pandas' `assign`."""
        return replace(self, table=self.table.assign(**columns))

    def noted(self, *notes: str) -> Self:
        """With these notes too."""
        return replace(self, notes=[*self.notes, *notes])


def picked(array: np.ndarray, table: pd.DataFrame) -> np.ndarray:
    """Of an array with a row for each item that was read, the rows that the index of `table` names; itself where all are left."""
    return array if len(array) == len(table) else array[table.index.to_numpy()]


def find_items(
    data: Path | str,
    suffixes: Iterable[str],
    *,
    csv: Path | str = "",
    label_re: str = "",
    group_by: str = "",
    file_column: str = "",
    label_column: str = "",
) -> Items:
    """Find items and labels under `data`.

    `data` is a folder, or a CSV of file and label. In a folder, the label is the name of the first folder below it (or
    below `train/`, `valid/` and `test/`, where they are there), or what `label_re` matches in the file name: its group
    `label`, else its first group. A CSV may have a column of parts too (split: train, valid, test). `group_by` is a
    column of the CSV, or a regular expression on the path below `data` (its first group, else the whole match). In a
    folder only files that end in one of `suffixes` count. An option that is empty is not given.

    Raises `DataError` where nothing usable is found, or where an option does not apply.
    """
    data = Path(data)
    if not data.exists():
        raise DataError(f"{data}: no such folder or CSV")
    if data.is_file():
        if data.suffix.lower() not in (".csv", ".tsv"):
            raise DataError(f"{data}: expected a folder of items, or a CSV of file and label")
        if csv:
            raise DataError(f"{data} is a CSV, and csv names another ({csv}): name the folder and one CSV")
        csv, data = data, data.parent
    if csv and label_re:
        raise DataError("label_re reads labels from file names, the CSV has labels of its own: leave one of them out")
    if not csv and (file_column or label_column):
        raise DataError("file_column and label_column are columns of a CSV, and there is none: name it with csv")
    if csv:
        items = _from_csv(data, Path(csv), group_by=group_by, file_column=file_column, label_column=label_column)
    else:
        items = _from_folder(data, tuple(suffix.lower() for suffix in suffixes), label_re=label_re, group_by=group_by)
    items = without_repeats(items, "label")
    if items.table.empty:
        raise DataError(f"{data}: no labelled item is left ({summary(items.rejected)})")
    return items


def summary(rejected: Sequence[tuple[str, str]], show: int = 3) -> str:
    """The first few set-aside items with their reasons, and how many there are, in one line."""
    shown = "; ".join(f"{Path(item).name}: {reason}" for item, reason in rejected[:show])
    more = f"; and {len(rejected) - show} more" if len(rejected) > show else ""
    return f"set aside {len(rejected)}: {shown}{more}" if rejected else "none was set aside"


def _from_folder(root: Path, suffixes: tuple[str, ...], *, label_re: str, group_by: str) -> Items:
    files = sorted(files_below(root))
    chosen = [path for path in files if path.suffix.lower() in suffixes]
    others = [path for path in files if path.suffix.lower() not in suffixes]
    kinds = ", ".join(sorted({path.suffix.lower() or "no suffix" for path in others}))
    notes = [f"{len(others)} files of other kinds left out ({kinds})"] if others else []
    if not chosen:
        raise DataError(f"{root}: no file ends in one of {' '.join(suffixes)} ({len(files)} other files); see --help for CSVs")
    label_of, group_of = compiled(label_re, "label_re"), compiled(group_by, "group_by")
    parted = has_parts(root)
    rows, rejected = [], []
    for path in chosen:
        below = path.relative_to(root)
        part = PART_NAMES.get(below.parts[0].lower()) if parted else None
        folders = below.parts[1:-1] if part else below.parts[:-1]
        label = matched(label_of, path.name) if label_of else (folders[0] if folders else None)
        group = matched(group_of, below.as_posix()) if group_of else None
        if not is_utf8(path):
            rejected.append((ascii(str(path)), NOT_UTF8))
        elif parted and part is None:
            rejected.append((str(path), "stands outside train/, valid/ and test/"))
        elif not label:
            why = f"its name does not match label_re {label_re!r}" if label_of else "stands in no class folder"
            rejected.append((str(path), why))
        elif group_of and not group:
            rejected.append((str(path), f"its path does not match group_by {group_by!r}"))
        else:
            rows.append((path, label, group, part))
    return Items(pd.DataFrame(rows, columns=COLUMNS, dtype=object), root, rejected, notes)


def _from_csv(root: Path, csv: Path, *, group_by: str, file_column: str, label_column: str) -> Items:
    csv = csv if csv.exists() else root / csv
    frame = read_cells(csv)
    files = frame[column_named(csv, frame, asked=file_column, usual=FILE_COLUMNS, option="--file-column")]
    labels = frame[column_named(csv, frame, asked=label_column, usual=LABEL_COLUMNS, option="--label-column")]
    parts = part_cells(frame)
    grouped = group_by in frame.columns
    group_of = None if grouped else compiled(group_by, "group_by")
    rows, rejected = [], []
    for row, (file, label) in enumerate(zip(files, labels, strict=True)):
        where = f"{csv.name} row {row + 2}"
        if pd.isna(file) or pd.isna(label):
            rejected.append((where, f"no {'file' if pd.isna(file) else 'label'}"))
            continue
        path = next((p for p in (root / file, csv.parent / file) if p.is_file()), None)
        group = frame[group_by][row] if grouped else matched(group_of, file) if group_of else None
        part = None if pd.isna(parts[row]) else PART_NAMES.get(parts[row].lower(), "")
        if path is None:
            rejected.append((file, f"{where} names it, but there is no such file"))
        elif group_by and (group is None or pd.isna(group)):
            rejected.append((file, f"{where} has no group ({group_by})"))
        elif part == "":
            rejected.append((file, f"{where}: part {parts[row]!r} is none of {', '.join(PARTS)}"))
        else:
            rows.append((path, label, group, part))
    return Items(pd.DataFrame(rows, columns=COLUMNS, dtype=object), root, rejected)


def read_cells(csv: Path) -> pd.DataFrame:
    """The cells of a CSV (see `open_csv`) as text without spaces around it; None where empty. Raises `DataError`."""
    if not csv.exists():
        raise DataError(f"{csv}: no such CSV")
    try:
        with open_csv(csv) as table:
            columns: list[list[str | None]] = [[] for _ in table.names]
            for chunk in table.chunks():
                if chunk.cut:
                    place = min(chunk.cut)
                    raise DataError(f"{csv}: cannot be read as a CSV (row {chunk.first + place}: {chunk.ragged[place]})")
                for column, cells in zip(columns, chunk.columns, strict=True):
                    column += (cell.strip() or None for cell in cells)  # that alone is missing: "None" and "NA" name classes
    except ConversionError as error:
        raise DataError(f"{csv}: cannot be read as a CSV ({error.reason})") from error
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in zip(table.names, columns, strict=True)})


def part_cells(frame: pd.DataFrame) -> pd.Series:
    """The column that says which part each row is in; one of None where there is none."""
    parts = next((frame[name] for name in frame.columns if name.strip().lower() in SPLIT_COLUMNS), None)
    if parts is None or not parts.dropna().str.lower().isin(PART_NAMES).any():  # or one of another meaning that is called so
        return pd.Series(None, index=frame.index, dtype=object)
    return parts


def column_named(csv: Path, frame: pd.DataFrame, *, asked: str, usual: tuple[str, ...], option: str) -> str:
    """The column that was `asked` for, or else the first of the `usual` names. Raises `DataError` where there is none."""
    if asked:
        if asked not in frame.columns:
            raise DataError(f"{csv}: no column {asked!r}; it has {', '.join(map(str, frame.columns))}")
        return asked
    found = next((name for usual_name in usual for name in frame.columns if name.strip().lower() == usual_name), None)
    if found is None:
        raise DataError(
            f"{csv}: none of its columns ({', '.join(map(str, frame.columns))}) is named {', '.join(usual)}: "
            f"say which it is with {option}"
        )
    return found


def without_repeats(items: T, answer: str) -> T:
    """One row a file: a file listed twice counts once, one with two answers (in the column of that name) not at all. The index
    begins anew."""
    answers = items.table.groupby("path")[answer].transform("nunique")
    items = items.keep(answers <= 1, f"listed with two different {answer}s")
    items = items.keep(~items.table.path.duplicated(), "listed twice; one of them is used")
    return replace(items, table=items.table.reset_index(drop=True))


def has_parts(root: Path) -> bool:
    """Whether the folders below `root` are train, valid and test, rather than classes that happen to be called so."""
    folders = [path for path in root.iterdir() if path.is_dir() and not _hidden(path.name)]
    below = {PART_NAMES.get(path.name.lower()) for path in folders}
    if "train" not in below:
        return False
    alone = below == {"train"} and any(path.is_dir() for path in folders[0].iterdir())
    return alone or bool(below & {"valid", "test"})


def files_below(root: Path, apart_from: Path | None = None) -> Iterator[Path]:
    """Every file below `root` but not below `apart_from`, a folder after the other, hidden ones left out; linked folders are
    followed, each real one once. Raises `DataError` for a folder that cannot be listed."""
    seen = {os.path.realpath(apart_from)} if apart_from else set()
    within = os.path.join(os.path.realpath(root), "")

    def leads_back(path: str) -> bool:  # a link to what is found in its own place anyway, under its own name
        return os.path.islink(path) and os.path.realpath(path).startswith(within)

    for folder, folders, names in os.walk(root, followlinks=True, onerror=_not_listed):
        real = os.path.realpath(folder)
        wanted = [name for name in folders if not _hidden(name) and not leads_back(os.path.join(folder, name))]
        folders[:] = [] if real in seen else sorted(wanted)
        if real not in seen:
            yield from (Path(folder, name) for name in sorted(names) if not _hidden(name))
        seen.add(real)


def _not_listed(error: OSError) -> None:
    raise DataError(f"{error.filename}: cannot be looked into ({error.strerror})") from error


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"


def is_utf8(path: Path) -> bool:
    """Whether the path is text: a file system may hold names that are none."""
    try:
        str(path).encode()
    except UnicodeEncodeError:  # a byte that the file system holds and no text does
        return False
    return True


def compiled(expression: str, option: str) -> re.Pattern[str] | None:
    """The regular expression that an option gave, if any. Raises `DataError` where it is none."""
    try:
        return re.compile(expression) if expression else None
    except re.error as error:
        raise DataError(f"{option} {expression!r} is not a regular expression: {error}") from error


def matched(expression: re.Pattern[str], text: str) -> str | None:
    """What a pattern finds in `text`: its group `label`, else its first group, else the whole match; None for nothing."""
    match = expression.search(text)
    if match is None:
        return None
    if "label" in expression.groupindex:
        return match["label"]
    return match[1] if expression.groups else match[0]
