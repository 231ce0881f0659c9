"""Tables of ratings, however they are written, become rows that can be learnt from, and what cannot be used is told."""

from datetime import date
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from helpers.collab_tables import labelled, ratings, told, written

from toolkit.errors import DataError

COLUMNS = ["user", "item", "rating", "time"]


def test_every_row_has_its_user_its_item_its_rating_and_its_part():
    frame = ratings()
    found = labelled(frame)
    table = found.table
    assert table.columns.tolist() == ["path", "row", "user", "item", "label", "split", "given", "time", "content"]
    assert table.row.tolist() == list(range(1, 301))
    assert table.user.tolist() == frame.user.astype(str).tolist()
    assert [found.items[code] for code in found.item_codes] == table["item"].tolist() == frame["item"].astype(str).tolist()
    assert [found.users[code] for code in found.user_codes] == table.user.tolist()
    assert found.values.tolist() == frame.rating.tolist()
    assert table.label.tolist() == frame.rating.astype(str).tolist()
    assert table.time.tolist() == frame.time.tolist()
    assert table.content.nunique() == 300
    assert (found.values.dtype, found.user_codes.dtype, found.positive.dtype) == (np.float32, np.int64, bool)
    assert (found.objective, found.rated, found.low, found.high, found.way) == ("rating", True, 1.0, 5.0, "random")
    assert sorted(np.concatenate([found.rows_of(part) for part in ("train", "valid", "test")])) == list(range(300))
    assert found.describe().startswith("300 ratings from 1 to 5 by 30 users of 25 items: 210 train, 30 valid, 60 test")


def test_pairs_alone_are_choices_to_rank():
    found = labelled(ratings()[["user", "item"]])
    assert (found.objective, found.rated, found.low, found.high) == ("ranking", False, None, None)
    assert set(found.values) == {1.0}
    assert found.positive.all()
    assert set(found.table.label) == {""}
    assert "time" not in found.table
    ignored = labelled(ratings(), rating="none")
    assert (ignored.objective, ignored.rated) == ("ranking", False)
    assert labelled(ratings(), objective="ranking").rated


def test_the_same_rows_are_the_same_however_they_are_kept(tmp_path):
    frame = ratings()
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.astype({"user": float}).to_csv(tmp_path / "floats.csv", index=False, sep=";")
    frame.to_parquet(tmp_path / "a.parquet")
    frame.to_excel(tmp_path / "a.xlsx", index=False)
    expected = labelled(frame)
    mixed = frame.astype(object)
    mixed.loc[:100, "user"] = mixed.user[:101].astype(str)
    mixed.loc[101:150, "user"] = mixed.user[101:151].astype(float)
    others = [
        *(tmp_path / name for name in ("a.csv", "floats.csv", "a.parquet", "a.xlsx")),
        mixed,
        frame.astype({"user": float, "rating": "float32"}),
        frame.astype({"user": "category", "item": "category", "rating": "category"}),
        frame.convert_dtypes(),
        frame.astype("string"),
        frame.assign(rating=[Decimal(int(rating)) for rating in frame.rating]),
        frame.set_index(["user", "item"]),
        frame.set_axis(range(4), axis=1),
    ]
    for data in others:
        found = labelled(data)
        assert found.users == expected.users
        assert found.table[["user", "item", "split", "content"]].equals(expected.table[["user", "item", "split", "content"]])


def test_ids_keep_their_natural_order_and_those_without_training_rows_come_last():
    found = labelled(ratings(users=120, rows=600))
    assert list(found.users[: found.n_users]) == sorted(found.users[: found.n_users], key=int)
    assert labelled(ratings().assign(user=[f"u{user}" for user in ratings().user])).users[:3] == ("u0", "u1", "u10")
    held = labelled(ratings(), split="user")
    train = held.rows_of("train")
    assert set(held.user_codes[train]) == set(range(held.n_users))
    assert set(held.item_codes[train]) == set(range(held.n_items))
    assert len(held.users) == 30 > held.n_users
    (note,) = told(held, "have no training row")
    assert note == "9 of 30 users have no training row, 6 of them in the test"


def test_items_that_training_does_not_meet_stay_behind_the_others():
    frame = ratings()
    test = frame[200:].astype({"item": object})
    test.loc[:209, "item"] = "new"
    test = test.drop_duplicates(["user", "item"])
    found = labelled(frame[:200], test=test)
    assert found.items[-1] == "new"
    assert found.n_items == len(found.items) - 1
    assert "1 of 26 items stand in no training row" in told(found, "no training row")[0]


