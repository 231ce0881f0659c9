"""What a training spectrogram goes through, a whole batch at a time: another voice, another pace, another microphone.

A spectrogram's two sides mean different things, time and frequency, and its grey values are decibels: turning, mirroring or
slanting it, as photos are, makes sounds that nobody could have said.
"""

from __future__ import annotations

import math

import torch
from fastai.vision.core import TensorImage
from fasttransform import Transform
from torch.nn.functional import grid_sample

GRAIN = 0.03  # how much the added noise goes up and down, a standard deviation, as a share of the range of decibels


class SpectrogramWarp(Transform):
    """Training batches of spectrograms, each item as if said by another voice, at another pace, into another microphone.

    Takes and returns a `TensorImage` (batch, channels, height, width), floats from 0 to 1: time from left to right, mel
    bands from bottom to top, decibels as grey. The first four arguments are lengths, as shares of the picture's side; the
    next three are differences of level, as shares of the picture's range of decibels. 0 leaves a change out.

    - `pace`: the pace changes by a factor of up to exp(±pace), evenly.
    - `time`: on top of that sounds move by up to ±time and the pace changes smoothly within the recording.
    - `pitch`: frequencies move by up to ±pitch, more or less so from the lowest to the highest: the length of the vocal
      tract (Jaitly and Hinton 2013, "Vocal Tract Length Perturbation (VTLP) improves speech recognition").
    - `mask`: `masks` bands of time and as many of frequency, each of a width from 0 to `mask`, are replaced by the item's
      mean (Park et al. 2019, "SpecAugment").
    - `tilt`: each frequency is louder or softer by a smooth curve of up to about ±2 tilt, as microphones and rooms make it.
    - `gain`: everything is louder or softer by up to ±gain.
    - `noise`: what is softer than a floor drawn between 0 and `noise` drowns in noise of that level.

    The last three are for the first `levels` channels; others hold slopes, which another level does not change.

    All chance comes from torch's global generator. Runs in training only, between `IntToFloatTensor` and `Normalize`.
    """

    order, split_idx = 30, 0

    def __init__(
        self,
        *,
        pace: float = 0.2,
        time: float = 0.1,
        pitch: float = 0.03,
        mask: float = 0.15,
        masks: int = 2,
        tilt: float = 0.15,
        gain: float = 0.1,
        noise: float = 0.3,
        levels: int = 3,
    ) -> None:
        super().__init__()
        self.pace, self.time, self.pitch, self.mask, self.masks = pace, time, pitch, mask, masks
        self.tilt, self.gain, self.noise, self.levels = tilt, gain, noise, levels

    def encodes(self, x: TensorImage) -> TensorImage:
        pixels = x.as_subclass(torch.Tensor).float()
        warped = self._warped(pixels)
        heard = torch.cat([self._heard(warped[:, : self.levels]), warped[:, self.levels :]], dim=1)
        return self._masked(heard).to(x.dtype).as_subclass(type(x))

    def _warped(self, pixels: torch.Tensor) -> torch.Tensor:
        """Resampled along both sides; beyond the edge goes on what is at the edge."""
        batch, _, height, width = pixels.shape
        sizes = pixels.new_tensor([1, 1, 1 / 2])  # a shift, a stretch, a bend
        rows = _places(height, pixels) + 2 * _curves(self.pitch * sizes, batch, points=height)
        pace = torch.exp(self.pace * _uniform(batch, 1, like=pixels))
        columns = pace * _places(width, pixels) + 2 * _curves(self.time * sizes, batch, points=width)
        shape = (batch, height, width)
        grid = torch.stack([columns[:, None, :].expand(shape), rows[:, :, None].expand(shape)], dim=3)
        return grid_sample(pixels, grid, padding_mode="border", align_corners=False)

    def _heard(self, pixels: torch.Tensor) -> torch.Tensor:
        """Through another microphone, at another distance, in noise."""
        batch, _, height, width = pixels.shape
        tilt = _curves(self.tilt * pixels.new_tensor([0, 1, 0.7, 0.5]), batch, points=height)
        level = pixels + tilt[:, None, :, None] + self.gain * _uniform(batch, 1, 1, 1, like=pixels)
        if self.noise:
            floor = self.noise * torch.rand(batch, 1, 1, 1, device=pixels.device)
            grain = GRAIN * torch.randn(batch, 1, height, width, device=pixels.device)
            level = torch.maximum(level, floor + grain)
        return level.clamp(0, 1)

    def _masked(self, pixels: torch.Tensor) -> torch.Tensor:
        batch, _, height, width = pixels.shape
        kept = pixels.new_ones(batch, 1, height, width, dtype=torch.bool)
        for _ in range(self.masks):
            kept &= ~_band(self.mask, batch, size=height, like=pixels)[:, None, :, None]
            kept &= ~_band(self.mask, batch, size=width, like=pixels)[:, None, None, :]
        return torch.where(kept, pixels, pixels.mean((2, 3), keepdim=True))


def _uniform(*shape: int, like: torch.Tensor) -> torch.Tensor:
    """Random numbers from -1 to 1."""
    return 2 * torch.rand(*shape, device=like.device, dtype=like.dtype) - 1


def _places(size: int, like: torch.Tensor) -> torch.Tensor:
    """Where the `size` pixels of a side lie, from -1 to 1, as `grid_sample` counts."""
    return (torch.arange(size, device=like.device, dtype=like.dtype) + 0.5) / size * 2 - 1


def _curves(sizes: torch.Tensor, batch: int, *, points: int) -> torch.Tensor:
    """A smooth random curve for each item, (batch, points): a sum of slow cosines, the k-th weighing up to ±sizes[k]."""
    turns = torch.arange(len(sizes), device=sizes.device)[:, None] * (_places(points, sizes) + 1) / 2
    return (_uniform(batch, len(sizes), like=sizes) * sizes) @ torch.cos(math.pi * turns)


def _band(share: float, batch: int, *, size: int, like: torch.Tensor) -> torch.Tensor:
    """For each item the pixels of a side that lie in one random band of at most `share` of it, bool (batch, size)."""
    width = share * size * torch.rand(batch, 1, device=like.device)
    start = (size - width) * torch.rand(batch, 1, device=like.device)
    pixel = torch.arange(size, device=like.device)
    return (pixel >= start) & (pixel < start + width)
