"""Reading every item once: is it whole, what are its fingerprints, and the small picture that is learnt from.

It is a file of its own because a decode is the dearest thing before training, so all that needs one happens in the same
pass.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from PIL import Image

from toolkit.converters import fit_image, picture_size
from toolkit.data.duplicates import fingerprints
from toolkit.data.hashing import content_hash
from toolkit.data.images.cache import PictureCache
from toolkit.data.progress import track
from toolkit.data.reading import PIXEL_BUDGET
from toolkit.errors import ConversionError
from toolkit.program.images.inputs import ImageInput

COLUMNS = ("content", "pixels_hash", "near_hash", "width", "height", "grey", "error")


@dataclass
class Readings:
    """What the pass over the items found.

    `table` has one row an item, in the order given: `content` (hash of the file), `pixels_hash` (of the decoded
    pixels), `near_hash` (64-bit perceptual hash as a Python int, or None under 32 pixels), `width`, `height` (as
    stored), `grey` (bool), `error` (the reason it cannot be read, or None). `pixels` is uint8 (items, height, width,
    3), zeros where there is an error; None where the budget was passed.
    """

    table: pd.DataFrame
    pixels: np.ndarray | None


def read_items(
    paths: Sequence[Path],
    image_input: ImageInput,
    cache: PictureCache | None = None,
    jobs: int | None = None,
    budget: int = PIXEL_BUDGET,
) -> Readings:
    """Read each of `paths` once as `image_input` does, in parallel threads, or take it from `cache`.

    The prepared pictures are kept too, up to `budget` bytes. A `ConversionError` is recorded in the table, not raised.
    """
    pixels = None
    if len(paths) * int(np.prod(image_input.shape)) <= budget:
        pixels = np.zeros((len(paths), *image_input.shape), dtype=np.uint8)

    def read_one(index: int, path: Path) -> dict:
        try:
            content = content_hash(path)
            kept = cache.load(content) if cache else None
            prepared, facts = kept or _read(path, image_input)
        except ConversionError as error:
            return {"error": error.reason}
        except OSError as error:
            return {"error": error.strerror or str(error)}
        if cache and not kept:
            cache.store(content, prepared, facts)
        if pixels is not None:
            pixels[index] = prepared
        return {"content": content, **facts}

    work = Parallel(n_jobs=jobs or os.cpu_count(), prefer="threads", return_as="generator")(
        delayed(read_one)(index, path) for index, path in enumerate(paths)
    )
    rows = list(track(work, total=len(paths), what="reading"))
    missing = {"width": 0, "height": 0, "grey": False}
    columns = {name: [row.get(name, missing.get(name)) for row in rows] for name in COLUMNS}
    return Readings(pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()}), pixels)


def _read(path: Path, image_input: ImageInput) -> tuple[np.ndarray, dict]:
    """A picture as it is learnt from, and the facts of its original."""
    image = image_input.read(path)
    exact, near = fingerprints(image)
    if image_input.converter is not None:
        near = None  # a hash made for photos takes most spectrograms, and most drawings, for twins
    width, height = (picture_size(path) if image_input.converter is None else None) or image.size
    facts = {"pixels_hash": exact, "near_hash": near, "width": width, "height": height, "grey": _is_grey(image)}
    return np.asarray(fit_image(image, image_input.size, image_input.resize)), facts


def _is_grey(image: Image.Image) -> bool:
    small = np.asarray(image.resize((16, 16)) if min(image.size) > 16 else image).astype(int)
    return bool(np.abs(small - small.mean(axis=2, keepdims=True)).max() <= 2)
