"""Simple methods that name each pixel: what a segmentation network has to beat to earn its place.

They look at single pixels, not at pictures: what is commonest overall, what is commonest at that place, and what a pixel's
colour, its surroundings' colour and its place say.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import numpy as np
from scipy.ndimage import gaussian_filter, uniform_filter
from sklearn.ensemble import ExtraTreesClassifier

from toolkit.data.segmentation.class_mapping import IGNORED
from toolkit.errors import DataError

MAJORITY, BY_POSITION, BY_COLOUR = "majority class", "commonest class per position", "colour and position"
MOST_SIDE = 64  # rows and columns of the grid of positions
MOST_CELLS = 5000  # of a picture that the classifier answers for; between them the nearest answers
MOST_SAMPLES = 200_000  # pixels it is fitted on
BLURS = (1 / 40, 1 / 15, 1 / 6)  # of the picture's height: the surroundings whose colour it also sees
TREES, DEPTH, FEWEST = 20, 20, 3  # FEWEST: samples in a leaf
MOST_LEAVES = 10_000_000  # times classes, over all trees: some 200 MB


class PixelBaselines:
    """The simple methods for so many `classes`, fitted in one pass over pictures; `predict` answers with all of them.

    "colour and position" are extremely randomised trees (Geurts et al. 2006), with classes weighted by the inverse square root of
    their shares: mean IoU counts rare classes as much as common ones, and unweighted trees would hardly name them.
    """

    def __init__(self, classes: int, seed: int = 0) -> None:
        self.classes, self.seed = classes, seed

    def fit(self, pictures: Iterable[tuple[np.ndarray, np.ndarray]], count: int) -> PixelBaselines:
        """Fit on `count` pairs of a picture, uint8 (height, width, 3), and its class numbers, uint8 (height, width), IGNORED
        where none counts. Raises `DataError` where none counts at all."""
        rng = np.random.default_rng(self.seed)
        each = -(-MOST_SAMPLES // max(1, count))
        totals = np.zeros(self.classes, dtype=np.int64)
        shape: tuple[int, ...] = ()
        places = np.zeros((self.classes + 1, 0), dtype=np.int32)  # how often each class is where; the last: not counted
        samples: list[np.ndarray] = []
        labels: list[np.ndarray] = []
        for picture, truth in pictures:
            totals += np.bincount(truth.ravel(), minlength=IGNORED + 1)[: self.classes]
            if not shape:
                shape = tuple(min(MOST_SIDE, side) for side in truth.shape)
                places = np.zeros((self.classes + 1, shape[0] * shape[1]), dtype=np.int32)
            there = np.where(truth == IGNORED, self.classes, truth)
            places[resize_nearest(there, shape).ravel(), np.arange(places.shape[1])] += 1
            features, cells = pixel_features(picture)
            numbers = resize_nearest(truth, cells).ravel()
            drawn = np.flatnonzero(numbers != IGNORED)
            drawn = rng.choice(drawn, min(each, len(drawn)), replace=False)
            samples.append(features[drawn])
            labels.append(numbers[drawn])
        if not totals.any() or not any(map(len, labels)):
            raise DataError("no pixel of the training part counts: nothing can be learnt from its masks")
        self.commonest = int(totals.argmax())
        usual = np.where(places[:-1].any(axis=0), places[:-1].argmax(axis=0), self.commonest)
        self.usual = usual.astype(np.uint8).reshape(shape)
        self.trees = self._trees(np.concatenate(samples), np.concatenate(labels))
        return self

    def predict(self, picture: np.ndarray) -> dict[str, np.ndarray]:
        """Method -> the class number of each pixel, uint8 (height, width), of a picture, uint8 (height, width, 3)."""
        shape = picture.shape[:2]
        features, cells = pixel_features(picture)
        return {
            MAJORITY: np.full(shape, self.commonest, dtype=np.uint8),
            BY_POSITION: resize_nearest(self.usual, shape),
            BY_COLOUR: resize_nearest(self.trees.predict(features).reshape(cells), shape),
        }

    def _trees(self, samples: np.ndarray, labels: np.ndarray) -> ExtraTreesClassifier:
        found = np.bincount(labels, minlength=self.classes)
        leaves = max(2, MOST_LEAVES // (TREES * self.classes))  # each holds a share for each class
        trees = ExtraTreesClassifier(
            TREES, max_depth=DEPTH, max_features=0.5, min_samples_leaf=FEWEST, max_leaf_nodes=leaves, random_state=self.seed,
            n_jobs=os.cpu_count(),
        )  # fmt: skip
        trees.fit(samples, labels, sample_weight=(found.max() / np.maximum(found, 1))[labels] ** 0.5)
        return trees.set_params(n_jobs=1)  # a picture's few pixels are answered sooner than threads start


def pixel_features(picture: np.ndarray) -> tuple[np.ndarray, tuple[int, int]]:
    """What is known of each cell of a picture, uint8 (height, width, 3), averaged down to at most `MOST_CELLS` cells: float32
    (rows x columns, 15), and (rows, columns).

    Colour, place from 0 to 1, colour of three surroundings, and how much brightness varies nearby.
    """
    height, width = picture.shape[:2]
    scale = min(1.0, (MOST_CELLS / (height * width)) ** 0.5)
    cells = min(MOST_CELLS, max(1, int(height * scale))), min(MOST_CELLS, max(1, int(width * scale)))
    colour = _averaged(_averaged(picture, cells[0], axis=0), cells[1], axis=1) / np.float32(255)
    rows, columns = np.mgrid[: cells[0], : cells[1]].astype(np.float32) + np.float32(0.5)
    blurred = [gaussian_filter(colour, (blur * cells[0], blur * cells[0], 0), mode="nearest", truncate=2.5) for blur in BLURS]
    grey = colour.mean(axis=2)
    varies = np.sqrt(np.maximum(uniform_filter(grey * grey, 5) - uniform_filter(grey, 5) ** 2, 0))
    found = [colour, rows[..., None] / cells[0], columns[..., None] / cells[1], *blurred, varies[..., None]]
    return np.concatenate(found, axis=2).reshape(cells[0] * cells[1], -1), cells


def _averaged(values: np.ndarray, parts: int, *, axis: int) -> np.ndarray:
    """Means of `parts` stretches of an axis, as nearly as possible of one length: float32."""
    starts = np.linspace(0, values.shape[axis], parts, endpoint=False).astype(int)
    sums = np.add.reduceat(values, starts, axis=axis, dtype=np.float32)
    lengths = np.diff([*starts, values.shape[axis]]).astype(np.float32)
    return sums / np.expand_dims(lengths, [other for other in range(values.ndim) if other != axis])


def resize_nearest(mask: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A mask (height, width) brought to `shape` (rows, columns): each pixel takes the value at its centre's place."""
    rows, columns = (((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(shape, mask.shape, strict=True))
    return mask[rows[:, None], columns]
