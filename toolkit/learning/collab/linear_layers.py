"""fastai's neural collaborative filter as embeddings and plain linear layers, its batch norms multiplied into them.

A program runs it with numpy alone; what cannot be told in these terms is refused.
"""

from __future__ import annotations

from typing import TypeGuard, TypeVar

import numpy as np
import torch
from fastai.collab import EmbeddingNN
from fastai.layers import SigmoidRange
from torch import nn

from toolkit.errors import ExportError
from toolkit.learning.fold_batchnorm import scale_and_shift
from toolkit.learning.tensors import double_array

Kind = TypeVar("Kind", bound=nn.Module)
Layer = tuple[np.ndarray, np.ndarray]  # weight (out, in), bias (out,)
IDLE = (nn.Dropout, nn.Identity)  # outside training
KNOWN = "linear layers, batch norms, ReLU and dropout, then perhaps fastai's SigmoidRange"


def linear_layers(model: EmbeddingNN) -> tuple[np.ndarray, np.ndarray, tuple[Layer, ...]]:
    """The embeddings of the known users (users, e_u) and items (items, e_i), without the row of "#na#" that comes first, and the
    layers as `NeuralModel` takes them, all float32: what the model answers outside training, before the sigmoid of a range.

    It is worked out in float64. Raises `ExportError` for a model with anything else in it.
    """
    if not _is(model, EmbeddingNN):
        raise ExportError(f"the model is a {type(model).__name__} with a way of its own; expected fastai's EmbeddingNN")
    if len(model.embeds) != 2 or model.n_cont:
        raise ExportError(f"{len(model.embeds)} embeddings and {model.n_cont} numbers go in; expected a user and an item alone")
    for embedding in model.embeds:
        if not _is(embedding, nn.Embedding) or embedding.max_norm is not None:
            raise ExportError(f"an embedding is {embedding}; expected one without a way of its own or a max_norm")
    users, items = (double_array(embedding.weight)[1:] for embedding in model.embeds)
    layers = _folded(_modules(model.layers), users.shape[1] + items.shape[1])
    single = [(weight.astype(np.float32), bias.astype(np.float32)) for weight, bias in layers]
    return users.astype(np.float32), items.astype(np.float32), tuple(single)


def bounds_of(model: EmbeddingNN) -> tuple[float, float] | None:
    """What the model's ratings near at both ends: the range of its last SigmoidRange. None where it has none."""
    last = _modules(model.layers)[-1:]
    return (float(last[0].low), float(last[0].high)) if last and _is(last[0], SigmoidRange) else None


def _is(module: nn.Module, kind: type[Kind]) -> TypeGuard[Kind]:
    """Whether a module does what its kind does: a subclass may do something else."""
    return isinstance(module, kind) and type(module).forward is kind.forward


def _modules(module: nn.Module) -> list[nn.Module]:
    """The modules in the order in which they are run."""
    if _is(module, nn.Sequential):
        return [inner for child in module for inner in _modules(child)]
    return [module]


def _folded(modules: list[nn.Module], width: int) -> list[Layer]:
    """Linear layers, float64, with ReLU between them, that do what `modules` do to `width` numbers."""
    if modules and _is(modules[-1], SigmoidRange):
        modules = modules[:-1]
    layers: list[Layer] = []
    weight, bias = np.eye(width), np.zeros(width)  # what was done since the last ReLU
    for module in modules:
        if _is(module, nn.Linear):
            own = double_array(module.weight)
            weight, bias = own @ weight, own @ bias + (0 if module.bias is None else double_array(module.bias))
        elif _is(module, nn.BatchNorm1d):
            scale, shift = map(double_array, scale_and_shift(module, dtype=torch.float64))
            weight, bias = scale[:, None] * weight, scale * bias + shift
        elif _is(module, nn.ReLU):
            layers.append((weight, bias))
            weight, bias = np.eye(len(bias)), np.zeros(len(bias))
        elif not any(_is(module, kind) for kind in IDLE):
            raise ExportError(f"a layer of the network is a {type(module).__name__}; expected {KNOWN}")
    if len(bias) != 1:
        raise ExportError(f"the network ends with {len(bias)} numbers; expected one, the score")
    return [*layers, (weight, bias)]
