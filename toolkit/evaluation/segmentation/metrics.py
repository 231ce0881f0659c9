"""Metrics of a class for each pixel: counts and boundaries of one picture, figures of a set with bootstrap intervals.

What the bootstrap draws here are pictures, not pixels, which are far too alike within one; so a picture is three counts a class,
and a resample their weighted sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from scipy.spatial import cKDTree

from toolkit.data.segmentation.class_mapping import IGNORED
from toolkit.evaluation.bootstrap import Bootstrap, Interval, bounded_interval

MEAN_IOU, PIXEL_ACCURACY, BOUNDARY_F1 = PICTURE_METRICS = ("mean IoU", "pixel accuracy", "boundary F1")
TOLERANCE = 0.0075  # of the picture's diagonal: how far off a boundary still counts as found
NEAR = 5  # pixels: up to here trying each neighbour is faster than a search tree


def pixel_confusion(truth: np.ndarray, predicted: np.ndarray, *, classes: int) -> np.ndarray:
    """Counts [true][predicted], int64 (classes, classes), of class numbers (height, width) each; pixels whose truth is IGNORED
    are left out."""
    counted = truth != IGNORED
    cells = truth[counted].astype(np.intp) * classes + predicted[counted]
    return np.bincount(cells, minlength=classes**2).reshape(classes, classes)


def boundary_f1(truth: np.ndarray, predicted: np.ndarray, *, classes: int) -> float:
    """How well outlines are found in one picture, from 0 to 1: the mean F1 of the classes in its truth (Csurka et al. 2013).

    A class's boundary is its pixels beside (above, below, left, right) another class. Precision is the share of the said
    boundary pixels within a tolerance of a true one of the same class, recall the reverse; the tolerance is 0.75 % of the
    diagonal, at least a pixel. Where a region meets the picture's border or IGNORED pixels is no boundary. A class that has
    none on either side counts as found (1) where it was said at all. NaN where no pixel counts.

    The mean is over the classes of the truth alone, as for mean IoU: one that was only said spoils the precision of those in
    whose place it stands.
    """
    predicted = np.where(truth == IGNORED, np.uint8(IGNORED), predicted)
    there, said = (np.bincount(mask.ravel(), minlength=IGNORED + 1)[:classes] > 0 for mask in (truth, predicted))
    if not there.any():
        return float("nan")
    reach = max(1.0, TOLERANCE * float(np.hypot(*truth.shape)))
    (edges, found), (said_edges, right) = _matched(_outline(truth), _outline(predicted), reach=reach, classes=classes)
    precision, recall = right / np.maximum(said_edges, 1), found / np.maximum(edges, 1)
    f1 = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return float(np.where(edges + said_edges > 0, f1, said)[there].mean())


def _outline(mask: np.ndarray) -> np.ndarray:
    """The mask with IGNORED wherever no pixel of another class is beside."""
    edge = np.zeros(mask.shape, dtype=bool)
    for axis in (0, 1):
        one, other = (np.moveaxis(mask, axis, 0)[part] for part in (np.s_[1:], np.s_[:-1]))
        differ = (one != other) & (one != IGNORED) & (other != IGNORED)
        for part in (np.s_[1:], np.s_[:-1]):
            np.moveaxis(edge, axis, 0)[part] |= differ  # a view: this writes into `edge`
    return np.where(edge, mask, np.uint8(IGNORED))


def _matched(first: np.ndarray, second: np.ndarray, *, reach: float, classes: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """For either outline the number of its pixels of each class, and of those within `reach` of such a one in the other."""
    counts = []
    for outline, other in ((first, second), (second, first)):
        total = np.bincount(outline[outline != IGNORED], minlength=classes)
        alone = (_alone_near if reach <= NEAR else _alone_far)(outline, other, reach=reach)
        counts.append((total, total - np.bincount(alone, minlength=classes)))
    return counts


def _alone_near(outline: np.ndarray, other: np.ndarray, *, reach: float) -> np.ndarray:
    """The classes of the pixels of `outline` that have none like them in `other`: each neighbour is tried, the closest first."""
    edge = int(reach)
    down, right = np.mgrid[-edge : edge + 1, -edge : edge + 1].reshape(2, -1)
    squared = down**2 + right**2
    order = np.argsort(squared, kind="stable")[: int((squared <= reach**2).sum())]
    there, sought = (np.pad(mask, edge, constant_values=IGNORED).ravel() for mask in (outline, other))
    places = np.flatnonzero(there != IGNORED)
    numbers = there[places]
    for step in down[order] * (outline.shape[1] + 2 * edge) + right[order]:
        missing = sought[places + step] != numbers
        places, numbers = places[missing], numbers[missing]
    return numbers


def _alone_far(outline: np.ndarray, other: np.ndarray, *, reach: float) -> np.ndarray:
    """As `_alone_near`, for large pictures: one search tree, in which classes lie too far apart to be neighbours."""
    apart = 10.0 * max(outline.shape)
    points = [np.argwhere(mask != IGNORED) for mask in (outline, other)]
    numbers = [mask[tuple(at.T)] for mask, at in zip((outline, other), points, strict=True)]
    if not len(points[0]) or not len(points[1]):
        return numbers[0]
    placed = [np.column_stack([at, apart * of]) for at, of in zip(points, numbers, strict=True)]
    tree = cKDTree(placed[1], balanced_tree=False, compact_nodes=False)
    distance, _ = tree.query(placed[0], distance_upper_bound=reach * (1 + 1e-9))
    return numbers[0][~np.isfinite(distance)]


@dataclass
class Tally:
    """What is kept of each picture that one method segmented: for each class the pixels it got right, has in truth, and was
    given; and its boundary F1. `confusion` is int64 (classes, classes), summed over all pictures."""

    classes: int
    confusion: np.ndarray = field(init=False)
    counts: list[np.ndarray] = field(init=False, default_factory=list)
    boundary: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((self.classes, self.classes), dtype=np.int64)

    def add(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Count one picture: class numbers (height, width), IGNORED where its truth does not count."""
        found = pixel_confusion(truth, predicted, classes=self.classes)
        self.confusion += found
        self.counts.append(np.stack([np.diag(found), found.sum(axis=1), found.sum(axis=0)]))
        self.boundary.append(boundary_f1(truth, predicted, classes=self.classes))

    def picture(self, number: int) -> tuple[dict[str, float], int]:
        """The metrics of one picture alone, and the class of its truth with the lowest IoU; NaN and -1 where none of its pixels
        counts."""
        right, there, said = self.counts[number].astype(float)
        if not there.any():
            return dict.fromkeys(PICTURE_METRICS, float("nan")), -1
        iou = _iou(right, there, said=said)
        figures = np.nanmean(iou), right.sum() / there.sum(), self.boundary[number]
        return dict(zip(PICTURE_METRICS, map(float, figures), strict=True)), int(np.nanargmin(iou))


