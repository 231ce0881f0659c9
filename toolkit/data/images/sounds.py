"""How a collection of recordings is best heard, where nobody said: at which rate, and in frames of what length."""

from __future__ import annotations

from collections.abc import Iterable
from math import log2
from pathlib import Path

import numpy as np

from toolkit.converters.sound import length_and_rate
from toolkit.errors import ConversionError, ToolkitError

HIGHEST_RATE = 16_000  # samples a second: speech, animals and machines are told apart by what is below 8 kHz
FRAME = 0.032  # seconds of a frame
SAMPLE = 200


def usual_sound(paths: Iterable[Path], rate: int = 0) -> dict[str, int]:
    """The settings `rate`, `fft` and `hop` of the sound converter for these recordings, by a sample of them.

    A `rate` of 0 becomes the lower quartile of theirs, at most 16 kHz. A frame is the power of two of samples nearest to 32 ms,
    and a hop a quarter of it. Raises `ToolkitError` for a rate below 0.
    """
    if rate < 0:
        raise ToolkitError(f"rate {rate}: expected samples a second, or 0 for the recordings' own")
    paths, rates = list(paths), []
    for path in paths[:: max(1, len(paths) // SAMPLE)] if not rate else ():
        try:
            rates.append(length_and_rate(path)[1])
        except ConversionError:  # it is set aside, with its reason, when it is read
            continue
    if not rate:
        rate = min([HIGHEST_RATE, *([int(np.percentile(rates, 25, method="lower"))] if rates else [])])
    fft = 2 ** round(log2(rate * FRAME))
    return {"rate": rate, "fft": fft, "hop": fft // 4}
