"""The command line of a program that answers for each pixel: masks and coloured pictures into a folder, areas to the terminal."""

from __future__ import annotations

import argparse
import json
import sys
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ConversionError
from toolkit.files import replacing
from toolkit.program.options import MOST_PROBABLE, add_top

if TYPE_CHECKING:
    from toolkit.program.segmentation.program import SegmentationProgram

DOES = "answer for each pixel"
TAKES = "answers for each pixel of pictures"
HINT = "pictures"
LONGEST = 80  # letters of an item's name that the names of its results keep


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only programs that answer for each pixel are asked."""
    add_top(parser)
    parser.add_argument(
        "--out", metavar="FOLDER", default="segmented",
        help="the folder for masks and coloured pictures (default: segmented; none: nowhere)",
    )  # fmt: skip


def asked(chosen: argparse.Namespace) -> bool:
    """Whether something is to be predicted."""
    return bool(chosen.items)


def wrong_use(chosen: argparse.Namespace) -> str:
    """What is wrong with a combination of options: nothing can be."""
    return ""


def answer(program: SegmentationProgram, chosen: argparse.Namespace) -> int:
    """Segment each file; return the exit status, 1 where one could not be read.

    For NAME.jpg the folder `--out` gets NAME.mask.png, whose values are those of the masks that were learnt from, and
    NAME.overlay.png, the picture coloured in with a legend; "none" writes nothing. A second item of one name gets a number.
    Raises `RunError` where the folder cannot be written to.
    """
    from toolkit.program.segmentation.inputs import segment  # here: the options of this command are read without pillow

    folder = None if chosen.out == "none" else Path(chosen.out)
    used: set[str] = set()
    failed = 0
    for item in chosen.items:
        try:
            picture = program.input.read(Path(item))
            segmented = program.output.read(segment(picture, program.run, segmentation_input=program.input))
        except ConversionError as error:
            if chosen.strict:
                raise
            failed += 1
            if chosen.json:
                print(json.dumps({"item": item, "error": error.reason}, ensure_ascii=False), flush=True)
            print(f"error: {error}", file=sys.stderr)
            continue
        written = {}
        if folder:
            name = _free(Path(item).stem[:LONGEST], used)
            written = {"mask": folder / f"{name}.mask.png", "overlay": folder / f"{name}.overlay.png"}
            for what, image in (("mask", segmented.image()), ("overlay", segmented.overlay(picture))):
                with replacing(written[what], durable=False) as temporary:
                    image.save(temporary, "PNG", compress_level=3)
        if chosen.json:
            line = {"item": item, "width": picture.width, "height": picture.height, "areas": segmented.areas}
            print(json.dumps({**line, **{what: str(path) for what, path in written.items()}}, ensure_ascii=False), flush=True)
        else:
            print(
                f"{item}  {segmented.text(chosen.top or MOST_PROBABLE)}{''.join(f'  {path}' for path in written.values())}",
                flush=True,
            )
    return 1 if failed else 0


def _free(stem: str, used: set[str]) -> str:
    """A name that no other item of this call has."""
    name = next(name for number in count(1) if (name := stem if number == 1 else f"{stem}-{number}") not in used)
    used.add(name)
    return name
