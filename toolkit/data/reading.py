"""Reading every item once: is it whole, what are its pixels' fingerprints, and the small picture that is learnt from.

It is a file of its own because a decode is the dearest thing before training, so all that needs one happens in the same
pass.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from PIL import Image

from toolkit.converters import fit_image
from toolkit.data.progress import track
from toolkit.errors import ConversionError

NEAR_FROM = 32  # pixels: perceptual hashes take most smaller pictures for twins
PIXEL_BUDGET = 2 * 2**30  # bytes of prepared pixels kept in memory; beyond it, items are read again each epoch


@dataclass
class Readings:
    """What the pass over the items found.

    `table` has one row an item, in the order given: `pixels_hash` (of the decoded pixels), `near_hash` (64-bit perceptual
    hash as a Python int, or None under 32 pixels), `width`, `height`, `grey` (bool), `error` (the reason it cannot be
    read, or None). `pixels` is uint8 (items, height, width, 3) at the size asked for, zeros where there is an
    error; None where no size was asked for or the budget was passed.
    """

    table: pd.DataFrame
    pixels: np.ndarray | None


def read_items(
    paths: Sequence[Path],
    reader: Callable[[Path], Image.Image],
    size: tuple[int, int] | None = None,
    resize: str = "squish",
    jobs: int | None = None,
    budget: int = PIXEL_BUDGET,
) -> Readings:
    """Read each of `paths` once with `reader` (path -> RGB picture), in parallel threads.

    `size` is (height, width): then the pictures at that size are kept too, up to `budget` bytes. A `ConversionError` of the
    reader is recorded in the table, not raised.
    """
    pixels = None
    if size is not None and len(paths) * size[0] * size[1] * 3 <= budget:
        pixels = np.zeros((len(paths), *size, 3), dtype=np.uint8)

    def read_one(index: int, path: Path) -> tuple:
        try:
            image = reader(path)
        except ConversionError as error:
            return None, None, 0, 0, False, error.reason
        if pixels is not None:
            pixels[index] = np.asarray(fit_image(image, size, resize))
        return *fingerprints(image), image.width, image.height, _is_grey(image), None

    work = Parallel(n_jobs=jobs or os.cpu_count(), prefer="threads", return_as="generator")(
        delayed(read_one)(index, path) for index, path in enumerate(paths)
    )
    rows = list(track(work, total=len(paths), what="reading"))
    columns = ["pixels_hash", "near_hash", "width", "height", "grey", "error"]
    return Readings(
        pd.DataFrame(
            {name: pd.Series(values, dtype=object) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}
        ),
        pixels,
    )


def fingerprints(image: Image.Image) -> tuple[str, int | None]:
    """The hash of the picture's pixels, and its 64-bit perceptual hash (None where a side is under 32 pixels)."""
    size = f"{image.width}x{image.height} ".encode()
    exact = hashlib.blake2b(size + image.tobytes(), digest_size=16).hexdigest()
    if min(image.size) < NEAR_FROM:
        return exact, None
    import imagehash

    return exact, int(str(imagehash.phash(image)), 16)


def _is_grey(image: Image.Image) -> bool:
    small = np.asarray(image.resize((16, 16)) if min(image.size) > 16 else image).astype(int)
    return bool(np.abs(small - small.mean(axis=2, keepdims=True)).max() <= 2)
