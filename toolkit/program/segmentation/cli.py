"""The command line of a program that answers for each pixel: masks and coloured pictures into a folder, areas to the terminal.

It is a file of its own because it writes files, which no other program does.
"""

from __future__ import annotations

import json
import sys
from itertools import count
from pathlib import Path

from toolkit.errors import ConversionError
from toolkit.files import replacing
from toolkit.program.images.program import Program
from toolkit.program.segmentation.inputs import segment

LONGEST = 80  # letters of an item's name that the names of its results keep


def colour_in(program: Program, items: list[str], out: str, as_json: bool, top: int, strict: bool) -> int:
    """Segment each of `items`; return the exit status, 1 where one could not be read.

    For NAME.jpg the folder `out` gets NAME.mask.png, whose values are those of the masks that were learnt from, and
    NAME.overlay.png, the picture coloured in with a legend; "none" writes nothing. A second item of one name gets a number.
    Raises `RunError` where `out` cannot be written to.
    """
    folder = None if out == "none" else Path(out)
    used: set[str] = set()
    failed = 0
    for item in items:
        try:
            picture = program.input.read(Path(item))
            answer = program.output.read(segment(picture, program.run, program.input))
        except ConversionError as error:
            if strict:
                raise
            failed += 1
            if as_json:
                print(json.dumps({"item": item, "error": error.reason}, ensure_ascii=False), flush=True)
            print(f"error: {error}", file=sys.stderr)
            continue
        written = {}
        if folder:
            name = _free(Path(item).stem[:LONGEST], used)
            written = {"mask": folder / f"{name}.mask.png", "overlay": folder / f"{name}.overlay.png"}
            for what, image in (("mask", answer.image()), ("overlay", answer.overlay(picture))):
                with replacing(written[what], durable=False) as temporary:
                    image.save(temporary, "PNG", compress_level=3)
        if as_json:
            line = {"item": item, "width": picture.width, "height": picture.height, "areas": answer.areas}
            print(json.dumps({**line, **{what: str(path) for what, path in written.items()}}, ensure_ascii=False), flush=True)
        else:
            print(f"{item}  {answer.text(top)}{''.join(f'  {path}' for path in written.values())}", flush=True)
    return 1 if failed else 0


def _free(stem: str, used: set[str]) -> str:
    """A name that no other item of this call has."""
    name = next(name for number in count(1) if (name := stem if number == 1 else f"{stem}-{number}") not in used)
    used.add(name)
    return name
