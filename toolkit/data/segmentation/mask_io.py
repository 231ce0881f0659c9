"""Mask files, read as they are: one value a pixel, or one colour.

A mask looks like a picture and is a table of class numbers: nothing of what is done when a picture is read (colours made of
palettes, 16 bits brought to 8, EXIF rotation) may happen to it.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from toolkit.converters import MAX_PIXELS
from toolkit.converters.images import decoding
from toolkit.converters.sources import check_source, source_name
from toolkit.errors import ConversionError, DataError

Colour = tuple[int, int, int]
Value = int | Colour


def read_mask(source: Path | str | bytes, in_colour: bool = False) -> np.ndarray:
    """The raw values of a mask file, given as a path or as its bytes.

    Gives (height, width) of uint8 or uint16 for grey levels, 1 bit (0 and 1) and palettes (the indices; with `in_colour` what
    colours they stand for), and (height, width, 3) of uint8 for colours. Colours that are grey everywhere become
    (height, width), transparency that is none is dropped. PNGs of 2 and 4 bits give 0 to 3 and 0 to 15, as they were written.
    EXIF rotation is not applied.

    Raises `ConversionError` for a file that is missing, empty, truncated, an animation, over `MAX_PIXELS`, not a picture, in
    part transparent, or of numbers that are no class numbers.
    """
    raw, palette = read_paletted(source)
    return palette[raw] if in_colour and palette is not None else raw


def read_paletted(source: Path | str | bytes) -> tuple[np.ndarray, np.ndarray | None]:
    """As `read_mask`, and the palette, uint8 (256, 3), of a file that has one and whose palette is not the grey scale."""
    name = source_name(source)
    with decoding(name), Image.open(check_source(source)) as opened:
        image: Image.Image = opened
        frames = getattr(image, "n_frames", 1)
        if frames > 1 and image.format != "MPO":
            raise ConversionError(name, f"an animation or a document of {frames} pictures: save the one you want")
        if image.width * image.height > MAX_PIXELS:
            raise ConversionError(name, f"more than {MAX_PIXELS / 1e6:.0f} megapixels: save it smaller")
        # Pillow spreads 2 and 4 bits over 0 to 255
        spread = {"L;2": 85, "L;4": 17}.get(str(opened.tile[0][3]) if opened.tile else "", 1)
        image.load()
        if image.mode in ("LA", "RGBA", "PA", "La", "RGBa"):
            if np.asarray(image.getchannel("A" if image.mode[-1] == "A" else "a")).min() < 255:
                raise ConversionError(name, "in part transparent, and no class is: save it without transparency")
            image = image.getchannel(0) if len(image.mode) == 2 else image.convert("RGB")
        if image.mode in ("1", "L", "P"):
            return np.asarray(image).astype(np.uint8) // spread, _palette(image) if image.mode == "P" else None
        if image.mode[0] in "IF":
            return _whole(np.asarray(image), name), None
        return _grey_if_grey(np.asarray(image.convert("RGB"))), None


def count_values(raw: np.ndarray) -> dict[Value, int]:
    """How many pixels hold each value of a mask as read; the values in order."""
    if raw.ndim == 2:
        counts = np.bincount(raw.ravel())
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    codes, keys = pd.factorize(packed(raw).ravel())  # hashing is several times faster than sorting
    counts = np.bincount(codes)
    return {value: int(counts[place]) for place, value in sorted(enumerate(unpacked(keys)), key=lambda pair: pair[1])}


def show_value(value: object) -> str:
    """A value as messages write it: a number, or a colour as #rrggbb."""
    return "#{:02x}{:02x}{:02x}".format(*value) if isinstance(value, tuple) else repr(value)


def check_value(value: object) -> Value:
    """The same, a value of a mask. Raises `DataError` for what is none."""
    if isinstance(value, tuple):
        if len(value) == 3 and all(type(level) is int and 0 <= level <= 255 for level in value):
            return value
    elif isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 65535:
        return value
    shown = list(value) if isinstance(value, tuple) else value
    raise DataError(f"value {shown!r}: expected a whole number from 0 to 65535, or a colour of three from 0 to 255")


def from_hex(text: str) -> Colour:
    """The colour that #rrggbb, or the same without #, says."""
    return int(text[-6:-4], 16), int(text[-4:-2], 16), int(text[-2:], 16)


def colour_of(levels: Iterable[Any]) -> Colour:
    """Three levels, from 0 to 255, as a colour."""
    red, green, blue = (int(level) for level in levels)
    return red, green, blue


def packed(raw: np.ndarray) -> np.ndarray:
    """Colours (…, 3), or grey levels taken as colours, as one number each."""
    if raw.shape[-1:] != (3,) or raw.ndim == 2:
        return raw.astype(np.int32) * 0x010101
    return raw[..., 0].astype(np.int32) << 16 | raw[..., 1].astype(np.int32) << 8 | raw[..., 2]


def unpacked(keys: np.ndarray) -> list[Colour]:
    """The colours that `packed` made these numbers of."""
    return [(int(key) >> 16, int(key) >> 8 & 255, int(key) & 255) for key in keys]


def _palette(image: Image.Image) -> np.ndarray | None:
    stored = np.frombuffer(image.palette.tobytes() if image.palette else b"", dtype=np.uint8)
    colours = np.frombuffer(bytes(image.getpalette("RGB") or ()), dtype=np.uint8).reshape(-1, 3)
    if not len(stored) or (colours == np.arange(len(colours))[:, None]).all():
        return None
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[: len(colours)] = colours
    return palette


def _whole(values: np.ndarray, name: str) -> np.ndarray:
    """32-bit and floating-point pixels as the class numbers they are."""
    whole = np.isfinite(values).all() and (values == np.round(values)).all()
    if not whole or values.min() < 0 or values.max() > 65535:
        raise ConversionError(name, "its pixels are not whole numbers from 0 to 65535: save class numbers as 8-bit PNG")
    return values.astype(np.uint8 if values.max() < 256 else np.uint16)


def _grey_if_grey(colours: np.ndarray) -> np.ndarray:
    first = colours[..., 0]
    return first if (first == colours[..., 1]).all() and (first == colours[..., 2]).all() else colours
