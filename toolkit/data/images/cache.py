"""Pictures as they are learnt from, kept on disk between runs: a large photo is decoded once, not once a run.

A cache that is wrong once is worse than none: an entry is named by the content of the item's file and by every setting that its
pixels depend on.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from toolkit.data.converter_key import converter_key
from toolkit.errors import DataError, RunError
from toolkit.files import replacing
from toolkit.program.images.inputs import ImageInput

AUTO, NONE = Path("auto"), Path("none")
READING = 1  # raised when the same settings come to give other pixels


def cache_folder(asked: Path | str = AUTO) -> Path | None:
    """Where `asked` puts the cache: "auto" is $TOOLKIT_CACHE or the user's cache folder, "none" nowhere (None)."""
    asked = Path(asked)
    if asked == NONE:
        return None
    if asked != AUTO:
        return asked
    if os.environ.get("TOOLKIT_CACHE"):
        return Path(os.environ["TOOLKIT_CACHE"])
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fastai-toolkit")
    except RuntimeError:  # a user without a home, as in a container
        return None


class ImageCache:
    """Prepared pictures below `folder`, each a PNG with what was found out about its original.

    What cannot be read back is taken as absent. Where the folder cannot be written to, `trouble` says why, and reading
    goes on without.
    """

    def __init__(self, folder: Path, image_input: ImageInput) -> None:
        self.trouble = ""
        try:
            if folder.exists() and not folder.is_dir():
                raise DataError(f"cache {folder}: expected a folder, 'auto' or 'none'")
        except OSError as error:
            self.trouble = f"{folder}: {error.strerror}"
        key = converter_key(image_input.converter) if image_input.converter is not None else ""
        if key is None:
            self.trouble = "the code of this converter is in no file, so what it made once may be out of date"
        settings = json.dumps([READING, PIL.__version__, image_input.card(), key], sort_keys=True)
        self.folder = folder / hashlib.blake2b(settings.encode(), digest_size=8).hexdigest()
        self.shape = tuple(image_input.shape)

    def load(self, content: str) -> tuple[np.ndarray, dict[str, Any]] | None:
        """The prepared picture, uint8 (height, width, 3), and its facts; None where it is not (or not whole) here."""
        try:
            with Image.open(self._path(content)) as image:
                pixels, facts = np.asarray(image), json.loads(getattr(image, "text")["facts"])  # noqa: B009 - only PNGs have one
        except Exception:  # absent, or damaged in any way: it is made again
            return None
        return (pixels, facts) if pixels.shape == self.shape and pixels.dtype == np.uint8 else None

    def store(self, content: str, pixels: np.ndarray, *, facts: dict[str, Any]) -> None:
        """Keep a prepared picture and its `facts`, plain values."""
        if self.trouble:
            return
        described = PngInfo()
        described.add_text("facts", json.dumps(facts))
        try:
            with replacing(self._path(content), durable=False) as temporary:
                Image.fromarray(pixels).save(temporary, "PNG", pnginfo=described, compress_level=1)
        except RunError as error:
            self.trouble = str(error)

    def _path(self, content: str) -> Path:
        return self.folder / content[:2] / f"{content}.png"
