"""Convolutions over small feature maps on a CPU: their weight gradient as one matrix product.

oneDNN takes seven times as long for it as a matrix product does once a map is down to a few pixels, which is where the later half
of a ResNet spends its time on small pictures. The result is the same but for rounding.
"""

from __future__ import annotations

from functools import partial
from typing import Any, cast

import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from torch import nn

Pair = tuple[int, int]

LARGEST_MAP = 16  # pixels of output: over 4x4 oneDNN is as fast


class ConvolutionGradients(Callback):
    """While a fit runs on a CPU, give plain convolutions the faster weight gradient in training steps."""

    order = 11

    def before_fit(self) -> None:
        self.changed = []
        if next(self.model.parameters()).device.type != "cpu":
            return
        for module in self.model.modules():
            if type(module) is nn.Conv2d and _is_plain(module):
                vars(module)["forward"] = partial(_forward, module)
                self.changed.append(module)

    def after_fit(self) -> None:
        for module in self.changed:
            vars(module).pop("forward", None)


def _is_plain(module: nn.Conv2d) -> bool:
    square = module.kernel_size[0] > 1 and isinstance(module.padding, tuple) and module.padding_mode == "zeros"
    return square and module.groups == 1 and module.dilation == (1, 1) and module.bias is None


def _forward(module: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
    weight = module.weight
    padded = cast(Pair, module.padding)  # no "same": see `_is_plain`
    sizes = zip(x.shape[2:], module.kernel_size, module.stride, padded, strict=True)
    rows, columns = ((length + 2 * padding - kernel) // stride + 1 for length, kernel, stride, padding in sizes)
    if rows * columns > LARGEST_MAP or not (module.training and torch.is_grad_enabled() and weight.requires_grad):
        return nn.Conv2d.forward(module, x)
    if torch.is_autocast_enabled("cpu"):
        x, weight = x.to(torch.get_autocast_dtype("cpu")), weight.to(torch.get_autocast_dtype("cpu"))
    return _Convolution.apply(x, weight, module.stride, padded)


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, stride: Pair, padding: Pair) -> torch.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(x, weight, None, stride, padding)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor, None, None]:
        x, weight = ctx.saved_tensors
        settings = (None, ctx.stride, ctx.padding, (1, 1), False, (0, 0), 1)
        wanted = [ctx.needs_input_grad[0], False, False]
        into_x = torch.ops.aten.convolution_backward(gradient, x, weight, *settings, wanted)[0] if wanted[0] else None
        return into_x, _weight_gradient(x, gradient, weight=weight, stride=ctx.stride, padding=ctx.padding), None, None


def _weight_gradient(
    x: torch.Tensor, gradient: torch.Tensor, *, weight: torch.Tensor, stride: Pair, padding: Pair
) -> torch.Tensor:
    """Sum over pictures and places of (output gradient) x (patch it was made from): one product of two matrices."""
    out, channels, high, wide = weight.shape
    (vertical, horizontal), (top, left) = stride, padding
    padded = F.pad(x, (left, left, top, top)).permute(0, 2, 3, 1).contiguous()  # picture, row, column, channel
    rows, columns = gradient.shape[2:]
    n, y, c, one = padded.stride()
    shape = (len(x), rows, columns, high, wide, channels)
    patches = padded.as_strided(shape, (n, y * vertical, c * horizontal, y, c, one)).reshape(-1, high * wide * channels)
    product = gradient.permute(0, 2, 3, 1).reshape(-1, out).t() @ patches
    return product.view(out, high, wide, channels).permute(0, 3, 1, 2)
