"""Networks that answer for each pixel, by name, with their first weights: a light one of our own, fastai's U-Net on a body of
torchvision and, where it is installed, those of segmentation_models_pytorch.

What is transferred is the body that looks, or, from an earlier run, everything but the last layer.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

import torchvision.models
from fastai.vision.core import imagenet_stats
from fastai.vision.learner import create_unet_model, default_split, model_meta
from fastai.vision.models.unet import DynamicUnet
from torch import nn

from toolkit.errors import ToolkitError, WeightsError
from toolkit.learning.images.networks import (
    LIGHT,
    ArchitectureBuilder,
    Network,
    State,
    check_loaded,
    load_fitting,
    stats_of,
    torchvision_names,
)
from toolkit.learning.images.weights import PRETRAINED, best_of, load_state, published_or_told, settle
from toolkit.learning.segmentation.light_unet import STRIDE, light_unet
from toolkit.learning.tensors import load_tensors
from toolkit.needs import missing
from toolkit.spec import RANDOM

UNET_STRIDE, SMP_STRIDE = 4, 32  # fastai's U-Net brings maps that do not meet to one size itself
SMP = "segmentation-models-pytorch"


def choose_segmentation_network(arch: str, weights: str) -> tuple[str, str]:
    """What "auto" stands for: (architecture, weights). The light network from random weights; another that is named from
    published ones; an earlier run brings its own architecture."""
    return settle(arch, weights, own=LIGHT)


def stride_of(arch: str) -> int:
    """What both sides of the pictures that `arch` sees have to be multiples of."""
    return STRIDE if arch == LIGHT else SMP_STRIDE if _smp_parts(arch) else UNET_STRIDE


def check_segmentation_network(name: str) -> None:
    """Raise `ToolkitError`, with the nearest known names, for an architecture that is not known here."""
    known = ["auto", LIGHT, *_bodies()]
    if name in known or _smp_parts(name):
        return
    near = get_close_matches(name, known + [f"{arch}-resnet34" for arch in _smp_names()], n=5)
    more = "" if _smp_names() else f" ({SMP} is not installed: pip install {SMP} brings names such as fpn-resnet34)"
    raise ToolkitError(
        f"unknown architecture {name!r}; {'near it: ' + ', '.join(near) if near else 'try light or resnet18'}{more}"
    )


def segmentation_network(name: str, classes: int, *, size: tuple[int, int], weights: str = RANDOM) -> Network:
    """The architecture `name` for `classes` classes with its first weights; its last layer is always new.

    `name` is "light", a classifier of torchvision that becomes the body of a U-Net (fastai's `unet_learner`), or an architecture
    and an encoder of segmentation_models_pytorch, as "fpn-resnet34". `size` is (height, width) of what training steps see, in
    pixels. `weights` is "random", "pretrained" (the body's published ones, downloaded), a file (.pth or .safetensors) of the
    body's whole classifier, or the folder of an earlier run: one of segmentation, or of image classification with the same body.

    Raises `WeightsError` where those weights cannot be had: nothing else is used in their stead.
    """
    check_segmentation_network(name)
    if weights == RANDOM:
        return _create(name, classes, size=size)
    if weights == PRETRAINED:
        return published_or_told(name, lambda: _create(name, classes, size=size, published=True))
    path = Path(weights)
    if path.is_dir():
        return _from_run(path, name, classes=classes, size=size)
    state = load_state(path)
    try:
        return _create(name, classes, size=size, state=state)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}; name their architecture with --arch") from error


def _create(name: str, classes: int, *, size: tuple[int, int], published: bool = False, state: State | None = None) -> Network:
    pretrained = published or state is not None
    if name == LIGHT:
        if pretrained:
            raise WeightsError(f"there are no published weights for {LIGHT!r}: name an architecture such as resnet18")
        return Network(name, light_unet(classes), default_split)
    if name in _bodies():
        builder = torchvision.models.get_model_builder(name)
        meta = model_meta[builder]
        build = ArchitectureBuilder(builder, published=published, state=state)
        model = create_unet_model(build, classes, size, pretrained=False, cut=meta["cut"])
        check_loaded(name, model.layers[0], lacking=build.lacking)
        return Network(name, model, meta["split"], imagenet_stats if pretrained else None)
    import segmentation_models_pytorch as smp

    arch, encoder = _smp_parts(name) or ("", "")  # not empty: the name was checked
    model = smp.create_model(arch, encoder, encoder_weights="imagenet" if published else None, classes=classes)
    if state is not None:
        check_loaded(name, model.encoder, lacking=load_fitting(model.encoder, state))
    return Network(name, model, _encoder_and_rest, imagenet_stats if pretrained else None)


def _from_run(folder: Path, name: str, *, classes: int, size: tuple[int, int]) -> Network:
    saved = load_tensors(best_of(folder))
    if saved.get("arch") != name:
        raise WeightsError(f"{folder}: that run used {saved.get('arch')!r}, not {name!r}; name it with --arch")
    network = _create(name, classes, size=size)
    model, state = network.model, saved["model"]
    if saved.get("task") == "segmentation":
        last = f"{last_layer(model, classes)}."  # as the names of its weights begin
        body = {key: value for key, value in state.items() if not key.startswith(last)}
        torn = [key for key in load_fitting(model, body) if not key.startswith(last)]
    elif isinstance(model, DynamicUnet):  # whose first layer is a classifier's body
        torn = list(load_fitting(model.layers[0], {key.removeprefix("0."): value for key, value in state.items()}))
    else:
        raise WeightsError(f"{folder}: a run of {saved.get('task')} has no weights for {name}")
    if torn:
        raise WeightsError(f"{folder}: its weights do not fit {name} here ({len(torn)} tensors, such as {torn[0]})")
    network.stats = stats_of(saved["stats"])
    return network


def last_layer(model: nn.Module, classes: int) -> str:
    """The name of the last convolution to `classes` channels; "" where there is none."""
    found = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d) and module.out_channels == classes]
    return found[-1] if found else ""


def _encoder_and_rest(model: nn.Module) -> list[list[nn.Parameter]]:
    encoder = list(model.get_submodule("encoder").parameters())
    own = {id(parameter) for parameter in encoder}
    return [encoder, [parameter for parameter in model.parameters() if id(parameter) not in own]]


def _bodies() -> list[str]:
    """The classifiers of torchvision that fastai knows how to cut."""
    return [name for name in torchvision_names() if torchvision.models.get_model_builder(name) in model_meta]


def _smp_names() -> list[str]:
    """The architectures of segmentation_models_pytorch; empty where it is not installed."""
    if missing(["segmentation_models_pytorch"]):
        return []
    import segmentation_models_pytorch as smp

    return list(smp.MODEL_ARCHITECTURES_MAPPING)


def _smp_parts(name: str) -> tuple[str, str] | None:
    """(architecture, encoder) of a name of segmentation_models_pytorch, or None."""
    arch, _, encoder = name.partition("-")
    if arch not in _smp_names():
        return None
    import segmentation_models_pytorch as smp

    return (arch, encoder) if encoder in smp.encoders.get_encoder_names() or encoder.startswith("tu-") else None
