"""Collaborative filtering: from a table of who liked what to a program that says what else each would like, with honest scores.

As a script: `python -m recipes.collaborative_filtering ratings.csv`. From Python: `build_learner("ratings.csv")`.
"""

import sys
from pathlib import Path
from typing import Any

from toolkit.errors import report_plainly
from toolkit.needs import require

if __name__ == "__main__":
    sys.excepthook = report_plainly
require("torch", "fastai", "pandas", "scikit-learn", "joblib", "imagehash", "jinja2", why="to train", extra="train")

from toolkit.data.collab.labelled import labelled_collab
from toolkit.data.collab.options import as_collab_options
from toolkit.data.splitting import SplitOptions
from toolkit.evaluation import evaluate
from toolkit.export import export
from toolkit.learning.collab.learner import build_collab_learner, check_collab_choices
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.reports.collab.report import write_collab_report

import pandas as pd
from fastai.learner import Learner
from fastcore.meta import delegates
from fastcore.script import call_parse


def build_learner(
    data: Path | str | pd.DataFrame,  # a CSV, Parquet or Excel file, or a DataFrame: a row for each rating or choice
    *,
    user: str = "",  # the column of people; this and the next four are guessed from names and places where they are empty
    item: str = "",  # the column of items: shows, films, articles
    rating: str = "",  # the column of ratings, if there is one; none: do not use it
    time: str = "",  # the column of times, if there is one: dates or numbers
    title: str = "",  # the column of titles, if items have ids besides
    titles: str = "",  # a file of items and their titles
    test: str = "",  # a file of its own for the test; empty: a part of `data` is held out
    objective: str = "auto",  # rating (how many stars) or ranking (what to show first); auto: rating where there are ratings
    split: str = "random",  # random (of each person's rows), time (the latest rows), last (of each person) or user (whole people)
    rating_range: str = "",  # the lowest and highest rating there can be, as in 1,5; empty: those of training
    liked_from: float = 0.0,  # the lowest rating that counts as chosen where items are ranked; 0: all do
    form: str = "dot",  # dot (fastai's dot product with biases) or neural (its network on embeddings)
    factors: int = 0,  # numbers that stand for a person or an item; 0: by the objective
    batch_size: int = 0,  # rows (people, where the dot product ranks) a training step; 0: by how many there are
    valid_pct: float = 0.05,  # share held out to choose the best epoch
    test_pct: float = 0.2,  # share held out for the test, where no file is given
    seed: int = 42,  # of the split, the first weights and the training
    strict: bool = False,  # stop at the first row that cannot be used instead of setting it aside
) -> Learner:
    """Build a fastai Learner of what people like; its loaders are train, valid and the held-out test.

    Each training row is seen once an epoch. Raises `DataError` for a table that cannot be learnt from.
    """
    check_collab_choices(form)
    options = as_collab_options(
        user, item, rating=rating, time=time, title=title, titles=titles, test=test, objective=objective, split=split,
        rating_range=rating_range, liked_from=liked_from,
    )  # fmt: skip
    shares = SplitOptions(valid_pct=valid_pct, test_pct=test_pct, seed=seed)
    labelled = labelled_collab(data, options, split=shares, strict=strict)
    return build_collab_learner(labelled, form, factors=factors, batch_size=batch_size, seed=seed)


@call_parse
@delegates(build_learner)
def main(
    data: Path,  # a CSV, Parquet or Excel file: a row for each rating or choice
    *,
    epochs: int = 0,  # passes over the training part; 0: by objective and form
    lr: float = 0.0,  # highest learning rate; 0: the network's own
    patience: int = -1,  # stop after so many epochs without a lower validation loss; 0: never; -1: half of them, at least 5
    run: str = "",  # folder for all that comes out; empty: runs/ and the data's name
    resume: bool = False,  # go on with the run that was stopped
    golden: int = 3,  # made-up likes that travel inside the program for its self-test
    no_users: bool = False,  # ship factors of items only, without anybody's taste or history
    **kwargs: Any,
) -> None:
    """Learn what people like, score it beside simple methods on held-out rows, write program.pyz and report.html."""
    learn = build_learner(data, **kwargs)
    print(learn.dls.labelled.describe())
    print(learn.spec.line("objective", "form", "factors", "batch_size"))
    settings = {"data": str(data), "epochs": epochs, "lr": lr, "patience": patience, "no_users": no_users, **kwargs}
    with Run.open(Path(data).resolve().stem, learn, settings=settings, folder=run, resume=resume) as place:
        log = fit(learn, epochs, lr=lr, patience=None if patience < 0 else patience, run=place, resume=resume)
        scores = evaluate(learn)
        scores.save(place.folder)
        program = export(learn, place.program, scores=scores, name=place.folder.name, golden=golden, users=not no_users)
        write_collab_report(learn, scores, log=log, run=place, program=program)
    print(f"{scores}\nwritten to {place.folder}: open report.html, try  python {place.program} --about")
