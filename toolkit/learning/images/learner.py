"""A fastai Learner from labelled pictures: the last steps of `build_learner`, the same whatever the pictures were made of."""

from __future__ import annotations

from dataclasses import dataclass

from fastai.learner import Learner
from fastai.losses import LabelSmoothingCrossEntropyFlat
from fastai.metrics import accuracy
from fastai.torch_core import set_seed

from toolkit.data.images.labelled import LabelledImages
from toolkit.errors import ToolkitError
from toolkit.learning.callbacks import FirstWeights
from toolkit.learning.cpu.bfloat16 import BFloat16OnCPU
from toolkit.learning.cpu.conv_gradients import ConvolutionGradients
from toolkit.learning.fitting import ADAMW
from toolkit.learning.images.augment import answer_mirrored, choose_augmentation
from toolkit.learning.images.loaders import image_loaders, training_stats
from toolkit.learning.images.networks import SMALL_RESNET, Stats, check_name
from toolkit.learning.images.weights import choose_architecture, network_with_weights, without_learnt_from
from toolkit.spec import Spec


@dataclass(frozen=True, kw_only=True)
class ImageSpec(Spec):
    """As `Spec`, with how pictures are altered in training, their side in pixels, the (mean, std) they are normalised with, and
    in what step, in seconds, windows that are learnt from begin."""

    augment: str
    size: int
    stats: Stats
    training_step: float | None = None

    @property
    def fine_tuned(self) -> bool:
        return self.transferred and self.arch != SMALL_RESNET


def check_choices(arch: str, augment: str, *, augmentations: tuple[str, ...]) -> None:
    """Refuse an unknown architecture, or what is none of a recipe's `augmentations`, before any item is read. Raises
    `ToolkitError`."""
    check_name(arch)
    if augment not in augmentations:
        raise ToolkitError(f"augment {augment!r}; choose from {', '.join(augmentations)}")


def image_learner(
    labelled: LabelledImages,
    task: str,
    *,
    arch: str = "auto",
    weights: str = "auto",
    augment: str = "auto",
    batch_size: int = 64,
    seed: int = 42,
    strict: bool = False,
    epochs: int = 0,
    select_after: float = 0.0,
) -> Learner:
    """A Learner whose loaders are train, valid and the held-out test of `labelled`.

    `arch`, `weights` and `augment` are as in the recipes, `batch_size` is of training steps, `seed` that of the first weights and
    of what is drawn, and `strict` as in `without_learnt_from`. Its `spec` says what was chosen, for the run's record; `task` is
    what its scores and its program are named by, `epochs` how long `fit` trains it unless told otherwise (0: as usual), and
    `select_after` the share of the cycle after which the best epoch is looked for.
    Raises `WeightsError` for first weights that cannot be had.
    """
    arch, weights = choose_architecture(arch, str(weights), size=labelled.size)
    set_seed(seed)
    network = network_with_weights(arch, len(labelled.classes), weights=weights)
    labelled = without_learnt_from(labelled, weights, strict=strict)
    augment = choose_augmentation(augment, grey=labelled.grey, converted=labelled.image_input.converter is not None)
    answer_mirrored(network.model, augment)
    stats = network.stats or training_stats(labelled)
    dls = image_loaders(labelled, stats, batch_size=batch_size, augment=augment)
    learn = Learner(
        dls, network.model, LabelSmoothingCrossEntropyFlat(), ADAMW, splitter=network.splitter, metrics=accuracy, wd=0.05,
        cbs=[FirstWeights(), BFloat16OnCPU(), ConvolutionGradients()],
    )  # fmt: skip
    learn.spec = ImageSpec(
        task=task, arch=arch, weights=weights, augment=augment, size=labelled.size[0], seed=seed, stats=stats,
        epochs=epochs or None, select_after=select_after or None,
        training_step=labelled.training_step,
    )  # fmt: skip
    return learn
