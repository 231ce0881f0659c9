"""Probabilities that mean what they say: a network that is 80 % sure of a row should be right four times in five."""

from __future__ import annotations

import numpy as np
import torch
from fastai.learner import Learner

from toolkit.learning.tabular.networks import Temperature
from toolkit.learning.temperature import best_temperature

FEWEST_ROWS = 100  # of the validation part: by fewer, chance decides


def calibrate(learn: Learner) -> float:
    """Divide the network's scores by one temperature, chosen on the validation rows (see `best_temperature`); return it.

    It stands behind the mean over TabM's members, so that labels and the order of probabilities stay the same. It is at least 1:
    these rows chose the epoch, too, and flatter the network, so that they can make it less sure, but not surer. Left as it is
    (1.0): an estimator of numbers, a network that is not ours, and one with too few validation rows.
    """
    temperature = getattr(learn.model, "temperature", None)
    if not isinstance(temperature, Temperature) or len(learn.dls.valid_ds) < FEWEST_ROWS:
        return 1.0
    temperature.value.fill_(1.0)
    with learn.no_bar(), learn.no_logging():
        scores, targets = learn.get_preds(dl=learn.dls.valid, act=torch.nn.Identity())
    found = max(1.0, best_temperature(scores.numpy().astype(np.float64), targets.numpy().reshape(-1).astype(np.int64)))
    temperature.value.fill_(found)
    return found
