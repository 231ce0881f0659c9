"""Shrink a tree of photos once: `python -m toolkit.data.shrink photos/ small/ --size 256`.

Small images are enough to learn from, and big ones are slow to load. The small tree is an ordinary tree of pictures, to train
from, copy or look at.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from functools import partial
from pathlib import Path

from PIL import Image

from toolkit.converters import IMAGE_SUFFIXES, picture_size, read_image
from toolkit.data.mirror.sync import Outcome, sync, tell
from toolkit.errors import ConversionError, DataError, report_plainly

QUALITY = 92  # of JPEG files
SHRUNK, COPIED = "shrunk", "already small"
# what each suffix stands for; the name stays, so that labels and CSVs that name it stay right
FORMATS = {".jpg": "JPEG", ".jpeg": "JPEG", ".jfif": "JPEG", ".tif": "TIFF", ".pgm": "PPM", ".pbm": "PPM"}


def shrink_tree(
    source: Path | str, target: Path | str, *, size: int = 256, jobs: int | None = None, strict: bool = False
) -> Outcome:
    """Make `target` a copy of the tree `source` in which the shorter side of every picture is at most `size` pixels.

    Pictures keep their names, formats and proportions; they become upright 8-bit RGB. Smaller ones are copied as they are.
    What cannot be read is listed in `target`/failed.csv. See `sync` for the rest.
    """
    if size < 8:
        raise DataError(f"size {size}: expected 8 pixels or more")
    settings = {"verb": "shrink", "size": size, "quality": QUALITY}
    return sync(
        Path(source),
        Path(target),
        make=partial(shrink_one, size=size),
        suffixes=IMAGE_SUFFIXES,
        settings=settings,
        jobs=jobs,
        strict=strict,
    )


def shrink_one(item: Path, path: Path, *, size: int) -> str:
    """Write the picture `item`, shrunk to a shorter side of `size` pixels, to `path`, in the format that the item's suffix
    stands for; return what was done."""
    shorter = min(picture_size(item) or (0, 0))
    image = read_image(item, at_least=2 * size)  # also where it is small enough: a damaged one is not copied
    if shorter <= size:
        shutil.copyfile(item, path)
        return COPIED
    scale = size / min(image.size)
    small = image.resize((round(image.width * scale), round(image.height * scale)), Image.Resampling.BICUBIC, reducing_gap=3.0)
    suffix = item.suffix.lower()
    kind = FORMATS.get(suffix, suffix[1:].upper())
    options = {"quality": QUALITY} if kind in ("JPEG", "WEBP") else {}
    try:
        small.save(path, kind, **options)
    except (KeyError, ValueError) as error:
        raise ConversionError(item, f"cannot be written as {kind} ({error})") from error
    return SHRUNK


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 1 where an item could not be read."""
    parser = argparse.ArgumentParser(
        prog="python -m toolkit.data.shrink",
        description="Copy a tree of pictures with every one shrunk. Run it again after a stop: it goes on where it was; "
        "later, it makes what changed and removes what it made of pictures that have gone.",
        epilog="For photos, not for masks: pixels are averaged, and an average of two class numbers is a third class.",
    )
    parser.add_argument("source", type=Path, help="the tree of pictures")
    parser.add_argument("target", type=Path, help="where the small ones go")
    parser.add_argument("--size", type=int, default=256, help="pixels of the shorter side (default: 256)")
    parser.add_argument("--jobs", type=int, help="threads (default: one for each core)")
    parser.add_argument("--strict", action="store_true", help="stop at the first file that cannot be read")
    chosen = parser.parse_args(arguments)
    outcome = shrink_tree(chosen.source, chosen.target, size=chosen.size, jobs=chosen.jobs, strict=chosen.strict)
    return tell(outcome, chosen.target, words=(SHRUNK, COPIED))


if __name__ == "__main__":
    sys.excepthook = report_plainly
    sys.exit(main())
