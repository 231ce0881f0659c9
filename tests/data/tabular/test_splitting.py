"""Rows of a table are split at random by class, by group or by time, and never leak from one side to the other."""

import time as clock

import numpy as np
import pandas as pd
import pytest

from toolkit.data.splitting import SplitOptions
from toolkit.data.tabular.splitting import split_rows
from toolkit.errors import DataError


def labels(**counts):
    return pd.Series([name for name, count in counts.items() for _ in range(count)])


def test_every_class_keeps_its_share():
    label = labels(a=100, b=50, c=10)
    counts = pd.crosstab(label, split_rows(label, False))
    assert counts.loc["a"].to_dict() == {"train": 70, "valid": 10, "test": 20}
    assert counts.loc["b"].to_dict() == {"train": 35, "valid": 5, "test": 10}
    assert counts.loc["c"].to_dict() == {"train": 7, "valid": 1, "test": 2}


def test_rare_classes_are_learnt_first_and_tested_next():
    label = labels(many=40, one=1, two=2, three=3)
    parts = split_rows(label, False, split=SplitOptions(valid_pct=0.4, test_pct=0.5))
    assert set(parts[label == "one"]) == {"train"}
    assert sorted(parts[label == "two"]) == ["test", "train"]
    assert sorted(parts[label == "three"]) == ["test", "train", "valid"]


def test_the_seed_alone_decides():
    label = labels(a=100, b=100)
    assert split_rows(label, False, split=SplitOptions(seed=1)).equals(split_rows(label, False, split=SplitOptions(seed=1)))
    assert not split_rows(label, False, split=SplitOptions(seed=1)).equals(split_rows(label, False, split=SplitOptions(seed=2)))


def test_numbers_are_split_so_that_each_tenth_of_them_keeps_its_share():
    values = pd.Series(np.random.default_rng(0).lognormal(0, 2, 1000))
    parts = split_rows(values.astype(str), True)
    tenth = pd.qcut(values, 10, labels=False)
    counts = pd.crosstab(tenth, parts)
    assert (counts == [20, 70, 10]).all(axis=None)


def test_equal_or_few_numbers_are_split_too():
    assert split_rows(pd.Series(["0"] * 100), True).value_counts().to_dict() == {"train": 70, "test": 20, "valid": 10}
    assert set(split_rows(pd.Series([1.0, 2.0, 3.0, 4.0]), True)) == {"train", "valid", "test"}


@pytest.mark.parametrize("regression", [False, True])
def test_given_parts_stand_and_a_missing_one_comes_out_of_the_rest(regression):
    label = pd.Series(np.arange(100) % 5)
    given = pd.Series([None] * 80 + ["test"] * 20)
    parts = split_rows(label, regression, given=given)
    assert (parts[80:] == "test").all()
    expected = {"train": 72, "valid": 8} if regression else {"train": 70, "valid": 10}
    assert parts[:80].value_counts().to_dict() == expected
    whole = pd.Series(["train"] * 60 + ["valid"] * 20 + ["test"] * 20)
    assert split_rows(label, regression, given=whole).equals(whole.astype(object))


def test_a_group_stays_on_one_side_and_rows_without_one_stand_alone():
    rng = np.random.default_rng(0)
    label = pd.Series(rng.choice(["a", "b"], 400))
    group = pd.Series([f"g{number}" for number in rng.integers(0, 40, 400)], dtype=object)
    group[:50] = None
    parts = split_rows(label, False, group=group)
    assert (parts.groupby(group).nunique() == 1).all()
    assert parts[:50].nunique() > 1
    assert parts.value_counts(normalize=True)["test"] == pytest.approx(0.2, abs=0.05)
    values = split_rows(pd.Series(rng.normal(size=400)), True, group=group)
    assert (values.groupby(group).nunique() == 1).all()


def test_by_time_the_latest_rows_are_the_test_and_those_before_them_valid():
    rng = np.random.default_rng(0)
    days = pd.Series(rng.permutation(np.repeat(np.arange(50), 10)))
    for time in (days, pd.Timestamp("2024-01-01") + pd.to_timedelta(days, unit="D")):
        parts = split_rows(labels(a=250, b=250), False, time=time)
        assert days[parts == "train"].max() < days[parts == "valid"].min()
        assert days[parts == "valid"].max() < days[parts == "test"].min()
        assert parts.value_counts().to_dict() == {"train": 350, "test": 100, "valid": 50}


def test_rows_of_one_time_are_on_one_side_however_many_they_are():
    time = pd.Series([2020] * 10 + [2021] * 60 + [2022] * 30)
    parts = split_rows(labels(a=50, b=50), False, time=time)
    assert parts.groupby(time).unique().map(list).tolist() == [["train"], ["valid"], ["test"]]


def test_by_time_with_a_given_test_only_valid_is_carved_out():
    given = pd.Series([None] * 90 + ["test"] * 10)
    parts = split_rows(labels(a=50, b=50), False, given=given, time=pd.Series(range(100)))
    assert parts.tolist() == ["train"] * 81 + ["valid"] * 9 + ["test"] * 10


def test_the_index_of_the_rows_is_kept():
    label = pd.Series(["a", "b"] * 20, index=range(100, 140))
    for more in ({}, {"group": pd.Series(range(40), index=label.index)}, {"time": pd.Series(range(40), index=label.index)}):
        assert split_rows(label, False, **more).index.equals(label.index)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"valid_pct": 0.0}, "valid_pct 0.0: expected a share"),
        ({"test_pct": 1.5}, "test_pct 1.5: expected a share"),
        ({"valid_pct": 0.5, "test_pct": 0.5}, "leave nothing to train on"),
        ({"given": pd.Series(["practice"] * 10)}, "part 'practice' is none of train, valid, test"),
        ({"given": pd.Series(["test"] * 10)}, "nothing is left for train and valid: 10 rows"),
        ({"group": pd.Series(["g"] * 10)}, "groups are too few"),
        ({"time": pd.Series([1.0] * 10)}, "all rows have one time"),
        ({"time": pd.Series([1.0, 2.0] * 5)}, "2 different times, too few to split by: at least 3"),
        ({"time": pd.Series([1.0, np.nan] * 5)}, "5 of 10 rows have no time"),
        ({"time": pd.Series(range(10)), "group": pd.Series(range(10))}, "choose one of the two"),
    ],
)
def test_what_cannot_be_split_is_said(options, said):
    shares = {name: options[name] for name in options if name.endswith("_pct")}
    rest = {name: value for name, value in options.items() if name not in shares}
    with pytest.raises(DataError, match=said):
        split_rows(labels(a=5, b=5), False, split=SplitOptions(**shares), **rest)


def test_too_few_rows_are_said_and_few_fill_every_part():
    with pytest.raises(DataError, match="nothing is left for valid: 2 rows are too few"):
        split_rows(labels(a=2), False)
    assert set(split_rows(labels(a=2, b=2, c=2), False)) == {"train", "valid", "test"}


def test_a_million_rows_take_a_moment():
    label = pd.Series(np.random.default_rng(0).integers(0, 5, 1_000_000))
    start = clock.process_time()
    split_rows(label, False)
    assert clock.process_time() - start < 5
