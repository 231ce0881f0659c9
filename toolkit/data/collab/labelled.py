"""From a table of who chose or rated what to rows that are checked, split and ready to learn from: the first station for ratings.

It is a file of its own because people and items are numbered only once the split is known: those that training meets come first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array

from toolkit.data.collab.options import RATING, RatingOptions
from toolkit.data.collab.rows import Rows, read_rows
from toolkit.data.collab.splitting import FILE, split_ratings
from toolkit.data.collab.titles import titles_of
from toolkit.data.items import PARTS, summary
from toolkit.data.table_files import read_table
from toolkit.errors import DataError
from toolkit.program.cells import quoted

NUMBER = re.compile(r"-?\d{1,1000}", re.ASCII)


@dataclass
class LabelledRatings:
    """Rows of user and item, each pair once, split.

    `table` has for each row its `path` ("" of a DataFrame), `row` (1 is the first below the header), `user`, `item`, `label` (the
    rating as written, "" where there are none), `split`, `given` (known when the other rows of its part are asked), `time`
    (float64, where there is a column of times) and `content` (a hash of user, item and rating).

    `users` and `items` are ids; the first `n_users` and `n_items` of them stand in training rows, the others do not. `titles` are
    those of the items, the id where there is none. `user_codes` and `item_codes`, int64 (rows,), are places in them, `values`,
    float32 (rows,), the ratings (1 where there are none), `chosen`, bool (rows,), says which rows count as chosen. `objective` is
    "rating" or "ranking"; `low` and `high` are the ends of ratings, as given or of training rows, None without ratings. `way` is
    the split: "random", "time", "last", "user" or "file".
    """

    wing: ClassVar[str] = "collab"

    table: pd.DataFrame
    users: tuple[str, ...]
    items: tuple[str, ...]
    titles: tuple[str, ...]
    n_users: int
    n_items: int
    user_codes: np.ndarray
    item_codes: np.ndarray
    values: np.ndarray
    chosen: np.ndarray
    objective: str
    rated: bool
    low: float | None
    high: float | None
    way: str
    rejected: list[tuple[str, str]]
    notes: list[str]

    @property
    def has_titles(self) -> bool:
        """Whether items are called otherwise than by their ids."""
        return self.titles != self.items

    def rows_of(self, part: str) -> np.ndarray:
        """The positions, int64, of the rows of "train", "valid" or "test"."""
        return np.flatnonzero((self.table.split == part).to_numpy())

    def asked(self, part: str) -> np.ndarray:
        """The positions, int64, of the rows of a part that are to be predicted: those that are not given."""
        return np.flatnonzero(((self.table.split == part) & ~self.table.given).to_numpy())

    def history(self, part: str, liked: bool = False) -> csr_array:
        """What is known of users when rows of `part` are asked: float32 (users, items), the values of training rows, of the
        part's given rows and, for the test, of validation rows too; with `liked` ones, of chosen rows alone. `part` "all" knows
        every row. A rating of 0 is stored. It is made once: do not write to it."""
        made = vars(self).setdefault("_histories", {})
        if (part, liked) not in made:
            made[part, liked] = self._history(part, liked)
        return made[part, liked]

    def _history(self, part: str, liked: bool) -> csr_array:
        split = self.table.split
        known = (split == "train") | ((split == part) & self.table.given) | (part == "all")
        if part == "test":
            known |= split == "valid"
        rows = np.flatnonzero(known.to_numpy() & (self.chosen | (not liked)))
        values = np.ones(len(rows), dtype=np.float32) if liked else self.values[rows]
        shape = (len(self.users), len(self.items))
        return coo_array((values, (self.user_codes[rows], self.item_codes[rows])), shape=shape).tocsr()

    def describe(self) -> str:
        """How many rows, users and items there are, how they are split, and what was set aside, for a reader."""
        counts = self.table.split.value_counts()
        parts = ", ".join(f"{counts.get(part, 0)} {part}" for part in PARTS)
        what = f"ratings from {self.low:g} to {self.high:g}" if self.rated else "choices"
        rows = f"{len(self.table)} {what} by {len(self.users)} users of {len(self.items)} items"
        aim = "how many stars" if self.objective == RATING else "what to show first"
        lines = [f"{rows}: {parts} (split: {self.way}); predicted is {aim}"]
        if not self.chosen.all():
            lines.append(f"{int(self.chosen.sum())} of them count as chosen")
        return "\n".join(lines + self.notes + ([summary(self.rejected)] if self.rejected else []))


def labelled_ratings(
    data: Path | str | pd.DataFrame,
    options: RatingOptions,
    valid_pct: float = 0.1,
    test_pct: float = 0.2,
    seed: int = 42,
    strict: bool = False,
) -> LabelledRatings:
    """Read and split a table of ratings; see `read_table` for what it may be and `split_ratings` for the split.

    Rows without a user, an item or a rating that can be used are set aside; with `strict` they are an error. Of rows of one user
    and item the latest stands. Raises `DataError` for what cannot be learnt from.
    """
    if not isinstance(seed, int) or seed < 0:
        raise DataError(f"seed {seed}: expected a whole number from 0")
    tables = [read_table(data, strict)] + ([read_table(options.test, strict)] if options.test is not None else [])
    source = tables[0].source
    resolved, notes = options.resolved(tables[0])
    notes = [note for each in tables for note in each.notes] + notes
    rows = read_rows(tables, resolved)
    if strict and rows.rejected:
        raise DataError("strict: " + summary(rows.rejected))
    table = rows.table
    for role in ("user", "item"):
        if table[role].nunique() < 2:
            only = quoted((rows.users if role == "user" else rows.items)[table[role].iloc[0]])
            name = getattr(resolved, role)
            raise DataError(
                f"{source}: the {role} column {name!r} holds only {only}: taste takes several people and several items"
            )
    timed, tested = table.time.to_numpy(), table.tested.to_numpy()
    parts, given = split_ratings(
        pd.factorize(table.user)[0], resolved.split, timed if resolved.time else None, tested if len(tables) > 1 else None,
        valid_pct, test_pct, seed,
    )  # fmt: skip
    train = parts == "train"
    users, n_users, user_codes = _numbered(rows.users, table.user.to_numpy(), train)
    items, n_items, item_codes = _numbered(rows.items, table["item"].to_numpy(), train)
    low, high = _range(table.value.to_numpy()[train], resolved, source)
    titles, about_titles = titles_of(items, item_codes, rows.cells, resolved, guessed=not options.title)
    values, way = table.value.to_numpy(), FILE if len(tables) > 1 else resolved.split
    chosen = _chosen(values, train, resolved, source)
    labelled = LabelledRatings(
        _table(rows, parts, given, resolved), users, items, titles, n_users, n_items, user_codes, item_codes,
        values.astype(np.float32), chosen, resolved.objective, bool(resolved.rating), low, high, way, rows.rejected,
        notes + rows.notes + about_titles,
    )  # fmt: skip
    labelled.notes += _cold(labelled)
    return labelled


def _numbered(texts: np.ndarray, codes: np.ndarray, train: np.ndarray) -> tuple[tuple[str, ...], int, np.ndarray]:
    """Ids in their natural order, those that training rows have first; how many these are; and each row's number."""
    there = np.unique(codes)
    numeric = all(NUMBER.fullmatch(text) for text in texts[there])
    order = sorted(there.tolist(), key=(lambda code: (int(texts[code]), texts[code])) if numeric else texts.__getitem__)
    known = np.isin(order, codes[train])
    order = np.concatenate([np.array(order)[known], np.array(order)[~known]])
    place = np.empty(len(texts), dtype=np.int64)
    place[order] = np.arange(len(order))
    return tuple(texts[order].tolist()), int(known.sum()), place[codes]


