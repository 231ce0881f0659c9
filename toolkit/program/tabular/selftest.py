"""Does this program of tables still answer as it did when it was exported? Golden rows, replayed."""

from __future__ import annotations

import numpy as np

from toolkit.errors import ConversionError
from toolkit.program.outputs import ValueOutput
from toolkit.program.tabular.program import TabularProgram

TOLERANCE = 1e-4  # of a probability, or of the largest value


def selftest(program: TabularProgram) -> list[str]:
    """Replay the golden rows; return one line for each difference, an empty list when all is as exported.

    Each row is read here and has to give the codes and numbers of the export; the model runs on those of the export and has to
    give the exported answer.
    """
    problems = []
    goldens = program.card.get("golden", [])
    known = [abs(number) for golden in goldens for number in golden["output"]]
    size = max(known, default=1.0) if isinstance(program.output, ValueOutput) else 1.0
    for number, golden in enumerate(goldens, start=1):
        codes = np.array([golden["codes"]], dtype=np.int64).reshape(1, -1)
        numbers = np.array([golden["numbers"]], dtype=np.float32).reshape(1, -1)
        expected = np.array(golden["output"])
        answer = program.run(codes, numbers)[0]
        if answer.shape != expected.shape or not np.abs(answer - expected).max() <= TOLERANCE * size:  # NaN is within nothing
            problems.append(f"row {number}: the model answers {answer.tolist()}, at export it was {expected.tolist()}")
        cells = {name: [cell] for name, cell in golden["row"].items()}
        try:
            prepared = program.input.prepare(cells, text=golden["text"])
        except ConversionError as error:
            problems.append(f"row {number}: cannot be read here ({error.reason})")
            continue
        if not (np.array_equal(prepared.codes, codes) and np.allclose(prepared.numbers, numbers, rtol=0, atol=1e-6)):
            problems.append(f"row {number}: read as other codes or numbers than at export")
    return problems
