"""A fastai Learner from labelled pictures and masks: loss, metrics and network of a segmentation.

A pixel is learnt from otherwise than a picture: some do not count, and some classes have a thousand times as many of them as
others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from fastai.learner import Learner, Metric
from fastai.losses import CrossEntropyLossFlat
from fastai.torch_core import set_seed

from toolkit.data.segmentation.class_mapping import IGNORED, ClassMapping
from toolkit.data.segmentation.labelled import LabelledSegmentation
from toolkit.errors import ToolkitError
from toolkit.learning.callbacks import FirstWeights
from toolkit.learning.class_weights import WEIGHINGS, class_weights
from toolkit.learning.cpu.bfloat16 import BFloat16OnCPU
from toolkit.learning.cpu.conv_gradients import ConvolutionGradients
from toolkit.learning.fitting import ADAMW
from toolkit.learning.images.networks import LIGHT, Stats
from toolkit.learning.images.weights import without_learnt_from
from toolkit.learning.segmentation.augment import SEGMENTATION_AUGMENTATIONS
from toolkit.learning.segmentation.loaders import segmentation_loaders, segmentation_stats
from toolkit.learning.segmentation.networks import check_segmentation_network, segmentation_network
from toolkit.spec import Spec

SHOWN, FEWEST, MOST = 8_000, 20, 80  # pictures that a training from random weights shows, in 20 to 80 epochs
LIGHT_RATE = 3e-3  # the highest learning rate of the light network: it was searched for once


class PixelCrossEntropy(CrossEntropyLossFlat):
    """Cross-entropy of scores (batch, classes, height, width) over the pixels that count: the mean, each weighing as much as its
    class. A batch in which none counts has a loss of 0."""

    def __init__(self, weight: torch.Tensor | None = None) -> None:
        super().__init__(axis=1, ignore_index=IGNORED)
        self.weight = weight

    def __call__(self, inp: torch.Tensor, targ: torch.Tensor, **kwargs: object) -> torch.Tensor:
        scores, numbers = torch.as_tensor(inp).float(), torch.as_tensor(targ).long()
        weight = None if self.weight is None else self.weight.to(scores.device)
        total = F.cross_entropy(scores, numbers, weight, ignore_index=IGNORED, reduction="sum")
        counting = numbers != IGNORED
        counted = counting.sum() if weight is None else weight[numbers[counting]].sum()
        return total / counted.clamp(min=1e-6)


class PixelMetric(Metric):
    """A figure of the confusion of all pixels that count, added up over batches; `classes` is how many there are."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.reset()

    def reset(self) -> None:
        self.counts = torch.zeros(self.classes, self.classes, dtype=torch.int64)

    def accumulate(self, learn: Learner) -> None:
        truth, said = torch.as_tensor(learn.y).flatten().cpu(), torch.as_tensor(learn.pred).argmax(dim=1).flatten().cpu()
        counting = truth != IGNORED
        cells = truth[counting] * self.classes + said[counting]
        self.counts += torch.bincount(cells, minlength=self.classes**2).view(self.classes, self.classes)


class MeanIoU(PixelMetric):
    """Intersection over union, the mean over the classes that are there."""

    @property
    def name(self) -> str:
        return "mean_iou"

    @property
    def value(self) -> float:
        right, there, said = self.counts.diag(), self.counts.sum(1), self.counts.sum(0)
        found = there > 0
        return float((right[found] / (there + said - right)[found]).mean()) if found.any() else 0.0


class PixelAccuracy(PixelMetric):
    """The share of the pixels that are right."""

    @property
    def name(self) -> str:
        return "pixel_accuracy"

    @property
    def value(self) -> float:
        return float(self.counts.diag().sum() / self.counts.sum().clamp(min=1))


@dataclass(frozen=True, kw_only=True)
class SegmentationSpec(Spec):
    """As `Spec`, with how pictures are altered in training, how classes are weighed, which value is which class, what the shorter
    side is brought to, (height, width) of what a step sees, in pixels, and the (mean, std) pictures are normalised with."""

    augment: str
    class_weights: str
    code: str  # the class mapping in words; runs have it under this name
    size: int
    crop: tuple[int, int]
    stats: Stats

    @property
    def fine_tuned(self) -> bool:
        return self.transferred and self.arch != LIGHT


def check_segmentation_choices(arch: str, augment: str, *, weighing: str) -> None:
    """Refuse an unknown architecture, augmentation or weighing before any picture is read. Raises `ToolkitError`."""
    check_segmentation_network(arch)
    for what, name, known in (("augment", augment, SEGMENTATION_AUGMENTATIONS), ("class weights", weighing, WEIGHINGS)):
        if name not in known:
            raise ToolkitError(f"{what} {name!r}; choose from {', '.join(known)}")


def segmentation_learner(
    labelled: LabelledSegmentation,
    arch: str,
    *,
    weights: str,
    augment: str = "photo",
    weighing: str = "auto",
    batch_size: int = 4,
    seed: int = 42,
    strict: bool = False,
) -> Learner:
    """A Learner whose loaders are train, valid and the held-out test of `labelled`.

    `arch` and `weights` are as `choose_segmentation_network` gives them; `augment`, `weighing` (of classes), `batch_size`, `seed`
    and `strict` are as in the recipe. Its `spec` says what was chosen, for the run's record. Raises `WeightsError` for first
    weights that cannot be had.
    """
    set_seed(seed)
    network = segmentation_network(arch, len(labelled.classes), size=labelled.crop, weights=weights)
    labelled = without_learnt_from(labelled, weights, strict=strict)
    stats = network.stats or segmentation_stats(labelled)
    dls = segmentation_loaders(labelled, stats, batch_size=batch_size, augment=augment)
    learnt = labelled.counts[labelled.rows("train")].sum(axis=0)
    weighing = "root" if weighing == "auto" else weighing
    weight = class_weights(learnt, weighing)
    loss = PixelCrossEntropy(None if weight is None else torch.from_numpy(weight))
    metrics = [MeanIoU(len(labelled.classes)), PixelAccuracy(len(labelled.classes))]
    learn = Learner(
        dls, network.model, loss, ADAMW, splitter=network.splitter, metrics=metrics, wd=0.05,
        cbs=[FirstWeights(), BFloat16OnCPU(), ConvolutionGradients()],
    )  # fmt: skip
    learn.spec = SegmentationSpec(
        task="segmentation", arch=arch, weights=weights, augment=augment, class_weights=weighing, seed=seed, stats=stats,
        code=_described(labelled.class_mapping), size=labelled.segmentation_input.size, crop=labelled.crop,
        epochs=int(np.clip(round(SHOWN / len(dls.train.dataset)), FEWEST, MOST)), lr=LIGHT_RATE if arch == LIGHT else None,
    )  # fmt: skip
    return learn


def _described(class_mapping: ClassMapping) -> str:
    """Which value is which class, in one line: a run that is gone on with must read its masks as it did."""
    listed = ", ".join(f"{name} {value}" for name, value in zip(class_mapping.classes, class_mapping.values, strict=True))
    return listed + (f"; left out {', '.join(map(str, class_mapping.ignored))}" if class_mapping.ignored else "")
