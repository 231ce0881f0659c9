"""The windows of long items, kept on disk between runs: a recording of hours is heard once, not once a run.

An entry holds any number of pictures, of which one at a time is wanted.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import numpy as np

from toolkit.data.images.cache import ImageCache
from toolkit.errors import RunError
from toolkit.files import replacing

INDEX_LENGTH = 8  # bytes at the end of an entry: how long the index before them is


class KeptWindows:
    """The windows of one item: `spans` are (start, stop) in seconds; `image(number)` reads one, uint8 (height, width, 3).

    All raise `OSError` or `ValueError` where the file is not whole.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path, self.shape = path, shape
        with open(path, "rb") as stream:
            stream.seek(-INDEX_LENGTH, 2)
            end = stream.tell()
            stream.seek(end - int.from_bytes(stream.read(INDEX_LENGTH), "big"))
            index = json.loads(stream.read(end - stream.tell()))
        self.spans = [(start, stop) for start, stop, _ in index]
        self.ends = [0, *(end for _, _, end in index)]

    def image(self, number: int) -> np.ndarray:
        """The picture of one window."""
        with open(self.path, "rb") as stream:
            stream.seek(self.ends[number])
            packed = stream.read(self.ends[number + 1] - self.ends[number])
        return self._unpacked(packed)

    def all(self) -> np.ndarray:
        """All pictures, uint8 (windows, height, width, 3)."""
        found = np.empty((len(self.spans), *self.shape), np.uint8)
        with open(self.path, "rb") as stream:
            for number, (start, stop) in enumerate(pairwise(self.ends)):
                found[number] = self._unpacked(stream.read(stop - start))
        return found

    def _unpacked(self, packed: bytes) -> np.ndarray:
        try:
            return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(self.shape)
        except zlib.error as error:
            raise ValueError(f"{self.path}: damaged ({error})") from error


class WindowCache(ImageCache):
    """Windows below a folder, an entry for each item; see `ImageCache` for what an entry is named by."""

    def windows(self, content: str, make: Callable[[], Iterator[tuple[float, float, np.ndarray]]]) -> KeptWindows | None:
        """The windows of the item with this `content`; `make()` yields (start, stop, picture) for those not kept yet.

        None where they cannot be kept (`trouble` says why). Raises what `make` raises.
        """
        path = self._entry(content)
        for _ in range(2):
            try:
                return KeptWindows(path, self.shape)
            except (OSError, ValueError, TypeError):  # absent, or damaged in any way: it is made again
                if self.trouble or not self._store(path, make()):
                    return None
        return None

    def forget(self, content: str) -> None:
        """Remove an entry that turned out to be damaged, so that it is made again."""
        with suppress(OSError):
            self._entry(content).unlink(missing_ok=True)

    def _entry(self, content: str) -> Path:
        return self._path(content).with_suffix(".windows")

    def _store(self, path: Path, windows: Iterator[tuple[float, float, np.ndarray]]) -> bool:
        index, written = [], 0
        try:
            with replacing(path, durable=False) as temporary, open(temporary, "wb") as stream:
                for start, stop, image in windows:
                    written += stream.write(zlib.compress(image.tobytes(), 1))
                    index.append((start, stop, written))
                described = json.dumps(index).encode()
                stream.write(described + len(described).to_bytes(INDEX_LENGTH, "big"))
        except RunError as error:
            self.trouble = str(error)
            return False
        return True
