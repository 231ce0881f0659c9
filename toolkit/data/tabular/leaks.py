"""What makes a score on a table too good to be true: a column that gives the target away, and test rows that were learnt from.

Both are told, not acted on: only a user knows whether a column is there when a prediction is wanted.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy.stats import rankdata
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

if TYPE_CHECKING:
    from toolkit.data.tabular.labelled import LabelledTabular

TELLING = 0.99  # ROC AUC, or R² of ranks, that a column reaches alone; honest single columns of our samples stay below 0.98
MOST_ROWS, FIRST_ROWS, LEAST_ROWS = 20_000, 3_000, 30  # that a column is judged by; at first sight; for any judgement
FIRST_TELLING = 0.93  # at first sight
FOLDS = 3
MOST_CLASSES, LEAST_OF_A_CLASS = 20, 5

Fit = Callable[..., np.ndarray]  # values, targets, asked=values to answer for -> answers


def leak_notes(labelled: LabelledTabular, seed: int = 42) -> list[str]:
    """Sentences on columns that alone predict the target almost perfectly, in cross-validation on training rows, and on test
    rows that equal training or validation rows. None where all is well."""
    return [*_telling_columns(labelled, seed), *_repeated_rows(labelled)]


def _telling_columns(labelled: LabelledTabular, seed: int) -> Iterator[str]:
    regression = labelled.regression
    rows, folds = _judged_by(labelled, seed)
    targets = labelled.targets[rows]
    measure = "R² of ranks" if regression else "ROC AUC"
    if len(rows) < LEAST_ROWS:
        return
    for name, values in _views(labelled):
        values = values[rows]
        if (values == values[0]).all():
            continue
        first = slice(FIRST_ROWS)  # for numbers: categories are quick to judge, and need many rows to be met twice
        if values.ndim == 2 and _alone(values[first], targets[first], folds=folds[first], regression=regression) < FIRST_TELLING:
            continue
        score = _alone(values, targets, folds=folds, regression=regression)
        if score >= TELLING:
            target = labelled.target.name
            yield (
                f"column {name!r} alone predicts {target!r} almost perfectly ({measure} {score:.3f}): is it known when a "
                f"prediction is wanted? If not: --leave-out {shlex.quote(name)}"
            )


def _judged_by(labelled: LabelledTabular, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Training rows in random order, and their folds. Where there are more than enough, no row of a rare class is left out.
    Rows of one group share a fold, as they share a part."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(labelled.rows_of("train"))
    if not labelled.regression and len(rows) > MOST_ROWS:
        targets = labelled.targets[rows]
        turns = pd.Series(targets).groupby(targets).cumcount().to_numpy()
        rows = rng.permutation(rows[np.argsort(turns, kind="stable")[:MOST_ROWS]])
    rows = rows[:MOST_ROWS]
    groups = labelled.table.group.iloc[rows]
    codes = pd.factorize(groups)[0]
    return rows, np.where(codes < 0, np.arange(len(rows)), codes) % FOLDS


def _views(labelled: LabelledTabular) -> Iterator[tuple[str, np.ndarray]]:
    """Each column as it is learnt from: category codes (rows,), or numbers (rows, its features)."""
    columns = labelled.tabular_input.columns
    widths = [0 if column.kind == "category" else len(getattr(column, "parts", (column,))) for column in columns]
    category, value, flag = 0, 0, sum(widths)
    for column, width in zip(columns, widths, strict=True):
        if width:
            yield column.name, labelled.numbers[:, [*range(value, value + width), flag]]
            value, flag = value + width, flag + 1
        else:
            yield column.name, labelled.codes[:, category]
            category += 1


def _alone(values: np.ndarray, targets: np.ndarray, *, folds: np.ndarray, regression: bool) -> float:
    """What a column scores alone on rows it was not fitted to: R² of ranks, which few great values do not decide, or ROC AUC, of
    each class against the others, averaged."""
    if regression:
        if values.ndim == 1:
            return _r2(values, rankdata(targets), folds=folds, fit=_means)
        straight = np.column_stack([rankdata(values[:, 0]), values[:, 1:]])
        return max(
            _r2(straight, rankdata(targets), folds=folds, fit=_line), _r2(values, rankdata(targets), folds=folds, fit=_tree)
        )
    common = np.argsort(-np.bincount(targets))[:MOST_CLASSES]
    place = np.full(targets.max() + 1, len(common))  # of all other classes
    place[common] = np.arange(len(common))
    targets = place[targets]
    counts = np.bincount(targets, minlength=len(common) + 1)
    classes = [number for number in range(len(common)) if LEAST_OF_A_CLASS <= counts[number] < len(targets)]
    if len(classes) < 2:
        return float("nan")  # too few rows to tell
    found = np.zeros((len(targets), len(counts)))
    for train, test in _fitted_and_scored(folds):
        if values.ndim == 1:
            found[test] = _class_shares(values[train], targets[train], classes=len(counts), values=values.max() + 1)[values[test]]
        else:
            tree = DecisionTreeClassifier(max_leaf_nodes=32, min_samples_leaf=5, random_state=0).fit(
                values[train], targets[train]
            )
            found[np.ix_(test, tree.classes_)] = tree.predict_proba(values[test])
    return float(np.mean([roc_auc_score(targets == number, found[:, number]) for number in classes]))


def _r2(values: np.ndarray, targets: np.ndarray, *, folds: np.ndarray, fit: Fit) -> float:
    found = np.zeros(len(targets))
    for train, test in _fitted_and_scored(folds):
        found[test] = fit(values[train], targets[train].astype(float), asked=values[test])
    return float(r2_score(targets, found))


def _means(codes: np.ndarray, targets: np.ndarray, *, asked: np.ndarray) -> np.ndarray:
    """The mean of each value of a category, of all where it was not met."""
    size = 1 + max(codes.max(), asked.max())
    counts, sums = np.bincount(codes, minlength=size), np.bincount(codes, targets, minlength=size)
    return np.where(counts > 0, sums / np.maximum(counts, 1), targets.mean())[asked]


def _line(values: np.ndarray, targets: np.ndarray, *, asked: np.ndarray) -> np.ndarray:
    x, at = (np.column_stack([each.astype(float), np.ones(len(each))]) for each in (values, asked))
    return at @ np.linalg.lstsq(x, targets, rcond=None)[0]


def _tree(values: np.ndarray, targets: np.ndarray, *, asked: np.ndarray) -> np.ndarray:
    return DecisionTreeRegressor(max_leaf_nodes=512, min_samples_leaf=3, random_state=0).fit(values, targets).predict(asked)


def _class_shares(codes: np.ndarray, targets: np.ndarray, *, classes: int, values: int) -> np.ndarray:
    """For each value of a category the share of each class among the rows that have it, drawn a little to that among all."""
    counts = np.bincount(codes * classes + targets, minlength=values * classes).reshape(values, classes)
    return (counts + counts.sum(axis=0) / len(codes)) / (counts.sum(axis=1, keepdims=True) + 1)


def _fitted_and_scored(folds: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Positions to fit to and to score on, fold by fold; none where all rows are in one."""
    for number in np.unique(folds):
        if (folds != number).any():
            yield np.flatnonzero(folds != number), np.flatnonzero(folds == number)


def _repeated_rows(labelled: LabelledTabular) -> list[str]:
    """A sentence on test rows that stand in the other parts too, in every column that is learnt from."""
    test = (labelled.table.split == "test").to_numpy()
    columns = labelled.frame[list(labelled.tabular_input.names)]
    # numbers stand for the cells, which may be of any type
    cells = pd.DataFrame({place: pd.factorize(columns.iloc[:, place])[0] for place in range(columns.shape[1])})
    content = pd.factorize(pd.util.hash_pandas_object(cells, index=False))[0]
    answer = pd.factorize(labelled.targets)[0]
    both = content.astype(np.int64) * (answer.max() + 1) + answer
    repeated = np.isin(content[test], content[~test])
    if not repeated.any():
        return []
    other = int((repeated & ~np.isin(both[test], both[~test])).sum())
    count = int(repeated.sum())
    rows, carry = ("row equals", "it carries") if count == 1 else ("rows equal", f"{other} of them carry")
    contrary = f"; {carry} another {labelled.target.name!r}" if other else ""
    return [
        f"{count} of {int(test.sum())} test {rows} a training or validation row in every column that is learnt from{contrary}: "
        "the score is not wholly one on unseen rows"
    ]
