"""Ratings are split within users, by time, by the last of each user, or by whole users, and nobody's taste is asked untrained by
accident."""

import numpy as np
import pytest

from toolkit.data.collab.splitting import split_interactions
from toolkit.data.splitting import SplitOptions
from toolkit.errors import DataError


def people(*counts):
    return np.repeat(np.arange(len(counts)), counts)


def share(parts, part):
    return (parts == part).mean()


def counted(users, parts, part):
    return np.bincount(users[parts == part], minlength=users.max() + 1)


def test_at_random_each_user_keeps_the_shares():
    users = people(10, 20, 50, 100)
    parts, given = split_interactions(users)
    assert counted(users, parts, "test").tolist() == [2, 4, 10, 20]
    assert counted(users, parts, "valid").tolist() == [1, 2, 5, 10]
    assert not given.any()


def test_users_of_few_rows_are_tested_in_their_share_and_always_trained_on():
    users = np.random.default_rng(0).permutation(people(*[1] * 300, *[2] * 300, *[4] * 300))
    parts, _ = split_interactions(users)
    assert (counted(users, parts, "train") >= 1).all()
    assert set(parts[np.isin(users, np.arange(300))]) == {"train"}
    fours = parts[users >= 600]
    assert share(fours, "test") == pytest.approx(0.2, abs=0.02)
    assert share(fours, "valid") == pytest.approx(0.1, abs=0.02)
    assert counted(users, parts, "test")[600:].max() == 1


def test_a_few_rows_fill_every_part():
    parts, _ = split_interactions(people(2, 3, 1))
    assert set(parts) == {"train", "valid", "test"}


@pytest.mark.parametrize("way", ["random", "user"])
def test_the_seed_alone_decides(way):
    users = people(*[10] * 30)
    first, again, other = (split_interactions(users, way, split=SplitOptions(seed=seed)) for seed in (1, 1, 2))
    assert (first[0] == again[0]).all()
    assert (first[1] == again[1]).all()
    assert (first[0] != other[0]).any()


def test_by_time_the_latest_rows_of_all_are_the_test():
    rng = np.random.default_rng(0)
    users, time = rng.integers(0, 20, 1000), rng.permutation(1000).astype(float)
    parts, given = split_interactions(users, "time", time=time)
    assert time[parts == "train"].max() < time[parts == "valid"].min()
    assert time[parts == "valid"].max() < time[parts == "test"].min()
    assert [int((parts == part).sum()) for part in ("train", "valid", "test")] == [700, 100, 200]
    assert not given.any()


def test_the_last_of_each_user_is_the_test_and_the_one_before_it_valid():
    users = np.array([0, 0, 0, 0, 1, 1, 2])
    time = np.array([3.0, 9.0, 1.0, 4.0, 8.0, 2.0, 7.0])
    parts, _ = split_interactions(users, "last", time=time)
    assert parts.tolist() == ["train", "test", "train", "valid", "test", "train", "train"]


def test_of_rows_of_one_time_the_last_in_the_file_is_the_latest():
    parts, _ = split_interactions(np.array([0, 1, 0, 1, 0, 1]), "last", time=np.zeros(6))
    assert parts.tolist() == ["train", "train", "valid", "valid", "test", "test"]


def test_by_user_whole_people_are_held_out_and_half_of_their_rows_are_given():
    counts = [1, 2, 3, 10, 11] * 20
    users = np.random.default_rng(0).permutation(people(*counts))
    parts, given = split_interactions(users, "user")
    sides = {user: set(parts[users == user]) for user in range(100)}
    assert all(len(side) == 1 for side in sides.values())
    assert [sum(side == {part} for side in sides.values()) for part in ("train", "valid", "test")] == [70, 10, 20]
    assert not given[parts == "train"].any()
    for user in np.unique(users[parts != "train"]):
        assert given[users == user].sum() == counts[user] // 2


def test_the_rows_of_a_given_test_stand_and_valid_comes_out_of_the_others():
    users = np.tile(np.arange(10), 30)
    tested = np.arange(300) >= 200
    parts, given = split_interactions(users, tested=tested)
    assert ((parts == "test") == tested).all()
    assert counted(users, parts, "valid").tolist() == [2] * 10
    assert not given.any()


def test_users_whose_rows_are_all_tested_leave_the_others_in_peace():
    users = np.concatenate([np.full(10, 7), people(*[20] * 5)])
    parts, _ = split_interactions(users, tested=users == 7)
    assert set(parts[users == 7]) == {"test"}
    assert (counted(users, parts, "valid")[:5] == 2).all()


@pytest.mark.parametrize(
    ("users", "options", "said"),
    [
        (people(5, 5), {"way": "group"}, "split 'group'; choose from random, time, last, user"),
        (people(5, 5), {"way": "last"}, "needs a time of each row: name its column with time"),
        (people(5, 5), {"way": "time", "time": np.full(10, np.nan)}, "10 of 10 rows have no time that can be read"),
        (people(5, 5), {"way": "time", "time": np.ones(10)}, "all rows have one time"),
        (people(1, 1, 1, 1), {}, "nothing is left for valid and test: 4 rows of 4 users .* need two rows or more"),
        (people(2, 2), {"way": "last", "time": np.arange(4.0)}, "nothing is left for valid: .* need three rows or more"),
        (people(5, 5), {"way": "user"}, "nothing is left for train: .* three users are the least"),
        (people(5, 5), {"tested": np.ones(10, bool)}, "nothing is left for train and valid: .* stand in the test are not learnt"),
    ],
)
def test_what_cannot_be_split_is_said(users, options, said):
    with pytest.raises(DataError, match=said):
        split_interactions(users, **options)


@pytest.mark.parametrize("way", ["random", "time", "last", "user"])
def test_a_million_rows_are_split_at_once(way):
    rng = np.random.default_rng(0)
    users, time = rng.integers(0, 100_000, 1_000_000), rng.random(1_000_000)
    parts, _ = split_interactions(users, way, time=time)
    wanted = 0.1 if way == "last" else 0.2
    assert share(parts, "test") == pytest.approx(wanted, abs=0.01)
