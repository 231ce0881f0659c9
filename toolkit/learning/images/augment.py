"""What a training picture goes through, a whole batch at a time, so that the network sees it differently each epoch.

What may be changed without changing the answer is a decision about the data: a mirrored cat is a cat, a mirrored 3 is not a
digit.
"""

from __future__ import annotations

from fastai.vision.augment import Flip, aug_transforms
from fasttransform import Transform
from torch import nn

from toolkit.errors import ToolkitError
from toolkit.learning.images.small_resnet import FlipAveraged
from toolkit.learning.images.spectrogram_augment import SpectrogramWarp

MIRRORED = ("photo", "mirror", "mirror-scale")  # what these learn from means the same in a mirror
AUGMENTATIONS = ("photo", "symbol", "spectrogram", "spectrogram-deltas", "mirror", "scale", "mirror-scale", "none")
SMALL = 64  # pixels: up to here a change of light or a slanted view costs more than it teaches


def choose_augmentation(name: str, *, grey: bool, converted: bool) -> str:
    """What "auto" stands for: none for what a converter drew, symbol for grey pictures, photo for coloured ones.

    Raises `ToolkitError` for an unknown name.
    """
    if name not in ("auto", *AUGMENTATIONS):
        raise ToolkitError(f"augment {name!r}; choose from auto, {', '.join(AUGMENTATIONS)}")
    if name != "auto":
        return name
    return "none" if converted else "symbol" if grey else "photo"


def answer_mirrored(model: nn.Module, augment: str) -> None:
    """Have a network that can (see `FlipAveraged`) answer for a picture and its mirror image at once, where the augmentation of
    that name mirrors."""
    if isinstance(model, FlipAveraged):
        model.average = augment in MIRRORED


def batch_augmentations(name: str, size: tuple[int, int]) -> list[Transform]:
    """The batch transforms called `name`, fastai's own but for spectrograms.

    `photo`: mirrored left to right, turned and zoomed; over 64 pixels also cut out, bent and lit differently. `symbol`:
    turned and zoomed a little, never mirrored: digits, letters, X-rays. `spectrogram`: see `SpectrogramWarp`; of
    `spectrogram-deltas` only the first channel holds levels. `mirror`: left to right, half of them; `scale`: turned a little,
    smaller and larger; `mirror-scale`: both. `none`: as they are.
    """
    if name == "none":
        return []
    if name == "spectrogram":
        return [SpectrogramWarp()]
    if name == "spectrogram-deltas":
        return [SpectrogramWarp(levels=1)]
    if name == "mirror":
        return [Flip()]
    if name in ("scale", "mirror-scale"):
        return aug_transforms(
            do_flip=name in MIRRORED, max_rotate=10.0, min_zoom=0.8, max_zoom=1.2, max_warp=0, max_lighting=0, p_affine=1.0
        )
    if name == "photo" and max(size) > SMALL:
        return aug_transforms(size=size, min_scale=0.5)
    if name == "photo":
        return aug_transforms(max_rotate=10.0, min_zoom=0.85, max_zoom=1.15, max_warp=0, max_lighting=0, p_affine=1.0)
    return aug_transforms(do_flip=False, max_rotate=10.0, min_zoom=0.9, max_zoom=1.1, max_warp=0.1, max_lighting=0, p_affine=1.0)
