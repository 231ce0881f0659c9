"""Tables: from a CSV, Parquet or Excel file to a program that predicts one of its columns, with its honest score.

As a script: `python -m recipes.tabular income.csv income`. From Python: `build_learner("income.csv", "income")`.
"""

import sys
from pathlib import Path
from typing import Any

from toolkit.errors import report_plainly
from toolkit.needs import require

if __name__ == "__main__":
    sys.excepthook = report_plainly
require("torch", "fastai", "pandas", "scikit-learn", "joblib", "imagehash", "jinja2", why="to train", extra="train")
require("tabm", "rtdl_num_embeddings", "lightgbm", why="to learn from tables", extra="tabular")

from toolkit.data.splitting import SplitOptions
from toolkit.data.tabular.options import as_table_options
from toolkit.data.tabular.prepare import labelled_tabular
from toolkit.evaluation import evaluate
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.learning.tabular.learner import blend_trees, build_tabular_learner, check_tabular_choices
from toolkit.reports.tabular.report import write_tabular_report

import pandas as pd
from fastai.learner import Learner
from fastcore.meta import delegates
from fastcore.script import call_parse


def build_learner(
    data: Path | str | pd.DataFrame,  # a CSV, Parquet or Excel file, or a DataFrame
    target: str,  # the column to predict
    *,
    test: str = "",  # a file of its own for the test; empty: a part of `data` is held out
    task: str = "auto",  # classification or regression; auto: numbers of more than 20 different values are estimated
    target_range: str = "",  # of numbers to predict: the lowest and highest there can be, as in 0,100 (--target-range=-1,1)
    numbers: str = "",  # columns to be read as numbers, with commas between them; these four overrule what is guessed
    categories: str = "",  # columns to be read as categories
    dates: str = "",  # columns to be read as dates
    leave_out: str = "",  # columns not to learn from
    missing: str = "",  # further words that mean a missing value, besides ?, NA, null, none and blanks; !none takes one away
    group_by: str = "",  # keep rows together that have the same value in this column
    time: str = "",  # a column of dates or numbers: the latest rows are the test
    by: str = "",  # columns by whose values the scores are broken down (does it work for all?)
    sheet: str = "",  # of an Excel file; empty: the first
    arch: str = "auto",  # tabm (an efficient ensemble on embedded numbers) or plain (fastai's tabular_learner); auto: tabm
    class_weights: str = "none",  # how much more rows of rare classes count: none, root or balanced
    batch_size: int = 0,  # rows a training step; 0: by the number of rows
    valid_pct: float = 0.1,  # share held out to choose the best epoch
    test_pct: float = 0.2,  # share held out for the test, where no file is given
    seed: int = 42,  # of the split, the first weights and the training
    strict: bool = False,  # stop at the first row that cannot be used instead of setting it aside
) -> Learner:
    """Build a fastai Learner that predicts a column; its loaders are train, valid and the held-out test.

    What is fitted (categories, medians, scales) is fitted to training rows alone. Raises `DataError` for a table that cannot be
    learnt from.
    """
    check_tabular_choices(arch, class_weights)
    options = as_table_options(
        target, test=test, task=task, numbers=numbers, categories=categories, dates=dates, leave_out=leave_out, missing=missing,
        group_by=group_by, time=time, by=by, target_range=target_range, sheet=sheet,
    )  # fmt: skip
    split = SplitOptions(valid_pct=valid_pct, test_pct=test_pct, seed=seed)
    labelled = labelled_tabular(data, options, split=split, strict=strict)
    return build_tabular_learner(labelled, arch, weighing=class_weights, batch_size=batch_size, seed=seed)


@call_parse
@delegates(build_learner)
def main(
    data: Path,  # a CSV, Parquet or Excel file
    target: str,  # the column to predict
    *,
    blend: bool = False,  # average gradient-boosted trees in; the program carries both
    epochs: int = 0,  # passes over the training part; 0: by the number of rows
    lr: float = 0.0,  # highest learning rate; 0: the network's own
    patience: int = -1,  # stop after so many epochs without a lower validation loss; 0: never; -1: half of them, at least 5
    run: str = "",  # folder for all that comes out; empty: runs/ and the data's name
    resume: bool = False,  # go on with the run that was stopped
    golden: int = 3,  # test rows that travel inside the program for its self-test; 0 where they are private
    **kwargs: Any,
) -> None:
    """Train on a table, score it beside simple methods on held-out rows, write program.pyz and report.html."""
    learn = build_learner(data, target, **kwargs)
    print(learn.dls.labelled.describe())
    print(learn.spec.line("arch", "class_weights", "batch_size", "epochs"))
    settings = {"data": str(data), "target": target, "blend": blend, "epochs": epochs, "lr": lr, "patience": patience, **kwargs}
    with Run.open(Path(data).resolve().stem, learn, settings=settings, folder=run, resume=resume) as place:
        log = fit(learn, epochs, lr=lr, patience=None if patience < 0 else patience, run=place, resume=resume)
        if blend:
            print(blend_trees(learn, place))
        scores = evaluate(learn)
        scores.save(place.folder)
        program = export(learn, place.program, scores=scores, name=place.folder.name, golden=golden)
        write_tabular_report(learn, scores, log=log, run=place, program=program)
    print(f"{scores}\nwritten to {place.folder}: open report.html, try  python {place.program} --about")
