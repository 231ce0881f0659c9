"""Scoring a learner of tables on its held-out rows, beside the untrained network, simple methods and boosted trees.

Rows are ranked, or numbers are estimated; the program may answer with trees as well; and one asks whether it works for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from toolkit.errors import DataError
from toolkit.evaluation.bootstrap import FEWEST_GROUPS, Bootstrap, Interval
from toolkit.evaluation.classification import ClassScores, confusion_matrix
from toolkit.evaluation.learner import first_weights
from toolkit.evaluation.sampling import sample_rows
from toolkit.evaluation.scores import NETWORK, UNTRAINED, Paired, Scores, groups_in, groups_line, verdict
from toolkit.evaluation.tabular.baselines import BOOSTED, tabular_baselines
from toolkit.evaluation.tabular.groups import by_group, groups_of
from toolkit.evaluation.tabular.metrics import R2, ROC_AUC, Measure, calibration_points, paired_numbers, paired_ranks
from toolkit.spec import spec_of

if TYPE_CHECKING:
    from fastai.learner import Learner

    from toolkit.data.tabular.labelled import LabelledTabular
    from toolkit.program.tabular.inputs import Answer

TREES, BLENDED = "trees", "network and trees"  # of a program that answers with both
FEWEST_ROWS = 20  # of a test
AT_ONCE = 8192  # rows through the network
MOST_ROWS = 500_000  # of the test that are scored: more would narrow no interval, and the resamples take 400 MB


@dataclass(frozen=True, kw_only=True)
class TabularScores(ClassScores):
    """Scores of a learner of tables.

    The headline is "ROC AUC" for two classes, "accuracy" for more, and "R²" for numbers: then there are no classes, no confusion,
    and label and predicted are numbers. `positive` is, of two classes, the one that average precision and calibration are about:
    the rarer in training. `by_group` maps a column and a value of it to {"n": test rows, "metrics": {name: Interval}}.
    `calibration` has for each bin of answers {"said": mean probability (of `positive`, or of the predicted class of more than
    two), "share": how often it was so, "low", "high": its interval, "count"}. `predictions` has row, content and group of each.
    """

    units: ClassVar[str] = "rows"

    positive: str = ""
    by_group: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    calibration: list[dict[str, float]] = field(default_factory=list)

    @property
    def regression(self) -> bool:
        """Whether what is predicted is a number."""
        return not self.classes

    @property
    def question(self) -> str:
        return "numbers" if self.regression else "classes of items"

    def paired(self, others: Sequence[Scores], tables: Sequence[pd.DataFrame], *, bootstrap: Bootstrap) -> Paired:
        """Rows are ranked where all runs tell the same two classes; where numbers are predicted it is their errors that are
        compared."""
        if self.regression:
            return Paired(R2, *paired_numbers(tables, bootstrap))
        if all(scores.headline == ROC_AUC and set(scores.classes) == set(self.classes) for scores in (self, *others)):
            return Paired(ROC_AUC, *paired_ranks(tables, bootstrap, positive=self.positive))
        return super().paired(others, tables, bootstrap=bootstrap)

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> dict[str, Any]:
        plain = super().from_json(plain)
        return {**plain, "by_group": groups_in(plain.get("by_group", {}))}

    @classmethod
    def text_columns(cls, given: dict[str, Any]) -> tuple[str, ...]:
        return cls.texts if given["classes"] else Scores.texts

    def heading(self) -> str:
        return f"{self.n_test} held-out rows"

    def further(self) -> list[str]:
        return groups_line(self.by_group, self.headline, counted=self.units)


def evaluate_tabular(learn: Learner, seed: int = 0) -> TabularScores:
    """Score `learn`, whose loaders carry a `LabelledTabular`, on its test rows (a sample of 500,000 where there are more).

    Where trees are blended in, what the program answers is neither of the two but both, and that is what the verdict is about.
    The simple methods are fitted on the train and valid parts; boosted trees of their own are among them. The difference is taken
    on the same resamples for both sides.
    """
    labelled: LabelledTabular = learn.dls.labelled
    test = labelled.rows_of("test")
    if not len(test):
        raise DataError("this learner's table has no test rows: build it with a recipe")
    rows = test[sample_rows(len(test), MOST_ROWS, seed=seed)]
    measure, targets, groups = Measure.of(labelled), labelled.targets[rows], groups_of(labelled, rows)
    asked = tabular_answers(learn, rows)
    answers = next(iter(asked))
    with first_weights(learn) as untrained:
        before = {UNTRAINED: _all(network_answer(learn), labelled, rows=rows)} if untrained else {}
    simple = tabular_baselines(labelled, rows, seed=seed)
    methods = {**asked, **before, **simple}

    bootstrap = Bootstrap.draw(len(rows), groups, seed=seed)
    samples = {name: measure.samples(answer, targets, bootstrap=bootstrap) for name, answer in methods.items()}
    table = {name: measure.intervals(found, targets, bootstrap=bootstrap) for name, found in samples.items()}
    best_simple = max(simple, key=lambda name: table[name][measure.headline].value)
    difference = measure.difference(samples[answers], samples[best_simple], bootstrap=bootstrap)
    told = (
        verdict(best_simple, difference, of=measure.points_of)
        + _of_trees(best_simple, difference, answers=answers)
        + _of_few(groups, len(rows))
    )
    confused = {} if labelled.regression else methods
    return TabularScores(
        task=spec_of(learn).task,
        classes=tuple(labelled.classes),
        n_test=len(rows),
        resampled=bootstrap.resampled,
        table=table,
        confusion={name: confusion_matrix(answer, targets, bootstrap=bootstrap) for name, answer in confused.items()},
        best_simple=best_simple,
        difference=difference,
        verdict=told if answers == NETWORK else f"{answers}: {told}",
        predictions=_per_row(labelled, rows, answer=methods[answers]),
        headline=measure.headline,
        answers=answers,
        positive=measure.positive_class,
        by_group={column: by_group(labelled, rows, answer=methods[answers], column=column, seed=seed) for column in labelled.by},
        calibration=[] if labelled.regression else calibration_points(methods[answers], targets, positive=measure.positive),
    )


def _of_trees(best_simple: str, difference: Interval, *, answers: str) -> str:
    """What to do where boosted trees alone are clearly better."""
    if best_simple != BOOSTED or difference.high >= 0:
        return ""
    return (
        " (trees alone are the better choice here)" if answers == BLENDED else " (trees do better here: --blend averages some in)"
    )


def _of_few(groups: np.ndarray | None, rows: int) -> str:
    """A warning where there are few test rows, or they belong together, and to so few groups that the bootstrap could only draw
    rows."""
    if rows < FEWEST_ROWS:
        return f" (the test has only {rows} rows: too few to rely on)"
    few = 0 if groups is None else len(np.unique(groups))
    return f" (the test's rows are of only {few} groups: too few to rely on)" if 0 < few < FEWEST_GROUPS else ""


def _per_row(labelled: LabelledTabular, rows: np.ndarray, *, answer: np.ndarray) -> pd.DataFrame:
    table, targets = labelled.table.iloc[rows], labelled.targets[rows]
    if labelled.regression:
        found = {"label": targets.astype(np.float64), "predicted": answer[:, 0].astype(np.float64)}
    else:
        names = np.array(labelled.classes, dtype=object)
        found = {
            "label": names[targets],
            "predicted": names[answer.argmax(axis=1)],
            "probability": answer.max(axis=1),
            "probability_of_label": answer[np.arange(len(rows)), targets],
        }
    described = {name: table[name].fillna("").astype(str).to_numpy() for name in ("content", "group") if name in table}
    return pd.DataFrame({"row": table.row.to_numpy(dtype=np.int64), **found, **described})


def tabular_answers(learn: Learner, part: str | np.ndarray = "test") -> dict[str, np.ndarray]:
    """What `learn` answers for the rows of "train", "valid" or "test", or at given positions: probabilities, float32 (n,
    classes), or values (n, 1); the program's own answer first. That is "network" alone, or, where trees are blended in,
    "network and trees", "network" and "trees"."""
    labelled: LabelledTabular = learn.dls.labelled
    rows = labelled.rows_of(part) if isinstance(part, str) else part
    network = _all(network_answer(learn), labelled, rows=rows)
    trees = getattr(learn, "trees", None)
    if trees is None or not trees.weight:
        return {NETWORK: network}
    boosted = trees.predict(labelled.codes[rows], labelled.numbers[rows])
    return {BLENDED: (1 - trees.weight) * network + trees.weight * boosted, NETWORK: network, TREES: boosted}


def program_answer(learn: Learner) -> Answer:
    """What the program answers, as a function of codes and numbers: the network, with its share of trees where it has some."""
    network, trees = network_answer(learn), getattr(learn, "trees", None)
    if trees is None or not trees.weight:
        return network

    def answer(codes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        return (1 - trees.weight) * network(codes, numbers) + trees.weight * trees.predict(codes, numbers)

    return answer


def network_answer(learn: Learner) -> Answer:
    """The network, with the weights it has when it is called, as a function of codes and numbers."""
    import torch  # here, so that finished runs are compared without it

    model, classes = learn.model, bool(learn.dls.labelled.classes)

    @torch.inference_mode()
    def answer(codes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        model.eval()
        device = next(model.parameters()).device
        parts = []
        for start in range(0, len(codes), AT_ONCE):
            given = (torch.from_numpy(np.ascontiguousarray(each[start : start + AT_ONCE])) for each in (codes, numbers))
            found = model(*(each.to(device) for each in given)).float()
            parts.append((found.softmax(dim=1) if classes else found).cpu().numpy())
        return np.concatenate(parts)

    return answer


def _all(answer: Answer, labelled: LabelledTabular, *, rows: np.ndarray) -> np.ndarray:
    return answer(labelled.codes[rows], labelled.numbers[rows])
