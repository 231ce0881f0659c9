"""When people rated: a column of times as numbers, however they are written, of a million different ones in a moment.

It is a file of its own because dates are read one by one elsewhere, which for the times of ratings takes minutes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from toolkit.data.tabular.column_kinds import date_form
from toolkit.data.tabular.options import TableOptions, moments_of
from toolkit.errors import DataError
from toolkit.program.cells import ISO, TIMES, is_missing, quoted

SAMPLE = 1000  # different texts that show how dates are written


def times_of(cells: pd.Series, name: str) -> np.ndarray:
    """The times in a column, float64 (rows,): numbers as they are, dates in seconds since 1970, NaN where there is none. Raises
    `DataError` where texts are neither."""
    if pd.api.types.is_datetime64_any_dtype(cells):
        return _seconds(pd.to_datetime(cells, utc=True))
    if pd.api.types.is_numeric_dtype(cells):
        return cells.to_numpy(dtype=float, na_value=np.nan)
    codes, distinct = pd.factorize(cells, use_na_sentinel=False)
    distinct = list(distinct)
    if all(isinstance(cell, str) or is_missing(cell) for cell in distinct):
        return _of_texts([None if is_missing(cell) else cell.strip() for cell in distinct], name)[codes]
    return moments_of(pd.Series(distinct, dtype=object), TableOptions(time=name)).to_numpy()[codes]


def _of_texts(texts: list[str | None], name: str) -> np.ndarray:
    there = np.array([text is not None for text in texts], dtype=bool)
    known = pd.Series([text for text in texts if text is not None], dtype=object)
    values = np.full(len(texts), np.nan)
    numbers = pd.to_numeric(known, errors="coerce").to_numpy(dtype=float)
    odd = known[np.isnan(numbers)]
    if 2 * len(odd) <= len(known):
        values[there] = numbers
        return values
    sample = known.iloc[np.unique(np.linspace(0, len(known) - 1, SAMPLE).astype(int))].tolist()
    form, _ = date_form(sample)
    if not form:
        raise DataError(f"time {name!r}: {quoted(odd.iloc[0])} is neither a number nor a date such as 2024-12-31")
    found = np.full(len(known), np.nan)
    for shape in ["ISO8601"] if form == ISO else [form + time for time in TIMES]:
        left = np.isnan(found)
        if left.any():
            found[left] = _seconds(pd.to_datetime(known[left], format=shape, errors="coerce", utc=True))
    values[there] = found
    return values


def _seconds(moments: pd.Series) -> np.ndarray:
    """Seconds since 1970: of moments with a time zone in UTC, of others as if they were."""
    return (moments - pd.Timestamp(0, tz="UTC")).dt.total_seconds().to_numpy(dtype=float)
