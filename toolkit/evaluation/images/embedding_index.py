"""What a network has learnt from, kept beside it: its view of every training picture, and the average of each class.

A later question (which training pictures does this photo remind it of?) must not need the training pictures to be decoded again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.data.progress import track
from toolkit.errors import RunError
from toolkit.evaluation.images.baselines import SIDE, small_pixels
from toolkit.evaluation.images.cam import CAM
from toolkit.evaluation.images.scores import images_of, known_images
from toolkit.evaluation.sampling import sample_rows
from toolkit.files import replacing

if TYPE_CHECKING:
    from fastai.learner import Learner

FILE = "training.npz"
MOST_ITEMS = 50_000  # whose features are kept: 50 MB for a resnet18
CHUNK = 256
AVERAGE_SIDE = 64  # pixels: an average is blurred anyway


@dataclass(frozen=True)
class EmbeddingIndex:
    """Training items by what the network sees of each.

    `rows` are their numbers in items.csv, `features` (items, features) the network's features of them as float16; see
    `CAM.features`. `averages` is each class's average picture, uint8 (classes, height, width, 3), at most 64 pixels a side;
    `centroids` its small pixels, float32 (classes, small features): what nearest centroid learns.
    """

    rows: np.ndarray
    features: np.ndarray
    averages: np.ndarray
    centroids: np.ndarray

    @classmethod
    def of(cls, learn: Learner, cam: CAM) -> EmbeddingIndex:
        """What `learn` was trained on, as `cam` into its network sees it."""
        train = learn.dls.train.dataset
        chosen = sample_rows(len(train), MOST_ITEMS)
        chunks = track(images_of(train, chosen, chunk=CHUNK), -(-len(chosen) // CHUNK), what="remembering")
        features = [cam.features(images).astype(np.float16) for images, _ in chunks]
        rows = np.flatnonzero(learn.dls.labelled.table.split == "train")[chosen]
        averages, centroids = class_averages(known_images(learn), len(learn.dls.vocab))
        return cls(rows, np.concatenate(features), (255 * averages).round().astype(np.uint8), centroids)

    def save(self, folder: Path | str) -> None:
        """Write training.npz into `folder`, atomically."""
        with replacing(Path(folder) / FILE) as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, **asdict(self))

    @classmethod
    def load(cls, folder: Path | str) -> EmbeddingIndex | None:
        """What `save` wrote into `folder`; None where an earlier version wrote nothing. Raises `RunError` if damaged."""
        path = Path(folder) / FILE
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls(**{field.name: stored[field.name] for field in fields(cls)})
        except Exception as error:  # a damaged archive can raise anything: BadZipFile, zlib.error, KeyError, EOFError
            raise RunError(f"{path}: damaged ({error}): --resume the run, and it is written again") from error

    def nearest(self, features: np.ndarray, count: int) -> list[tuple[int, float]]:
        """(row of items.csv, cosine similarity) of the training items most alike to one picture's `features` (d,)."""
        alike = self.features.astype(np.float32) @ features
        return [(int(self.rows[i]), float(alike[i])) for i in np.argsort(-alike, kind="stable")[:count]]

    def distances(self, image: np.ndarray) -> np.ndarray:
        """How far one prepared picture is from each class average: root mean square over small pixels, 0 to 1; nan where
        there is none."""
        return np.sqrt(((self.centroids - small_pixels(image[None])) ** 2).mean(axis=1))


def class_averages(images: Iterable[tuple[np.ndarray, np.ndarray]], classes: int) -> tuple[np.ndarray, np.ndarray]:
    """The average picture of each class over chunks of (pictures, class numbers), and its small pixels.

    Returns float32 (classes, height, width, 3), at most 64 pixels a side, and (classes, small features), both from 0 to 1.
    A class without any picture has black and nan.
    """
    sums: list[Any] = [0.0, 0.0]
    counts, shape = np.zeros(classes), (0, 0)
    for chunk, targets in images:
        shape = min(chunk.shape[1], AVERAGE_SIDE), min(chunk.shape[2], AVERAGE_SIDE)
        one_hot = np.eye(classes)[targets]
        sums = [total + one_hot.T @ small_pixels(chunk, side) for total, side in zip(sums, (AVERAGE_SIDE, SIDE), strict=True)]
        counts += one_hot.sum(axis=0)
    averages, centroids = ((total / np.maximum(counts, 1)[:, None]).astype(np.float32) for total in sums)
    centroids[counts == 0] = np.nan
    return averages.reshape(classes, *shape, 3), centroids
