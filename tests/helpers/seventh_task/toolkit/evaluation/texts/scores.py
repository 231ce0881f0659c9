"""Scoring a learner of texts on its held-out test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
from sklearn.dummy import DummyClassifier

from toolkit.evaluation.bootstrap import Bootstrap, paired_interval
from toolkit.evaluation.classification import ClassScores, classification_metrics, confusion_matrix
from toolkit.evaluation.learner import first_weights
from toolkit.evaluation.scores import NETWORK, UNTRAINED, verdict

if TYPE_CHECKING:
    from fastai.learner import Learner


@dataclass(frozen=True, kw_only=True)
class TextScores(ClassScores):
    """Scores of a learner of texts."""


def evaluate_texts(learn: Learner, seed: int = 0) -> TextScores:
    """Score `learn` on its test texts, beside the majority of the others."""
    labelled = learn.dls.labelled
    test, rest = labelled.rows_of("test"), [*labelled.rows_of("train"), *labelled.rows_of("valid")]
    with learn.no_bar(), learn.no_logging():
        answers = {NETWORK: learn.get_preds(dl=learn.dls[2])}
        with first_weights(learn):
            answers[UNTRAINED] = learn.get_preds(dl=learn.dls[2])
    targets = answers[NETWORK][1].numpy()
    methods = {name: found[0].numpy() for name, found in answers.items()}
    names = [labelled.classes.index(label) for label in labelled.table.label]
    majority = DummyClassifier().fit(labelled.shares[rest], [names[row] for row in rest])
    methods["majority"] = majority.predict_proba(labelled.shares[test])
    bootstrap = Bootstrap.draw(len(targets), seed=seed)
    right = {name: (found.argmax(axis=1) == targets).astype(float) for name, found in methods.items()}
    difference = paired_interval(right[NETWORK] - right["majority"], bootstrap)
    own, rows = methods[NETWORK], range(len(test))
    predicted = own.argmax(axis=1)
    table = labelled.table.iloc[test]
    return TextScores(
        task=learn.spec.task,
        n_test=len(test),
        resampled=bootstrap.resampled,
        table={name: classification_metrics(found, targets, bootstrap=bootstrap) for name, found in methods.items()},
        best_simple="majority",
        difference=difference,
        verdict=verdict("majority", difference),
        predictions=pd.DataFrame(
            {
                "path": "", "content": table.content.to_numpy(), "label": table.label.to_numpy(),
                "predicted": [labelled.classes[number] for number in predicted], "probability": own.max(axis=1),
                "probability_of_label": own[rows, targets],
            }
        ),
        classes=labelled.classes,
        confusion={name: confusion_matrix(found, targets, bootstrap=bootstrap) for name, found in methods.items()},
    )  # fmt: skip