def test_what_is_known_when_rows_are_asked():
    frame = ratings().assign(rating=lambda frame: frame.rating - 1)  # a rating of 0 is one
    found = labelled(frame, liked_from=3)
    train, valid = found.rows_of("train"), found.rows_of("valid")
    assert found.seen("train").shape == (len(found.users), len(found.items))
    assert found.seen("train").nnz == found.seen("valid").nnz == len(train)
    assert found.seen("test").nnz == len(train) + len(valid)
    row = train[0]
    assert found.seen("test").toarray()[found.user_codes[row], found.item_codes[row]] == found.values[row]
    liked = found.seen("test", positive=True)
    assert set(liked.data) == {1.0}
    assert liked.nnz == found.positive[np.concatenate([train, valid])].sum()
    assert (found.positive == (found.values >= 3)).all()


def test_a_person_who_is_held_out_is_known_by_half_of_their_rows():
    found = labelled(ratings(), split="user")
    for part in ("valid", "test"):
        rows, asked = found.rows_of(part), found.held_out(part)
        given = np.setdiff1d(rows, asked)
        assert 0 < len(given) <= len(asked) < len(rows)
        known = found.seen(part).toarray()
        assert (known[found.user_codes[given], found.item_codes[given]] == found.values[given]).all()
        assert (known[found.user_codes[asked], found.item_codes[asked]] == 0).all()
        assert set(found.user_codes[given]) <= set(range(found.n_users, len(found.users)))
    assert not found.table.given[found.rows_of("train")].any()


def test_of_a_pair_that_is_repeated_the_latest_stands_and_the_others_are_counted():
    frame = ratings()
    older = frame.assign(rating=6 - frame.rating, time=5)
    found = labelled(pd.concat([frame, older]))
    assert len(found.table) == 300
    assert found.values.tolist() == frame.rating.tolist()
    differ = int((frame.rating != 3).sum())
    assert told(found, f"300 rows repeat a pair of user and item ({differ} pairs with different ratings): the latest by 'time'")
    last = labelled(pd.concat([frame, older])[COLUMNS[:3]])
    assert last.table.row.tolist() == list(range(301, 601))
    assert told(last, "the last in the file stands")
    once = labelled(pd.concat([frame, frame])[COLUMNS[:2]])
    assert len(once.table) == 300
    assert told(once, "each pair counts once")


def test_pairs_of_a_test_of_its_own_leave_training(tmp_path):
    frame = ratings()
    frame[:200].to_csv(tmp_path / "base.csv", index=False)
    frame[150:].rename(columns=str.upper).to_csv(tmp_path / "test.csv", index=False)
    found = labelled(tmp_path / "base.csv", test=tmp_path / "test.csv")
    assert found.way == "file"
    assert [len(found.rows_of(part)) for part in ("train", "valid", "test")] == [135, 15, 150]
    assert set(found.table.path[found.rows_of("test")]) == {str(tmp_path / "test.csv")}
    assert told(found, "50 rows of pairs that stand in the test, too, are not learnt from")
    untimed = labelled(frame[:200], test=frame[200:].drop(columns="time"))
    assert untimed.table.time.isna().sum() == 100


def test_rows_that_cannot_be_used_are_set_aside_each_with_its_reason(tmp_path):
    frame = ratings().astype(object)
    odd = [("user", None), ("user", " "), ("item", float("nan")), ("item", "NA"), ("rating", None), ("rating", "five")]
    odd += [("rating", float("inf")), ("rating", 9), ("rating", 2e9)]
    for row, (column, cell) in enumerate(odd):
        frame.loc[row, column] = cell
    reasons = ["no user in column 'user'"] * 2 + ["no item in column 'item'"] * 2 + ["no rating in column 'rating'"]
    reasons += ["rating 'five' is no number", "rating inf is no finite number", "rating 9 is outside 1 to 5"]
    reasons += ["rating 2e+09 is larger than 1e+06 (is it a time?)"]
    found = labelled(frame, rating_range="1,5")
    assert found.rejected == [(f"row {row}", reason) for row, reason in enumerate(reasons, start=1)]
    assert len(found.table) == 291
    assert "set aside 9: " in found.describe()
    frame.to_csv(tmp_path / "odd.csv", index=False)
    path = str(tmp_path / "odd.csv")
    assert [where for where, _ in labelled(path, rating_range=(1, 5)).rejected] == [f"{path} row {row}" for row in range(1, 10)]
    with pytest.raises(DataError, match="strict: set aside 9: row 1: no user"):
        labelled(frame, rating_range="1,5", strict=True)


