"""A converter that keeps its promises, and one for each way to break them.

It is a file of its own because another process imports it, which takes longer with pytest.
"""

import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from PIL import Image

from toolkit.converters.sources import check_source, source_name
from toolkit.errors import ConversionError


@dataclass(frozen=True)
class Levels:
    """A text of grey levels -> a picture of the first ones, and a window for every four lines."""

    size: int = 16
    least: int = 0

    suffixes: ClassVar[tuple[str, ...]] = (".txt",)

    def __call__(self, source):
        return self.picture(source, b"".join(self.lines(source)))

    def windows(self, source) -> Iterator[tuple[float, float, Image.Image]]:
        held, start = [], 0
        for line in self.lines(source):
            held.append(line)
            if len(held) == 4:
                yield float(start), start + 4.0, self.picture(source, b"".join(held))
                held, start = [], start + 4
        if held:
            yield float(start), float(start + len(held)), self.picture(source, b"".join(held))

    def lines(self, source):
        opened = check_source(source)
        with open(opened, "rb") if isinstance(opened, Path) else opened as stream:
            while line := stream.readline(10_000):
                if len(line) >= 10_000:
                    raise ConversionError(source_name(source), "a line of over 10000 bytes")
                yield line

    def picture(self, source, text):
        try:
            levels = bytes(max(self.least, int(word)) for word in text.split()[: self.size**2])
        except ValueError as error:
            raise ConversionError(source_name(source), f"expected levels from 0 to 255 ({str(error)[:50]})") from error
        return Image.frombytes("L", (self.size, self.size), levels.ljust(self.size**2, b"\0")).convert("RGB")


class Plain:
    suffixes = (".txt",)


@dataclass
class Thawed:
    size: int = 16
    suffixes: ClassVar[tuple[str, ...]] = (".txt",)


@dataclass(frozen=True)
class ListSetting(Levels):
    ramp: tuple = (0, 255)


@dataclass(frozen=True)
class NoDefault(Levels):
    colour: str = field(kw_only=True)


@dataclass(frozen=True)
class Doubling(Levels):
    def __post_init__(self):
        object.__setattr__(self, "least", self.least + 1)


@dataclass(frozen=True)
class NoSize:
    side: int = 16
    suffixes = (".txt",)

    def __call__(self, source):
        return Levels(self.side)(source)


@dataclass(frozen=True)
class Shouting(Levels):
    suffixes = ("TXT",)


@dataclass(frozen=True)
class SuffixField(Levels):
    suffixes: tuple = (".txt",)


@dataclass(frozen=True)
class Grey(Levels):
    def picture(self, source, text):
        return super().picture(source, text).convert("L")


@dataclass(frozen=True)
class Small(Levels):
    def picture(self, source, text):
        return super().picture(source, text).resize((8, 8))


@dataclass(frozen=True)
class Noisy(Levels):
    def picture(self, source, text):
        return super().picture(source, text + f" {random.randrange(256)}".encode())


@dataclass(frozen=True)
class PathsOnly(Levels):
    def lines(self, source):
        if isinstance(source, bytes):
            raise ConversionError("<bytes>", "paths only")
        yield from super().lines(source)


@dataclass(frozen=True)
class Ascii(Levels):
    def __call__(self, source):
        str(source).encode("ascii")
        return super().__call__(source)


@dataclass(frozen=True)
class Remembering(Levels):
    seen: ClassVar[set] = set()

    def picture(self, source, text):
        self.seen.add(source_name(source).rpartition(".")[0].rpartition("/")[2])
        return super().picture(source, text + b" 7" * len(self.seen & {"random bytes"}))


@dataclass(frozen=True)
class SharedBuffer(Levels):
    held: ClassVar[list] = [b""]

    def picture(self, source, text):
        self.held[0] = text
        time.sleep(0.002)
        return super().picture(source, self.held[0])


@dataclass(frozen=True)
class Crashing(Levels):
    def picture(self, source, text):
        return Image.frombytes("L", (self.size, self.size), bytes(map(int, text.split()))[:256].ljust(256, b"\0")).convert("RGB")


@dataclass(frozen=True)
class Nameless(Levels):
    def picture(self, source, text):
        try:
            return super().picture(source, text)
        except ConversionError as error:
            raise ConversionError("a file", error.reason) from error


@dataclass(frozen=True)
class Forgiving(Levels):
    def __call__(self, source):
        try:
            return super().__call__(source)
        except ConversionError:
            return Image.new("RGB", (self.size, self.size))


@dataclass(frozen=True)
class Writing(Levels):
    def __call__(self, source):
        if isinstance(source, Path) and source.is_file():
            source.with_suffix(".cache").write_text("here")
        return super().__call__(source)


@dataclass(frozen=True)
class Littering(Levels):
    def __call__(self, source):
        if Path.cwd().name == "cwd":
            Path("debris").touch()
        return super().__call__(source)


@dataclass(frozen=True)
class Altering(Levels):
    def __call__(self, source):
        image = super().__call__(source)
        if isinstance(source, Path):
            source.write_bytes(source.read_bytes() + b" 1")
        return image


@dataclass(frozen=True)
class ByProcess(Levels):
    def picture(self, source, text):
        level = b" 9" if Path.cwd().name == "cwd" else b" 8"
        return super().picture(source, text + level)


@dataclass(frozen=True)
class Greedy(Levels):
    def lines(self, source):
        opened = check_source(source)
        yield from (opened.read_bytes() if isinstance(opened, Path) else source).splitlines(keepends=True)


@dataclass(frozen=True)
class Exiting(Levels):
    def picture(self, source, text):
        if Path.cwd().name == "cwd":
            sys.exit("out of luck")
        return super().picture(source, text)


@dataclass(frozen=True)
class ListedWindows(Levels):
    def windows(self, source):
        return list(super().windows(source))


@dataclass(frozen=True)
class EagerWindows(Levels):
    def windows(self, source):
        yield from list(super().windows(source))


@dataclass(frozen=True)
class BackwardWindows(Levels):
    def windows(self, source):
        for start, stop, image in super().windows(source):
            yield -start, stop, image


@dataclass(frozen=True)
class EmptyWindows(Levels):
    def windows(self, source):
        for start, stop, image in super().windows(source):
            yield start, start if stop < 4 else stop, image


@dataclass(frozen=True)
class FullWindowsOnly(Levels):
    def windows(self, source):
        yield from (window for window in super().windows(source) if window[1] - window[0] == 4)


@dataclass(frozen=True)
class SmallWindows(Levels):
    def windows(self, source):
        for start, stop, image in super().windows(source):
            yield start, stop, image.resize((4, 4))


@dataclass(frozen=True)
class HoardingWindows(Levels):
    def windows(self, source):
        hoard = []
        for window in super().windows(source):
            hoard.append(bytearray(5_000_000))
            yield window
