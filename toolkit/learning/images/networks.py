"""Networks by name: a small one of our own, torchvision's and, where it is installed, timm's.

A recipe only names an architecture; how it is cut into a body and a head, and where it is split for fine-tuning, is the same
question for every task that sees pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

import torch
import torchvision.models
from fastai.vision.core import imagenet_stats
from fastai.vision.learner import create_timm_model, create_vision_model, default_split, model_meta
from torch import nn

from toolkit.errors import ToolkitError, WeightsError
from toolkit.learning.images.small_resnet import small_resnet
from toolkit.needs import missing

Stats = tuple[tuple[float, ...], tuple[float, ...]]  # mean and standard deviation of the channels, on a scale of 0 to 1
State = dict[str, torch.Tensor]  # a state dict
SMALL_RESNET, LIGHT = "small", "light"  # the networks of our own: for a picture, for each pixel


@dataclass
class Network:
    """A body and a head (`model` is `nn.Sequential(body, head)`), and how to treat it.

    `splitter` gives fastai its parameter groups; `stats` is the (mean, std) that published weights were trained with,
    None for random ones.
    """

    name: str
    model: nn.Sequential
    splitter: Callable[[nn.Module], list[list[nn.Parameter]]]
    stats: Stats | None = None


def create_network(name: str, classes: int, *, published: bool = False, state: State | None = None) -> Network:
    """Build the architecture `name` for `classes` classes; its head is always new and random.

    The body has random weights; or published ones (downloaded); or those of `state`, a state dict of the whole
    architecture as torchvision and timm save it. Raises `ToolkitError` for an unknown name, with the nearest known ones,
    and `WeightsError` where `state` lacks weights of the body.
    """
    if name == SMALL_RESNET:
        if published or state:
            raise WeightsError(f"there are no published weights for {SMALL_RESNET!r}: name an architecture such as resnet18")
        return Network(name, small_resnet(classes), default_split)
    pretrained = published or state is not None
    if name in torchvision_names():
        builder = torchvision.models.get_model_builder(name)
        meta = model_meta.get(builder, {"split": default_split})
        build = ArchitectureBuilder(builder, published=published, state=state)
        try:
            model = create_vision_model(build, classes, pretrained=False, cut=meta.get("cut"))
        except StopIteration as error:
            raise ToolkitError(f"{name} has no pooled body to put a head on: choose another architecture") from error
        check_loaded(name, model[0], lacking=build.lacking)
        return Network(name, model, meta["split"], imagenet_stats if pretrained else None)
    check_name(name)
    model, config = create_timm_model(name, classes, default_split, pretrained=published)
    if state is not None:
        check_loaded(name, model[0], lacking=load_fitting(model[0].model, state))
    return Network(name, model, default_split, (config["mean"], config["std"]) if pretrained else None)


def stats_of(saved: Iterable[Iterable[float]]) -> Stats:
    """The `stats` that a checkpoint holds. Raises `TypeError` or `ValueError` where it holds none."""
    mean, std = saved
    return tuple(mean), tuple(std)


def check_name(name: str) -> None:
    """Raise `ToolkitError`, with the nearest known names, for an architecture that is not known here."""
    known = ["auto", SMALL_RESNET, *torchvision_names(), *timm_names()]
    if name in known:
        return
    near = get_close_matches(name, known, n=5)
    hint = "" if timm_names() else " (timm is not installed: pip install timm brings a thousand more)"
    raise ToolkitError(f"unknown architecture {name!r}; {'near it: ' + ', '.join(near) if near else 'try resnet18'}{hint}")


def torchvision_names() -> list[str]:
    """The classification architectures of torchvision."""
    return list(torchvision.models.list_models(module=torchvision.models))


def timm_names() -> list[str]:
    """The architectures of timm; empty where it is not installed."""
    if missing(["timm"]):
        return []
    import timm

    return list(timm.list_models())


def load_fitting(model: nn.Module, state: State) -> State:
    """Load what `state` holds under the model's own names and shapes; return the model's tensors it does not hold."""
    own = model.state_dict()
    fitting = {key: state[key] for key in own if key in state and state[key].shape == own[key].shape}
    model.load_state_dict(fitting, strict=False)
    return {key: value for key, value in own.items() if key not in fitting and not key.endswith("num_batches_tracked")}


@dataclass(eq=False)  # fastai looks architectures up in a dict: hashed by identity
class ArchitectureBuilder:
    """A torchvision builder with its weights chosen, called as fastai calls an architecture."""

    builder: Callable[..., nn.Module]
    published: bool
    state: State | None
    lacking: State = field(default_factory=dict)

    def __call__(self, pretrained: bool = False) -> nn.Module:
        model = self.builder(weights="DEFAULT" if self.published else None)
        if self.state is not None:
            self.lacking = load_fitting(model, self.state)
        return model


def check_loaded(name: str, body: nn.Module, *, lacking: State) -> None:
    """Raise `WeightsError` where what was not loaded, `lacking`, does not all belong to the head that was cut off `body`."""
    held = {value.data_ptr() for value in body.state_dict().values()}
    torn = [key for key, value in lacking.items() if value.data_ptr() in held]
    if torn:
        raise WeightsError(
            f"not the weights of {name}: {len(torn)} tensors of its body are missing or of another shape, such as {torn[0]}"
        )
