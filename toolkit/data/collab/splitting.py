"""Train, valid and test for interactions of users with items: at random within users, by time, the last of each user, or whole
users.

Rows here belong to users: it matters whether a user who is tested was met in training, and what else is known of them then.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from toolkit.data.items import PARTS
from toolkit.data.splitting import USUAL_SPLIT, SplitOptions
from toolkit.data.tabular.splitting import split_rows
from toolkit.errors import DataError

WAYS = ("random", "time", "last", "user")
TIMED = ("time", "last")  # that need times
FILE = "file"  # the split where the test is a file of its own
FEWEST = {
    "random": "some users need two rows or more",
    "time": "more rows are needed",
    "last": "some users need three rows or more",
    "user": "three users are the least",
    FILE: "rows that stand in the test are not learnt from, and some users need two others or more",
}


def split_interactions(
    users: np.ndarray,
    way: str = "random",
    *,
    time: np.ndarray | None = None,
    tested: np.ndarray | None = None,
    split: SplitOptions = USUAL_SPLIT,
) -> tuple[np.ndarray, np.ndarray]:
    """Decide "train", "valid" or "test" for each row, and which rows of held-out parts are seen when the others are predicted.

    `users`, int64 (rows,), are the users' numbers from 0; `time`, float64 (rows,), orders rows, those of one time by their
    place. `split` has the shares and the seed. Returns the parts, object (rows,), and `seen`, bool (rows,).

    - "random": of each user's rows the shares, at random; where they are not whole, so that they are kept over all users. One
      row of each user at least is trained on.
    - "time": the latest rows of all are the test, those before them valid; rows of one time stay on one side.
    - "last": each user's latest row is the test, the one before it valid; of two rows one is trained on, a single one is too.
    - "user": the shares are of users. A random half of a held-out user's rows (of an odd number the smaller) is seen.

    Where `tested`, bool (rows,), says which rows are the test, valid is carved at random out of each user's others. Raises
    `DataError` where shares leave nothing, a part is empty, or rows that are ordered by time have none.
    """
    if way not in WAYS:
        raise DataError(f"split {way!r}; choose from {', '.join(WAYS)}")
    users = np.asarray(users, dtype=np.int64)
    rng = np.random.default_rng(split.seed)
    seen = np.zeros(len(users), dtype=bool)
    if tested is not None:
        parts = np.full(len(users), "test", dtype=object)
        parts[~tested] = _within_users(users[~tested], {"valid": split.valid_pct}, rng=rng)
    elif way == "random":
        parts = _within_users(users, {"test": split.test_pct, "valid": split.valid_pct}, rng=rng)
    elif way == "user":
        parts = _whole_users(users, split, rng=rng)
        place, counts = _places(users, rng.random(len(users)))
        seen = (parts != "train") & (place < counts[users] // 2)
    else:
        times = _checked(time, way)
        if way == "time":
            parts = split_rows(pd.Series(np.zeros(len(users))), False, split=split, time=pd.Series(times)).to_numpy()
        else:
            parts = _last(users, times)
    empty = [part for part in PARTS if not (parts == part).any()]
    if empty:
        count = f"{len(users)} rows of {len(np.unique(users))} users are too few"
        way = way if tested is None else FILE
        raise DataError(f"nothing is left for {' and '.join(empty)}: {count} for split {way!r}: {FEWEST[way]}")
    return parts, seen


def _places(users: np.ndarray, *order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The place of each row among those of its user, in the order of the keys (the last is the first to count), and how many rows
    each user has."""
    counts = np.bincount(users)
    place = np.empty(len(users), dtype=np.int64)
    place[np.lexsort((*order, users))] = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
    return place, counts


def _within_users(users: np.ndarray, shares: dict[str, float], *, rng: np.random.Generator) -> np.ndarray:
    """A part for each row: of each user's rows the shares, one at least for training."""
    place, counts = _places(users, rng.random(len(users)))
    parts, taken = np.full(len(users), "train", dtype=object), np.zeros_like(counts)
    for part, share in shares.items():
        # rounded along the users in random order: each gets the whole number below or above, all together their share
        order = rng.permutation(len(counts))
        sums = np.floor(np.cumsum(share * counts[order]) + rng.random())
        wanted = np.empty_like(counts)
        wanted[order] = np.diff(sums, prepend=0)
        stop = np.minimum(taken + wanted, np.maximum(counts - 1, taken))
        parts[(place >= taken[users]) & (place < stop[users])] = part
        taken = stop
        if not (parts == part).any():
            _fill(part, parts, users=users)
    return parts


def _fill(part: str, parts: np.ndarray, *, users: np.ndarray) -> None:
    """Where rows are so few that their share is less than one, give the part a row of the user who has most to train on."""
    train = np.flatnonzero(parts == "train")
    counts = np.bincount(users[train]) if len(train) else np.zeros(1)
    if counts.max() > 1:
        parts[train[users[train] == counts.argmax()][0]] = part


def _whole_users(users: np.ndarray, split: SplitOptions, *, rng: np.random.Generator) -> np.ndarray:
    """A part for each row, one for all of a user."""
    there = rng.permutation(np.unique(users))
    test, valid = (max(1, round(share * len(there))) for share in (split.test_pct, split.valid_pct))
    of_user = np.full(users.max(initial=0) + 1, "train", dtype=object)
    of_user[there[:test]] = "test"
    of_user[there[test : test + valid]] = "valid"
    return of_user[users]


def _last(users: np.ndarray, time: np.ndarray) -> np.ndarray:
    """A part for each row: each user's latest is the test, the one before it valid."""
    place, counts = _places(users, np.arange(len(users)), time)
    behind, many = counts[users] - 1 - place, counts[users]
    test, valid = (behind == 0) & (many > 1), (behind == 1) & (many > 2)
    return np.where(test, "test", np.where(valid, "valid", "train")).astype(object)


def _checked(time: np.ndarray | None, way: str) -> np.ndarray:
    """The times, each of them known."""
    if time is None:
        raise DataError(f"split {way!r} needs a time of each row: name its column with time")
    missing = int(np.isnan(time).sum())
    if missing:
        raise DataError(
            f"{missing} of {len(time)} rows have no time that can be read, so that split {way!r} cannot place them: fill in or "
            "remove them"
        )
    return time
