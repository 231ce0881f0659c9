"""From a table of ratings or interactions to rows that are checked, split and ready to learn from.

Users and items are numbered once the split is known: those that training meets come first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from scipy.sparse import coo_array, csr_array

from toolkit.data.collab.options import RATING, CollabOptions
from toolkit.data.collab.rows import Rows, read_rows
from toolkit.data.collab.splitting import FILE, split_interactions
from toolkit.data.collab.titles import titles_of
from toolkit.data.items import summary
from toolkit.data.labelled import described, parts_line
from toolkit.data.splitting import USUAL_SPLIT, SplitOptions
from toolkit.data.table_files import read_table
from toolkit.errors import DataError
from toolkit.program.cells import quoted

NUMBER = re.compile(r"-?\d{1,1000}", re.ASCII)


@dataclass
class LabelledCollab:
    """Rows of user and item, each pair once, split.

    `table` has for each row its `path` ("" of a DataFrame), `row` (1 is the first below the header), `user`, `item`, `label` (the
    rating as written, "" where there are none), `split`, `given` (of a held-out part: seen when its other rows are to be
    predicted; a word of run folders), `time` (float64, where there is a column of times) and `content` (a hash of user, item and
    rating).

    `users` and `items` are ids; the first `n_users` and `n_items` of them stand in training rows, the others do not. `titles` are
    those of the items, the id where there is none. `user_codes` and `item_codes`, int64 (rows,), are places in them, `values`,
    float32 (rows,), the ratings (1 where there are none), `positive`, bool (rows,), says which rows count as chosen: the positive
    interactions of implicit feedback. `objective` is "rating" or "ranking"; `low` and `high` are the ends of ratings, as asked
    for or of training rows, None without ratings. `way` is the split: "random", "time", "last", "user" or "file".
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
    positive: np.ndarray
    objective: str
    rated: bool
    low: float | None
    high: float | None
    way: str
    rejected: list[tuple[str, str]]
    notes: list[str]
    _seen: dict[tuple[str, bool], csr_array] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def rating_range(self) -> tuple[float, float]:
        """The lowest and the highest rating there can be. Raises `DataError` where there are no ratings."""
        if self.low is None or self.high is None:
            raise DataError("there are no ratings here, only interactions")
        return self.low, self.high

    @property
    def has_titles(self) -> bool:
        """Whether items are called otherwise than by their ids."""
        return self.titles != self.items

    def rows_of(self, part: str) -> np.ndarray:
        """The positions, int64, of the rows of "train", "valid" or "test"."""
        return np.flatnonzero((self.table.split == part).to_numpy())

    def held_out(self, part: str) -> np.ndarray:
        """The positions, int64, of the rows of a part that are to be predicted: those that are not `given`."""
        return np.flatnonzero(((self.table.split == part) & ~self.table.given).to_numpy())

    def seen(self, part: str, *, positive: bool = False) -> csr_array:
        """The seen interactions of users, when held-out rows of `part` are predicted: float32 (users, items), the values of
        training rows, of the part's given rows and, for the test, of validation rows too; with `positive` ones, of positive
        interactions alone. `part` "all" sees every row. A rating of 0 is stored. It is made once: do not write to it."""
        if (part, positive) not in self._seen:
            self._seen[part, positive] = self._interactions(part, positive)
        return self._seen[part, positive]

    def _interactions(self, part: str, positive: bool) -> csr_array:
        split = self.table.split
        known = (split == "train") | ((split == part) & self.table.given) | (part == "all")
        if part == "test":
            known |= split == "valid"
        rows = np.flatnonzero(known.to_numpy() & (self.positive | (not positive)))
        values = np.ones(len(rows), dtype=np.float32) if positive else self.values[rows]
        shape = (len(self.users), len(self.items))
        return coo_array((values, (self.user_codes[rows], self.item_codes[rows])), shape=shape).tocsr()

    def describe(self) -> str:
        """How many rows, users and items there are, how they are split, and what was set aside, for a reader."""
        what = f"ratings from {self.low:g} to {self.high:g}" if self.rated else "choices"
        rows = f"{len(self.table)} {what} by {len(self.users)} users of {len(self.items)} items"
        aim = "how many stars" if self.objective == RATING else "what to show first"
        lines = [f"{rows}: {parts_line(self.table)} (split: {self.way}); predicted is {aim}"]
        if not self.positive.all():
            lines.append(f"{int(self.positive.sum())} of them count as chosen")
        return described(lines, self)


