"""How a table is to be read, and what is predicted from it: the target column as classes or as numbers.

It is a file of its own because a target is checked where other columns are forgiven: without it a row teaches nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data.column_kinds import Wishes, listed
from toolkit.errors import DataError
from toolkit.program.cells import MISSING, number_of, plain, shown, text_of

TASKS = ("auto", "classification", "regression")
MOST_CLASSES = 20  # different whole numbers up to which a target is taken for classes
FEWEST = 10  # rows


@dataclass(frozen=True)
class Target:
    """What is predicted: the column `name`, one of `classes`, or, where there are none, a number; `low` and `high` bound it where
    a user said so. `decimal` is how numbers are written."""

    name: str
    classes: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    decimal: str = "."


@dataclass(frozen=True)
class Reading:
    """How a table is to be read: the options of the recipe that are about rows and columns."""

    target: str = ""
    test: Path | str | pd.DataFrame | None = None
    task: str = "auto"
    wishes: Wishes = field(default_factory=Wishes)
    words: frozenset[str] = MISSING
    group_by: str = ""
    time: str = ""
    by: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    sheet: str = ""


def as_reading(
    target: str,
    test: Path | str | pd.DataFrame | None = None,
    task: str = "auto",
    numbers: str | Sequence[str] = "",
    categories: str | Sequence[str] = "",
    dates: str | Sequence[str] = "",
    leave_out: str | Sequence[str] = "",
    missing: str | Sequence[str] = "",
    group_by: str = "",
    time: str = "",
    by: str | Sequence[str] = "",
    target_range: str | Sequence[float] = "",
    sheet: str = "",
) -> Reading:
    """The options of a recipe as a `Reading`: names with commas between them, or one by one; `missing` adds to the usual ones."""
    wishes = Wishes(listed(numbers), listed(categories), listed(dates), listed(leave_out))
    words = MISSING | {word.lower() for word in listed(missing)}
    low, high = _ends(target_range)
    return Reading(target, test, task, wishes, words, group_by, time, listed(by), low, high, sheet)


def _ends(asked: str | Sequence[float]) -> tuple[float | None, float | None]:
    parts = listed(asked) if isinstance(asked, str) else tuple(asked)
    try:
        ends = tuple(map(float, parts))
    except ValueError:
        ends = ()
    if parts and len(ends) != 2:
        raise DataError(f"range {asked!r}: expected two numbers, such as 0,100")
    return ends if parts else (None, None)


def read_target(frame: pd.DataFrame, table: pd.DataFrame, reading: Reading, source: str) -> tuple[Target, list[str], np.ndarray]:
    """What is predicted, and each row's label and class number or value. Raises `DataError` where it cannot be."""
    name, texts = reading.target, [text_of(plain(cell)).strip() for cell in frame[reading.target]]
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < 2:
        only = f"always {shown(distinct[0])}" if distinct else "nothing but missing values"
        raise DataError(f"{source}: the target column {name!r} holds {only}: there is nothing to tell apart")
    if len(texts) < FEWEST:
        raise DataError(
            f"{source}: {len(texts)} rows with a target are too few: {FEWEST} are the least to train, choose and test on"
        )
    decimal = "," if sum("," in text and "." not in text for text in distinct) > len(distinct) / 2 else "."
    values = {text: number_of(text, decimal) for text in distinct}
    numeric = all(value is not None and np.isfinite(value) for value in values.values())
    whole = numeric and all(value == int(value) for value in values.values())
    few = len(distinct) <= MOST_CLASSES and len(distinct) <= len(texts) / 5
    if reading.task == "classification" or (reading.task == "auto" and not (numeric and not (whole and few))):
        return _classes(texts, values, reading, source)
    if not numeric:
        odd = next(text for text, value in values.items() if value is None or not np.isfinite(value))
        raise DataError(
            f"{source} row {table.row.iloc[texts.index(odd)]}: {shown(odd)} in the target column {name!r} is no finite number: "
            "mend it, or leave it empty"
        )
    found = np.array([values[text] for text in texts], dtype=np.float64)
    _check_range(found, reading, source)
    labels = [text_of(value) for value in found.tolist()]
    return Target(name, (), reading.low, reading.high, decimal), labels, found.astype(np.float32)


def _classes(
    texts: list[str], values: dict[str, float | None], reading: Reading, source: str
) -> tuple[Target, list[str], np.ndarray]:
    """The target as classes, numbers in their order; `values` has the number that each text says, if any."""
    if len(values) > len(texts) / 2:
        raise DataError(
            f"{source}: the target column {reading.target!r} has {len(values)} different values in {len(texts)} rows, too many "
            f"for classes (such as {shown(texts[0])}): name another column, or numbers to predict with task regression"
        )
    if reading.low is not None or reading.high is not None:
        raise DataError(
            f"a range is for numbers, and {reading.target!r} is one of {len(values)} classes: leave it out, or ask for regression"
        )
    ordered = sorted(values, key=lambda text: (values[text] is None, values[text] or 0.0, text))
    numbers = {text: number for number, text in enumerate(ordered)}
    return Target(reading.target, tuple(ordered)), texts, np.array([numbers[text] for text in texts], dtype=np.int64)


def _check_range(values: np.ndarray, reading: Reading, source: str) -> None:
    low, high = reading.low, reading.high
    if (low is None) != (high is None) or (low is not None and not low < high):
        raise DataError(f"range from {low} to {high}: expected both ends, the lower first")
    least, most = float(values.min()), float(values.max())
    if low is not None and (least < low or most > high):
        raise DataError(
            f"{source}: {reading.target!r} goes from {least:.6g} to {most:.6g}, outside the range {low:.6g} to {high:.6g}"
        )
