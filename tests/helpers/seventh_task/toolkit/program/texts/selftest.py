"""Does a program of texts still answer as at export?"""

from __future__ import annotations

import numpy as np

from toolkit.program.texts.program import TextProgram


def selftest(program: TextProgram) -> list[str]:
    """Replay the golden texts; return one line for each difference."""
    found = []
    for golden in program.card.get("golden", []):
        if np.abs(program.run(program.input.prepare(golden["text"])) - golden["output"]).max() > 1e-4:
            found.append(f"{golden['text']!r} is answered otherwise than at export")
    return found
