"""The report of a run on texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastai.learner import Learner

from toolkit.evaluation.texts.scores import TextScores
from toolkit.learning.runs import Run
from toolkit.reports import sections
from toolkit.reports.page import write_page


def write_text_report(learn: Learner, scores: TextScores, log: list[dict[str, Any]], run: Run) -> Path:
    """Write report.html into the run folder."""
    metrics = [metric.name for metric in learn.metrics]
    shared = [
        sections.score_section(scores, "as shares of letters", noun="texts"),
        sections.curve_section(log, metrics, best_epoch=None),
        sections.confusion_section(scores),
    ]
    path = run.folder / "report.html"
    write_page(path, sections.page_of(run.folder.name, scores, data=learn.dls.labelled.describe().splitlines()[0], parts=shared))
    return path