def test_a_header_in_the_middle_and_ragged_rows_are_set_aside(tmp_path):
    lines = ratings()[["user", "item"]].to_csv(index=False).splitlines()
    path = written(tmp_path, "\n".join([*lines[:100], "user,item", "7", *lines[100:]]))
    found = labelled(path)
    assert {reason for _, reason in found.rejected} == {"repeats the names of the columns", "1 cell where the header has 2"}
    assert len(found.table) == 300


@pytest.mark.parametrize(
    "when",
    [
        lambda time: pd.to_datetime(time, unit="s"),
        lambda time: pd.to_datetime(time, unit="s", utc=True),
        lambda time: pd.to_datetime(time, unit="s").dt.strftime("%Y-%m-%dT%H:%M:%SZ"),
        lambda time: pd.to_datetime(time, unit="s").astype(str),
        lambda time: pd.to_datetime(time, unit="s").dt.strftime("%d.%m.%Y %H:%M:%S"),
        lambda time: pd.to_datetime(time, unit="s").astype(object),
        lambda time: time.astype(str),
        lambda time: time.astype(float),
    ],
)
@pytest.mark.parametrize("split", ["time", "last"])
def test_times_are_read_however_they_are_written(when, split):
    frame = ratings()
    expected, found = labelled(frame, split=split), labelled(frame.assign(time=when(frame.time)), split=split)
    assert found.table.time.tolist() == frame.time.tolist()
    assert found.table.split.equals(expected.table.split)


def test_times_that_cannot_be_read():
    frame = ratings()
    some = frame.assign(time=pd.to_datetime(frame.time, unit="s").where(frame.index > 2))
    assert told(labelled(some), "3 of 300 rows have no time that can be read in column 'time'")
    with pytest.raises(DataError, match="3 of 300 rows have no time .* split 'last' cannot place them"):
        labelled(some, split="last")
    words = frame.assign(time="soon")
    assert "not learnt from: 'time'" in labelled(words).notes
    for options in ({"split": "time"}, {"time": "time"}):
        with pytest.raises(DataError, match="time 'time': 'soon' is neither a number nor a date"):
            labelled(words, **options)
    with pytest.raises(DataError, match="split 'time' needs a time of each row"):
        labelled(frame.drop(columns="time"), split="time")
    assert labelled(frame.assign(time=date(2024, 1, 2))).table.time[0] == 1704153600.0


def test_numbers_of_stars_are_read_as_people_write_them():
    frame = ratings()
    comma = labelled(frame.assign(rating=[f"{rating - 0.5:.1f}".replace(".", ",") for rating in frame.rating]))
    assert (comma.low, comma.high) == (0.5, 4.5)
    assert comma.table.label[0] == f"{frame.rating[0] - 0.5:.1f}".replace(".", ",")
    for liked in (frame.rating > 3, (frame.rating > 3).astype(str)):
        assert (labelled(frame.assign(rating=liked)).values == (frame.rating > 3)).all()
    none = labelled(frame.assign(rating=frame.rating.where(frame.index % 3 > 0, -1)))
    assert told(none, "100 of 300 ratings are -1, all others from 1 to 5: if it means that there is none, set it aside with")
    given = labelled(frame, rating_range="0,10")
    assert (given.low, given.high) == (0.0, 10.0)
    train = labelled(frame[frame.rating < 5], test=frame[frame.rating == 5])
    assert (train.low, train.high) == (1.0, 4.0)


def test_a_million_rows_and_a_million_items_are_read_as_arrays():
    rng = np.random.default_rng(0)
    count = 1_000_000
    frame = pd.DataFrame({"user": rng.integers(0, 100_000, count), "item": rng.permutation(count)})
    found = labelled(frame)
    assert (len(found.table), len(found.items)) == (count, count)
    assert found.seen("test").shape == (len(found.users), count)
    assert found.seen("test").nnz == count - len(found.rows_of("test"))
