"""Probabilities that mean what they say: a network that is 80 % sure should be right four times in five.

`fit` takes this step at its end: after training, before the test, on the validation part.
"""

from __future__ import annotations

import numpy as np
import torch
from fastai.learner import Learner
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax
from torch import nn


def calibrate(learn: Learner) -> float:
    """Divide the network's scores by one temperature, chosen on the validation part; return it.

    Temperature scaling (Guo et al. 2017): the labels it says stay the same, only how sure it is changes. Validation items
    count as (n + 1) / (n + 2) sure (Platt 1999), so that a faultless validation part does not ask for certainty. The
    scale goes into the last linear layer; a network that does not end in one over the classes is left as it is (1.0). One that is
    calibrated already stays as it is but for the search's precision: its temperature is 1.
    """
    last = [module for module in learn.model.modules() if isinstance(module, nn.Linear)][-1:]
    if not last or last[0].out_features != len(learn.dls.vocab):
        return 1.0
    with learn.no_bar(), learn.no_logging():
        scores, targets = learn.get_preds(dl=learn.dls.valid, act=torch.nn.Identity())
    temperature = best_temperature(scores.numpy().astype(np.float64), targets.numpy().astype(np.int64))
    with torch.no_grad():
        for parameter in last[0].parameters():
            parameter /= temperature
    return temperature


def best_temperature(scores: np.ndarray, targets: np.ndarray) -> float:
    """The temperature, 0.05 to 20, with the lowest log loss on `scores` (items, classes) and class numbers (items,)."""
    count, classes = scores.shape
    rest = 1 / (count + 2)
    wanted = np.full((count, classes), rest / (classes - 1))
    wanted[np.arange(count), targets] = 1 - rest

    def log_loss(log_temperature: float) -> float:
        return -float((wanted * log_softmax(scores / np.exp(log_temperature), axis=1)).sum(axis=1).mean())

    return float(np.exp(minimize_scalar(log_loss, bounds=(np.log(0.05), np.log(20)), method="bounded").x))
