"""What a training picture goes through, a whole batch at a time, so that the network sees it differently each epoch.

It is a file of its own because what may be changed without changing the answer is a decision about the data: a
mirrored cat is a cat, a mirrored 3 is not a digit.
"""

from __future__ import annotations

import torch
from fastai.vision.augment import aug_transforms
from fastai.vision.core import TensorImage
from fasttransform import Transform

from toolkit.errors import ToolkitError

AUGMENTATIONS = ("photo", "symbol", "none")
SMALL = 64  # pixels: up to here whole-pixel shifts serve better than resampling, which blurs


class ShiftFlip(Transform):
    """Shift each picture by whole pixels, up to `share` of a side with the border mirrored, and mirror every other one.

    Works on uint8 or float (batch, channels, height, width), one gather for the whole batch (as in He et al. 2016,
    section 4.2, where the border is black).
    """

    split_idx, order = 0, 5  # training only, and before the pixels become floats

    def __init__(self, share: float = 0.125, flip: bool = True) -> None:
        super().__init__()
        self.share, self.flip = share, flip

    def encodes(self, x: TensorImage) -> TensorImage:
        count, _, height, width = x.shape
        rows = _mirrored(_shifts(count, height, self.share, x.device), height)
        columns = _mirrored(_shifts(count, width, self.share, x.device), width)
        if self.flip:
            turned = torch.rand(count, 1, device=x.device) < 0.5
            columns = torch.where(turned, columns.flip(1), columns)
        pictures = torch.arange(count, device=x.device)[:, None, None]
        return x[pictures, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)


def batch_augmentations(name: str, size: tuple[int, int]) -> list[Transform]:
    """The batch transforms called `name`.

    `photo`: mirrored left to right and moved; from 64 pixels up also zoomed, turned a little and lit differently.
    `symbol`: moved, turned, zoomed, never mirrored: digits, letters, X-rays. `none`: as they are.
    """
    if name == "none":
        return []
    if name == "photo" and max(size) <= SMALL:
        return [ShiftFlip()]
    if name == "photo":
        return aug_transforms(size=size, min_scale=0.5)
    if name == "symbol":
        return aug_transforms(
            do_flip=False, max_rotate=10.0, min_zoom=0.9, max_zoom=1.1, max_lighting=0.1, max_warp=0.1, p_affine=1.0
        )
    raise ToolkitError(f"augment {name!r}; choose from {', '.join(AUGMENTATIONS)}")


def _shifts(count: int, length: int, share: float, device: torch.device) -> torch.Tensor:
    furthest = round(length * share)
    return torch.randint(-furthest, furthest + 1, (count, 1), device=device) + torch.arange(length, device=device)


def _mirrored(index: torch.Tensor, length: int) -> torch.Tensor:
    return (length - 1) - ((length - 1) - index.abs()).abs()
