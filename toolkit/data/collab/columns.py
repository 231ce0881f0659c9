"""Which columns of a table are the user, the item, the rating, the time and the title, where no one says so.

Data sets of ratings name their columns alike, but not the same; and a table without a header, or with a column for each item,
looks like one with other names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice

import pandas as pd

from toolkit.data.table_files import Table
from toolkit.data.times import date_form
from toolkit.errors import DataError
from toolkit.program.cells import is_missing, moment_of, number_of, python_value

ROLES = ("user", "item", "rating", "time", "title")
# names of columns, in lower case and without signs; the earlier are preferred
USERS = (
    "user", "customer", "person", "viewer", "member", "reviewer", "reader", "client", "listener", "player", "visitor", "buyer",
    "student", "subscriber", "account",
)  # fmt: skip
ITEMS = (
    "item", "movie", "film", "show", "series", "anime", "manga", "book", "isbn", "product", "asin", "sku", "article", "track",
    "song", "album", "artist", "game", "app", "video", "restaurant", "business", "recipe", "course", "joke",
)  # fmt: skip
SUFFIXES = ("id", "", "code", "number", "no", "key", "index", "idx", "name")
RATED = ("rating", "ratings", "stars", "score", "overall", "grade", "bewertung")
TIMES = (
    "timestamp", "time", "datetime", "date", "when", "ts", "unixreviewtime", "reviewtime", "createdat", "ratedat", "watchedat",
    "viewedat", "orderdate", "purchasedate", "day",
)  # fmt: skip
NAMES = {
    "user": (*(word + end for end in SUFFIXES for word in USERS), "uid"),
    "item": (*(word + end for end in SUFFIXES for word in ITEMS), "iid", "title", "itemtitle", "movietitle"),
    "rating": (*RATED, *(word + end for end in RATED for word in ("user", "my", "star", "review", *ITEMS))),
    "time": TIMES,
    "title": ("title", *(word + end for end in ("title", "name") for word in ITEMS), "name"),
}
SAMPLE = 1000  # different cells that a column is judged by
LARGEST = 1e6  # rating; every number of seconds since 1970 is larger
WIDE = 4  # columns of numbers beside a user from which they seem to be items


def named_like(names: Iterable[str], role: str) -> str:
    """Which of `names` usually names the `role` ("user", "item", "rating", "time" or "title"), "" where none does."""
    bare: dict[str, str] = {}
    for name in names:
        bare.setdefault(re.sub(r"[\W_]", "", name.lower()), name)
    return next((bare[usual] for usual in NAMES[role] if usual in bare), "")


def guess_columns(found: dict[str, str], table: Table, *, rated: bool, timed: bool) -> tuple[str, ...]:
    """Add to `found`, the columns by their roles, those that no one named; return the roles of those that their place alone
    speaks for, as fastai takes them: user, item, rating.

    Without `rated` no column of ratings is looked for. With `timed` a column named like a time is one even if it cannot be read.
    Raises `DataError` where there is no column for the user or the item, or the table has no header.
    """
    frame = table.frame
    for role in ROLES:
        if role in found or (role == "rating" and not rated):
            continue
        # a mere "name" may be the user's
        name = named_like((name for name in left_of(frame, found) if role != "title" or name.lower() != "name"), role)
        if name and (role != "time" or timed or _says_when(frame[name])):
            found[role] = name
    placed = tuple(role for role in ("user", "item") if role not in found)
    if not placed:
        return ()
    _check_form(table, found)
    for role in placed:
        others = [other for other in ROLES[:4] if other != role]  # not what seems to be something else
        free = [name for name in left_of(frame, found) if not any(named_like([name], other) for other in others)]
        if not free:
            there = ", ".join(map(repr, frame.columns))
            raise DataError(f"{table.source}: which column is the {role}? Name it with {role}; the columns are {there}")
        found[role] = free[0]
    free = left_of(frame, found)
    if len(placed) == 2 and "rating" not in found and rated and free and holds_ratings(frame[free[0]]):
        found["rating"] = free[0]
        placed = (*placed, "rating")
    return placed


def left_of(frame: pd.DataFrame, found: dict[str, str]) -> list[str]:
    """The columns that have no role."""
    return [name for name in frame.columns if name not in found.values()]


def holds_ratings(cells: pd.Series) -> bool:
    """Whether a column holds numbers alone that ratings could be, judged by a sample."""
    numbers = [number_of(str(cell)) for cell in _sample(cells)]
    return bool(numbers) and all(number is not None and abs(number) < LARGEST for number in numbers)


def _says_when(cells: pd.Series) -> bool:
    there = _sample(cells)
    if any(hasattr(cell, "year") for cell in there):
        return True
    texts = [str(cell) for cell in there]
    numbers = sum(number_of(text) is not None for text in texts)
    return bool(texts) and (2 * numbers >= len(texts) or bool(date_form(texts)[0]))


def _sample(cells: pd.Series) -> Sequence[object]:
    there = (python_value(cell) for cell in islice(pd.unique(cells.astype(object)), SAMPLE))
    return [cell for cell in there if not is_missing(cell)]


def _check_form(table: Table, found: dict[str, str]) -> None:
    """Raise `DataError` where each item seems to have a column, or the first row to have become the names of columns."""
    frame, names = table.frame, list(table.frame.columns)
    left = left_of(frame, found)
    if "user" in found and len(left) >= WIDE and all(holds_ratings(frame[name]) for name in left):
        raise DataError(
            f"{table.source}: seems to have a column for each item ({', '.join(left[:3])}, …): give one row for each user and "
            "item, in columns user,item,rating (as pandas' melt makes it), or name the columns with user and item"
        )
    if names == [str(place) for place in range(len(names))] and table.source == "DataFrame":
        return  # as pandas calls columns that have no names
    first = next((name for name in names if number_of(name) is not None or moment_of(name)), None)
    own = next((name for name in names[:2] if (frame[name] == name).any()), None)
    if first is not None or own is not None:
        why = "is no name" if first is not None else "stands below, too"
        raise DataError(
            f"{table.source}: the first line, {', '.join(names[:6])}, seems to be a row already ({first or own!r} {why}): put a "
            "line above it that names the columns, such as user,item,rating,timestamp"
        )
