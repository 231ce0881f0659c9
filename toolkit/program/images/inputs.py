"""What a program of pictures takes: a raw item becomes the array that the model reads."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
from PIL import Image

from toolkit.converters import converter_names, find_converter, fit_image, name_of, needs_of, package_of, read_image, settings_of
from toolkit.converters.base import Converter, Windowed
from toolkit.converters.sources import source_name
from toolkit.errors import ConversionError, MissingPackage, ProgramError, ToolkitError

Item = Path | str | bytes | Image.Image | np.ndarray  # a path, the bytes of a file, or a picture
IMAGES = (Image.Image, np.ndarray)
SMALLEST_DECODED = 64  # pixels: enough for a perceptual hash, however small what is learnt from


@dataclass(frozen=True)
class ImageInput:
    """A picture, or what a converter makes a picture of -> uint8 (height, width, 3).

    `size` is (height, width) in pixels. `converter` is None for pictures. With `scale_on_load` large JPEG files are
    decoded at a fraction of their size, at least twice `size`. With `windowed` an item is long, and looked at window by
    window, as the converter's settings say. `prepare` and `windows` are the very functions that training reads its items with.
    """

    size: tuple[int, int]
    resize: str = "squish"
    converter: Converter | None = None
    scale_on_load: bool = True
    windowed: bool = False

    def __post_init__(self) -> None:
        if self.windowed and not hasattr(self.converter, "windows"):
            raise ToolkitError(f"{self.converter!r} has no windows(): it makes one picture of an item, however long")

    @property
    def needs(self) -> list[str]:
        """What has to be installed to read items, besides numpy and pillow, as pip calls it."""
        if self.converter is None:
            return []
        package = package_of(self.converter)
        return [*needs_of(self.converter), *([package[0]] if package else [])]

    @property
    def shape(self) -> list[int]:
        """The shape of one prepared item."""
        return [*self.size, 3]

    def prepare(self, item: Item) -> np.ndarray:
        """The item as the model sees it: uint8 (height, width, 3). Raises `ConversionError`."""
        return np.asarray(fit_image(self.read(item), self.size, method=self.resize))

    def windows(self, item: Item) -> Iterator[tuple[float, float, np.ndarray]]:
        """Yield (start, stop, picture) for each window of the item, in seconds, in one pass; one where inputs are not
        `windowed`, or the item is a picture already. Raises `ConversionError`, also midway."""
        if not self.windowed or isinstance(item, IMAGES):
            yield 0.0, 0.0, self.prepare(item)
            return
        given = False
        for start, stop, image in cast(Windowed, self.converter).windows(Path(item) if isinstance(item, str) else item):
            given = True
            yield start, stop, np.asarray(fit_image(image, self.size, method=self.resize))
        if not given:
            raise ConversionError(source_name(item), "holds not one window")

    def read(self, item: Item) -> Image.Image:
        """The item as an RGB picture of any size; a picture is taken as it is also where there is a converter."""
        if self.converter is None or isinstance(item, IMAGES):
            return read_image(item, max(SMALLEST_DECODED, 2 * max(self.size)) if self.scale_on_load else 0)
        return self.converter(Path(item) if isinstance(item, str) else item)

    def card(self) -> dict[str, Any]:
        """What `from_card` takes: plain values, for program.json."""
        described = None
        if self.converter is not None:
            kind, package = type(self.converter), package_of(self.converter)
            described = {
                "name": name_of(self.converter),
                "class": f"{kind.__module__}.{kind.__qualname__}",
                "settings": settings_of(self.converter),
                "package": package and {"name": package[0], "version": package[1]},
            }
        return {
            "kind": "image", "size": list(self.size), "resize": self.resize, "scale_on_load": self.scale_on_load,
            "converter": described, "windowed": self.windowed,
        }  # fmt: skip

    @classmethod
    def from_card(cls, card: dict[str, Any], converter: Converter | None = None) -> ImageInput:
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
            converter = _registered(described)
        scale, windowed = bool(card.get("scale_on_load", False)), bool(card.get("windowed", False))
        return cls((height, width), card["resize"], converter=converter, scale_on_load=scale, windowed=windowed)


def _registered(described: dict[str, Any]) -> Converter:
    """The converter that a card describes, from what is installed here."""
    name, package = described["name"], described.get("package")
    if name not in converter_names():
        wanted = f"{package['name']}=={package['version']}" if package else "--upgrade fastai-toolkit"
        raise MissingPackage(f"this program reads items with the converter {name!r}, which is not here: pip install {wanted}")
    converter = find_converter(name, described.get("settings"))
    installed = package_of(converter)
    if package and installed and installed != (package["name"], package["version"]):
        warnings.warn(
            f"converter {name!r}: made with {package['name']} {package['version']}, here is {' '.join(installed)}: --selftest "
            "tells whether it still sees the same",
            stacklevel=2,
        )
    return converter


def to_png(image: Image.Image) -> bytes:
    """The picture as PNG bytes: lossless, so golden inputs compare to the grey level."""
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()
