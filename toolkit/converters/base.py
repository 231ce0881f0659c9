"""The promise a converter makes: raw input in, an RGB picture out.

Somebody who writes a converter reads this page: a frozen dataclass whose fields are its settings, a tuple `suffixes`, and
`__call__`. Nothing has to be inherited.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

from PIL import Image

from toolkit.errors import ToolkitError


@runtime_checkable
class Converter(Protocol):
    """Raw input -> image.

    A converter is a frozen dataclass. Its fields are its settings, plain numbers and strings, so that they travel as
    JSON into the program. One of them says how large its pictures are: `size`, the side of a square in pixels, or
    `width` and `height`. `suffixes`, a class variable, says which files it reads, lower case with the dot:
    `(".wav", ".flac")`. A class variable `needs` names what has to be installed to run it besides numpy and pillow,
    as pip calls it.
    """

    suffixes: ClassVar[tuple[str, ...]]

    def __call__(self, source: Path | bytes) -> Image.Image:
        """Return an RGB image of the size the fields say: same input, same pixels, in every process.

        Raises `ConversionError`, which names the source and the reason, for whatever it cannot read.
        """
        ...


@runtime_checkable
class Windowed(Converter, Protocol):
    """A converter for long inputs too: how long a window is, and how far apart they begin, is among its settings."""

    def windows(self, source: Path | bytes) -> Iterator[tuple[float, float, Image.Image]]:
        """Yield (start, stop, image), in seconds from the start of the input, in one pass and constant memory.

        An input shorter than a window has one window. Raises `ConversionError` as `__call__` does, also midway.
        """
        ...


def settings_of(converter: Converter) -> dict[str, Any]:
    """The converter's fields as a dict that survives JSON."""
    if not is_dataclass(converter) or isinstance(converter, type):
        raise ToolkitError(
            f"a converter is an instance of a frozen dataclass whose fields are its settings; received {converter!r}"
        )
    return asdict(converter)


def promised_size(converter: Converter) -> tuple[int, int] | None:
    """(height, width) of the pictures, as the converter's fields say; None where they do not."""
    fields = settings_of(converter)
    height, width = fields.get("height", fields.get("size")), fields.get("width", fields.get("size"))
    return (height, width) if isinstance(height, int) and isinstance(width, int) else None


def needs_of(converter: Converter) -> tuple[str, ...]:
    """The packages, as pip calls them, that the converter needs besides numpy and pillow."""
    return tuple(getattr(converter, "needs", ()))
