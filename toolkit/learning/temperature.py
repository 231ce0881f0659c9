"""The temperature that a network's scores are divided by, so that its probabilities mean what they say."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax


def best_temperature(scores: np.ndarray, targets: np.ndarray) -> float:
    """The temperature, 0.05 to 20, with the lowest log loss on `scores` (items, classes) and class numbers (items,).

    Temperature scaling (Guo et al. 2017). Items count as (n + 1) / (n + 2) sure (Platt 1999), so that a faultless part does not
    ask for certainty.
    """
    count, classes = scores.shape
    rest = 1 / (count + 2)
    wanted = np.full((count, classes), rest / (classes - 1))
    wanted[np.arange(count), targets] = 1 - rest

    def log_loss(log_temperature: float) -> float:
        return -float((wanted * log_softmax(scores / np.exp(log_temperature), axis=1)).sum(axis=1).mean())

    return float(np.exp(minimize_scalar(log_loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))
