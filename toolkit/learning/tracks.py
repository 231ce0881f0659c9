"""What pictures of tracks go through in training: left becomes right.

It is a file of its own because fastai's own mirroring samples every picture anew on a grid, at three times the cost, and
what else photos go through (turning, zooming) moves a chart's points to where they mean another distance or time.
"""

from __future__ import annotations

import torch
from fastai.torch_core import TensorImage
from fasttransform import Transform


class Mirror(Transform):
    """Mirror each picture of a training batch, (batch, channels, height, width), left to right with probability `p`.

    A hand that goes left is the same hand: the converter's picture of the mirrored track is the mirrored picture. Chance
    is torch's own generator, so a seed repeats it. Score with the mirrored answers averaged (`FlipAveraged.average`).
    """

    split_idx, order = 0, 12  # after fastai's IntToFloatTensor

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def encodes(self, pictures: TensorImage) -> TensorImage:
        chosen = torch.rand(len(pictures), device=pictures.device) < self.p
        return torch.where(chosen[:, None, None, None], pictures.flip(-1), pictures)
