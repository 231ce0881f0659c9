"""How unsure a network is of each pixel, and whether that tells where it is wrong.

These are the only numbers of a report that are measured for it: a map of uncertainty is worth looking at only as far as
uncertainty and mistakes go together.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from toolkit.data.progress import track
from toolkit.data.segmentation.class_mapping import IGNORED
from toolkit.data.segmentation.labelled import LabelledSegmentation
from toolkit.evaluation.sampling import sample_rows
from toolkit.program.segmentation.inputs import PixelNetwork, SegmentationInput, tiles
from toolkit.reports.page import Section, Table, Text
from toolkit.reports.sections import percent

SAMPLE, EACH = 50, 20_000  # test pictures, and pixels of each, over which uncertainty is measured
TENTHS = ("surest tenth", "2nd tenth", "3rd tenth", *(f"{number}th tenth" for number in range(4, 10)), "least sure tenth")


def uncertainty_section(labelled: LabelledSegmentation, network: PixelNetwork) -> Section:
    """Whether the pixels that the network is unsure of are those it gets wrong."""
    title, rows = "How unsure it is", labelled.rows("test")
    chosen = [rows[place] for place in sample_rows(len(rows), SAMPLE)]
    unsure, right = _sampled(labelled, chosen, network=network)
    if len(right) < len(TENTHS) or right.all() or not right.any():
        found = f"{len(right)} pixels of {len(chosen)} test pictures, {right.sum()} of them right"
        return Section(title, [Text(f"Nothing to tell mistakes by: measured were {found}.")])
    order, mistakes = np.argsort(unsure, kind="stable"), (~right).sum()
    tenths = [right[part] for part in np.array_split(order, len(TENTHS))]
    ranks = pd.Series(unsure).rank().to_numpy()[~right]
    behind = (ranks.sum() - mistakes * (mistakes + 1) / 2) / mistakes / right.sum()  # the area under the ROC curve
    unsurest = percent(sum((~tenth).sum() for tenth in tenths[-2:]) / mistakes)
    show = "show well" if behind >= 0.85 else "show roughly" if behind >= 0.7 else "hardly show"
    told = (
        "How unsure the network is of a pixel is the entropy of its probabilities: none where one class has all, highest where "
        f"all are as likely. Measured for this page on {len(right):,} pixels of {len(chosen)} test pictures: of a right and a "
        f"wrong one, drawn at random, it is more unsure of the wrong one {100 * behind:.0f} times in 100 (a coin: 50). The least "
        f"sure fifth holds {unsurest} of all mistakes. So the maps above {show} where to look for them."
    )
    cells = [
        [name, percent(tenth.mean()), percent((~tenth).sum() / mistakes)] for name, tenth in zip(TENTHS, tenths, strict=True)
    ]
    return Section(title, [Text(told), Table(["pixels", "of them right", "of all mistakes"], cells)])


def uncertainty(
    pixels: np.ndarray, network: PixelNetwork, *, segmentation_input: SegmentationInput
) -> tuple[np.ndarray, np.ndarray]:
    """How unsure the network is of each pixel of a picture, uint8 (height, width, 3), at the scale that it sees, and its answer.

    The first is the entropy of the probabilities over its highest value, from 0, sure, to 1, where all classes are as likely:
    float32 (height, width); the second uint8 (height, width). Large pictures go through tile by tile.
    """
    height, width = pixels.shape[:2]
    unsure, likeliest = np.empty((height, width), np.float32), np.empty((height, width), np.uint8)
    for top, bottom, *rows in tiles(height, segmentation_input):
        for left, right, *columns in tiles(width, segmentation_input):
            probabilities = network(segmentation_input.padded(pixels[top:bottom, left:right])[None])[0]
            inner = probabilities[:, rows[0] - top : rows[1] - top, columns[0] - left : columns[1] - left]
            entropy = -(inner * np.log(np.maximum(inner, 1e-12))).sum(axis=0)
            unsure[slice(*rows), slice(*columns)] = (entropy / np.log(max(2, len(inner)))).clip(0, 1)
            likeliest[slice(*rows), slice(*columns)] = inner.argmax(axis=0)
    return unsure, likeliest


def _sampled(labelled: LabelledSegmentation, rows: Sequence[int], *, network: PixelNetwork) -> tuple[np.ndarray, np.ndarray]:
    """Uncertainty, float32 (pixels,), and whether the class is right, bool (pixels,), of pixels of the middle of pictures."""
    rng = np.random.default_rng(0)
    unsure: list[np.ndarray] = []
    right: list[np.ndarray] = []
    for row in track(rows, len(rows), what="looking for doubt"):
        pair = labelled.pair(row)
        starts = [max(0, (side - labelled.segmentation_input.tile) // 2) for side in pair[1].shape]  # one tile of a large picture
        middle = tuple(slice(start, start + labelled.segmentation_input.tile) for start in starts)
        pixels, truth = (part[middle] for part in pair)
        values, likeliest = uncertainty(pixels, network, segmentation_input=labelled.segmentation_input)
        counted = np.flatnonzero(truth != IGNORED)
        drawn_pixels = rng.choice(counted, min(EACH, len(counted)), replace=False)
        unsure.append(values.ravel()[drawn_pixels])
        right.append((likeliest == truth).ravel()[drawn_pixels])
    return np.concatenate(unsure), np.concatenate(right)
