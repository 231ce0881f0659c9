"""One page for all reports: a verdict, and sections of text, tables, figures and pictures, in one file that opens offline.

`page.html` beside it says what they look like. All text is escaped: a file may be called `<script>`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure as Drawing
from PIL import Image

from toolkit.files import write_text

SMALL = 96  # pixels: smaller pictures are enlarged with their pixels visible, larger ones as photos
LARGEST = 192  # pixels of a picture's longer side


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    text: str
    kind: str = field(default="text", init=False)


@dataclass(frozen=True)
class Table:
    """A table; the first cell of each row names it. A tuple in a cell is a figure and, smaller, what belongs to it. On a
    narrow screen each row of such a table, or of one of many columns, becomes a card."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]
    kind: str = field(default="table", init=False)

    @property
    def wide(self) -> bool:
        """Whether its rows are too long for a narrow screen."""
        return len(self.header) > 4 or any(isinstance(cell, tuple) for row in self.rows for cell in row)


@dataclass(frozen=True)
class Picture:
    """An image as it stands in the page: `source` is a data URI, `alt` says what there is to see."""

    source: str
    alt: str
    pixelated: bool = False


@dataclass(frozen=True)
class Figure:
    """Drawings side by side where there is room, with one caption."""

    pictures: Sequence[Picture]
    caption: str = ""
    kind: str = field(default="figure", init=False)


@dataclass(frozen=True)
class Gallery:
    """Cards of one or more small pictures, each with lines of text, the first one bold; `wide` cards hold strips of several."""

    cards: Sequence[tuple[Sequence[Picture], Sequence[str]]]
    wide: bool = False
    kind: str = field(default="gallery", init=False)


class Block(Protocol):
    """A block of a section: page.html draws it by its kind."""

    @property
    def kind(self) -> str: ...


@dataclass(frozen=True)
class Section:
    """A part of the page: a title and its blocks."""

    title: str
    blocks: Sequence[Block]

    @property
    def anchor(self) -> str:
        """What links to it."""
        return "-".join("".join(letter if letter.isalnum() else " " for letter in self.title.lower()).split())


@dataclass(frozen=True)
class Page:
    """A whole page: its title, the verdict that comes first, a line on what it is about, and its sections."""

    title: str
    verdict: str
    about: str
    sections: Sequence[Section]


def write_page(path: Path | str, page: Page) -> None:
    """Write `page` as one HTML file, atomically. Raises `RunError` where it cannot be written."""
    loader = PackageLoader("toolkit.reports", "")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    write_text(path, environment.get_template("page.html").render(page=page))


def drawn(drawing: Drawing, alt: str) -> Picture:
    """A matplotlib drawing as a picture of the page, at twice the pixels it is shown with."""
    stream = io.BytesIO()
    drawing.savefig(stream, format="png", dpi=200, facecolor="white")
    return Picture(_uri(Image.open(stream).convert("RGB"), "PNG"), alt)


def as_picture(image: Image.Image | np.ndarray, alt: str, *, longest: int = LARGEST, lossless: bool = False) -> Picture:
    """A photo, or an array (height, width, 3) of uint8, as a picture of the page, at most `longest` pixels long."""
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image.copy()
    if max(image.size) <= SMALL:
        return Picture(_uri(image, "PNG"), alt, pixelated=True)
    image.thumbnail((longest, longest))
    return Picture(_uri(image, "PNG" if lossless else "JPEG"), alt)


def _uri(image: Image.Image, kind: str) -> str:
    stream = io.BytesIO()
    image.save(stream, kind, **({"quality": 82} if kind == "JPEG" else {"optimize": True}))
    return f"data:image/{kind.lower()};base64,{base64.b64encode(stream.getvalue()).decode()}"
