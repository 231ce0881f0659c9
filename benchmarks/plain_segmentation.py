"""The peer: what a fastai user writes by hand for pictures with masks.

It is a file of its own so that it can be read beside our recipe, and so that it borrows nothing from it.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fastai.data.block import DataBlock
from fastai.data.transforms import FuncSplitter, get_image_files
from fastai.learner import Learner
from fastai.torch_core import set_seed
from fastai.vision.augment import Flip, Resize
from fastai.vision.data import ImageBlock, MaskBlock
from fastai.vision.learner import unet_learner
from PIL import Image
from torchvision.models import resnet18

UNCOUNTED = "Unlabelled"
BATCH = 8
SIZE = (96, 128)  # height and width that pictures are squished to


def build(root: Path, size: tuple[int, int] = SIZE, seed: int = 42) -> Learner:
    """`unet_learner(resnet18, pretrained=False)`, batch 8, flips, on `root/{train,val}/{images,labels}` and `root/codes.txt`."""
    set_seed(seed, True)
    block = DataBlock(
        blocks=(ImageBlock, MaskBlock(codes=names(root))),
        splitter=FuncSplitter(lambda file: file.parents[1].name == "val"),
        get_y=mask_of,
        item_tfms=Resize(size, method="squish"),
        batch_tfms=[Flip()],
    )
    files = get_image_files(root / "train" / "images") + get_image_files(root / "val" / "images")
    learn = unet_learner(block.dataloaders(files, bs=BATCH, num_workers=0), resnet18, pretrained=False)
    learn.unfreeze()
    return learn


def train(learn: Learner, epochs: int) -> float:
    """One cycle; return the seconds it took, validation included."""
    began = time.perf_counter()
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs, 1e-3)
    return time.perf_counter() - began


def test_scores(learn: Learner, root: Path) -> tuple[float, float, dict[str, float]]:
    """Mean IoU, pixel accuracy and the IoU of each class on `root/test`, at the pictures' own size, `UNCOUNTED` left out.

    Probabilities are enlarged (bilinear) before the highest is taken; pixels are counted over the whole test set.
    """
    classes = names(root)
    files = sorted(get_image_files(root / "test" / "images"))
    with learn.no_bar(), learn.no_logging():
        probabilities, _ = learn.get_preds(dl=learn.dls.test_dl(files))
    confusion = np.zeros((len(classes), len(classes)), dtype=np.int64)
    for file, small in zip(files, torch.as_tensor(probabilities), strict=True):
        truth = np.asarray(Image.open(mask_of(file))).astype(np.int64)
        said = F.interpolate(small[None], size=truth.shape, mode="bilinear", align_corners=False)[0].argmax(0).numpy()
        counts = truth != classes.index(UNCOUNTED)
        cells = truth[counts] * len(classes) + said[counts]
        confusion += np.bincount(cells, minlength=confusion.size).reshape(confusion.shape)
    right = confusion.diagonal()
    iou = right / np.maximum(1, confusion.sum(0) + confusion.sum(1) - right)
    each = {name: float(value) for name, value in zip(classes, iou, strict=True) if name != UNCOUNTED}
    return float(np.mean(list(each.values()))), float(right.sum() / confusion.sum()), each


def names(root: Path) -> list[str]:
    """The classes, in the order of their numbers."""
    return (root / "codes.txt").read_text().split()


def mask_of(file: Path) -> Path:
    """The mask of a picture."""
    return file.parents[1] / "labels" / f"{file.stem}.png"
