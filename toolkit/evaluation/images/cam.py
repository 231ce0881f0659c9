"""Looking into a trained image network: where it looked, what its layers respond to, which pictures it finds alike."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

FINEST, COARSEST = 6, 3  # rows and columns that a map should, and must, have to show a place
BATCH_PIXELS = 2**20  # that go through the network at once


class CAM:
    """Class activation maps, and more, of a trained `nn.Sequential(body, head)`.

    `stats` is the (mean, standard deviation) that its pictures are normalised with.

    All pictures are uint8 (items, height, width, 3), as prepared for the network.
    """

    def __init__(self, model: nn.Sequential, stats: tuple[Sequence[float], Sequence[float]]) -> None:
        self.model = model
        self.device = next(model.parameters()).device
        self.mean, self.std = (torch.tensor(values, device=self.device).view(1, 3, 1, 1) for values in stats)

    def probabilities(self, images: np.ndarray) -> np.ndarray:
        """The network's answer, float32 (items, classes)."""
        with self._looking(grad=False):
            return self.model(self._input(images)).softmax(dim=1).cpu().numpy()

    def features(self, images: np.ndarray) -> np.ndarray:
        """What the last linear layer sees of each picture, scaled to length 1: float32 (items, features).

        The product of two rows is their cosine similarity, how alike the network finds them.
        """
        seen: list[torch.Tensor] = []
        linear = [module for module in self.model[1].modules() if isinstance(module, nn.Linear)]
        last = linear[-1] if linear else self.model[1]
        with self._looking(grad=False):
            handle = last.register_forward_pre_hook(lambda _, taken: seen.append(taken[0].flatten(1)))
            try:
                for part in _parts(images):
                    self.model[1](self.model[0](self._input(part)))
            finally:
                handle.remove()
        return nn.functional.normalize(torch.cat(seen), dim=1).cpu().numpy()

    def grad_cam(self, images: np.ndarray, classes: Iterable[int]) -> np.ndarray | None:
        """Where in each picture its class (one number a picture) was seen: float32 (items, rows, columns), 0 to 1.

        Gradient-weighted class activation maps (Selvaraju et al. 2017) of the deepest layer that still has places; None
        for a network whose layers are no maps, such as a vision transformer.
        """
        layer = self._layer_with_places(images[:1])
        if layer is None:
            return None
        numbers = list(classes)
        maps = []
        for part in _parts(images):
            maps.append(self._grad_cam(layer, part, classes=numbers[: len(part)]))
            numbers = numbers[len(part) :]
        return np.concatenate(maps)

    def _grad_cam(self, layer: nn.Module, images: np.ndarray, *, classes: list[int]) -> np.ndarray:
        numbers = torch.as_tensor(classes, device=self.device)
        with self._looking(grad=True), self._tapped([layer]) as taps:
            # a leaf, so that there is a gradient also where every weight is frozen
            scores = self.model[1](self.model[0](self._input(images).requires_grad_()))
            maps = taps[layer]
            (slopes,) = torch.autograd.grad(scores.gather(1, numbers[:, None]).sum(), maps)
        weights = slopes.mean(dim=(2, 3), keepdim=True)
        cam = (weights * maps).sum(dim=1).relu().detach()
        return (cam / cam.amax(dim=(1, 2), keepdim=True).clamp_min(1e-12)).cpu().numpy()

    def filters(self) -> np.ndarray | None:
        """The weights of the first convolution, float32 (filters, height, width, 3); None where it does not see colours."""
        first = next((module for module in self.model[0].modules() if isinstance(module, nn.Conv2d)), None)
        if first is None or first.weight.shape[1] != 3 or min(first.kernel_size) < 2:
            return None
        return first.weight.detach().permute(0, 2, 3, 1).cpu().numpy()

    def layers(self, images: np.ndarray) -> tuple[nn.Module, nn.Module] | None:
        """The first and the last layer of the body that give maps of responses; None where there are none."""
        found = list(self._maps(images[:1]))
        if not found:
            return None
        # the first layer after a rectifier: its responses are only ever "how much"
        early = next((layer for layer, maps in found[: len(found) // 2 + 1] if float(maps.min()) >= 0), found[0][0])
        return early, found[-1][0]

    def peaks(self, layer: nn.Module, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each channel's strongest response to each picture, and its place there.

        Returns float32 (items, channels), and (row, column) as shares of height and width, float32 (items, channels, 2).
        """
        strengths, places = [], []
        for part in _parts(images):
            maps = self._responses(layer, part)
            count, channels, rows, columns = maps.shape
            value, index = maps.reshape(count, channels, -1).max(dim=2)
            strengths.append(value.cpu().numpy())
            place = torch.stack([(index // columns + 0.5) / rows, (index % columns + 0.5) / columns], dim=2)
            places.append(place.cpu().numpy())
        return np.concatenate(strengths), np.concatenate(places)

    def responses(self, layer: nn.Module, images: np.ndarray, *, channel: int) -> np.ndarray:
        """One channel's map for each picture, float32 (items, rows, columns)."""
        return self._responses(layer, images)[:, channel].cpu().numpy()

    def _responses(self, layer: nn.Module, images: np.ndarray) -> torch.Tensor:
        with self._looking(grad=False), self._tapped([layer]) as taps:
            self.model[0](self._input(images))
            return taps[layer]

    def _layer_with_places(self, image: np.ndarray) -> nn.Module | None:
        found = list(self._maps(image))
        if not found:
            return None
        sides = np.array([min(maps.shape[2:]) for _, maps in found])
        fine = np.flatnonzero(sides >= FINEST)
        deepest = int(fine[-1]) if len(fine) else int(sides.argmax())
        # an early layer knows edges, not things: then a coarse map of the last one says more
        return found[-1][0] if deepest < len(found) / 2 and sides[-1] >= COARSEST else found[deepest][0]

    def _maps(self, image: np.ndarray) -> Iterable[tuple[nn.Module, torch.Tensor]]:
        """(layer, its output) for the layers of the body in order, as long as they give maps (1, channels, rows, columns)."""
        body = self.model[0]
        inner = getattr(body, "model", body)  # timm's networks come wrapped
        if getattr(inner, "output_fmt", "NCHW") not in ("NCHW", None):
            return []
        with self._looking(grad=False), self._tapped(list(_steps(inner))) as taps:
            last = body(self._input(image))
            height, width = image.shape[1:3]
            # a layer with channels last, as in some transformers, has not the proportions of the picture
            found = [(layer, maps) for layer, maps in taps.items() if maps.ndim == 4 and _alike(maps.shape[2:], (height, width))]
            return found if last.ndim == 4 else []

    def _input(self, images: np.ndarray) -> torch.Tensor:
        x = torch.from_numpy(np.array(images)).to(self.device).permute(0, 3, 1, 2).float() / 255
        return (x - self.mean) / self.std

    @contextmanager
    def _looking(self, grad: bool) -> Iterator[None]:
        """As at inference, with or without gradients; the model is left in the mode it was in."""
        training = self.model.training
        self.model.eval()
        try:
            with torch.set_grad_enabled(grad):
                yield
        finally:
            self.model.train(training)

    @contextmanager
    def _tapped(self, layers: list[nn.Module]) -> Iterator[dict[nn.Module, torch.Tensor]]:
        """Collect the output of each of `layers` while the model runs: a dict in the order they ran."""
        taps: dict[nn.Module, torch.Tensor] = {}

        def tap(layer: nn.Module, _: tuple[Any, ...], output: object) -> object:
            if not isinstance(output, torch.Tensor):
                return output
            taps[layer] = output
            return output.clone()  # what comes next may write into its input

        handles = [layer.register_forward_hook(tap) for layer in layers]
        try:
            yield taps
        finally:
            for handle in handles:
                handle.remove()


def _parts(images: np.ndarray) -> Iterator[np.ndarray]:
    """As many of the pictures at a time as the memory of a small machine holds the layers of."""
    count = max(1, BATCH_PIXELS // (images.shape[1] * images.shape[2]))
    yield from (images[start : start + count] for start in range(0, len(images), count))


def _alike(shape: Sequence[int], image: tuple[int, int]) -> bool:
    """Whether maps of (rows, columns) have the proportions of a picture of (height, width), give or take a rounding."""
    return abs(shape[0] * image[1] - shape[1] * image[0]) <= 2 * max(image)


def _steps(module: nn.Module) -> Iterator[nn.Module]:
    """The children of `module`, and in place of each `nn.Sequential` its own."""
    for child in module.children():
        if isinstance(child, nn.Sequential):
            yield from _steps(child)
        else:
            yield child
