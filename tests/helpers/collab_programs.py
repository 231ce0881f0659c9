"""Made ratings with ids of their own, and a way to a program that was trained on some, for the tests."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd

from helpers import ROOT
from helpers.collab_learners import made_ratings
from recipes.collaborative_filtering import build_learner
from toolkit.evaluation import evaluate
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.program import load

SAMPLE = ROOT / "sample_data" / "ratings.csv"
KINDS = [(objective, form) for objective in ("rating", "ranking") for form in ("dot", "neural")]
NAMES = ["-".join(kind) for kind in KINDS]


def named_ratings(**settings) -> pd.DataFrame:
    """The made ratings, of people and things whose ids stand nowhere by chance."""
    frame = made_ratings(**settings)
    return frame.assign(user=[f"person-{each:03d}" for each in frame.user], item=[f"thing {each}" for each in frame["item"]])


def exported(folder: Path, data, epochs: int = 1, **options) -> SimpleNamespace:
    """A learner of `data` that was trained, its scores, and its program, loaded."""
    learn = build_learner(data, **options)
    fit(learn, epochs)
    scores = evaluate(learn)
    path = folder / "program.pyz"
    export(learn, path, scores=scores)
    return SimpleNamespace(learn=learn, labelled=learn.dls.labelled, scores=scores, path=path, program=load(path))
