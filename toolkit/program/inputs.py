"""What a program takes: one class for each kind of input, each turning a raw item into the array the model reads.

A new kind of input is one class here and one line in `INPUTS`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from toolkit.converters import find_converter, fit_image, name_of, read_image, settings_of
from toolkit.converters.base import Converter
from toolkit.errors import ProgramError

SMALLEST_DECODED = 64  # pixels: enough for a perceptual hash, however small what is learnt from


@dataclass(frozen=True)
class ImageInput:
    """A picture, or what a converter makes a picture of -> uint8 (height, width, 3).

    `size` is (height, width) in pixels. `converter` is None for pictures. With `scale_on_load` large JPEG files are
    decoded at a fraction of their size, at least twice `size`. `prepare` is the very function that training reads its
    items with.
    """

    size: tuple[int, int]
    resize: str = "squish"
    converter: Converter | None = None
    scale_on_load: bool = True

    @property
    def shape(self) -> list[int]:
        """The shape of one prepared item."""
        return [*self.size, 3]

    def prepare(self, item: object) -> np.ndarray:
        """The item as the model sees it: uint8 (height, width, 3). Raises `ConversionError`."""
        return np.asarray(fit_image(self.read(item), self.size, self.resize))

    def read(self, item: object) -> Image.Image:
        """The item as an RGB picture of any size; a picture is taken as it is also where there is a converter."""
        if self.converter is None or isinstance(item, (Image.Image, np.ndarray)):
            return read_image(item, max(SMALLEST_DECODED, 2 * max(self.size)) if self.scale_on_load else 0)
        return self.converter(Path(item) if isinstance(item, str) else item)

    def card(self) -> dict:
        """What `from_card` takes: plain values, for program.json."""
        described = None
        if self.converter is not None:
            kind = type(self.converter)
            described = {
                "name": name_of(self.converter),
                "class": f"{kind.__module__}.{kind.__qualname__}",
                "settings": settings_of(self.converter),
            }
        return {
            "kind": "image", "size": list(self.size), "resize": self.resize, "scale_on_load": self.scale_on_load,
            "converter": described,
        }  # fmt: skip

    @classmethod
    def from_card(cls, card: dict, converter: Converter | None = None) -> ImageInput:
        """The input that program.json describes. An unregistered converter must be handed in: no code is looked up
        by a name the file gives, but those registered here."""
        height, width = (int(side) for side in card["size"])
        described = card.get("converter")
        if described and converter is None:
            if not described.get("name"):
                raise ProgramError(
                    f"this program's converter ({described.get('class')}) is not registered under a name: "
                    "load(path, converter=...) takes an instance of it"
                )
            converter = find_converter(described["name"], described.get("settings"))
        return cls((height, width), card["resize"], converter, bool(card.get("scale_on_load", False)))


def to_png(image: Image.Image) -> bytes:
    """The picture as PNG bytes: lossless, so golden inputs compare to the grey level."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


INPUTS = {"image": ImageInput}
