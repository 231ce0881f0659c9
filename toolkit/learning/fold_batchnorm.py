"""A batch norm outside training is a scale and a shift: what is exported multiplies them into the layers beside it."""

from __future__ import annotations

import torch
from torch import nn

from toolkit.errors import ExportError


def scale_and_shift(norm: nn.BatchNorm1d, *, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    """What a batch norm does outside training, scale * x + shift, both (features,), on its device, worked out in `dtype` (Ioffe
    and Szegedy 2015). Raises `ExportError` for one that keeps no running mean and variance, and so has no such form."""
    if norm.running_mean is None or norm.running_var is None:
        raise ExportError("a batch norm keeps no running mean and variance; expected one that does (track_running_stats=True)")
    mean, variance = norm.running_mean.to(dtype), norm.running_var.to(dtype)
    weight = torch.ones_like(mean) if norm.weight is None else norm.weight.detach().to(dtype)
    bias = torch.zeros_like(mean) if norm.bias is None else norm.bias.detach().to(dtype)
    scale = weight / torch.sqrt(variance + norm.eps)
    return scale, bias - scale * mean
