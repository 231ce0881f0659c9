"""A made table and programs that were trained on it: what the tests of programs of tables share, each trained once a session."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

TOWNS = ("Köln", "Århus", "York")
# each cell as training saw it
USUAL = {"age": 40, "weight": 70.5, "town": "York", "member": "yes", "joined": "2021-06-01"}


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


def exported(folder: Path, frame: pd.DataFrame, target: str, blend=False, epochs=1, **options) -> SimpleNamespace:
    """A learner of a CSV of `frame`, fitted for few epochs, and its program: `learn`, `path`, and `csv`."""
    from recipes.tabular import build_learner
    from toolkit.evaluation import evaluate
    from toolkit.export import export
    from toolkit.learning.fitting import fit
    from toolkit.learning.table_learner import blend_trees

    csv, path = folder / "people.csv", folder / "program.pyz"
    frame.to_csv(csv, index=False)
    learn = build_learner(csv, target, **options)
    fit(learn, epochs=epochs)
    scores = None
    if blend:
        blend_trees(learn)
        learn.trees.weight = 0.4  # chosen on 30 rows, it may be 0
        scores = evaluate(learn)
    export(learn, path, scores)
    return SimpleNamespace(learn=learn, path=path, csv=csv, scores=scores)


@pytest.fixture(scope="session")
def planner(tmp_path_factory) -> SimpleNamespace:
    """Which of three plans: network and trees, with scores."""
    return exported(tmp_path_factory.mktemp("plan"), made(), "plan", blend=True, epochs=3, leave_out="spent")


@pytest.fixture(scope="session")
def spender(tmp_path_factory) -> SimpleNamespace:
    """A number: network and trees."""
    return exported(tmp_path_factory.mktemp("spent"), made(), "spent", blend=True, epochs=2, leave_out="plan")