def _range(values: np.ndarray, options: RatingOptions, source: str) -> tuple[float | None, float | None]:
    """The ends of ratings: as given, or those of the training rows, `values`."""
    if not options.rating:
        return None, None
    least, most = float(values.min()), float(values.max())
    if least == most and options.objective == RATING:
        raise DataError(
            f"{source}: every rating that is trained on, in column {options.rating!r}, is {least:g}: there is nothing to "
            "predict; ask for objective ranking, what to show first"
        )
    return (least, most) if options.low is None else (options.low, options.high)


def _chosen(values: np.ndarray, train: np.ndarray, options: RatingOptions, source: str) -> np.ndarray:
    """Which rows count as chosen."""
    chosen = values >= options.liked_from if options.liked_from else np.ones(len(values), dtype=bool)
    if not chosen[train].any():
        raise DataError(
            f"{source}: no rating that is trained on is {options.liked_from:g} or more (they go from {values.min():g} to "
            f"{values.max():g}): give a smaller liked_from"
        )
    return chosen


def _table(rows: Rows, parts: np.ndarray, given: np.ndarray, options: RatingOptions) -> pd.DataFrame:
    """What is kept of each row, for a reader."""
    table = rows.table
    user, item = table.user.to_numpy(), table["item"].to_numpy()
    total = pd.util.hash_array(rows.users)[user] * np.uint64(0x9E3779B97F4A7C15) + pd.util.hash_array(rows.items)[item]
    if options.rating:
        total = total * np.uint64(0x9E3779B97F4A7C15) + pd.util.hash_array(table.value.to_numpy())
    columns = {
        "path": table.path, "row": table.row, "user": rows.users[user], "item": rows.items[item],
        "label": rows.labels[table.label.to_numpy()], "split": parts, "given": given, "time": table.time,
        "content": np.array([f"{value:016x}" for value in total.tolist()], dtype=object),
    }  # fmt: skip
    # texts as objects: the frame is made at once, and they are Python's when read
    columns = {name: pd.Series(column, dtype=object if column.dtype.kind == "O" else None) for name, column in columns.items()}
    return pd.DataFrame({name: column for name, column in columns.items() if name != "time" or options.time})


def _cold(labelled: LabelledRatings) -> list[str]:
    """Sentences on users and items of held-out rows that training does not meet."""
    notes = []
    items, users = len(labelled.items) - labelled.n_items, len(labelled.users) - labelled.n_users
    if items:
        notes.append(f"{items} of {len(labelled.items)} items stand in no training row: they cannot be recommended")
    if users:
        test = labelled.user_codes[labelled.rows_of("test")]
        cold = len(np.unique(test[test >= labelled.n_users]))
        notes.append(f"{users} of {len(labelled.users)} users have no training row, {cold} of them in the test")
    return notes
