"""Does it work for all? Scores of the rows that have each value of a column, be it words, numbers or dates, of few values or
thousands."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit.evaluation.bootstrap import Bootstrap
from toolkit.evaluation.tabular.metrics import Measure
from toolkit.program.cells import ISO, is_missing, moment_of, number_of, python_value, quoted, text_of

if TYPE_CHECKING:
    from toolkit.data.tabular.labelled import LabelledTabular

FEWEST_ROWS = 20  # of a value: those of fewer are pooled
MOST_VALUES = 20  # of a column: the rest is pooled
FEW_NUMBERS = 10  # different numbers that stand for themselves; more are cut into quartiles
MISSING, REST = "(missing)", "(all others)"
POOLED = f"(fewer than {FEWEST_ROWS} rows each)"


def by_group(
    labelled: LabelledTabular, rows: np.ndarray, *, answer: np.ndarray, column: str, seed: int = 0
) -> dict[str, dict[str, Any]]:
    """The metrics of `answer` to the `rows` (positions) for each value of a column: {value: {"n": rows, "metrics": {name:
    Interval}}}; see `values_of`."""
    measure, targets, groups = Measure.of(labelled), labelled.targets[rows], groups_of(labelled, rows)
    found = {}
    for value, some in values_of(labelled, rows, column=column).items():
        bootstrap = Bootstrap.draw(len(some), None if groups is None else groups[some], seed=seed)
        samples = measure.samples(answer[some], targets[some], bootstrap=bootstrap)
        found[value] = {"n": len(some), "metrics": measure.intervals(samples, targets[some], bootstrap=bootstrap)}
    return found


def groups_of(labelled: LabelledTabular, rows: np.ndarray) -> np.ndarray | None:
    """Which of `rows` belong together, None where the data does not say; a row without a group belongs to none but its own."""
    groups = labelled.table.group.iloc[rows]
    if groups.isna().all():
        return None
    numbers, _ = pd.factorize(groups)
    alone = numbers < 0
    numbers[alone] = len(numbers) + np.arange(alone.sum())
    return numbers


def values_of(labelled: LabelledTabular, rows: np.ndarray, *, column: str) -> dict[str, np.ndarray]:
    """Which of `rows` (their places among them) have each value of a column, whether it is learnt from or not.

    More than 10 different numbers are cut into quartiles, dates into years; else each value is one, the commonest first. Values
    of fewer than 20 rows are one group together, where there are several, and so are all beyond the 20 commonest.
    """
    cells = [python_value(cell) for cell in labelled.frame[column].iloc[rows]]
    there = np.array([not is_missing(cell, labelled.tabular_input.na_values) for cell in cells])
    learnt = next((each for each in labelled.tabular_input.columns if each.name == column), None)
    numbers = None if getattr(learnt, "kind", "") == "category" else _numbers(cells, there, learnt=learnt)
    if numbers is not None and len(np.unique(numbers[there])) > FEW_NUMBERS:
        found = _quartiles(numbers, there)
    else:
        texts = np.array([text_of(cell).strip() for cell in (cells if numbers is None else numbers.tolist())], dtype=object)
        counts = Counter(texts[there].tolist())
        alone = [text for text, count in counts.most_common(MOST_VALUES) if count >= FEWEST_ROWS]
        found = {text: (texts == text) & there for text in alone}
        others = set(counts) - set(alone)
        rest = others.pop() if len(others) == 1 else POOLED if all(counts[text] < FEWEST_ROWS for text in others) else REST
        found[rest] = there & ~np.any([*found.values(), ~there], axis=0)
    found[MISSING] = ~there
    return {value: np.flatnonzero(some) for value, some in found.items() if some.any()}


def _numbers(cells: list[object], there: np.ndarray, *, learnt: object) -> np.ndarray | None:
    """Each cell as a number, a date as its year, NaN where it is missing; None where one is neither. What a column that is learnt
    from could not read is missing, and becomes so in `there`."""
    decimal, form = getattr(learnt, "decimal", "."), getattr(learnt, "form", ISO)
    found = np.full(len(cells), np.nan)
    known: dict[object, float | None] = {}
    for place in np.flatnonzero(there).tolist():
        cell = cells[place]
        if cell not in known:
            known[cell] = _number(cell, decimal, form=form)
        if known[cell] is None and learnt is None:
            return None
        found[place] = np.nan if known[cell] is None else known[cell]
    there &= np.isfinite(found)
    return found


def _number(cell: object, decimal: str, *, form: str) -> float | None:
    if isinstance(cell, (int, float)):
        return None if isinstance(cell, bool) else float(cell)
    number = number_of(cell, decimal) if isinstance(cell, str) else None
    moment = moment_of(cell, form) if number is None else None
    return number if moment is None else float(moment.year)


def _quartiles(numbers: np.ndarray, there: np.ndarray) -> dict[str, np.ndarray]:
    bins = np.searchsorted(np.quantile(numbers[there], (0.25, 0.5, 0.75)), numbers)
    found = {}
    for number in np.unique(bins[there]):
        some = (bins == number) & there
        found[f"{quoted(float(numbers[some].min()))} to {quoted(float(numbers[some].max()))}"] = some
    return found
