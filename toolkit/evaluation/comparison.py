"""Runs beside each other on the test items they share, with the interval of each difference.

Two scores with an interval each do not say whether one is better: the same items are easy or hard for both, so what is drawn is
the difference, item by item.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pandas as pd

from toolkit.errors import DataError
from toolkit.evaluation.bootstrap import Bootstrap, Interval
from toolkit.evaluation.scores import ACCURACY, Metrics, Scores


@dataclass(frozen=True)
class Comparison:
    """What a comparison found.

    `table` maps each run to its metrics on the `n_common` shared items, `differences` each run but the first to its
    metrics less those of the first. `left_out` is the number of test items that some run has and not all share.
    `resampled` says what the bootstrap drew: "items", "groups" or "users". `verdicts` is a sentence for each run but the first,
    `notes` what makes the runs hard to compare.
    """

    n_common: int
    left_out: int
    resampled: str
    table: dict[str, Metrics]
    differences: dict[str, Metrics]
    verdicts: tuple[str, ...]
    notes: tuple[str, ...] = ()


def compare(runs: dict[str, Scores], seed: int = 0) -> Comparison:
    """Compare runs, by name, with the first of them, on the test items that all share and call by the same label.

    An item is the same where its file's content is (or its path, where a run recorded no content). The bootstrap draws
    the same items, or what they belong to, for all runs: the intervals are those of paired differences. What is compared is the
    task's own: see `Scores.paired`.

    Raises `DataError` for fewer than two runs, for runs of different kinds, and where they share no test item.
    """
    if len(runs) < 2:
        raise DataError("name two or more runs to compare")
    names = list(runs)
    questions = list(dict.fromkeys(scores.question for scores in runs.values()))
    if len(questions) > 1:
        tasks = "; ".join(f"{name}: {scores.task.replace('_', ' ')}" for name, scores in runs.items())
        raise DataError(f"these runs answer different questions, {' and '.join(questions)}: compare runs of one task ({tasks})")
    by_content = all(_known(scores.predictions) for scores in runs.values())
    tables = [_keyed(scores.predictions, by_content) for scores in runs.values()]
    shared = every = tables[0].index
    for table in tables[1:]:
        shared, every = shared.intersection(table.index), every.union(table.index)
    if shared.empty:
        raise DataError(
            f"{', '.join(runs)}: no test item is in all of them, so nothing can be said of their difference; give the "
            "runs the same data, windows and --seed, or a test/ folder"
        )
    shared = shared.sort_values()
    tables = [table.loc[shared] for table in tables]
    first, *others = runs.values()
    bootstrap = Bootstrap.draw(len(shared), first.groups(tables[0]), seed=seed)
    paired = first.paired(others, tables, bootstrap=bootstrap)
    return Comparison(
        n_common=len(shared),
        left_out=len(every) - len(shared),
        resampled=first.drawn(bootstrap),
        table=dict(zip(names, paired.metrics, strict=True)),
        differences=dict(zip(names[1:], paired.gains, strict=True)),
        verdicts=tuple(
            _verdict(name, names[0], difference=gain[paired.headline], headline=paired.headline, in_units=first.in_units)
            for name, gain in zip(names[1:], paired.gains, strict=True)
        ),
        notes=(*_other_classes(runs), *([paired.note] if paired.note else [])),
    )


def _other_classes(runs: dict[str, Scores]) -> Iterator[str]:
    """A sentence for each run that knows classes which not every other knows: its task is the harder one."""
    common = set.intersection(*(set(scores.classes) for scores in runs.values()))
    for name, scores in runs.items():
        alone = [label for label in scores.classes if label not in common]
        if alone:
            more = ", …" if len(alone) > 5 else ""
            yield f"{name} also tells {', '.join(alone[:5])}{more}, which not all do"


def _known(table: pd.DataFrame) -> bool:
    return "content" in table and bool((table.content.astype(str) != "").all())


def _keyed(table: pd.DataFrame, by_content: bool) -> pd.DataFrame:
    """`table` indexed by (item, label, how many equal items stand before it); pictures whose pixels are labelled have none."""
    if "label" not in table:
        table = table.assign(label="")
    item = (table.content if by_content else table.path).astype(str)
    if "start" in table:  # a window is the same where it shows the same stretch of the same file
        item = item + " " + table.start.astype(str) + " " + table.stop.astype(str)
    repeat = table.groupby([item, table.label]).cumcount()
    return table.set_axis(pd.MultiIndex.from_arrays([item.astype(str), table.label.astype(str), repeat]))


def _verdict(name: str, first: str, *, difference: Interval, headline: str, in_units: bool) -> str:
    if in_units:
        return _verdict_of_errors(name, first, difference=difference, headline=headline)
    points = "points" if headline == ACCURACY else f"points of {headline}"
    if difference.low > 0:
        return f"{name} is better than {first} by {100 * difference.value:.1f} {points} {difference.points}"
    if difference.high < 0:
        return f"{name} is worse than {first} by {-100 * difference.value:.1f} {points}: {difference.points} points"
    return f"no difference between {name} and {first} can be told: {difference.points} {points}"


def _verdict_of_errors(name: str, first: str, *, difference: Interval, headline: str) -> str:
    """Of a figure that is the better the lower it is, in the unit of what is predicted."""
    value, low, high = difference.figures
    if difference.high < 0:
        return f"{name} is better than {first} by {value.lstrip('-')} {headline}: [{low}, {high}]"
    if difference.low > 0:
        return f"{name} is worse than {first} by {value} {headline}: [{low}, {high}]"
    return f"no difference between {name} and {first} can be told: [{low}, {high}] {headline}"
