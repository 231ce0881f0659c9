"""What classes weigh in a loss, so that rare ones are not passed over: pixels of a picture and rows of a table alike."""

from __future__ import annotations

import numpy as np

from toolkit.errors import ToolkitError

WEIGHINGS = ("auto", "none", "root", "balanced")
HEAVIEST = 5.0  # times what an item weighs in the mean


def class_weights(counts: np.ndarray, weighing: str) -> np.ndarray | None:
    """What an item of each class weighs in the loss, float32 (classes,), from the numbers of items (classes,); None: the same.

    `balanced` is one over a class's share, `root` the square root of that; a mean of 1 over items, and none over 5.
    Raises `ToolkitError` for an unknown name.
    """
    if weighing not in WEIGHINGS:
        raise ToolkitError(f"class weights {weighing!r}; choose from {', '.join(WEIGHINGS)}")
    if weighing == "none":
        return None
    shares = counts / counts.sum()
    power = 1.0 if weighing == "balanced" else 0.5
    weights = np.where(shares > 0, np.maximum(shares, 1e-9) ** -power, 0)
    for _ in range(100):  # what is cut off one class is given to the others, until none is over
        weights = np.minimum(weights / (weights * shares).sum(), HEAVIEST)
    return weights.astype(np.float32)
