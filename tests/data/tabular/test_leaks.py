"""Columns that give the target away and test rows that were learnt from are told; honest tables are left in peace."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_breast_cancer, load_iris

from toolkit.data.tabular.leaks import leak_notes
from toolkit.data.tabular.options import ColumnOverrides, TableOptions
from toolkit.data.tabular.prepare import labelled_tabular


def notes_of(frame, target="y", **options):
    return leak_notes(labelled_tabular(frame, TableOptions(target, **options)))


def honest(rows=600, classes=2):
    """A table whose columns say something, but not all, about its target."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, classes, rows)
    return pd.DataFrame(
        {
            "size": y + rng.normal(size=rows),
            "count": rng.integers(0, 90, rows),
            "colour": np.where(rng.random(rows) < 0.7, y, rng.integers(0, classes, rows)).astype(str) + "x",
            "always": 1.0,
            "y": y,
        }
    )


@pytest.mark.parametrize("classes", [2, 4])
def test_honest_columns_are_not_told_of(classes):
    frame = honest(classes=classes)
    assert notes_of(frame.assign(y=frame.y.map("class {}".format))) == []
    assert notes_of(frame.assign(y=frame.y + np.random.default_rng(1).normal(0, 0.3, len(frame))), task="regression") == []


@pytest.mark.parametrize("load", [load_breast_cancer, load_iris])
def test_strong_but_honest_measures_are_not_told_of(load):
    frame = load(as_frame=True).frame
    assert not [note for note in notes_of(frame, "target") if "alone" in note]


@pytest.mark.parametrize("classes", [2, 4, 40])
@pytest.mark.parametrize(
    ("name", "leak"),
    [
        ("a number", lambda y, noise: 3.0 - y + 0.01 * noise),
        ("codes", lambda y, noise: np.char.add("colour ", (y % 40).astype(str))),
        ("filled in afterwards", lambda y, noise: np.where(y == 0, np.nan, y * 10 + noise / 10)),
        ("day", lambda y, noise: pd.Timestamp("2024-01-01") + pd.to_timedelta(400 * y + np.round(5 * noise), unit="D")),
    ],
)
def test_a_column_that_alone_predicts_the_class_is_named_with_the_option_that_leaves_it_out(name, leak, classes):
    frame = honest(400 * classes, classes)
    noise = np.random.default_rng(1).normal(size=len(frame))
    frame[name] = leak(frame.y.to_numpy(), noise)
    (note,) = notes_of(frame.assign(y=frame.y.map("class {}".format)))
    quoted = f"'{name}'" if " " in name else name
    assert note.startswith(f"column {name!r} alone predicts 'y' almost perfectly (ROC AUC ")
    assert note.endswith(f"If not: --leave-out {quoted}")


@pytest.mark.parametrize("leak", [lambda y: y / 12 + 100, lambda y: y**2, lambda y: (y > y.median()) - 1 / y])
def test_a_column_that_alone_predicts_the_value_is_named(leak):
    frame = honest()
    frame["y"] = np.random.default_rng(1).lognormal(3, 0.5, len(frame))
    frame["derived"] = leak(frame.y)
    (note,) = notes_of(frame)
    assert note.startswith("column 'derived' alone predicts 'y' almost perfectly (R² of ranks 1.000)")


def test_a_leak_of_a_rare_class_is_found_too():
    frame = honest(10_000)
    rng = np.random.default_rng(1)
    frame["y"] = np.where(rng.random(len(frame)) < 0.002, "ill", "well")
    assert notes_of(frame) == []
    frame["treated"] = np.where(frame.y == "ill", "yes", np.where(rng.random(len(frame)) < 0.001, "yes", "no"))
    (note,) = notes_of(frame)
    assert "column 'treated'" in note


def test_a_handful_of_rows_is_not_judged():
    frame = pd.DataFrame({"x": np.arange(20.0), "y": ["a"] * 10 + ["b"] * 10})
    assert notes_of(frame) == []


def test_test_rows_that_stand_in_training_are_counted_and_so_are_contrary_ones():
    rng = np.random.default_rng(0)
    train = pd.DataFrame({"a": rng.normal(size=100), "b": rng.choice(["p", "q"], 100), "y": rng.choice(["u", "v"], 100)})
    test = pd.DataFrame({"a": rng.normal(size=40), "b": "p", "y": rng.choice(["u", "v"], 40)})
    assert notes_of(train, test=test) == []
    test.loc[:9] = train.loc[:9].to_numpy()
    assert notes_of(train, test=test) == [
        "10 of 40 test rows equal a training or validation row in every column that is learnt from: the score is not wholly one "
        "on unseen rows"
    ]
    test.loc[:2, "y"] = train.y[:3].map({"u": "v", "v": "u"})
    (note,) = notes_of(train, test=test)
    assert "10 of 40 test rows equal" in note
    assert "; 3 of them carry another 'y': " in note


def test_repeated_rows_are_found_under_different_identifiers():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": [f"n{number}" for number in range(80)], "a": rng.normal(size=80), "y": ["u", "v"] * 40})
    test = frame[:1].assign(id="n99", y="v")
    (note,) = notes_of(frame, test=test)
    assert note.startswith("1 of 1 test row equals a training or validation row in every column that is learnt from; it carries ")


def test_what_all_rows_of_a_group_share_is_no_leak_where_groups_stay_together():
    rng = np.random.default_rng(0)
    person = rng.integers(0, 60, 1500)
    height, score = rng.normal(size=60)[person], rng.normal(size=60)[person]
    frame = pd.DataFrame({"person": [f"p{number}" for number in person], "height": height, "y": score})
    assert not [note for note in notes_of(frame, group_by="person") if "alone" in note]


def test_a_leak_of_a_class_of_one_in_six_thousand_is_found():
    rng = np.random.default_rng(0)
    fraud = np.arange(60_000) % 6000 == 0
    frame = pd.DataFrame({"a": rng.normal(size=60_000), "flag": fraud * 3 + rng.normal(size=60_000) / 10})
    (note,) = notes_of(frame.assign(y=np.where(fraud, "fraud", "fine")))
    assert "column 'flag'" in note


def test_a_category_of_many_values_that_gives_a_number_away_is_found():
    rng = np.random.default_rng(0)
    shop = rng.integers(0, 1200, 30_000)
    frame = pd.DataFrame({"a": rng.normal(size=30_000), "shop": [f"s{number}" for number in shop]})
    notes = notes_of(frame.assign(y=rng.normal(size=1200)[shop]), overrides=ColumnOverrides(categories=("shop",)))
    assert [note for note in notes if "column 'shop'" in note]
