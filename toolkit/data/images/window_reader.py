"""One window of a long recording or session, and the reader that makes its picture again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from pathlib import Path

import numpy as np

from toolkit.data.images.window_cache import KeptWindows, WindowCache
from toolkit.program.images.inputs import ImageInput


@dataclass(frozen=True)
class Window:
    """The window of number `number`, from 0, of the file `path`, from `start` to `stop` seconds; `training` where it is one of
    those, closer together, that are learnt from."""

    path: Path
    number: int
    start: float
    stop: float
    training: bool = False


def file_of(item: Path | Window) -> Path:
    """The file that an item is, or is a window of."""
    return item.path if isinstance(item, Window) else item


class WindowReader:
    """Reads the picture of any one window again, from the cache where it is there.

    `caches`: how windows that are tested (False), and those that are learnt from (True), are read, and where they are kept.
    """

    def __init__(self, caches: dict[bool, tuple[ImageInput, WindowCache | None]]) -> None:
        self.caches = caches
        self._kept = lru_cache(maxsize=256)(self._open)  # an entry's index is read once, not once a window

    def _open(self, path: Path, content: str, training: bool) -> KeptWindows | None:
        source, cache = self.caches[training]
        return cache.windows(content, lambda: source.windows(path)) if cache else None

    @property
    def training_input(self) -> ImageInput:
        """How the windows that are learnt from are read."""
        return self.caches[True][0]

    def __call__(self, window: Window, content: str) -> np.ndarray:
        """uint8 (height, width, 3). Raises `ConversionError`."""
        source, cache = self.caches[window.training]
        kept = self._kept(window.path, content, window.training)
        try:
            if kept is not None:
                return kept.image(window.number)
        except (OSError, ValueError):  # damaged since it was opened
            if cache:
                cache.forget(content)
            self._kept.cache_clear()
        return next(islice(source.windows(window.path), window.number, None))[2]
