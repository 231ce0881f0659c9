"""Reading every item once: is it whole, what are its fingerprints, and the small picture that is learnt from.

A decode is the dearest thing before training, so all that needs one happens in the same pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from toolkit.converters import fit_image, picture_size
from toolkit.data.duplicates import fingerprints
from toolkit.data.hashing import content_hash
from toolkit.data.images.cache import ImageCache
from toolkit.data.reading import PIXEL_BUDGET, in_threads
from toolkit.errors import ConversionError
from toolkit.program.images.inputs import ImageInput

FACTS = ("content", "pixels_hash", "near_hash", "width", "height", "grey", "error")


@dataclass(frozen=True)
class Readings:
    """What the pass over the items found.

    `facts` has one row an item, in the order given: `content` (hash of the file), `pixels_hash` (of the decoded
    pixels), `near_hash` (64-bit perceptual hash as a Python int, or None under 32 pixels), `width`, `height` (as
    stored), `grey` (bool), `error` (the reason it cannot be read, or None). `pixels` is uint8 (items, height, width,
    3), zeros where there is an error; None where the budget was passed.
    """

    facts: pd.DataFrame
    pixels: np.ndarray | None


def read_items(
    paths: Sequence[Path],
    image_input: ImageInput,
    *,
    cache: ImageCache | None = None,
    jobs: int | None = None,
    budget: int = PIXEL_BUDGET,
) -> Readings:
    """Read each of `paths` once as `image_input` does, in parallel threads (`jobs` of them; None: one a core), or take it from
    `cache`.

    The prepared pictures are kept too, up to `budget` bytes. A `ConversionError` is recorded in the facts, not raised.
    """
    pixels = None
    if len(paths) * int(np.prod(image_input.shape)) <= budget:
        pixels = np.zeros((len(paths), *image_input.shape), dtype=np.uint8)

    def read_one(index: int) -> dict[str, Any]:
        try:
            content = content_hash(paths[index])
            kept = cache.load(content) if cache else None
            prepared, facts = kept or _read(paths[index], image_input)
        except ConversionError as error:
            return {"error": error.reason}
        except OSError as error:
            return {"error": error.strerror or str(error)}
        if cache and not kept:
            cache.store(content, prepared, facts=facts)
        if pixels is not None:
            pixels[index] = prepared
        return {"content": content, **facts}

    rows = list(in_threads(read_one, range(len(paths)), what="reading", jobs=jobs))
    missing = {"width": 0, "height": 0, "grey": False}
    columns = {name: [row.get(name, missing.get(name)) for row in rows] for name in FACTS}
    return Readings(pd.DataFrame({name: pd.Series(values, dtype=object) for name, values in columns.items()}), pixels)


def _read(path: Path, image_input: ImageInput) -> tuple[np.ndarray, dict[str, Any]]:
    """A picture as it is learnt from, and the facts of its original."""
    image = image_input.read(path)
    exact, near = fingerprints(image)
    if image_input.converter is not None:
        near = None  # a hash made for photos takes most spectrograms, and most drawings, for near duplicates
    width, height = (picture_size(path) if image_input.converter is None else None) or image.size
    facts = {"pixels_hash": exact, "near_hash": near, "width": width, "height": height, "grey": _is_grey(image)}
    return np.asarray(fit_image(image, image_input.size, method=image_input.resize)), facts


def _is_grey(image: Image.Image) -> bool:
    small = np.asarray(image.resize((16, 16)) if min(image.size) > 16 else image).astype(int)
    return bool(np.abs(small - small.mean(axis=2, keepdims=True)).max() <= 2)
