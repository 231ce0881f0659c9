"""A sheet of pictures as the network sees them: to look at what a converter makes before anything is learnt from it.

It draws for people, with pillow alone, where the converters draw for networks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import islice, zip_longest
from pathlib import Path
from typing import cast

from PIL import Image, ImageDraw, ImageFont, features

from toolkit.converters.base import Converter, Windowed
from toolkit.errors import ConversionError, ToolkitError

GROUND, FRAME, INK, FAINT = "#f5f6f8", "#c6ccd4", "#1d2733", "#5f6b78"
MARGIN, GAP, WIDTH, NARROWEST = 28, 14, 1140, 560  # pixels
ENLARGED = 256  # pixels that the longer side of a picture is enlarged to, as nearly as a whole factor can
TITLE, NAME, CAPTION = 24, 16, 13  # heights of letters, in pixels
CHANNELS = ("red", "green", "blue")


@dataclass(frozen=True)
class Strip:
    """What is shown of one file: its name, and pictures with their captions."""

    name: str
    tiles: list[tuple[str, Image.Image]]


def strip_of(converter: Converter, path: Path, *, name: str, channels: bool = False, windows: int = 0) -> Strip:
    """The picture of a file, called `name`, or of its first `windows`.

    With `channels` each channel stands in grey beside it, where they differ. Raises `ConversionError`, also for errors
    that a converter should not raise, and `ToolkitError` where its settings allow no windows.
    """
    try:
        if windows:
            found = [
                (_time(start, stop), image) for start, stop, image in islice(cast(Windowed, converter).windows(path), windows)
            ]
        else:
            found = [("", converter(path))]
    except ToolkitError:
        raise
    except Exception as error:
        raise ConversionError(
            path, f"the converter raised {type(error).__name__} ({error}): the command `check` says more"
        ) from error
    return Strip(name, [tile for caption, image in found for tile in _with_channels(caption, image, wanted=channels)])


def files_among(places: Iterable[Path], suffixes: tuple[str, ...], *, most: int) -> tuple[dict[Path, str], bool]:
    """At most `most` files with the names to show, and whether there are more.

    Files named are taken as they are; of folders, the files below that end in one of `suffixes`, from each of its folders in
    turn, so that every class is seen. No more folders are searched than have files to give.
    """
    found, more = {}, False
    for place in places:
        if not place.is_dir():
            found[place] = place.name
            continue
        groups = []
        for folder, folders, names in os.walk(place):
            folders.sort()
            fitting = sorted(name for name in names if name.lower().endswith(suffixes) and name[0] != ".")
            groups += [[Path(folder, name) for name in fitting[: most + 1]]] if fitting else []
            if len(groups) > most:
                break
        in_turn = [path for tier in zip_longest(*groups) for path in tier if path]
        found |= {path: path.relative_to(place).as_posix() for path in sorted(in_turn[:most])}
        more = more or len(in_turn) > most
    return dict(islice(found.items(), most)), more or len(found) > most


def labels(strips: list[Strip]) -> list[str]:
    """The files' names as they can be drawn: "file 2: ???.wav" for the second, where the font lacks letters of its name."""
    drawn = ["".join(letter if _has(letter) else "?" for letter in strip.name) for strip in strips]
    return [
        label if label == strip.name else f"file {number}: {label}"
        for number, (label, strip) in enumerate(zip(drawn, strips, strict=True), 1)
    ]


def sheet(strips: list[Strip], *, title: str, settings: str) -> Image.Image:
    """A contact sheet, RGB: single pictures in rows with their names below, several of one file in rows under its name."""
    blocks = [Strip(label, strip.tiles) for label, strip in zip(labels(strips), strips, strict=True)]
    if single := all(len(strip.tiles) == 1 for strip in strips):
        blocks = [Strip("", [(strip.name, image) for strip in blocks for _, image in strip.tiles])]
    images = [_enlarged(image) for strip in blocks for _, image in strip.tiles]
    width, height = max(image.width for image in images), max(image.height for image in images)
    step_x, step_y = (
        width + GAP,
        height + GAP + (CAPTION + 8 if any(caption for strip in blocks for caption, _ in strip.tiles) else 0),
    )
    columns = max(1, min((WIDTH - 2 * MARGIN + GAP) // step_x, max(len(strip.tiles) for strip in blocks)))
    full = max(2 * MARGIN + columns * step_x - GAP, NARROWEST)
    lines = _wrapped(settings, full - 2 * MARGIN)
    top = MARGIN + TITLE + 10 + len(lines) * (CAPTION + 5) + GAP
    heads = 0 if single else NAME + 12
    heights = [heads + -(-len(strip.tiles) // columns) * step_y for strip in blocks]
    whole = Image.new("RGB", (full, top + sum(heights) - GAP + MARGIN), GROUND)
    draw = ImageDraw.Draw(whole)
    draw.text((MARGIN, MARGIN - 6), _cut(title, full - 2 * MARGIN, size=TITLE), INK, _font(TITLE))
    for number, line in enumerate(lines):
        draw.text((MARGIN, MARGIN + TITLE + 6 + number * (CAPTION + 5)), line, FAINT, _font(CAPTION))
    for strip, tall in zip(blocks, heights, strict=True):
        draw.text((MARGIN, top), _cut(strip.name, full - 2 * MARGIN, size=NAME), INK, _font(NAME))
        for number, (caption, image) in enumerate(strip.tiles):
            left, upper = MARGIN + number % columns * step_x, top + heads + number // columns * step_y
            large = _enlarged(image)
            draw.rectangle([left - 1, upper - 1, left + large.width, upper + large.height], outline=FRAME)
            whole.paste(large, (left, upper))
            draw.text((left, upper + height + 5), _cut(caption, width, size=CAPTION), INK if single else FAINT, _font(CAPTION))
        top += tall
    return whole


def _with_channels(caption: str, image: Image.Image, *, wanted: bool) -> list[tuple[str, Image.Image]]:
    parts = image.split()
    if not wanted or all(part.tobytes() == parts[0].tobytes() for part in parts):
        return [(caption, image)]
    return [(caption or "as seen", image), *zip(CHANNELS, (part.convert("RGB") for part in parts), strict=True)]


def _enlarged(image: Image.Image) -> Image.Image:
    factor = max(1, ENLARGED // max(image.size))
    return image.resize((factor * image.width, factor * image.height), Image.Resampling.NEAREST)


def _time(start: float, stop: float) -> str:
    return f"{round(start, 2):g} to {round(stop, 2):g} s"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size) if features.check("freetype2") else ImageFont.load_default()


@cache
def _has(letter: str) -> bool:
    """Whether the font has the letter: others it draws as it draws what is no letter at all, or not."""
    font = _font(NAME)
    try:
        return letter.isprintable() and (letter == " " or bytes(font.getmask(letter)) != bytes(font.getmask("\uffff")))
    except UnicodeEncodeError:
        return False


def _cut(text: str, width: float, *, size: int) -> str:
    """Text that fits into so many pixels, cut in the middle."""
    font, kept = _font(size), len(text)
    shown = text
    while kept > 2 and font.getlength(shown) > width:
        kept -= 1
        shown = f"{text[: kept - kept // 2]}...{text[len(text) - kept // 2 :]}"
    return shown


def _wrapped(text: str, width: float) -> list[str]:
    lines = [""]
    for word in "".join(letter if _has(letter) else "?" for letter in text).split():
        longer = f"{lines[-1]}  {word}".strip()
        lines += [word] if _font(CAPTION).getlength(longer) > width else []
        lines[-1] = word if lines[-1] == word else longer
    return lines
