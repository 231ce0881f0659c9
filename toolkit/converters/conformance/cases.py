"""A converter under test, the items it is handed, and how its answers are judged.

Both processes judge alike: the one that tests, and the one that it starts.
"""

from __future__ import annotations

import hashlib
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from toolkit.converters.base import Converter, promised_size
from toolkit.errors import ConversionError

LONGEST_MESSAGE = 1000


@dataclass
class Case:
    """A converter, copies of its samples in a folder of its own, and what was found on the way."""

    converter: Any  # meant to be a `Converter`: that is what is tested
    folder: Path
    samples: list[Path]
    contents: dict[Path, str]  # of the samples, before any was read
    prints: dict[Path, str] = field(default_factory=dict)  # of the pictures of good samples
    left_out: dict[str, str] = field(default_factory=dict)  # promises that could not be tested, and why
    windowed: bool = False  # whether there are windows, with these settings
    seconds: float = 0.0
    peak: int = 0

    @classmethod
    def of(cls, converter: Converter, files: list[Path], *, folder: Path) -> Case:
        """The converter with copies of `files` below `folder`."""
        copies = []
        for number, file in enumerate(files):
            home = folder / "samples" / str(number)
            home.mkdir(parents=True)
            copies.append(Path(shutil.copy(file, home)))
        return cls(converter, folder, copies, contents_below(folder / "samples"))

    @property
    def described(self) -> str:
        """The converter in a line, however it shows itself."""
        return repr(self.converter)[:LONGEST_MESSAGE]

    def renamed(self, sample: Path) -> Path:
        """A copy of a sample under a name with blanks and letters beyond ASCII."""
        return Path(shutil.copy(sample, self.folder / f"ein Stück 音{sample.suffix}"))

    def hopeless(self) -> dict[str, Any]:
        """What no converter can make a picture of."""
        suffix = self.samples[0].suffix
        empty, folder = self.folder / f"empty{suffix}", self.folder / f"folder{suffix}"
        empty.touch()
        folder.mkdir(exist_ok=True)
        missing = self.folder / f"missing{suffix}"
        return {"an empty file": empty, "a folder": folder, "a missing file": missing, "no bytes": b"", "a number": 42}

    def doubtful(self) -> dict[str, Path | bytes]:
        """What some converters can make a picture of, and others not."""
        whole = self.samples[0].read_bytes()
        contents = {
            "half a sample": whole[: len(whole) // 2] or b"x",
            "random bytes": random.Random(0).randbytes(4096),
            "a text": b"neither fish nor fowl\n" * 100,
        }
        items: dict[str, Path | bytes] = {}
        for what, content in contents.items():
            path = self.folder / f"{what}{self.samples[0].suffix}"
            path.write_bytes(content)
            items[f"a file of {what}"], items[f"{what} handed in as bytes"] = path, content
        return items


def attempt(convert: Callable[[Any], Any], source: object) -> Any:
    """What `convert` returns for `source`, or the error that it raises."""
    try:
        return convert(source)
    except Exception as error:
        return error


def print_of(image: object) -> str | None:
    """A fingerprint of the pixels; None for what is no picture."""
    if not isinstance(image, Image.Image):
        return None
    return hashlib.sha256(f"{image.mode} {image.size}".encode() + image.tobytes()).hexdigest()


def contents_below(folder: Path) -> dict[Path, str]:
    """A fingerprint of each file below a folder."""
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.rglob("*")) if path.is_file()}


def told(error: Exception) -> str:
    """An error in one line."""
    return f"{type(error).__name__} ({' '.join(str(error).split())[:200]})"


def wrong_picture(converter: Converter, what: str, *, image: object) -> str:
    """What is wrong with the answer to a good item; "" where nothing is."""
    if isinstance(image, Exception):
        return f"{what}: raised {told(image)}; expected a picture, if the file is a good one"
    if not isinstance(image, Image.Image):
        return f"{what}: returned {type(image).__name__}, expected a PIL.Image.Image: Image.fromarray makes one of an array"
    if image.mode != "RGB":
        return f"{what}: returned a picture of mode {image.mode}, expected RGB: end with .convert('RGB')"
    promised = promised_size(converter)
    if promised and image.size != promised[::-1]:
        return (
            f"{what}: returned {image.width}x{image.height} pixels, the settings promise {promised[1]}x{promised[0]}: "
            "make the picture as large as `size`, or `width` and `height`, say"
        )
    return ""


def wrong_refusal(what: str, source: object, *, error: Exception) -> str:
    """What is wrong with the error for an item that cannot be read; "" where nothing is."""
    todo = "raise ConversionError(source_name(source), reason), with `source_name` of toolkit.converters.sources"
    if not isinstance(error, ConversionError):
        return f"{what}: raised {told(error)}; expected a picture or a ConversionError: {todo}"
    if isinstance(source, Path) and source.name not in error.source:
        return f"{what}: the ConversionError names {error.source[:80]!r}, expected the path of {source.name!r}: {todo}"
    if not error.source or not error.reason or len(str(error)) > LONGEST_MESSAGE:
        return f"{what}: the ConversionError says {str(error)[:80]!r}, expected a short name and one phrase: {todo}"
    return ""


def wrong_answer(converter: Converter, what: str, *, source: object, answer: object) -> str:
    """What is wrong with the answer to an item that may become a picture or be refused; "" where nothing is."""
    if isinstance(answer, Exception):
        return wrong_refusal(what, source, error=answer)
    return wrong_picture(converter, what, image=answer)
