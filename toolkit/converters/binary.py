"""Any file's bytes become a grey picture: programs, firmware, captures of no format that is known here.

It never looks at what the bytes mean.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, ClassVar

import numpy as np
from PIL import Image

from toolkit.converters.sources import check_source, source_name
from toolkit.errors import ConversionError, ToolkitError

# bytes up to which a row has so many, kB as in the paper's table 1
WIDTHS = ((10_000, 32), (30_000, 64), (60_000, 128), (100_000, 256), (200_000, 384), (500_000, 512), (1_000_000, 768))
WIDEST = 1024
LARGEST = 2048  # pixels a side
MOST_BYTES = 2**23  # read of one file
STRETCH = 1024  # bytes, roughly, that are read in one place of a larger one


@dataclass(frozen=True)
class Bytes:
    """A file's bytes, row by row, as grey levels from 0 (black) to 255 (white): Nataraj, Karthikeyan, Jacob and Manjunath,
    "Malware Images: Visualization and Automatic Classification", VizSec 2011.

    A row has `row` bytes, or with `row` 0 what the paper's table 1 gives for the file's length: from 32 below 10 kB to
    1024 above a megabyte. The last row ends with the file, and so overlaps the one before. The picture is brought to `size` x
    `size`: a pixel is the mean of the bytes it covers.

    Files over 8 MiB are sampled: whole rows, about a kilobyte in a place, evenly from start to end, 8 MiB together. Time and
    memory are then the same for gigabytes, and what repeats or lasts is seen; a detail shorter than the gaps may not be.

    Any file can be read, so `suffixes` are those of compiled programs, libraries, firmware and raw data: a folder's notes and
    pictures do not become items. Other files are read all the same when they are named.
    """

    size: int = 128
    row: int = 0

    suffixes: ClassVar[tuple[str, ...]] = (
        ".bin", ".dat", ".raw", ".exe", ".dll", ".sys", ".so", ".dylib", ".ko", ".o", ".elf", ".class", ".dex", ".wasm", ".rom",
        ".img",
    )  # fmt: skip

    def __post_init__(self) -> None:
        for name, low, high in (("size", 1, LARGEST), ("row", 0, WIDEST)):
            value = getattr(self, name)
            if not isinstance(value, int) or not low <= value <= high:
                raise ToolkitError(f"bytes: {name} {value!r}; expected a whole number from {low} to {high}")

    def __call__(self, source: Path | bytes) -> Image.Image:
        """Return an RGB picture of `size` x `size`, its channels the same. Raises `ConversionError` for a source that is
        missing, empty, a folder or cannot be read."""
        opened, name = check_source(source), source_name(source)
        try:
            if isinstance(opened, Path):
                with open(opened, "rb") as stream:
                    rows = self._rows(stream, opened.stat().st_size, name=name)
            else:
                rows = self._rows(opened, opened.getbuffer().nbytes, name=name)
        except OSError as error:
            raise ConversionError(name, error.strerror or str(error)) from error
        return Image.fromarray(rows).resize((self.size, self.size), Image.Resampling.BOX).convert("RGB")

    def _rows(self, stream: BinaryIO, length: int, *, name: str) -> np.ndarray:
        """The bytes as uint8 (rows, width)."""
        width = min(self.row or next((width for most, width in WIDTHS if length < most), WIDEST), length)
        if length <= MOST_BYTES:
            starts, stretch = [0], length
        else:
            stretch = max(1, STRETCH // width) * width
            starts = np.linspace(0, length - stretch, MOST_BYTES // stretch).astype(np.int64).tolist()
        pieces = []
        for start in starts:
            stream.seek(start)
            pieces.append(stream.read(stretch))
        content = b"".join(pieces)
        if len(content) < len(starts) * stretch:
            raise ConversionError(name, "became shorter while it was read: wait until it is written")
        whole = len(content) // width * width
        ending = content[-width:] if whole < len(content) else b""
        return np.frombuffer(content[:whole] + ending, np.uint8).reshape(-1, width)
