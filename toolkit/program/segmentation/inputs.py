"""What a program that answers for each pixel takes: a photo of any size, brought to the scale it was learnt at, cut into tiles
where it is large, and the answers brought back to the photo's own pixels.

This road is one function, `segment`, that evaluation, the parity gate and the program share: only the network in the middle
differs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from toolkit.converters import read_image
from toolkit.converters.images import Source

PixelNetwork = Callable[
    [np.ndarray], np.ndarray
]  # uint8 (n, height, width, 3) -> probabilities, float32 (n, classes, height, width)
STRIP = 2**20  # pixels of the answer made at a time


@dataclass(frozen=True)
class SegmentationInput:
    """A picture of any size -> uint8 (height, width, 3), as a network sees it that answers for each pixel.

    `size` is what the shorter side of a picture is brought to, in pixels, its proportions kept (a smaller picture as far as
    one tile holds it); 0 leaves it in its own pixels.
    Both sides of what the network sees are multiples of `multiple`: the last row and column are repeated as often as it
    takes. A picture longer than `tile` is seen in tiles of that side, neighbours of which share `overlap` pixels.
    """

    size: int
    multiple: int = 32
    tile: int = 640
    overlap: int = 128
    windowed: ClassVar[bool] = False
    converter: ClassVar[None] = None
    needs: ClassVar[list[str]] = []

    def __post_init__(self) -> None:
        if self.size < 0 or self.multiple < 1 or self.tile % self.multiple or not 0 <= self.overlap < self.tile:
            raise ValueError(f"{self}: expected sizes from 0, tiles of whole multiples, and less overlap than tile")

    @property
    def shape(self) -> list[int | None]:
        """The shape of one prepared item; None: any."""
        return [None, None, 3]

    def read(self, item: Source) -> Image.Image:
        """The item as an upright RGB picture of its own size. Raises `ConversionError`."""
        return read_image(item)

    def scaled_size(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) that a picture of that size is brought to."""
        if not self.size:
            return width, height
        scale = self.size / min(width, height)
        if scale > 1:  # a strip is not blown up beyond what one tile holds
            scale = max(1.0, min(scale, self.tile / max(width, height)))
        return max(1, round(width * scale)), max(1, round(height * scale))

    def scaled(self, picture: Image.Image) -> Image.Image:
        """The picture at the scale that the network sees."""
        size = self.scaled_size(*picture.size)
        return picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)

    def padded(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels (height, width, 3) with the last row and column repeated until both sides are multiples of `multiple`."""
        below, beside = (-side % self.multiple for side in pixels.shape[:2])
        return np.pad(pixels, ((0, below), (0, beside), (0, 0)), mode="edge") if below or beside else pixels

    def prepare(self, item: Source) -> np.ndarray:
        """The item as the network sees it where one tile holds it: uint8 (height, width, 3). Raises `ConversionError`."""
        return self.padded(np.asarray(self.scaled(self.read(item))))

    def card(self) -> dict[str, Any]:
        """What `from_card` takes: plain values, for program.json."""
        return {"kind": "scene", "size": self.size, "multiple": self.multiple, "tile": self.tile, "overlap": self.overlap}

    @classmethod
    def from_card(cls, card: dict[str, Any], converter: object = None) -> SegmentationInput:
        """The input that program.json describes."""
        return cls(*(int(card[name]) for name in ("size", "multiple", "tile", "overlap")))


def segment(picture: Image.Image, network: PixelNetwork, *, segmentation_input: SegmentationInput) -> np.ndarray:
    """The class number of each pixel of an RGB picture, uint8 (height, width), by `network`.

    Probabilities are brought to the picture's own size (bilinear) before the highest is taken, so that borders stay smooth.
    Beside the picture and the answer, memory is constant: large pictures go through tile by tile, strip by strip.
    """
    scaled = segmentation_input.scaled(picture)
    answer = np.empty(picture.size[::-1], dtype=np.uint8)
    # of a tile's answer only its core counts: what lies beyond its neighbour had more of around
    for top, bottom, first_row, last_row in tiles(scaled.height, segmentation_input):
        for left, right, first_column, last_column in tiles(scaled.width, segmentation_input):
            pixels = np.asarray(
                scaled.crop((left, top, right, bottom)) if (right - left, bottom - top) != scaled.size else scaled
            )
            probabilities = network(segmentation_input.padded(pixels)[None])[0]
            across, down = picture.width / scaled.width, picture.height / scaled.height
            rows = round(first_row * down), round(last_row * down)
            columns = round(first_column * across), round(last_column * across)
            if columns[0] == columns[1]:
                continue  # a strip so narrow that this tile answers for none of its pixels
            at_once = max(1, STRIP // (columns[1] - columns[0]))
            for start in range(*rows, at_once):
                stop = min(rows[1], start + at_once)
                box = (columns[0] / across - left, start / down - top, columns[1] / across - left, stop / down - top)
                part = answer[start:stop, columns[0] : columns[1]]
                _likeliest(probabilities[:, : bottom - top, : right - left], box, into=part)
    return answer


def tiles(length: int, segmentation_input: SegmentationInput) -> Iterator[tuple[int, int, int, int]]:
    """(start, stop, first, last) of each tile along a side of `length` pixels: what it sees, and its core that counts."""
    tile, overlap = segmentation_input.tile, segmentation_input.overlap
    if length <= tile:
        yield 0, length, 0, length
        return
    count = -(-(length - overlap) // (tile - overlap))
    starts = np.linspace(0, length - tile, count).round().astype(int).tolist()
    cuts = [0, *((before + tile + after) // 2 for before, after in pairwise(starts)), length]
    for start, (first, last) in zip(starts, pairwise(cuts), strict=True):
        yield start, start + tile, first, last


def _likeliest(probabilities: np.ndarray, box: tuple[float, float, float, float], *, into: np.ndarray) -> None:
    """Write to `into`, uint8 (rows, columns), the likeliest class within `box` of the probabilities (classes, height, width)."""
    classes, height, width = probabilities.shape
    box = (max(0.0, box[0]), max(0.0, box[1]), min(float(width), box[2]), min(float(height), box[3]))
    same = into.shape == (height, width) and box == (0, 0, width, height)
    best = np.full(into.shape, -1, dtype=np.float32)
    for number in range(classes):
        plane = probabilities[number]
        if not same:
            if plane.max() < 0.999 / classes:
                continue  # between its pixels it is no likelier: another class is ahead everywhere
            plane = np.asarray(Image.fromarray(plane).resize(into.shape[::-1], Image.Resampling.BILINEAR, box=box))
        np.copyto(into, number, where=plane > best)
        np.maximum(best, plane, out=best)
