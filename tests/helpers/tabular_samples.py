"""A made table of every kind of column, and a way to a program that was trained on it, for the tests."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from recipes.tabular import build_learner
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.tabular.learner import blend_trees

TOWNS = ("Köln", "Århus", "York")
USUAL = {"age": 40, "weight": 70.5, "town": "York", "member": "yes", "joined": "2021-06-01"}  # nothing in it is odd


def made(count=300, seed=0) -> pd.DataFrame:
    """Rows of numbers, categories, yes and no, and a date, some missing; `plan` (three classes) and `spent` follow from them."""
    rng = np.random.default_rng(seed)
    age, town = rng.integers(18, 80, count), rng.choice(TOWNS, count)
    member, weight = rng.choice(["yes", "no"], count), rng.normal(70, 10, count).round(1)
    score = (age - 45) / 10 + 2 * (town == "York") + (member == "yes") + rng.normal(0, 0.5, count)
    return pd.DataFrame(
        {
            "age": age,
            "weight": np.where(rng.random(count) < 0.1, np.nan, weight),
            "town": np.where(rng.random(count) < 0.1, None, town),
            "member": member,
            "joined": (pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, count), "D")).strftime("%Y-%m-%d"),
            "plan": np.select([score > 2, score > -1], ["top", "plus"], "basic"),
            "spent": (3 * age + 40 * (town == "York") + rng.normal(0, 5, count)).round(2),
        }
    )


def exported(folder: Path, frame: pd.DataFrame, *, target: str, share: float = 0.4, **options) -> SimpleNamespace:
    """A `learn` that has seen the `csv` of a frame for two epochs, and the `path` of its program: a `share` of it is trees."""
    csv, path = folder / "people.csv", folder / "program.pyz"
    frame.to_csv(csv, index=False)
    learn = build_learner(csv, target, **options)
    fit(learn, epochs=2)
    if share:
        blend_trees(learn)
        learn.trees.weight = share
    export(learn, path)
    return SimpleNamespace(learn=learn, csv=csv, path=path)
