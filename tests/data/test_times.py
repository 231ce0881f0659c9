"""A column of times becomes numbers that order its rows, whatever its cells are."""

from datetime import date, datetime

import numpy as np
import pandas as pd
import pytest

from toolkit.data.times import times_of
from toolkit.errors import DataError

NEW_YEAR = 1704067200.0  # 2024-01-01, seconds since 1970


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["3", "1,234", "7"], [3, 1234, 7]),
        (["1,234", "2,345", "3,456"], [1234, 2345, 3456]),
        ([3, None, 7.5], [3, np.nan, 7.5]),
        ([3, "4", "?"], [3, 4, np.nan]),
        (["2024-01-01", " 2024-01-01T01:00+01:00", "NA"], [NEW_YEAR, NEW_YEAR, np.nan]),
        (["01.01.2024", "31.12.2023 12:00", ""], [NEW_YEAR, NEW_YEAR - 43200, np.nan]),
        ([date(2024, 1, 1), datetime(2024, 1, 1, 1), None], [NEW_YEAR, NEW_YEAR + 3600, np.nan]),
        (pd.to_datetime(["2024-01-01", None]), [NEW_YEAR, np.nan]),
        (["", None], [np.nan, np.nan]),
    ],
)
def test_times_are_read(cells, expected):
    assert np.array_equal(times_of(pd.Series(cells), "at"), expected, equal_nan=True)


@pytest.mark.parametrize("cells", [[999, 3], ["999", "3"]])
def test_a_word_for_missing_may_be_a_number(cells):
    found = times_of(pd.Series(cells), "at", na_values=frozenset({"", "999"}))
    assert np.array_equal(found, [np.nan, 3], equal_nan=True)


def test_words_are_no_times():
    with pytest.raises(DataError, match="time 'at': 'soon' is neither a number nor a date such as 2024-12-31"):
        times_of(pd.Series(["soon", "later"]), "at")