def labelled_collab(
    data: Path | str | pd.DataFrame,
    options: CollabOptions,
    *,
    split: SplitOptions = USUAL_SPLIT,
    strict: bool = False,
) -> LabelledCollab:
    """Read and split a table of ratings or interactions; see `read_table` for what it may be and `split_interactions` for the
    split, whose way is `options.split`.

    Rows without a user, an item or a rating that can be used are set aside; with `strict` they are an error. Of rows of one user
    and item the latest stands. Raises `DataError` for what cannot be learnt from.
    """
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
    parts, seen = split_interactions(
        pd.factorize(table.user)[0],
        resolved.split,
        time=timed if resolved.time else None,
        tested=tested if len(tables) > 1 else None,
        split=split,
    )
    train = parts == "train"
    users, n_users, user_codes = _numbered(rows.users, table.user.to_numpy(), train=train)
    items, n_items, item_codes = _numbered(rows.items, table["item"].to_numpy(), train=train)
    low, high = _range(table.value.to_numpy()[train], resolved, source=source)
    titles, about_titles = titles_of(items, item_codes, cells=rows.cells, options=resolved, guessed=not options.title)
    values = table.value.to_numpy()
    labelled = LabelledCollab(
        table=_table(rows, parts, seen=seen, options=resolved),
        users=users,
        items=items,
        titles=titles,
        n_users=n_users,
        n_items=n_items,
        user_codes=user_codes,
        item_codes=item_codes,
        values=values.astype(np.float32),
        positive=_positive(values, train, options=resolved, source=source),
        objective=resolved.objective,
        rated=bool(resolved.rating),
        low=low,
        high=high,
        way=FILE if len(tables) > 1 else resolved.split,
        rejected=rows.rejected,
        notes=notes + rows.notes + about_titles,
    )
    labelled.notes += _cold(labelled)
    return labelled


def _numbered(texts: np.ndarray, codes: np.ndarray, *, train: np.ndarray) -> tuple[tuple[str, ...], int, np.ndarray]:
    """Ids in their natural order, those that training rows have first; how many these are; and each row's number."""
    there = np.unique(codes)
    numeric = all(NUMBER.fullmatch(text) for text in texts[there])
    natural = sorted(there.tolist(), key=(lambda code: (int(texts[code]), texts[code])) if numeric else texts.__getitem__)
    known = np.isin(natural, codes[train])
    order = np.concatenate([np.array(natural)[known], np.array(natural)[~known]])
    place = np.empty(len(texts), dtype=np.int64)
    place[order] = np.arange(len(order))
    return tuple(texts[order].tolist()), int(known.sum()), place[codes]


def _range(values: np.ndarray, options: CollabOptions, *, source: str) -> tuple[float | None, float | None]:
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


def _positive(values: np.ndarray, train: np.ndarray, *, options: CollabOptions, source: str) -> np.ndarray:
    """Which rows count as chosen."""
    positive = values >= options.liked_from if options.liked_from else np.ones(len(values), dtype=bool)
    if not positive[train].any():
        raise DataError(
            f"{source}: no rating that is trained on is {options.liked_from:g} or more (they go from {values.min():g} to "
            f"{values.max():g}): give a smaller liked_from"
        )
    return positive


def _table(rows: Rows, parts: np.ndarray, *, seen: np.ndarray, options: CollabOptions) -> pd.DataFrame:
    """What is kept of each row, for a reader."""
    table = rows.table
    user, item = table.user.to_numpy(), table["item"].to_numpy()
    total = pd.util.hash_array(rows.users)[user] * np.uint64(0x9E3779B97F4A7C15) + pd.util.hash_array(rows.items)[item]
    if options.rating:
        total = total * np.uint64(0x9E3779B97F4A7C15) + pd.util.hash_array(table.value.to_numpy())
    columns = {
        "path": table.path, "row": table.row, "user": rows.users[user], "item": rows.items[item],
        "label": rows.labels[table.label.to_numpy()], "split": parts, "given": seen, "time": table.time,
        "content": np.array([f"{value:016x}" for value in total.tolist()], dtype=object),
    }  # fmt: skip
    # texts as objects: the frame is made at once, and they are Python's when read
    columns = {name: pd.Series(column, dtype=object if column.dtype.kind == "O" else None) for name, column in columns.items()}
    return pd.DataFrame({name: column for name, column in columns.items() if name != "time" or options.time})


def _cold(labelled: LabelledCollab) -> list[str]:
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
