"""The peer: what a fastai user writes by hand for a folder of pictures.

It is a file of its own so that it can be read beside our recipe, and so that it borrows nothing from it.
"""

from __future__ import annotations

import time
from pathlib import Path

from fastai.data.transforms import get_image_files
from fastai.learner import Learner
from fastai.metrics import accuracy
from fastai.torch_core import set_seed
from fastai.vision.augment import aug_transforms
from fastai.vision.data import ImageDataLoaders
from fastai.vision.learner import vision_learner
from torchvision.models import resnet18


def build(train: Path, seed: int = 42, augment: bool = True) -> Learner:
    """`vision_learner(resnet18, pretrained=False)`, batch 64, a tenth held out to validate; `aug_transforms` for photos."""
    set_seed(seed, True)
    transforms = aug_transforms(size=32, max_rotate=5) if augment else None
    dls = ImageDataLoaders.from_folder(train, valid_pct=0.1, seed=seed, bs=64, num_workers=0, batch_tfms=transforms)
    learn = vision_learner(dls, resnet18, pretrained=False, metrics=accuracy)
    learn.unfreeze()
    return learn


def train(learn: Learner, epochs: int) -> float:
    """One cycle; return the seconds it took."""
    began = time.perf_counter()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs, 3e-3)
    return time.perf_counter() - began


def test_hits(learn: Learner, test: Path):
    """For each test file, in sorted order, whether it is recognised: bool array."""
    files = sorted(get_image_files(test))
    with learn.no_bar(), learn.no_logging():
        probabilities, targets = learn.get_preds(dl=learn.dls.test_dl(files, with_labels=True))
    return (probabilities.argmax(1) == targets).numpy()