def segmentation_metrics(
    tally: Tally, bootstrap: Bootstrap, *, groups: np.ndarray | None = None
) -> tuple[dict[str, Interval], dict[int, Interval]]:
    """Mean IoU, pixel accuracy and boundary F1 of all pictures, and IoU of each class number that is in their truth, each with
    its interval over pictures, or over `groups` (pictures,) where those are what the bootstrap drew."""
    samples, iou = metric_samples(tally, bootstrap)
    units = np.arange(len(tally.counts)) if groups is None or bootstrap.resampled != "groups" else np.asarray(groups)
    there = np.stack(tally.counts)[:, 1] > 0
    metrics = {name: bounded_interval(values, bootstrap.units) for name, values in samples.items()}
    known = np.flatnonzero(there.any(axis=0)).tolist()
    return metrics, {number: bounded_interval(iou[:, number], len(np.unique(units[there[:, number]]))) for number in known}


def metric_samples(tally: Tally, bootstrap: Bootstrap) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Each metric on all pictures (row 0) and in each resample, (1 + resamples,), and IoU of each class (1 + resamples, classes).

    IoU is of the counts summed over the pictures, so that large regions weigh more than small ones. Its mean is over the classes
    that are in the truth of the drawn pictures. Boundary F1 is the mean over pictures.
    """
    counts = np.stack(tally.counts, axis=1)
    right, there, said = (_totals(bootstrap.weights, each) for each in counts)
    iou = _iou(right, there, said=said)
    known = ~np.isnan(iou)
    pixels, boundary = there.sum(axis=1), np.array(tally.boundary)
    drawn = _totals(bootstrap.weights, np.stack([np.nan_to_num(boundary), ~np.isnan(boundary)], axis=1))
    with np.errstate(invalid="ignore"):  # a resample in which no pixel counts has no figures
        samples = {
            MEAN_IOU: np.where(known, iou, 0).sum(axis=1) / known.sum(axis=1),
            PIXEL_ACCURACY: right.sum(axis=1) / pixels,
            BOUNDARY_F1: drawn[:, 0] / drawn[:, 1],
        }
    return samples, iou


def _totals(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Weighted sums (1 + resamples, columns) of values (items, columns): row 0 exact, the others as float32 products."""
    totals = (weights @ values.astype(np.float32)).astype(float)
    totals[0] = values.sum(axis=0)
    return totals


def _iou(right: np.ndarray, there: np.ndarray, *, said: np.ndarray) -> np.ndarray:
    """Intersection over union; NaN where the truth has none."""
    return np.where(there > 0, right / np.maximum(there + said - right, 1), np.nan)
