"""What is predicted from a table: the target column as classes or as numbers.

A target is checked where other columns are forgiven: without it a row teaches nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from toolkit.data.items import summary
from toolkit.data.tabular.column_kinds import CODED, decimal_sign
from toolkit.data.tabular.options import TableOptions
from toolkit.errors import DataError
from toolkit.program.cells import number_of, python_value, quoted, text_of

MOST_CLASSES = 20  # different whole numbers up to which a target is taken for classes
FEWEST = 10  # rows
MOST_STRAY = 0.05  # of the rows: so few texts among numbers are mistakes, not classes
STEPS = 1e5  # of a 32-bit float, that values have to spread over: answers are to be exact to a ten thousandth of the spread


@dataclass(frozen=True)
class Target:
    """What is predicted: the column `name`, one of `classes`, or, where there are none, a number; `low` and `high` bound it where
    a user said so. `decimal` is how numbers are written."""

    name: str
    classes: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    decimal: str = "."


def read_target(
    frame: pd.DataFrame, table: pd.DataFrame, *, options: TableOptions, source: str, rejected: list[tuple[str, str]]
) -> tuple[Target, list[str], np.ndarray]:
    """What is predicted, and each row's label (text) and class number (int64) or value (float32).

    `frame` has the rows' cells, `table` their numbers (`row`); `rejected` are rows that are not there any more, for messages.
    Raises `DataError` where the target cannot be predicted.
    """
    told = f" ({summary(rejected)})" if rejected else ""
    name, texts = options.target, [text_of(python_value(cell)).strip() for cell in frame[options.target]]
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < 2:
        only = f"always {quoted(distinct[0])}" if distinct else "nothing but missing values"
        raise DataError(f"{source}: the target column {name!r} holds {only}: there is nothing to tell apart{told}")
    if len(texts) < FEWEST:
        raise DataError(
            f"{source}: {len(texts)} rows with a target are too few: {FEWEST} are the least to train, choose and test on{told}"
        )
    decimal = decimal_sign(distinct)
    values = {text: number_of(text, decimal) for text in distinct}
    no_numbers = [text for text, value in values.items() if value is None or not np.isfinite(value)]
    numeric = not no_numbers
    whole = numeric and all(value is not None and value == int(value) for value in values.values())
    few = len(distinct) <= MOST_CLASSES and len(distinct) <= len(texts) / 5
    if options.task == "classification" or (options.task == "auto" and not (numeric and not (whole and few))):
        stray = sum(text in set(no_numbers) for text in texts) if no_numbers else 0
        if options.task == "classification" or not 0 < stray <= MOST_STRAY * len(texts) or len(distinct) <= MOST_CLASSES:
            return _classes(texts, values, options=options, source=source)
    if no_numbers:
        odd = no_numbers[0]
        raise DataError(
            f"{source} row {table.row.iloc[texts.index(odd)]}: {quoted(odd)} in the target column {name!r} is no finite number: "
            "mend it, leave it empty, or say task classification"
        )
    found = np.array([values[text] for text in texts], dtype=np.float64)
    _check_size(found, name, source=source)
    _check_range(found, options, source=source)
    labels = [text_of(value) for value in found.tolist()]
    return Target(name, (), options.low, options.high, decimal), labels, found.astype(np.float32)


def _check_size(values: np.ndarray, name: str, *, source: str) -> None:
    """Raise `DataError` for values that 32 bits cannot tell apart."""
    step, spread = float(np.abs(values).max()) * 2.0**-23, float(values.std())
    if not (np.abs(values).max() < 1e30 and spread > 1e-30):
        raise DataError(f"{source}: {name!r} goes from {values.min():.6g} to {values.max():.6g}: give it in another unit")
    if spread < STEPS * step:
        raise DataError(
            f"{source}: the values of {name!r} lie close together for their size, {spread:.3g} about {values.mean():.9g}: "
            f"subtract a fixed number first, such as {values.min():.9g}"
        )


def _classes(
    texts: list[str], values: dict[str, float | None], *, options: TableOptions, source: str
) -> tuple[Target, list[str], np.ndarray]:
    """The target as classes, numbers in their order; `values` has the number that each text says, if any."""
    if len(values) > len(texts) / 2:
        raise DataError(
            f"{source}: the target column {options.target!r} has {len(values)} different values in {len(texts)} rows, too many "
            f"for classes (such as {quoted(texts[0])}): name another column, or numbers to predict with task regression"
        )
    if options.low is not None or options.high is not None:
        raise DataError(
            f"a range is for numbers, and {options.target!r} is one of {len(values)} classes: leave it out, or ask for regression"
        )
    if not any(CODED.fullmatch(text) for text in values):  # 1 and 1.0 are one class
        first: dict[object, str] = {}
        texts = [first.setdefault(text if values[text] is None else values[text], text) for text in texts]
        values = {text: values[text] for text in first.values()}
    ordered = sorted(values, key=lambda text: (values[text] is None, values[text] or 0.0, text))
    numbers = {text: number for number, text in enumerate(ordered)}
    return Target(options.target, tuple(ordered)), texts, np.array([numbers[text] for text in texts], dtype=np.int64)


def _check_range(values: np.ndarray, options: TableOptions, *, source: str) -> None:
    low, high = options.low, options.high
    if low is None and high is None:
        return
    if low is None or high is None or not low < high:
        raise DataError(f"range from {low} to {high}: expected both ends, the lower first")
    least, most = float(values.min()), float(values.max())
    if least < low or most > high:
        raise DataError(
            f"{source}: {options.target!r} goes from {least:.6g} to {most:.6g}, outside the range {low:.6g} to {high:.6g}"
        )
