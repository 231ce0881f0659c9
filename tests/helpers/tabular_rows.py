"""Small made tables, labelled and split, and a learner of them without training: what tests of scores and importance share."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from toolkit.data.tabular.options import as_table_options
from toolkit.data.tabular.prepare import labelled_tabular


def people(count=400, seed=0):
    """Rows of which income is made by age and job alone: `noise` says nothing."""
    rng = np.random.default_rng(seed)
    age = rng.integers(20, 70, count)
    job = rng.choice(["clerk", "farmer", "teacher"], count)
    score = (age - 45) / 10 + 1.5 * (job == "teacher") + rng.normal(size=count) / 2
    frame = {
        "age": age,
        "noise": rng.normal(size=count).round(4),
        "job": job,
        "sex": rng.choice(["F", "M"], count),
        "town": rng.choice(["A", "B", "C"], count, p=[0.9, 0.08, 0.02]),
        "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 1500, count), unit="D"),
        "income": np.where(score > 1, "high", "low"),
        "level": np.select([score > 1.5, score > -1], ["high", "middle"], "low"),
        "euros": (20_000 + 8000 * score).round(2),
    }
    table = pd.DataFrame(frame)
    table.loc[rng.random(count) < 0.1, "age"] = np.nan
    return table


TARGETS = ("income", "level", "euros")


def labelled_people(target="income", by=(), *, count=400, seed=0):
    """`people` as a `LabelledTabular`: half train, 40 % test."""
    frame = people(count, seed).assign(split=np.resize(np.repeat(["train", "test", "valid"], [5, 4, 1]), count))
    others = [name for name in TARGETS if name != target]
    return labelled_tabular(frame, as_table_options(target, leave_out=others, by=by))


class Knowing(torch.nn.Module):
    """Scores by age and job, as the table was made, or with `weights` that say otherwise."""

    def __init__(self, labelled, weights=(1.0, 1.0)):
        super().__init__()
        self.labelled = labelled
        self.weights = torch.nn.Parameter(torch.tensor(weights))

    def forward(self, codes, numbers):
        tabular_input = self.labelled.tabular_input
        teacher = tabular_input.categories[0].values.index("teacher") + 2
        ages = numbers[:, tabular_input.places("age")[1][0]] * tabular_input.columns[0].std + tabular_input.columns[0].mean
        score = self.weights[0] * (ages - 45) / 10 + 1.5 * self.weights[1] * (codes[:, 0] == teacher)
        if self.labelled.regression:
            return 20_000 + 8000 * score[:, None]
        if len(self.labelled.classes) == 3:  # high, low, middle
            return torch.stack([score - 1.5, -1 - score, 0 * score + 0.5], dim=1)
        return torch.stack([2 * (score - 1), 0 * score], dim=1)  # high, low


def knowing_learner(labelled, trees=None):
    """A learner that has learnt it, and began with no idea."""
    model = Knowing(labelled)
    first = SimpleNamespace(weights={"weights": torch.tensor([0.0, 0.2])})
    return SimpleNamespace(
        dls=SimpleNamespace(labelled=labelled, loaders=[None, None, None]), model=model, first_weights=first, trees=trees,
        about={"task": "tabular_classification" if labelled.classes else "tabular_regression"},
    )  # fmt: skip
