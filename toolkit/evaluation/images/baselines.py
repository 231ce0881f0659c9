"""Simple methods on small pixels: what learning has to beat to earn its place.

Each is scikit-learn's, in one line: the list is what matters.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics.pairwise import euclidean_distances
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

SIDE = 16  # pixels: small pictures hold what these methods can use
MOST_ITEMS = 20_000  # to fit on; more would take minutes for no better answer


class GaussianCentroid(NearestCentroid):
    """Nearest centroid with probabilities: each class falls off as a Gaussian about its average, as wide as the usual
    distance from there.

    scikit-learn's own probabilities divide by each feature's spread, so that their highest is not the nearest centroid.
    """

    def fit(self, X: np.ndarray, y: np.ndarray) -> GaussianCentroid:
        super().fit(X, y)
        own = self.centroids_[np.searchsorted(self.classes_, y)]
        self.variance_ = max(float(((X - own) ** 2).sum(axis=1).mean()), 1e-12)
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        return softmax(-euclidean_distances(X, self.centroids_, squared=True) / (2 * self.variance_), axis=1)


def simple_methods(neighbours: int = 5, seed: int = 0) -> dict[str, Any]:
    """Name -> unfitted scikit-learn classifier. Majority class; nearest centroid (the average cat against the
    average dog); k-nearest neighbours; logistic regression."""
    return {
        "majority class": DummyClassifier(strategy="prior"),
        "nearest centroid": GaussianCentroid(),
        "k-nearest neighbours": KNeighborsClassifier(neighbours),
        "logistic regression": make_pipeline(MaxAbsScaler(), LogisticRegression(C=0.1, max_iter=300, random_state=seed)),
    }


def baseline_probabilities(
    train: np.ndarray, labels: np.ndarray, *, test: np.ndarray, classes: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """Fit each simple method on small pixels; return its test probabilities, float (items, classes).

    `train` and `test` are float (items, features) as `small_pixels` makes them, `labels` class numbers below `classes`.
    """
    found = {}
    for name, method in simple_methods(min(5, len(train)), seed).items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # 300 steps are this baseline's definition
            warnings.filterwarnings("ignore", message=".*zero standard deviation")  # a pixel that is always black
            with np.errstate(invalid="ignore"):  # a nearest centroid's scale of a pixel that never changes
                method.fit(train, labels)
        known = np.zeros((len(test), classes))
        known[:, method.classes_] = method.predict_proba(test)
        found[name] = known
    return found


def small_pixels(pixels: np.ndarray, side: int = SIDE) -> np.ndarray:
    """uint8 (items, height, width, 3) -> float32 (items, features) between 0 and 1.

    Pictures are averaged over blocks down to about `side` pixels.
    """
    count, height, width, _ = pixels.shape
    rows = _blocks(pixels, axis=1, length=height, side=side)
    small = _blocks(rows, axis=2, length=width, side=side) / np.float32(255)
    return small.reshape(count, -1)


def _blocks(values: np.ndarray, *, axis: int, length: int, side: int) -> np.ndarray:
    starts = np.linspace(0, length, min(side, length), endpoint=False).astype(int)
    sums = np.add.reduceat(values, starts, axis=axis, dtype=np.float32)
    sizes = np.diff([*starts, length])
    return sums / np.expand_dims(sizes, [i for i in range(values.ndim) if i != axis]).astype(np.float32)
