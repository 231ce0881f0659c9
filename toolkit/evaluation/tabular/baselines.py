"""Simple methods, and boosted trees, on the rows of a table: what a network has to beat to earn its place.

A category is a column for each of its values, a missing number is one that trees know how to meet.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.sparse import csr_array, hstack
from scipy.special import softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics.pairwise import euclidean_distances

from toolkit.evaluation.sampling import sample_rows
from toolkit.needs import require

if TYPE_CHECKING:
    from toolkit.data.tabular.labelled import LabelledTabular
    from toolkit.program.tabular.inputs import TabularInput

BOOSTED = "gradient-boosted trees"
MOST_FITTED, FEWEST_FITTED = 1_000_000, 5_000  # rows times classes that a logistic regression is fitted on; and rows at the least
MANY_ROWS = 200_000  # from which trees are grown by as many threads as OpenMP gives


def tabular_baselines(labelled: LabelledTabular, rows: np.ndarray, *, seed: int = 0) -> dict[str, np.ndarray]:
    """Fit each simple method on the train and valid parts; return what it answers for the `rows` (positions): probabilities,
    float (n, classes), or values (n, 1), within the range of the target where it has one.

    Classes: the majority class; nearest centroid and logistic regression on `one_hot` rows; LightGBM at its defaults. Numbers:
    the mean, linear (ridge) regression, LightGBM. All see all rows, but logistic regression a sample where rows and classes are
    very many.
    """
    known = np.concatenate([labelled.rows_of("train"), labelled.rows_of("valid")])
    if labelled.regression:
        return _values(labelled, known, rows=rows, seed=seed)
    return _probabilities(labelled, known, rows=rows, seed=seed)


def _probabilities(labelled: LabelledTabular, known: np.ndarray, *, rows: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    targets, classes = labelled.targets[known], len(labelled.classes)
    hot = one_hot(labelled, known)
    some = sample_rows(len(known), max(FEWEST_FITTED, MOST_FITTED // classes), seed=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # 200 steps are this baseline's definition
        logistic = LogisticRegression(max_iter=200).fit(hot[known[some]], targets[some])
    trees = boosted_trees(labelled, known, seed=seed)
    return {
        "majority class": np.tile(np.bincount(targets, minlength=classes) / len(targets), (len(rows), 1)),
        "nearest centroid": nearest_centroid(hot[known], targets, test=hot[rows], classes=classes),
        "logistic regression": _spread(logistic.predict_proba(hot[rows]), logistic.classes_, classes=classes),
        BOOSTED: _spread(trees.predict_proba(tree_rows(labelled, rows)), trees.classes_, classes=classes),
    }


def _values(labelled: LabelledTabular, known: np.ndarray, *, rows: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    targets = labelled.targets[known].astype(np.float64)
    hot = one_hot(labelled, known)
    answers = {
        "mean": np.full(len(rows), targets.mean()),
        "linear regression": Ridge().fit(hot[known], targets).predict(hot[rows]),
        BOOSTED: boosted_trees(labelled, known, seed=seed).predict(tree_rows(labelled, rows)),
    }
    low, high = labelled.target.low, labelled.target.high
    return {name: np.clip(values, low, high)[:, None] for name, values in answers.items()}


def _spread(probabilities: np.ndarray, known: np.ndarray, *, classes: int) -> np.ndarray:
    """Probabilities of the classes a method met, as a column for each class there is."""
    found = np.zeros((len(probabilities), classes))
    found[:, known.astype(int)] = probabilities
    return found


def nearest_centroid(train: csr_array, targets: np.ndarray, *, test: csr_array, classes: int) -> np.ndarray:
    """What `GaussianCentroid` answers, float (n, classes), for sparse rows, which scikit-learn's nearest centroid would fill."""
    counts = np.bincount(targets, minlength=classes)
    known = np.flatnonzero(counts)
    belongs = csr_array((1 / counts[targets], (targets, np.arange(len(targets)))), shape=(classes, len(targets)))
    centroids = (belongs @ train)[known]
    # about an average: the squares less the square of the average
    within = train.multiply(train).sum() - counts[known] @ centroids.multiply(centroids).sum(axis=1)
    width = max(within / len(targets), 1e-12)
    nearness = softmax(-euclidean_distances(test, centroids, squared=True) / (2 * width), axis=1)
    return _spread(nearness, known, classes=classes)


def one_hot(labelled: LabelledTabular, known: np.ndarray) -> csr_array:
    """All rows as `numbers`, and a column for each code of each category, sparse float64 (rows, columns).

    Those of one category are scaled so that over the rows `known` they vary as much in sum as a number does: a category with
    thousands of values weighs no more than another.
    """
    parts = [csr_array(labelled.numbers.astype(np.float64))]
    for codes, count in zip(labelled.codes.T, labelled.tabular_input.cardinalities, strict=True):
        shares = np.bincount(codes[known], minlength=count) / len(known)
        spread = 1 - float((shares**2).sum())
        values = np.full(len(codes), spread**-0.5 if spread > 0 else 1.0)
        parts.append(csr_array((values, (np.arange(len(codes)), codes)), shape=(len(codes), count)))
    return hstack(parts, format="csr")


def boosted_trees(labelled: LabelledTabular, known: np.ndarray, *, seed: int = 0) -> Any:
    """LightGBM at its defaults, fitted on the rows `known`: a classifier, or a regressor."""
    require("lightgbm", why="to hold the network against gradient-boosted trees", extra="tabular")
    from lightgbm import LGBMClassifier, LGBMRegressor

    kind = LGBMRegressor if labelled.regression else LGBMClassifier
    # of few rows threads wait for each other longer than they work: minutes in place of seconds beside another busy process
    threads = 1 if len(known) < MANY_ROWS else 0
    # the last two choose among ways of counting, so that a second fit finds the same trees
    method = kind(n_jobs=threads, random_state=seed, verbose=-1, deterministic=True, force_row_wise=True)
    categories = list(range(labelled.codes.shape[1]))
    return method.fit(tree_rows(labelled, known), labelled.targets[known], categorical_feature=categories)


def tree_rows(labelled: LabelledTabular, rows: np.ndarray) -> np.ndarray:
    """Rows as trees read them, float32 (n, columns): codes, then numbers with NaN where they are missing."""
    return np.hstack([labelled.codes[rows], with_gaps(labelled.tabular_input, labelled.numbers[rows])]).astype(np.float32)


def with_gaps(tabular_input: TabularInput, numbers: np.ndarray) -> np.ndarray:
    """The values of `numbers` (n, features) without the flags that say which are missing, but NaN where they are."""
    values = numbers[:, : len(tabular_input.numeric)].copy()
    for name in tabular_input.names:
        if places := tabular_input.places(name)[1]:
            *own, flag = places
            values[np.ix_(np.flatnonzero(numbers[:, flag] > 0), np.array(own))] = np.nan
    return values
