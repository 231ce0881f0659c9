"""A small residual network for small pictures and random weights, fit for two cores.

Nine layers, 470,000 weights, and on 5,000 photos of 32x32 pixels well ahead of a ResNet-18 of 11 million that trains as long.
"""

from __future__ import annotations

import torch
from torch import nn


class Residual(nn.Module):
    """x + two convolutions of x: the block learns what to change (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(_conv(channels, channels), _conv(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.change(x)


class FlipAveraged(nn.Sequential):
    """Layers whose answer, outside training, is the mean of the picture's and its mirror image's scores.

    With `average` off it is a plain `nn.Sequential`: a mirrored digit is no digit.
    """

    average = False

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scores = super().forward(x)
        if self.training or not self.average:
            return scores
        return (scores + super().forward(x.flip(3))) / 2


def small_resnet(classes: int, width: int = 32) -> FlipAveraged:
    """A body and a head: pictures (batch, 3, height, width), both sides at least 8 -> scores (batch, classes).

    The shape of David Page's ResNet-9 (DAWNBench, 2018) at a quarter of its width. `width` is the number of channels of its
    second layer.
    """
    body = nn.Sequential(
        _conv(3, width // 2),
        _conv(width // 2, width),
        nn.MaxPool2d(2),
        _conv(width, 2 * width),
        nn.MaxPool2d(2),
        Residual(2 * width),
        _conv(2 * width, 4 * width),
        nn.MaxPool2d(2),
        Residual(4 * width),
    )
    head = nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(4 * width, classes))
    return FlipAveraged(body, head)


def _conv(channels_in: int, channels_out: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return nn.Sequential(convolution, nn.BatchNorm2d(channels_out), nn.ReLU(inplace=True))
