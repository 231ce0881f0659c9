"""A column that orders rows by time, as numbers, however its times are written; a million different ones in a moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pandas as pd

from toolkit.errors import DataError
from toolkit.na_values import NA_VALUES
from toolkit.program.cells import FORMATS, ISO, TIMES, is_missing, moment_of, number_of, python_value, quoted

MOSTLY = 0.95  # of the distinct texts that dates are told by: the others are read as missing
SAMPLE = 1000  # different texts that show how times are written
EPOCH = datetime(1970, 1, 1)


def date_form(texts: Sequence[str]) -> tuple[str, list[str]]:
    """How dates are written in most of `texts` ("" where they are none), and in which forms they could be as well."""
    if not all(any(letter.isdigit() for letter in text) and len(text.strip()) >= 6 for text in texts[:50]):
        return "", []
    shares = {form: sum(moment_of(text, form) is not None for text in texts) / max(1, len(texts)) for form in (ISO, *FORMATS)}
    best = max(shares, key=lambda form: shares[form])
    if shares[best] < MOSTLY:
        return "", []
    return best, [form for form, share in shares.items() if share == shares[best] and form != best]


def times_of(cells: pd.Series, name: str, *, na_values: frozenset[str] = NA_VALUES) -> np.ndarray:
    """The times in the column `name`, float64 (rows,): numbers as they are, dates in seconds since 1970, NaN where there is none,
    or one is unlike the others.

    Of dates with a time zone the seconds are those in UTC, of others as if they were. Texts are numbers where at least half of
    the different ones are. Raises `DataError` where they are mostly neither.
    """
    if pd.api.types.is_datetime64_any_dtype(cells):
        return _since_1970(pd.to_datetime(cells, utc=True))
    if pd.api.types.is_numeric_dtype(cells):
        numbers = cells.to_numpy(dtype=float, na_value=np.nan)
        meant = [number for word in na_values if (number := number_of(word)) is not None]  # 999, say
        return np.where(np.isin(numbers, meant), np.nan, numbers)
    try:
        codes, values = pd.factorize(cells, use_na_sentinel=False)
    except TypeError:  # cells that cannot be compared, such as lists
        codes, values = pd.factorize(cells.map(str))
    known = [python_value(cell) for cell in values]
    distinct = [None if is_missing(cell, na_values) else cell for cell in known]
    there = [cell for cell in distinct if cell is not None]
    found = np.full(len(distinct), np.nan)
    texts = [cell for cell in there if isinstance(cell, str)]
    if len(texts) == len(there):
        read = _of_texts(pd.Series(texts, dtype=object).str.strip(), name)
    elif any(hasattr(cell, "year") for cell in there) or not _numbers(texts):
        form = date_form(texts)[0] if texts else ISO
        if not form:
            raise _neither(name, texts[0])
        read = np.array([_seconds(cell, form) for cell in there], dtype=float)
    else:
        read = np.array([number_of(str(cell)) for cell in there], dtype=float)
    found[[cell is not None for cell in distinct]] = read
    return found[codes]


def _of_texts(texts: pd.Series, name: str) -> np.ndarray:
    numbers = pd.to_numeric(texts, errors="coerce").to_numpy(dtype=float, copy=True)
    odd = np.flatnonzero(np.isnan(numbers))
    if 2 * len(odd) <= len(texts) or _numbers(_sampled(texts)):  # 1,234, say
        numbers[odd] = [number_of(text) for text in texts.iloc[odd]]
        odd = np.flatnonzero(np.isnan(numbers))
    if 2 * len(odd) <= len(texts):
        return numbers
    form, _ = date_form(_sampled(texts))
    if not form:
        raise _neither(name, texts.iloc[odd[0]])
    found = np.full(len(texts), np.nan)
    for shape in ["ISO8601"] if form == ISO else [form + time for time in TIMES]:
        left = np.isnan(found)
        if left.any():
            found[left] = _since_1970(pd.to_datetime(texts[left], format=shape, errors="coerce", utc=True))
    return found


def _numbers(texts: Sequence[str]) -> bool:
    return 2 * sum(number_of(text) is not None for text in texts) >= len(texts)


def _sampled(texts: pd.Series) -> list[str]:
    """Some, from all over: files are often sorted."""
    return texts.iloc[np.unique(np.linspace(0, len(texts) - 1, min(SAMPLE, len(texts))).astype(int))].tolist()


def _neither(name: str, text: str) -> DataError:
    return DataError(f"time {name!r}: {quoted(text)} is neither a number nor a date such as 2024-12-31")


def _seconds(cell: object, form: str) -> float:
    """One cell of any type in seconds since 1970, NaN where it is no moment."""
    if isinstance(cell, str) and form == ISO and moment_of(cell):
        cell = datetime.fromisoformat(cell.strip())
    if isinstance(cell, datetime) and cell.tzinfo is not None:
        cell = cell.astimezone(UTC)
    moment = moment_of(cell, form)
    return np.nan if moment is None else (moment - EPOCH).total_seconds()


def _since_1970(moments: pd.Series) -> np.ndarray:
    return (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(dtype=float)
