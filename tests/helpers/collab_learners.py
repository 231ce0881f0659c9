"""Made ratings, labelled and split, and a learner of them without training: what tests of their scores share."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import torch

from toolkit.data.collab.labelled import LabelledCollab, labelled_collab
from toolkit.data.collab.options import as_collab_options

ANSWERS = "toolkit.evaluation.collab.answers"


def made_ratings(users: int = 60, items: int = 40, share: float = 0.4, seed: int = 0) -> pd.DataFrame:
    """Ratings from 1 to 5 that follow from two tastes, a mildness of users and a quality of items; what is liked is rated more
    often."""
    rng = np.random.default_rng(seed)
    people, things = rng.normal(size=(users, 2)), rng.normal(size=(items, 2))
    stars = 3 + people @ things.T + rng.normal(0, 0.5, users)[:, None] + rng.normal(0, 0.7, items)
    there = rng.random((users, items)) < share * 2 / (1 + np.exp(3 - stars))
    user, item = np.nonzero(there)
    rated = (stars[there] + rng.normal(0, 0.4, len(user))).round().clip(1, 5).astype(int)
    return pd.DataFrame({"user": user, "item": item, "rating": rated, "time": rng.permutation(len(user))})


def labelled(frame: pd.DataFrame, objective: str = "rating", split: str = "random", **options) -> LabelledCollab:
    """A table as `LabelledCollab`."""
    return labelled_collab(frame, as_collab_options(objective=objective, split=split, **options))


def of_rows(rows: list[tuple], objective: str = "ranking", liked_from: float = 0.0) -> LabelledCollab:
    """`LabelledCollab` as told: (user, item, rating, split, given) each, users and items being numbers."""
    table = pd.DataFrame(rows, columns=["user", "item", "value", "split", "given"])
    names, codes, known = {}, {}, {}
    for role in ("user", "item"):
        met = sorted(set(table[role][table.split == "train"]))
        names[role] = [*met, *sorted(set(table[role]) - set(met))]
        codes[role], known[role] = table[role].map(names[role].index).to_numpy(np.int64), len(met)
    values = table.value.to_numpy(np.float32)
    content = (table.user.astype(str) + " " + table["item"].astype(str)).to_numpy()
    described = {"path": "", "row": np.arange(len(table)), "label": table.value.astype(str), "content": content}
    table = table.astype({"user": str, "item": str}).assign(**described)
    users, items = (tuple(map(str, names[role])) for role in ("user", "item"))
    return LabelledCollab(
        table, users, items, items, known["user"], known["item"], codes["user"], codes["item"], values, values >= liked_from,
        objective, True, 1.0, 5.0, "random", [], [],
    )  # fmt: skip


def knowing_learner(labelled: LabelledCollab, rates=None, ranks=None, weight: float = 1.0) -> SimpleNamespace:
    """A learner that answers as `rates(users, items)` and `ranks(users)` do, and began with an answer of 0 to everything; for
    `standing_in`."""
    model = torch.nn.Linear(1, 1, bias=False)
    model.weight.data.fill_(weight)
    return SimpleNamespace(
        dls=SimpleNamespace(labelled=labelled, loaders=[None, None, None]), model=model, rates=rates, ranks=ranks,
        first_weights=SimpleNamespace(weights={"weight": torch.zeros(1, 1)}), about={"task": "collaborative_filtering"},
    )  # fmt: skip


def rating_answers(learn: SimpleNamespace, rows: np.ndarray) -> np.ndarray:
    """As `toolkit.evaluation.collab.answers.rating_answers`, of a `knowing_learner`."""
    labelled, weight = learn.dls.labelled, learn.model.weight.item()
    found = weight * learn.rates(labelled.user_codes[rows], labelled.item_codes[rows])
    return np.clip(found, labelled.low, labelled.high).astype(np.float32)


def ranking_answers(learn: SimpleNamespace, users: np.ndarray, part: str = "test") -> np.ndarray:
    """As `toolkit.evaluation.collab.answers.ranking_answers`, of a `knowing_learner`."""
    return (learn.model.weight.item() * learn.ranks(users)).astype(np.float32)
