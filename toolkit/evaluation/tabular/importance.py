"""What a model of tables goes by: how much each column is worth to it, and how its answer follows a column.

It is asked for answers to rows that nobody wrote: real ones with a column changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.data.progress import track
from toolkit.evaluation.bootstrap import Bootstrap, Interval, finite_interval
from toolkit.evaluation.sampling import sample_rows
from toolkit.evaluation.tabular.groups import MISSING, groups_of
from toolkit.evaluation.tabular.metrics import Measure
from toolkit.program.tabular.columns import FIRST, CategoryColumn, DateColumn, NumberColumn

if TYPE_CHECKING:
    from toolkit.data.tabular.labelled import LabelledTabular
    from toolkit.program.tabular.inputs import Answer

MOST_ROWS, REPEATS = 5000, 5  # test rows whose columns are permuted, and how often
RESAMPLES = 300  # for the intervals of importances
MOST_MEANT, POINTS = 500, 21  # test rows that a partial dependence is the mean of, and its points
CATEGORIES = 12  # the commonest that a partial dependence has
MOST_SORTED = 5000  # training rows that quantiles are taken of
OTHERS = "(others)"
MIDNIGHT = " 00:00:00"


def permutation_importance(
    answer: Answer, labelled: LabelledTabular, *, seed: int = 0, most: int = MOST_ROWS, repeats: int = REPEATS
) -> dict[str, Interval]:
    """By how much the headline metric of `answer` falls when a column's cells are shuffled among the test rows, so that they say
    nothing any more (Breiman 2001): for each column that is learnt from, the greatest first.

    All that is made of a column (the parts of a date, whether it is missing) is shuffled together. The figure is the mean of
    `repeats` shuffles of a sample of at most `most` rows; its interval is over resamples of these rows. Columns that say the same
    share their worth: shuffling one leaves the other. The metric is that of `Measure.headline`.
    """
    measure = Measure.of(labelled)
    rows = labelled.rows_of("test")
    rows = rows[sample_rows(len(rows), most, seed=seed)]
    codes, numbers, targets = labelled.codes[rows], labelled.numbers[rows], labelled.targets[rows]
    whole = Bootstrap.draw(len(rows), groups_of(labelled, rows), seed=seed)
    bootstrap = Bootstrap(whole.weights[: 1 + RESAMPLES], whole.resampled, whole.units)
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(rows)) for _ in range(repeats)]
    before = measure.of_headline(answer(codes, numbers), targets, bootstrap=bootstrap)
    found = {}
    for name in track(labelled.tabular_input.names, len(labelled.tabular_input.names), what="shuffling columns"):
        of_codes, of_numbers = labelled.tabular_input.places(name)
        lost = []
        for order in orders:
            changed = codes.copy(), numbers.copy()
            changed[0][:, of_codes], changed[1][:, of_numbers] = codes[order][:, of_codes], numbers[order][:, of_numbers]
            lost.append(before - measure.of_headline(answer(*changed), targets, bootstrap=bootstrap))
        found[name] = finite_interval(np.mean(lost, axis=0))
    return dict(sorted(found.items(), key=lambda item: -item[1].value))


@dataclass(frozen=True)
class Dependence:
    """How the mean answer follows a column.

    `values` are what its cells were set to, by its `kind`: "number", "date" (as ISO writes them) or "category". `answers`,
    float64 (values, classes or 1), has the mean answer for each; `shares`, of the training rows, are there for categories alone.
    """

    column: str
    kind: str
    values: tuple[float | str, ...]
    answers: np.ndarray
    shares: tuple[float, ...] = ()


def partial_dependence(
    answer: Answer, labelled: LabelledTabular, *, column: str, seed: int = 0, points: int = POINTS, most: int = MOST_MEANT
) -> Dependence:
    """The mean of `answer` over (at most `most`) test rows, as the cell of `column` in all of them is set to one value after the
    other (Friedman 2001): numbers and dates to the quantiles of the training rows, categories to the commonest.

    What other columns say stays as it is, also where it does not go with the value: the model's answer is what is shown.
    """
    learnt = next(each for each in labelled.tabular_input.columns if each.name == column)
    of_codes, of_numbers = labelled.tabular_input.places(column)
    test = labelled.rows_of("test")
    rows = test[sample_rows(len(test), most, seed=seed)]
    shares: tuple[float, ...] = ()
    if isinstance(learnt, CategoryColumn):
        counts = np.bincount(labelled.codes[labelled.rows_of("train"), of_codes[0]], minlength=len(learnt.values) + FIRST)
        codes = [code for code in np.argsort(-counts, kind="stable")[:CATEGORIES].tolist() if counts[code]]
        values = tuple((MISSING, OTHERS, *learnt.values)[code] for code in codes)
        shares = tuple((counts[codes] / counts.sum()).tolist())
        settings = [(code, np.empty(0, np.float32)) for code in codes]
    else:
        values, like = _quantiles(labelled, learnt, flag=of_numbers[-1], points=points, seed=seed)
        settings = [(0, labelled.numbers[row, of_numbers]) for row in like]
    answers = []
    for code, parts in settings:
        codes, numbers = labelled.codes[rows], labelled.numbers[rows]
        codes[:, of_codes], numbers[:, of_numbers] = code, parts
        answers.append(answer(codes, numbers).mean(axis=0, dtype=np.float64))
    return Dependence(column, learnt.kind, values, np.stack(answers), shares)


def _quantiles(
    labelled: LabelledTabular, learnt: NumberColumn | DateColumn, *, flag: int, points: int, seed: int
) -> tuple[tuple[float | str, ...], list[int]]:
    """Different values of a column, all or about as many quantiles as `points`, without the outermost hundredths, and a training
    row that has each."""
    train = labelled.rows_of("train")
    known = train[labelled.numbers[train, flag] == 0]
    known = known[sample_rows(len(known), MOST_SORTED, seed=seed)]
    row_of: dict[Any, int] = {
        learnt.read(cell)[0]: row for cell, row in zip(labelled.frame[learnt.name].iloc[known], known.tolist(), strict=True)
    }
    values = sorted(row_of)
    if len(values) > points:
        every: list[Any] = [learnt.read(cell)[0] for cell in labelled.frame[learnt.name].iloc[known]]
        every.sort()
        places = np.linspace(0.01, 0.99, points) * (len(every) - 1)
        values = sorted({every[place] for place in places.round().astype(int).tolist()})
    if isinstance(learnt, NumberColumn):
        return tuple(values), [row_of[value] for value in values]
    said = [value.isoformat(" ") for value in values]
    midnights = all(text.endswith(MIDNIGHT) for text in said)
    return tuple(text.removesuffix(MIDNIGHT) if midnights else text for text in said), [row_of[value] for value in values]
