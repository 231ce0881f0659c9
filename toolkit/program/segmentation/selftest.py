"""Does a program that answers for each pixel still give the masks of its export?"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image

from toolkit.errors import ConversionError
from toolkit.program.segmentation.inputs import segment
from toolkit.program.segmentation.program import SegmentationProgram

GREY_LEVELS = 1  # decoders of different versions may round a pixel differently
SAME_PIXELS = 0.999  # share of a mask's pixels that have to be as at the export


def selftest(program: SegmentationProgram) -> list[str]:
    """Replay the golden pictures; return one line for each difference, an empty list when all is as exported.

    Each is prepared here and compared with the pixels of the export (one grey level of tolerance); its mask has to be the
    export's.
    """
    return [problem for golden in program.card.get("golden", []) for problem in _replayed(program, golden)]


def _replayed(program: SegmentationProgram, golden: dict[str, Any]) -> list[str]:
    """The differences in one golden picture."""
    name, archive = golden["item"], program.archive
    exported, mask = (np.asarray(Image.open(io.BytesIO(archive.read(golden[part])))) for part in ("prepared", "mask"))
    try:
        picture = program.input.read(archive.read(name))
    except ConversionError as error:
        return [f"{name}: cannot be read here ({error.reason})"]
    prepared, found = program.input.prepare(picture), segment(picture, program.run, segmentation_input=program.input)
    if prepared.shape != exported.shape or found.shape != mask.shape:
        return [f"{name}: prepared as {prepared.shape}, at export {exported.shape}"]
    problems = []
    apart = int(np.abs(prepared.astype(int) - exported.astype(int)).max())
    if apart > GREY_LEVELS:
        problems.append(f"{name}: read {apart} grey levels apart from the export (allowed: {GREY_LEVELS})")
    same = float((found == mask).mean())
    if same < SAME_PIXELS:
        problems.append(f"{name}: {100 * same:.2f} % of the pixels answered as at export (expected: {100 * SAME_PIXELS} %)")
    return problems
