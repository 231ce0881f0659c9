"""Does this recommender still answer as it did when it was exported? Golden likes, replayed."""

from __future__ import annotations

import numpy as np

from toolkit.program.collab.program import Recommender

TOLERANCE = 1e-4  # of the largest score


def selftest(program: Recommender) -> list[str]:
    """Replay the golden likes; return one line for each difference, an empty list when all is as exported.

    Each user is solved for here and has to give the scores of the export; each of their likes has to be found by its title and
    by its id.
    """
    problems = []
    goldens = program.card.get("golden", [])
    size = max((abs(number) for golden in goldens for number in golden["output"]), default=1.0)
    ids, titles = program.index.ids, program.index.titles
    for number, golden in enumerate(goldens, start=1):
        expected = np.array(golden["output"])
        values = None if golden["values"] is None else np.array(golden["values"], dtype=np.float64)
        answer = program.run(np.array(golden["likes"], dtype=np.int64), values, wanted=np.array(golden["wanted"], dtype=np.int64))
        if answer.shape != expected.shape or not np.abs(answer - expected).max(initial=0.0) <= TOLERANCE * size:
            problems.append(f"likes {number}: the scores are {answer.tolist()}, at export they were {expected.tolist()}")
        for item in golden["likes"]:
            match = program.index.find(titles[item])
            same = match.item is not None and titles[match.item].strip() == titles[item].strip()
            guessed = match.guessed and titles.count(titles[item]) == 1
            if program.index.find(ids[item], id_first=True).item != item or not same or guessed:
                problems.append(f"likes {number}: {program.index.quoted(item)} is not found by its title and its id")
    return problems
