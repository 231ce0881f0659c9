"""Probabilities that mean what they say: a network that is 80 % sure should be right four times in five.

`fit` takes this step at its end: after training, before the test, on the validation part.
"""

from __future__ import annotations

import numpy as np
import torch
from fastai.learner import Learner
from torch import nn

from toolkit.learning.temperature import best_temperature


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
            parameter.div_(temperature)
    return temperature
