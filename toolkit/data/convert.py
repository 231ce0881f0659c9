"""Convert a tree of raw files into pictures once: `python -m toolkit.data.convert sound clips/ pictures/ --set mels=64`.

Pictures are faster to load than what they were made of. Their tree is an ordinary one, to train from with the image recipe, copy
or look at.
"""

from __future__ import annotations

import argparse
import secrets
import sys
from functools import partial
from pathlib import Path

from PIL import Image

from toolkit.converters import Converter, converter_names, find_converter, settings_of
from toolkit.converters.settings import parse_settings
from toolkit.data.converter_key import converter_key
from toolkit.data.mirror.sync import Outcome, sync, tell
from toolkit.errors import ConversionError, report_plainly

CONVERTED = "converted"


def convert_tree(
    converter: Converter | str, source: Path | str, *, target: Path | str, jobs: int | None = None, strict: bool = False
) -> Outcome:
    """Make below `target` the picture of every file below `source` that `converter` reads, in `jobs` processes.

    `converter` is a registered name or an instance. A picture has the whole name of its file and ".png" (a.wav.png), in the
    same folder. What is up to date is left alone; of a converter whose code cannot be found, as that of a class written in a
    notebook, nothing is. What cannot be converted is listed in `target`/failed.csv. See `sync` for the rest.
    """
    if isinstance(converter, str):
        converter = find_converter(converter)
    settings_of(converter)  # refuses what is no converter
    settings = {"verb": "convert", "converter": converter_key(converter) or secrets.token_hex(8)}
    return sync(
        Path(source),
        Path(target),
        make=partial(convert_one, converter=converter),
        suffixes=converter.suffixes,
        settings=settings,
        name="{}.png".format,
        jobs=jobs,
        strict=strict,
        processes=True,
    )


def convert_one(item: Path, path: Path, *, converter: Converter) -> str:
    """Write the picture of the raw file `item` to `path`, as PNG; return what was done."""
    try:
        image = converter(item)
    except OSError as error:  # of reading: what is raised below is one of writing, and not the item's fault
        raise ConversionError(item, f"{type(error).__name__}: {error}") from error
    if not isinstance(image, Image.Image) or image.mode != "RGB":
        raise ConversionError(item, f"the converter gave {image!r}; expected an RGB picture")
    image.save(path, "PNG", compress_level=1)
    return CONVERTED


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 1 where a file could not be converted."""
    parser = argparse.ArgumentParser(
        prog="python -m toolkit.data.convert",
        description="Make a tree of PNG pictures of a tree of raw files. Run it again after a stop: it goes on where it was; "
        "later, it makes what changed (a file, a setting, the converter) and removes what it made of files that have gone.",
        epilog="Files that the converter does not read are left alone.",
    )
    parser.add_argument("converter", help=f"what makes the pictures: {', '.join(converter_names())}")
    parser.add_argument("source", type=Path, help="the tree of raw files")
    parser.add_argument("target", type=Path, help="where the pictures go")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="settings, as in mels=64")
    parser.add_argument("--jobs", type=int, help="processes (default: one for each core)")
    parser.add_argument("--strict", action="store_true", help="stop at the first file that cannot be converted")
    chosen = parser.parse_args(arguments)
    kind = type(find_converter(chosen.converter))
    converter = find_converter(chosen.converter, parse_settings(kind, chosen.set))
    outcome = convert_tree(converter, chosen.source, target=chosen.target, jobs=chosen.jobs, strict=chosen.strict)
    return tell(outcome, chosen.target, words=(CONVERTED,))


if __name__ == "__main__":
    sys.excepthook = report_plainly
    sys.exit(main())
