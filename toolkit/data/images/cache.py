"""Pictures as they are learnt from, kept on disk between runs: a large photo is decoded once, not once a run.

It is a file of its own because a cache that is wrong once is worse than none: an entry is named by the content of the
item's file and by every setting that its pixels depend on.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import numpy as np
import PIL
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from toolkit import converters
from toolkit.converters import Converter
from toolkit.data.hashing import content_hash
from toolkit.errors import DataError, RunError
from toolkit.files import replacing
from toolkit.program.images.inputs import ImageInput

AUTO, NONE = "auto", "none"
READING = 1  # raised when the same settings come to give other pixels


def converter_key(converter: Converter) -> str | None:
    """A digest, 16 hex digits, of all that a converter's pictures depend on besides its input; None where that cannot be
    told, as of a class written in a notebook: its pictures are not to be kept.

    It is made of the name the converter is registered under (else that of its class), its settings, the distribution that
    brought it, the Python files beside its class, beside the classes it is built on and beside our own converters (so whoever
    edits one gets new pictures), and the versions of numpy, pillow and what else it says it needs.
    """
    folders = {Path(converters.__file__).parent}
    files = set()
    for cls in type(converter).__mro__:
        if cls.__module__.partition(".")[0] in sys.stdlib_module_names - {"__main__"}:
            continue
        file = getattr(sys.modules.get(cls.__module__), "__file__", None)
        if file is None or not Path(file).is_file():
            return None
        files.add(Path(file))
        folders.add(Path(file).parent)
    for folder in folders:
        files |= set(_python_files(folder))
    name = converters.name_of(converter) or f"{type(converter).__module__}:{type(converter).__qualname__}"
    needed = sorted({"numpy", "pillow", *converters.needs_of(converter)})
    try:
        parts = [name, converters.settings_of(converter), converters.package_of(converter), [_version(each) for each in needed]]
        described = json.dumps([*parts, sorted(content_hash(path) for path in files)], sort_keys=True)
    except (OSError, TypeError, ValueError):  # files that cannot be read, settings that are not plain
        return None
    return hashlib.blake2b(described.encode(), digest_size=8).hexdigest()


def _python_files(folder: Path) -> Iterator[Path]:
    """Those of a folder, and of all below it where it is a package."""
    return folder.rglob("*.py") if (folder / "__init__.py").exists() else folder.glob("*.py")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def cache_folder(asked: Path | str = AUTO) -> Path | None:
    """Where `asked` puts the cache: "auto" is $TOOLKIT_CACHE or the user's cache folder, "none" nowhere (None)."""
    if str(asked) == NONE:
        return None
    if str(asked) != AUTO:
        return Path(asked)
    if os.environ.get("TOOLKIT_CACHE"):
        return Path(os.environ["TOOLKIT_CACHE"])
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fastai-toolkit")
    except RuntimeError:  # a user without a home, as in a container
        return None


class PictureCache:
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

    def load(self, content: str) -> tuple[np.ndarray, dict] | None:
        """The prepared picture, uint8 (height, width, 3), and its facts; None where it is not (or not whole) here."""
        try:
            with Image.open(self._path(content)) as image:
                pixels, facts = np.asarray(image), json.loads(image.text["facts"])
        except Exception:  # absent, or damaged in any way: it is made again
            return None
        return (pixels, facts) if pixels.shape == self.shape and pixels.dtype == np.uint8 else None

    def store(self, content: str, pixels: np.ndarray, facts: dict) -> None:
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
