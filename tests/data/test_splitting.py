"""What belongs together stays on one side, and every class keeps its share."""

import numpy as np
import pandas as pd
import pytest

from toolkit.data.duplicates import exact_duplicates, near_duplicates
from toolkit.data.splitting import SplitOptions, split_items
from toolkit.errors import DataError


def table(labels, groups=None, split=None):
    count = len(labels)
    return pd.DataFrame({"label": labels, "group": groups or [None] * count, "split": split or [None] * count}, dtype=object)


def test_shares_are_kept_in_every_class():
    labels = ["a"] * 100 + ["b"] * 50 + ["c"] * 10
    counts = pd.crosstab(pd.Series(labels), split_items(table(labels)))
    assert counts.loc["a"].to_dict() == {"train": 70, "valid": 10, "test": 20}
    assert counts.loc["b"].to_dict() == {"train": 35, "valid": 5, "test": 10}
    assert counts.loc["c"].to_dict() == {"train": 7, "valid": 1, "test": 2}


def test_the_seed_alone_decides():
    items = table(["a", "b"] * 50)
    assert split_items(items, SplitOptions(seed=1)).equals(split_items(items, SplitOptions(seed=1)))
    assert not split_items(items, SplitOptions(seed=1)).equals(split_items(items, SplitOptions(seed=2)))


@pytest.mark.parametrize("seed", range(5))
def test_a_group_never_stands_on_two_sides(seed):
    rng = np.random.default_rng(seed)
    items = table(list(rng.choice(list("abc"), 300)), [f"g{number}" for number in rng.integers(0, 25, 300)])
    parts = split_items(items, SplitOptions(seed=seed))
    assert (parts.groupby(items.group).nunique() == 1).all()
    shares = parts.value_counts(normalize=True)
    assert shares["train"] == pytest.approx(0.7, abs=0.1)
    assert shares["test"] == pytest.approx(0.2, abs=0.1)


def test_chains_of_pairs_and_groups_are_one_unit():
    items = table(["a", "b"] * 30, [None] * 58 + ["g", "g"])
    parts = split_items(items, together=[np.array([[0, 10], [10, 20]]), np.array([[20, 59]])])
    assert parts[[0, 10, 20, 58, 59]].nunique() == 1


def test_rare_classes_are_learnt_first_and_tested_next():
    parts = split_items(table(["many"] * 40 + ["one"] + ["two"] * 2 + ["three"] * 3))
    assert parts[40] == "train"
    assert set(parts[41 : 42 + 1]) == {"train", "test"}
    assert set(parts[43:]) == {"train", "valid", "test"}


def test_given_parts_stand_and_the_missing_one_comes_out_of_train():
    items = table(["a", "b"] * 30, split=["train"] * 50 + ["test"] * 10)
    parts = split_items(items)
    assert (parts[50:] == "test").all()
    assert pd.crosstab(items.label[:50], parts[:50]).loc["a"].to_dict() == {"train": 23, "valid": 2}  # a tenth of 25
    assert pd.crosstab(items.label[:50], parts[:50]).loc["b"].to_dict() == {"train": 23, "valid": 2}


def test_a_group_across_given_parts_is_an_error():
    items = table(["a", "b"] * 4, ["p1"] * 8, ["train"] * 4 + ["test"] * 4)
    with pytest.raises(DataError, match="group 'p1' stands in test, train"):
        split_items(items)


def test_too_few_groups_or_items_are_an_error():
    with pytest.raises(DataError, match="2 groups are too few"):
        split_items(table(["a", "b"] * 10, ["x", "y"] * 10))
    with pytest.raises(DataError, match="2 items are too few"):
        split_items(table(["a", "b"]))


@pytest.mark.parametrize("shares", [(0, 0.2), (0.1, 1), (0.5, 0.5)])
def test_impossible_shares_are_an_error(shares):
    with pytest.raises(DataError, match="share|nothing to train"):
        SplitOptions(valid_pct=shares[0], test_pct=shares[1])


def test_exact_twins_pair_each_repetition_with_the_first():
    assert exact_duplicates(["x", "y", "x", "z", "x"]).tolist() == [[0, 2], [0, 4]]
    assert exact_duplicates(["x", "y"]).shape == (0, 2)


def test_near_twins_equal_comparing_every_pair():
    rng = np.random.default_rng(0)
    hashes = [int(value) for value in rng.integers(0, 2**63, 60)]
    hashes += [hashes[3] ^ 0b101, hashes[7] ^ (1 << 63), None, hashes[9] ^ 0b11111]
    wanted = {
        (i, j)
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if None not in (hashes[i], hashes[j]) and (hashes[i] ^ hashes[j]).bit_count() <= 4
    }
    assert {tuple(pair) for pair in near_duplicates(hashes, bits=4, chunk=7).tolist()} == wanted
    assert wanted >= {(3, 60), (7, 61)}


def test_rows_without_a_part_follow_their_group_into_the_one_that_is_given():
    groups = [f"g{row % 10}" for row in range(60)]
    items = table(["a", "b", "b"] * 20, groups, ["test"] * 3 + [None] * 57)
    parts = split_items(items)
    assert (parts.groupby(items.group).nunique() == 1).all()
    assert (parts[items.group.isin(["g0", "g1", "g2"])] == "test").all()


def test_rows_without_a_part_are_learnt_from_where_all_parts_are_given():
    parts = split_items(table(["a", "b"] * 8, split=["train"] * 4 + ["valid"] * 4 + ["test"] * 4 + [None] * 4))
    assert parts.tolist() == ["train"] * 4 + ["valid"] * 4 + ["test"] * 4 + ["train"] * 4


@pytest.mark.parametrize("groups", [3, 4, 5])
def test_three_groups_are_enough(groups):
    items = table(["a", "b"] * (groups * 5), [f"g{row // 2 % groups}" for row in range(groups * 10)])
    parts = split_items(items)
    assert set(parts) == {"train", "valid", "test"}
    assert (parts.groupby(items.group).nunique() == 1).all()
    assert set(items.label[parts == "train"]) == {"a", "b"}


def test_train_keeps_every_class_when_groups_hold_one_class_each():
    items = table(["a"] * 10 + ["b"] * 10, ["g1"] * 5 + ["g2"] * 5 + ["g3"] * 5 + ["g4"] * 5)
    parts = split_items(items)
    assert set(parts) == {"train", "valid", "test"}
    assert set(items.label[parts == "train"]) == {"a", "b"}
