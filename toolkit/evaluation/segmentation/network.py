"""The network of a learner that answers for each pixel, as a function from pixels to probabilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastai.learner import Learner

    from toolkit.program.segmentation.inputs import PixelNetwork


def pixel_network(learn: Learner) -> PixelNetwork:
    """The learner's network, with the weights it has when it is called, from pixels, uint8 (n, height, width, 3), to
    probabilities, float32 (n, classes, height, width)."""
    import torch  # here, so that finished runs are compared without it

    model = learn.model
    mean, std = (torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) for values in learn.spec.stats)

    @torch.inference_mode()
    def network(pixels: np.ndarray) -> np.ndarray:
        model.eval()
        scaled = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 255
        device = next(model.parameters()).device
        scores = torch.as_tensor(model(((scaled - mean) / std).to(device)))
        probabilities: np.ndarray = scores.softmax(dim=1).float().cpu().numpy()
        return probabilities

    return network
