"""What a converter is handed, looked at before anything else: a path or the bytes of a file, there and not empty.

Every converter asks the same of its source, and says the same where it is wrong.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from toolkit.errors import ConversionError


def source_name(source: object) -> str:
    """What to call an item in a message: its path, or what kind of object it is."""
    if isinstance(source, (str, Path)):
        return str(source)
    if isinstance(source, (bytes, bytearray)):
        return f"<{len(source)} bytes>"
    if isinstance(source, np.ndarray):
        return f"<array {source.shape} {source.dtype}>"
    if isinstance(source, Image.Image):
        return str(getattr(source, "filename", "") or f"<{source.mode} image {source.width}x{source.height}>")
    return f"<{type(source).__name__}>"


def check_source(source: object, expected: str = "a path or bytes") -> Path | io.BytesIO:
    """The path of a file that is there, or a stream over bytes. Raises `ConversionError` where it is missing, a folder
    or empty, or neither a path nor bytes; `expected` says what could have been given."""
    name = source_name(source)
    if isinstance(source, (bytes, bytearray)):
        if not source:
            raise ConversionError(name, "empty (0 bytes)")
        return io.BytesIO(source)
    if not isinstance(source, (str, Path)):
        raise ConversionError(name, f"expected {expected}")
    path = Path(source)
    try:
        if path.is_dir():
            raise ConversionError(name, "a folder, not a file")
        if not path.exists():
            raise ConversionError(name, "no such file")
        if path.stat().st_size == 0:
            raise ConversionError(name, "empty (0 bytes)")
    except (OSError, ValueError) as error:  # a name too long, or with a zero byte in it
        raise ConversionError(name, getattr(error, "strerror", None) or str(error)) from error
    return path


def read_source(source: object, most: int = 64 * 2**20) -> bytes:
    """The bytes of a file, `most` at most. Raises `ConversionError` for a larger one, and as `check_source` does."""
    opened, name = check_source(source), source_name(source)
    try:
        with open(opened, "rb") if isinstance(opened, Path) else opened as stream:
            read = stream.read(most + 1)
    except OSError as error:
        raise ConversionError(name, error.strerror or str(error)) from error
    if len(read) > most:
        raise ConversionError(name, f"more than {most:,} bytes: cut it into shorter files")
    return read
