"""Does this program still answer as it did when it was exported? Golden inputs, replayed.

A program carries this to places where nobody can look inside: another processor, another Pillow, another onnxruntime.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

from toolkit.errors import ConversionError
from toolkit.program.images.program import ImageProgram

GREY_LEVELS = 1  # decoders of different versions may round a pixel differently
TOLERANCE = 1e-4  # of a probability, on the pixels of the export


def selftest(program: ImageProgram) -> list[str]:
    """Replay the golden inputs; return one line for each difference, an empty list when all is as exported.

    The raw item (of a long one, its first window) is prepared here and compared with the pixels of the export (one grey
    level of tolerance); the model runs on the exported pixels and must give the exported numbers, and on the pixels prepared
    here the same label.
    """
    problems = []
    for golden in program.card.get("golden", []):
        name = golden["item"]
        expected = np.asarray(Image.open(io.BytesIO(program.archive.read(golden["prepared"]))))
        numbers = np.asarray(golden["output"], dtype=np.float32)
        answer = program.run(expected[None])[0]
        if answer.shape != numbers.shape or np.abs(answer - numbers).max() > TOLERANCE:
            problems.append(f"{name}: the model answers {answer.tolist()}, at export it was {numbers.tolist()}")
        try:
            _, _, prepared = next(program.input.windows(program.archive.read(name)))
        except ConversionError as error:
            problems.append(f"{name}: cannot be read here ({error.reason})")
            continue
        if prepared.shape != expected.shape:
            problems.append(f"{name}: prepared as {prepared.shape}, at export {expected.shape}")
            continue
        apart = int(np.abs(prepared.astype(int) - expected.astype(int)).max())
        if apart > GREY_LEVELS:
            problems.append(f"{name}: read {apart} grey levels apart from the export (allowed: {GREY_LEVELS})")
        label = program.output.read(program.run(prepared[None]))[0].label
        if label != golden["label"]:
            problems.append(f"{name}: answered {label!r}, at export {golden['label']!r}")
    return problems
