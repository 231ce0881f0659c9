"""Lists of classes, in the files people keep them in: names line by line, or JSON of names and values.

Such files are written by hand, so every slip in one is told with its place.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from toolkit.data.segmentation.mask_io import Value, check_value, from_hex, show_value
from toolkit.errors import DataError

LIST_FILES = ("codes.txt", "classes.txt", "codes.json", "classes.json")
FORMS = '["name", …], {"name": 3}, {"3": "name"}, {"name": [r, g, b]} or {"name": "#rrggbb"}'
MOST = 254  # 255 is left for what does not count, 254 for what is no class


@dataclass(frozen=True)
class ClassList:
    """Names of classes and the raw value of each, as a file lists them."""

    names: tuple[str, ...]
    values: tuple[Value, ...]
    path: Path


def find_list(masks: Path, leaves: Iterable[Path] = (), *, root: Path | None = None) -> Path | None:
    """The first of `LIST_FILES` in the folder `masks`, beside it, or one folder up, but not above `root`; else in or beside one
    of `leaves`, the folders below it that masks are in. Raises `DataError` where lists there differ."""
    above = [folder for folder in [masks, *masks.parents][:3] if root is None or folder.is_relative_to(root)]
    found = _lists_in(above)
    if found:
        return found[0]
    found = _lists_in([folder for leaf in sorted(set(leaves)) for folder in (leaf, leaf.parent)])
    other = next((path for path in found if path.read_bytes() != found[0].read_bytes()), None)
    if other:
        raise DataError(f"{found[0]} and {other} list different classes: put one list beside {masks}, or name it with classes")
    return found[0] if found else None


def _lists_in(folders: Iterable[Path]) -> list[Path]:
    return [folder / name for folder in folders for name in LIST_FILES if (folder / name).is_file()]


def read_list(path: Path | str) -> ClassList:
    """Read a list of classes: a .txt of one name a line, whose value is its line, counted from 0; or a .json of one of `FORMS`.

    Raises `DataError` that names the file and the entry where there is a mistake.
    """
    path = Path(path)
    if path.suffix.lower() not in (".txt", ".json"):
        raise DataError(f"{path}: classes come from a .txt of one name a line, or a .json: {FORMS}")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise DataError(f"{path}: no such file of classes") from error
    except (OSError, ValueError) as error:  # a folder; bytes that are no UTF-8
        raise DataError(f"{path}: cannot be read as text ({getattr(error, 'strerror', None) or error})") from error
    entries = _lines(text) if path.suffix.lower() == ".txt" else _from_json(text, path)
    try:
        names, values = _checked(entries)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    return ClassList(names, values, path)


def _lines(text: str) -> list[tuple[str, Value, str]]:
    lines = text.rstrip().splitlines()
    return [(line.strip(), number, f"line {number + 1}") for number, line in enumerate(lines)]


def _from_json(text: str, path: Path) -> list[tuple[str, Value, str]]:
    """(name, value, where it stands) of each entry."""
    try:
        parsed = json.loads(text, object_pairs_hook=_pairs)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{path}: not JSON ({error})") from error
    if isinstance(parsed, list) and all(isinstance(name, str) for name in parsed):
        return [(name.strip(), number, f"entry {number}") for number, name in enumerate(parsed)]
    if not isinstance(parsed, _Pairs):
        raise DataError(f"{path}: expected {FORMS}")
    numbered = all(re.fullmatch(r"\d{1,5}", key) for key, _ in parsed)
    if parsed and numbered and all(isinstance(name, str) and not _is_hex(name) for _, name in parsed):
        return [(name.strip(), int(key), f"entry {key}") for key, name in sorted(parsed, key=lambda pair: int(pair[0]))]
    return [(name.strip(), _value(value, f"{path}: class {name!r}"), f"class {name!r}") for name, value in parsed]


class _Pairs(list[tuple[str, Any]]):
    """A JSON object with all its entries: a dict would keep the last of two of one name and say nothing."""


def _pairs(pairs: list[tuple[str, Any]]) -> _Pairs:
    return _Pairs(pairs)


def _is_hex(text: object) -> bool:
    return isinstance(text, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", text.strip()) is not None


def _value(value: Any, where: str) -> Value:
    if _is_hex(value):
        return from_hex(str(value).strip())
    if isinstance(value, list) and not isinstance(value, _Pairs):
        value = tuple(value)
    try:
        return check_value(value)
    except DataError as error:
        raise DataError(f"{where}: {error}, or #rrggbb") from error


def _checked(entries: list[tuple[str, Value, str]]) -> tuple[tuple[str, ...], tuple[Value, ...]]:
    names: dict[str, str] = {}
    values: dict[Value, str] = {}
    for name, value, where in entries:
        if not name:
            raise DataError(f"{where} is empty: each class needs a name")
        if name in names:
            raise DataError(f"{where}: class {name!r} is there already ({names[name]}): each needs a name of its own")
        if value in values:
            raise DataError(f"{where}: value {show_value(value)} is class {values[value]!r} already: each needs one of its own")
        names[name], values[value] = where, name
    if len(names) < 2:
        raise DataError(f"{len(names)} classes: expected two or more (what is no class is one too, such as background)")
    if len(names) > MOST:
        raise DataError(f"{len(names)} classes: expected {MOST} at most")
    if len({isinstance(value, tuple) for value in values}) > 1:
        raise DataError("some values are numbers and some are colours: write all in one of the two ways")
    return tuple(names), tuple(values)
