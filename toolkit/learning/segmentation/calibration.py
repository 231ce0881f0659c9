"""Probabilities of pixels that mean what they say: of those that a network is 80 % sure of, four in five should be right.

`fit` takes this step at its end: after training, before the test, on the validation part.
"""

from __future__ import annotations

import numpy as np
import torch
from fastai.learner import Learner
from torch import nn

from toolkit.data.segmentation.class_mapping import IGNORED
from toolkit.learning.segmentation.networks import last_layer
from toolkit.learning.temperature import best_temperature

# One number is chosen, for which few pictures suffice; but pixels of one picture are alike, so that a thousand of them say as
# little of other pictures as a hundred
FEWEST_PICTURES, FEWEST_PIXELS = 5, 1000
MOST_PIXELS = 50_000  # that it is chosen on, drawn evenly from the pictures


def calibrate(learn: Learner) -> float:
    """Divide the network's scores by one temperature, chosen on pixels of the validation part; return it.

    Temperature scaling (Guo et al. 2017): the class with the highest score stays the same for each pixel that the network sees,
    only how sure it is changes. A picture that was shrunk for the network has more pixels than it sees: between two of those the
    border of two classes may move by a part of the distance.

    The scale goes into the last convolution over the classes. The network is left as it is (1.0) where it has none, where its
    scores do not follow that one, and where fewer than 5 validation pictures, or 1000 pixels of them, count.
    """
    model, classes = learn.model, len(learn.dls.vocab)
    name = last_layer(model, classes)
    if not name:
        return 1.0
    scores, numbers, pictures = _sampled(learn)
    if pictures < FEWEST_PICTURES or len(numbers) < FEWEST_PIXELS:
        return 1.0
    temperature = best_temperature(scores, numbers)
    return temperature if _divided(model, model.get_submodule(name), by=temperature, example=_first_batch(learn)) else 1.0


def _sampled(learn: Learner) -> tuple[np.ndarray, np.ndarray, int]:
    """Scores, float64 (pixels, classes), and class numbers, int64 (pixels,), of validation pixels that count, drawn by a seed of
    their own; and of how many pictures they are."""
    each = -(-MOST_PIXELS // max(1, len(learn.dls.valid.dataset)))
    rng, scores, numbers = np.random.default_rng(0), [], []
    for pictures, masks in learn.dls.valid:
        for found, truth in zip(_scores(learn.model, pictures), torch.as_tensor(masks).cpu().numpy(), strict=True):
            counted = np.flatnonzero(truth != IGNORED)
            drawn = rng.choice(counted, min(each, len(counted)), replace=False)
            if len(drawn):
                scores.append(found.flatten(1)[:, drawn].T.double().numpy())
                numbers.append(truth.ravel()[drawn].astype(np.int64))
    if not numbers:
        return np.zeros((0, len(learn.dls.vocab))), np.zeros(0, dtype=np.int64), 0
    return np.concatenate(scores), np.concatenate(numbers), len(numbers)


@torch.inference_mode()
def _scores(model: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    """The network's scores, float32 (batch, classes, height, width), of normalised pictures."""
    model.eval()
    device = next(model.parameters()).device
    return torch.as_tensor(model(pictures.as_subclass(torch.Tensor).to(device))).as_subclass(torch.Tensor).float().cpu()


def _first_batch(learn: Learner) -> torch.Tensor:
    pictures: torch.Tensor = next(iter(learn.dls.valid))[0]
    return pictures


def _divided(model: nn.Module, layer: nn.Module, *, by: float, example: torch.Tensor) -> bool:
    """Divide the weights of `layer`, and say whether the scores of the `example` followed; if not, they are put back."""
    before = _scores(model, example)
    kept = [parameter.detach().clone() for parameter in layer.parameters()]
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.div_(by)
    if torch.allclose(by * _scores(model, example), before, rtol=1e-3, atol=1e-3 * float(before.abs().max())):
        return True
    with torch.no_grad():
        for parameter, value in zip(layer.parameters(), kept, strict=True):
            parameter.copy_(value)
    return False
