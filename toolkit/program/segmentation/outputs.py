"""What a program that answers for each pixel gives back: a mask, how much of the picture each class takes, and the picture
coloured in, with a legend."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
Value = int | Colour
OPACITY = 0.5  # of the colours over the picture
AT_ONCE = 2**20  # pixels counted at a time


@dataclass(frozen=True, eq=False)
class Segmentation:
    """One answer. `mask` is the class number of each pixel, uint8 (height, width); `areas` maps each class to its share of the
    pixels, the largest first."""

    mask: np.ndarray
    areas: dict[str, float]
    output: MaskOutput = field(repr=False)

    def __str__(self) -> str:
        return self.text()

    def text(self, top: int = 3) -> str:
        """The `top` largest classes in one line."""
        return "  ".join(f"{name} {100 * share:.1f} %" for name, share in list(self.areas.items())[: max(1, top)])

    def image(self) -> Image.Image:
        """The mask as a picture to save as PNG: its values are those of the masks that were learnt from, its palette shows each
        class in its colour. Where those were colours the values are class numbers."""
        numbers = all(isinstance(value, int) for value in self.output.values)
        values = np.array(self.output.values if numbers else range(len(self.output.classes)), dtype=np.uint16)
        if values.max() > 255:
            return Image.fromarray(values[self.mask])
        image = Image.fromarray(values.astype(np.uint8)[self.mask]).convert("P")
        palette = np.zeros((256, 3), dtype=np.uint8)
        palette[values] = self.output.colours
        image.putpalette(palette.tobytes())
        return image

    def overlay(self, picture: Image.Image, legend: bool = True) -> Image.Image:
        """The picture, of the mask's size, coloured in; below it, where asked for, a legend of the classes that are in it."""
        colours = np.array(self.output.colours, dtype=np.uint8)
        painted = Image.blend(picture.convert("RGB"), Image.fromarray(colours[self.mask]), OPACITY)
        return _with_legend(painted, self._legend()) if legend else painted

    def _legend(self) -> list[tuple[str, Colour]]:
        numbered = {name: number for number, name in enumerate(self.output.classes)}
        there = [(name, share) for name, share in self.areas.items() if share > 0]
        return [
            (f"{_drawable(name, numbered[name])} {_percent(share)}", self.output.colours[numbered[name]]) for name, share in there
        ]


@dataclass(frozen=True)
class MaskOutput:
    """Class numbers (height, width) -> one `Segmentation`. `values` are what the classes are in mask files, grey levels or
    colours; `colours` what they are drawn in."""

    classes: tuple[str, ...]
    values: tuple[Value, ...]
    colours: tuple[Colour, ...]

    def __post_init__(self) -> None:
        if not len(self.classes) == len(self.values) == len(self.colours):
            raise ValueError("a value and a colour for each class")

    def read(self, mask: np.ndarray) -> Segmentation:
        """The answer that a mask of class numbers, uint8 (height, width), is."""
        pixels, counts = mask.ravel(), np.zeros(256, dtype=np.int64)
        for start in range(0, pixels.size, AT_ONCE):  # bincount makes eight bytes of each
            counts += np.bincount(pixels[start : start + AT_ONCE], minlength=256)
        counts = counts[: len(self.classes)]
        order = np.argsort(-counts, kind="stable")
        return Segmentation(mask, {self.classes[number]: float(counts[number] / mask.size) for number in order}, self)

    def card(self) -> dict[str, Any]:
        """What `from_card` takes: plain values, for program.json."""
        return {"kind": "mask", "classes": list(self.classes), "values": list(self.values), "colours": list(self.colours)}

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> MaskOutput:
        """The output that program.json describes."""
        values = tuple(int(value) if isinstance(value, int) else _colour(value) for value in card["values"])
        return cls(tuple(str(name) for name in card["classes"]), values, tuple(_colour(value) for value in card["colours"]))


def _colour(value: list[int]) -> Colour:
    red, green, blue = (int(level) for level in value)
    return red, green, blue


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %" if share >= 0.01 else "< 1 %"


def _drawable(name: str, number: int) -> str:
    """A class's name as Pillow's own font can write it."""
    short = name if len(name) <= 24 else f"{name[:23]}…"
    return short if all(ord(letter) < 0x250 or letter == "…" for letter in short) else f"class {number}"


def _with_legend(picture: Image.Image, entries: list[tuple[str, Colour]]) -> Image.Image:
    """The picture with rows of colour and name below it, as many as its width asks for."""
    size = int(np.clip(picture.width / 40, 10, 48))
    font = ImageFont.load_default(size)
    gap, line = size // 2, size + size // 2
    x, row, places = gap, 0, []
    for text, colour in entries:
        needed = size + gap // 2 + int(font.getlength(text)) + gap
        if x > gap and x + needed > picture.width:
            x, row = gap, row + 1
        places.append((x, row, text, colour))
        x += needed
    whole = Image.new("RGB", (picture.width, picture.height + (row + 1) * line + gap), "white")
    whole.paste(picture)
    draw = ImageDraw.Draw(whole)
    for x, row, text, colour in places:
        y = picture.height + gap // 2 + row * line
        draw.rectangle([x, y, x + size - 1, y + size - 1], fill=colour, outline="black")
        draw.text((x + size + gap // 2, y + size // 2), text, fill="black", font=font, anchor="lm")
    return whole
