"""The promise a converter makes: raw input in, an RGB picture out.

It is a file of its own so that somebody who writes a converter reads one page: a frozen dataclass whose fields are its
settings, a tuple `suffixes`, and `__call__`. Nothing has to be inherited.
"""

from __future__ import annotations

from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from PIL import Image

from toolkit.errors import ToolkitError


@runtime_checkable
class Converter(Protocol):
    """Raw input -> image.

    A converter is a frozen dataclass. Its fields are its settings, plain numbers and strings, so that they travel as
    JSON into the program. `suffixes` says which files it reads, lower case with the dot: `(".wav", ".flac")`.
    """

    suffixes: tuple[str, ...]

    def __call__(self, source: Path | bytes) -> Image.Image:
        """Return an RGB image of the size the fields say: same input, same pixels, in every process.

        Raises `ConversionError`, which names the source and the reason, for whatever it cannot read.
        """
        ...


def settings_of(converter: Converter) -> dict:
    """The converter's fields as a dict that survives JSON."""
    if not is_dataclass(converter) or isinstance(converter, type):
        raise ToolkitError(
            f"a converter is an instance of a frozen dataclass whose fields are its settings; received {converter!r}"
        )
    return asdict(converter)
