"""A light U-Net of our own, fit for two cores and random weights.

2.7 million weights, a residual body and the way back up of a U-Net, which learns streets of 240x180 pixels from a few hundred
pictures in minutes. Every layer looks a limited way around: nothing is averaged over the whole picture, so that a large one may
be answered in tiles.
"""

from __future__ import annotations

import torch
from torch import nn

STRIDE = 16  # both sides of a picture have to be multiples of it


class Residual(nn.Module):
    """x + two convolutions of x (He et al. 2016), which begin as nothing: the last scale is 0 (Goyal et al. 2017)."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        first, last = _conv(channels, channels, dilation=dilation), _conv(channels, channels, dilation=dilation, relu=False)
        nn.init.zeros_(last[1].get_parameter("weight"))
        self.change = nn.Sequential(first, last)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(x + self.change(x))


class Down(nn.Module):
    """Half the size, more channels; the shortcut is a mean of four and a 1x1 convolution (ResNet-D, He et al. 2019)."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.change = nn.Sequential(_conv(channels_in, channels_out, stride=2), _conv(channels_out, channels_out, relu=False))
        self.short = nn.Sequential(nn.AvgPool2d(2), _conv(channels_in, channels_out, size=1, relu=False))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.short(x) + self.change(x))


class Up(nn.Module):
    """Maps (batch, below, height / 2, width / 2), and those `beside` from the way down (U-Net, Ronneberger et al. 2015), to
    (batch, channels, height, width); added as in FPN (Lin et al. 2017)."""

    def __init__(self, channels: int, *, below: int, beside: int) -> None:
        super().__init__()
        self.beside, self.below = _conv(beside, channels, size=1, relu=False), _conv(below, channels, size=1, relu=False)
        self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.change = nn.Sequential(nn.ReLU(inplace=True), _conv(channels, channels))

    def forward(self, x: torch.Tensor, beside: torch.Tensor) -> torch.Tensor:
        return self.change(self.up(self.below(x)) + self.beside(beside))


class LightBody(nn.Module):
    """Pictures (batch, 3, height, width) -> maps (batch, width, height / 2, width / 2)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.PixelUnshuffle(2), _conv(12, width))
        self.quarter = nn.Sequential(Down(width, 2 * width), Residual(2 * width))
        self.eighth = nn.Sequential(Down(2 * width, 4 * width), Residual(4 * width))
        self.sixteenth = nn.Sequential(Down(4 * width, 6 * width), Residual(6 * width), Residual(6 * width, 2))
        self.to_eighth = Up(3 * width, below=6 * width, beside=4 * width)
        self.to_quarter = Up(2 * width, below=3 * width, beside=2 * width)
        self.to_half = Up(width, below=2 * width, beside=width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        half = self.stem(x)
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        return self.to_half(self.to_quarter(self.to_eighth(self.sixteenth(eighth), eighth), quarter), half)


def light_unet(classes: int, width: int = 32) -> nn.Sequential:
    """A body and a head: pictures (batch, 3, height, width), sides multiples of 16 -> scores (batch, classes, height, width).

    `width` is the number of channels at half the size; below there are up to six times as many. The body holds all but the last
    1x1 convolution, so it can be transferred to other classes. It works at half the size and
    below: the stem folds each 2x2 pixels into channels, and the scores are drawn up to full size by bilinear interpolation.
    """
    head = nn.Sequential(nn.Conv2d(width, classes, 1), nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False))
    return nn.Sequential(LightBody(width), head)


def _conv(
    channels_in: int, channels_out: int, *, size: int = 3, stride: int = 1, dilation: int = 1, relu: bool = True
) -> nn.Sequential:
    convolution = nn.Conv2d(
        channels_in, channels_out, size, stride, padding=dilation * (size // 2), dilation=dilation, bias=False
    )
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    layers = [convolution, nn.BatchNorm2d(channels_out)]
    return nn.Sequential(*layers, nn.ReLU(inplace=True)) if relu else nn.Sequential(*layers)
