"""How a table of ratings is to be read: what a user said of it, checked, and completed with the columns that were found.

What is asked must fit together before a row is read, and every column that is guessed is told of.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from toolkit.data.collab.columns import ROLES, guess_columns, holds_ratings, left_of, named_like
from toolkit.data.collab.splitting import TIMED, WAYS
from toolkit.data.table_files import Table
from toolkit.data.tabular.options import column_named, name_of, range_of
from toolkit.errors import DataError

AUTO, RATING, RANKING = OBJECTIVES = ("auto", "rating", "ranking")
NONE = "none"  # said of ratings that are not to be used


@dataclass(frozen=True, kw_only=True)
class CollabOptions:
    """How a table of ratings is to be read: the options of the recipe that are about rows and columns.

    `user`, `item`, `rating`, `time` and `title` are columns, "" where they are to be guessed; a `rating` of "none" is ignored.
    `titles` is a table of item and title, `test` one of rows to test on. `low` and `high` bound ratings. A rating from
    `liked_from` counts as chosen; 0 counts every row.
    """

    user: str = ""
    item: str = ""
    rating: str = ""
    time: str = ""
    title: str = ""
    titles: Path | str | pd.DataFrame | None = None
    test: Path | str | pd.DataFrame | None = None
    objective: str = "auto"
    split: str = "random"
    low: float | None = None
    high: float | None = None
    liked_from: float = 0.0

    def resolved(self, table: Table) -> tuple[CollabOptions, list[str]]:
        """The same with the names of columns as `table` writes them, "" where there is no such column, and an objective; and what
        a user should know of it. Raises `DataError` for a column that is not there, or is named for two things."""
        frame, source = table.frame, table.source
        if len(frame.columns) < 2:
            raise DataError(f"{source}: one column, {frame.columns[0]!r}: a user and an item are the least, in two columns")
        asked = {role: getattr(self, role) for role in ROLES if getattr(self, role)}
        ignored = asked.get("rating", "").lower() == NONE and asked["rating"] not in frame.columns
        asked = {role: name for role, name in asked.items() if not (role == "rating" and ignored)}
        found = {role: column_named(frame, name, what=role, source=source) for role, name in asked.items()}
        _check_distinct(found)
        placed = guess_columns(found, table, rated=not ignored, timed=self.split in TIMED)
        columns = {role: found.get(role, "") for role in ROLES}
        if columns["title"] == columns["item"]:
            columns["title"] = ""
        objective = self.objective if self.objective != AUTO else (RATING if columns["rating"] else RANKING)
        resolved = replace(
            self, user=columns["user"], item=columns["item"], rating=columns["rating"], time=columns["time"],
            title=columns["title"], objective=objective,
        )  # fmt: skip
        resolved._check(source, ignored)
        return resolved, list(_told(resolved, found, asked=asked, placed=placed, frame=frame, ignored=ignored))

    def _check(self, source: str, ignored: bool) -> None:
        """Raise `DataError` for what is asked of ratings where there are none."""
        if self.rating:
            return
        why = "they are ignored (rating none)" if ignored else "no column of ratings was found"
        if self.objective == RATING:
            raise DataError(
                f"{source}: objective rating needs ratings, and {why}: name their column with rating, or ask for ranking"
            )
        if self.liked_from or self.low is not None:
            what = "liked_from" if self.liked_from else "rating_range"
            raise DataError(f"{source}: {what} is about ratings, and {why}: name their column with rating, or leave it out")


def as_collab_options(
    user: str = "",
    item: str = "",
    *,
    rating: str = "",
    time: str = "",
    title: str = "",
    titles: Path | str | pd.DataFrame | None = None,
    test: Path | str | pd.DataFrame | None = None,
    objective: str = "auto",
    split: str = "random",
    rating_range: str | Sequence[float] = "",
    liked_from: float = 0.0,
) -> CollabOptions:
    """The options of a recipe as `CollabOptions`; `rating_range` is such as "1,5". Raises `DataError` for what none can be."""
    if objective not in OBJECTIVES:
        raise DataError(f"objective {objective!r}; choose from {', '.join(OBJECTIVES)}")
    if split not in WAYS:
        raise DataError(f"split {split!r}; choose from {', '.join(WAYS)}")
    titles, test = (None if isinstance(table, str) and not table.strip() else table for table in (titles, test))
    if test is not None and split != "random":
        raise DataError(f"split {split!r} and a test of its own: the test is what it is; leave one of the two out")
    try:
        least = float(liked_from)
    except (TypeError, ValueError):
        least = np.nan
    if not np.isfinite(least):
        raise DataError(f"liked_from {liked_from!r}: expected a rating, such as 4, or 0 to count every row as chosen")
    asked = {"user": user, "item": item, "rating": rating, "time": time, "title": title}
    names = {role: "" if name is None else name_of(name).strip() for role, name in asked.items()}
    low, high = range_of(rating_range, "rating_range", example="1,5")
    return CollabOptions(
        user=names["user"], item=names["item"], rating=names["rating"], time=names["time"], title=names["title"], titles=titles,
        test=test, objective=objective, split=split, low=low, high=high, liked_from=least,
    )  # fmt: skip


def _check_distinct(found: dict[str, str]) -> None:
    for role, name in found.items():
        other = next((each for each in found if each != role and found[each] == name and {each, role} != {"item", "title"}), None)
        if other:
            raise DataError(f"column {name!r} is named for two things, {role} and {other}: name two columns")


def _told(
    options: CollabOptions,
    found: dict[str, str],
    *,
    asked: dict[str, str],
    placed: tuple[str, ...],
    frame: pd.DataFrame,
    ignored: bool,
) -> Iterable[str]:
    """Sentences on which columns were taken for what, and on those that were not."""
    roles = {role: getattr(options, role) for role in ROLES if getattr(options, role)}
    if set(roles) - set(asked):
        by_place = f" (by their place: {', '.join(placed)})" if placed else ""
        yield "read as " + ", ".join(f"{role} {name!r}" for role, name in roles.items()) + by_place
    if named_like([options.user], "item") and named_like([options.item], "user"):
        yield f"user {options.user!r} and item {options.item!r}: are the two swapped?"
    left = left_of(frame, found)
    numbers = [] if options.rating or ignored else [name for name in left if holds_ratings(frame[name])]
    if numbers:
        yield f"no ratings are used: if column {numbers[0]!r} holds them, name it with rating"
    if left:
        more = ", …" if len(left) > 10 else ""
        yield f"not learnt from: {', '.join(map(repr, left[:10]))}{more}"
