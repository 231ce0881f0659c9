"""What a training picture and its mask go through together, alike, a whole batch at a time: a crop, zoomed in one resampling."""

from __future__ import annotations

import torch
from fastai.vision.augment import Dihedral, Flip, RandTransform, Zoom, setup_aug_tfms
from fastai.vision.core import TensorImage
from fasttransform import Pipeline, Transform

from toolkit.errors import ToolkitError

SEGMENTATION_AUGMENTATIONS = ("photo", "turned", "none")
ZOOM = (0.75, 1.5)


class InTraining(Transform):
    """Transforms of a whole batch that only training goes through: fastai's affine ones would bring the pictures of validation,
    and those to predict, to the size of training."""

    order = 30

    def __init__(self, transforms: list[Transform]) -> None:
        super().__init__()
        self.altered = Pipeline(transforms, split_idx=0)

    def __call__(self, batch: tuple, split_idx: int | None = None, **kwargs: object) -> tuple:
        return self.altered(batch) if split_idx == 0 else batch


class ColourJitter(RandTransform):
    """Each picture of a batch, float (batch, 3, height, width) from 0 to 1, in another light; masks stay as they are.

    `contrast`, `saturation` and `tint` (of each channel) are factors in logarithms, up to which it is drawn either way: a third
    more or less, and an eighth. `brightness` is what is added at most, a tenth.
    """

    order, split_idx = 40, 0

    def __init__(self, *, contrast: float = 0.3, brightness: float = 0.1, saturation: float = 0.36, tint: float = 0.12) -> None:
        super().__init__(p=1.0)
        self.contrast, self.brightness, self.saturation, self.tint = contrast, brightness, saturation, tint

    def encodes(self, pictures: TensorImage) -> TensorImage:
        x = pictures.as_subclass(torch.Tensor)

        def drawn(reach: float, channels: int = 1) -> torch.Tensor:
            return reach * (2 * torch.rand(len(x), channels, 1, 1, device=x.device) - 1)

        grey = x.mean(dim=1, keepdim=True)
        x = torch.lerp(grey, x, drawn(self.saturation).exp())
        middle = grey.mean(dim=(2, 3), keepdim=True)
        gain = (drawn(self.contrast) + drawn(self.tint, 3)).exp()
        return TensorImage(((x - middle) * gain + middle + drawn(self.brightness)).clamp_(0, 1))


def segmentation_augmentations(name: str, *, crop: tuple[int, int], crop_from: tuple[int, int]) -> list[Transform]:
    """What batches of training pictures of the size `crop_from`, and their masks, go through to become crops of the size `crop`,
    both (height, width) in pixels.

    `photo`: a crop, at 0.75 to 1.5 times its scale, half of them mirrored left to right, in another light. `turned`: also
    mirrored top to bottom, and, where both sizes are square, turned by any quarter, for where no side is up (aerial pictures,
    microscopes). `none`: as they are; then the two sizes have to be the same. Raises `ToolkitError` for an unknown name.
    """
    if name == "none":
        return []
    if name not in SEGMENTATION_AUGMENTATIONS:
        raise ToolkitError(f"augment {name!r}; choose from {', '.join(SEGMENTATION_AUGMENTATIONS)}")
    scale = (crop_from[0] * crop_from[1] / (crop[0] * crop[1])) ** 0.5  # a zoom of this much shows a crop at its own scale
    zoom = Zoom(min_zoom=scale * ZOOM[0], max_zoom=scale * ZOOM[1], p=1.0, size=crop)
    square = crop_from[0] == crop_from[1] and crop[0] == crop[1]
    turned = Dihedral(p=1.0, size=crop, draw=None if square else _half_turns)
    return [InTraining(setup_aug_tfms([turned if name == "turned" else Flip(size=crop), zoom])), ColourJitter()]


def _half_turns(pictures: torch.Tensor) -> torch.Tensor:
    """Of fastai's eight ways to lay a picture those that keep its proportions."""
    return torch.randint(0, 4, (len(pictures),))
