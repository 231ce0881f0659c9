"""Texts: from a CSV of text and label to a program that tells which it is.

As a script: `python -m recipes.text_classification texts.csv`.
"""

from pathlib import Path

from fastai.learner import Learner
from fastcore.meta import delegates
from fastcore.script import call_parse

from toolkit.data.splitting import SplitOptions
from toolkit.data.texts.labelled import labelled_texts
from toolkit.evaluation import evaluate
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.learning.texts.learner import text_learner
from toolkit.reports.texts.report import write_text_report


def build_learner(
    data: Path,  # a CSV of text and label
    seed: int = 42,  # of the split, the first weights and the training
) -> Learner:
    """Build a fastai Learner that reads texts."""
    return text_learner(labelled_texts(data, SplitOptions(seed=seed)), seed)


@call_parse
@delegates(build_learner)
def main(
    data: Path,  # a CSV of text and label
    run: str = "",  # folder for all that comes out
    **kwargs,
) -> None:
    """Train on texts, score beside the majority, write program.pyz and report.html."""
    learn = build_learner(data, **kwargs)
    with Run.open(Path(data).stem, learn, settings={"data": str(data), **kwargs}, folder=run) as place:
        log = fit(learn, run=place)
        scores = evaluate(learn)
        scores.save(place.folder)
        export(learn, place.program, scores=scores)
        write_text_report(learn, scores, log, place)
    print(scores)
