"""What an evaluation found: the one source of every number in a report or on a program's card.

What all tasks share stands here; each wing has a class of its own with what is theirs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from toolkit.errors import RunError
from toolkit.evaluation.bootstrap import Bootstrap, Interval
from toolkit.files import read_json, write_json, write_text
from toolkit.tasks import TASKS, task_named

NETWORK, UNTRAINED = "network", "untrained network"
ACCURACY = "accuracy"
NONE = "–"  # in a table, where a metric does not apply to a method
Metrics = dict[str, Interval]  # by name


@dataclass(frozen=True)
class Paired:
    """What runs score on the items that they share: the `metrics` of each, and of each but the first its `gains` over the first.
    `headline` is the metric that decides, `note` what a reader should know of how it was taken."""

    headline: str
    metrics: list[Metrics]
    gains: list[Metrics]
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Scores(ABC):
    """Metrics on the test set, for the network and for what it is held against.

    `table` maps a method ("network", "untrained network", "k-nearest neighbours", …) to its metrics, each an `Interval`; a method
    lacks what it cannot answer. `headline` is the metric that the verdict, the difference and the drawings are about, `answers`
    the method that the program answers with: the verdict, the difference and the predictions are its own. `difference` is its
    headline less that of `best_simple`. `classes` are those that are told apart, none where no class is predicted. `n_test` items
    were scored; `resampled` says what the bootstrap drew: "items", "groups" where items belong together, or "users".
    `predictions` has a row for each test item, `notes` say which methods were left out, and why.
    """

    texts: ClassVar[tuple[str, ...]] = ("path", "content", "group")  # columns of predictions that are no numbers
    blanks: ClassVar[tuple[str, ...]] = ()  # and those of numbers that may be missing
    units: ClassVar[str] = "items"  # what is counted

    task: str
    n_test: int
    resampled: str
    table: dict[str, Metrics]
    best_simple: str
    difference: Interval
    verdict: str
    predictions: pd.DataFrame
    classes: tuple[str, ...] = ()
    headline: str = ACCURACY
    answers: str = NETWORK
    notes: list[str] = field(default_factory=list)

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics of `table`: not every method need have each."""
        return list(dict.fromkeys(name for row in self.table.values() for name in row))

    @property
    @abstractmethod
    def question(self) -> str:
        """What is answered, in words: only runs that answer the same can be compared."""

    @property
    def in_units(self) -> bool:
        """Whether the headline is an error in the unit of what is predicted: then lower is better."""
        return False

    @abstractmethod
    def paired(self, others: Sequence[Scores], tables: Sequence[pd.DataFrame], *, bootstrap: Bootstrap) -> Paired:
        """This run and `others` on the items that they share: `tables` are the predictions of all, this run's first, row by row
        of the same items."""

    def groups(self, table: pd.DataFrame) -> np.ndarray | None:
        """What the bootstrap draws where rows of these predictions belong together; None where they do not."""
        known = "group" in table and bool((table.group.astype(str) != "").all())
        return table.group.to_numpy(dtype=str) if known else None

    def drawn(self, bootstrap: Bootstrap) -> str:
        """What a bootstrap over `groups` drew, in a word."""
        return bootstrap.resampled

    def card(self) -> dict[str, Any]:
        """What a program carries of this: what a reader is told, without the single predictions."""
        return {name: value for name, value in self.to_json().items() if name not in ("classes", "confusion", "curves")}

    def to_json(self) -> dict[str, Any]:
        """All but the single predictions, as plain values."""
        found = {each.name: _plain(getattr(self, each.name)) for each in fields(self) if each.name != "predictions"}
        return {"wing": self.wing(), **found}

    @classmethod
    def wing(cls) -> str:
        """The name of the wing that this class stands in."""
        return cls.__module__.split(".")[-2]

    def save(self, folder: Path | str) -> None:
        """Write scores.json (`to_json`) and predictions.csv (a row for each test item) into `folder`, each atomically."""
        write_json(Path(folder) / "scores.json", self.to_json())
        write_text(Path(folder) / "predictions.csv", self.predictions.to_csv(index=False))

    @classmethod
    def load(cls, folder: Path | str) -> Scores:
        """The scores that `save` wrote into `folder`, of the class of their task. Raises `RunError` where they are missing or
        damaged."""
        folder = Path(folder)
        plain = read_json(folder / "scores.json", "a finished run")
        try:
            wing = plain.pop("wing", None) or task_named(plain["task"]).wing  # earlier versions wrote the name of the task alone
            kind: type[Scores] = TASKS[wing].part("scores")
            known = {each.name for each in fields(kind)}
            given = kind.from_json({name: value for name, value in plain.items() if name in known})
            # only the columns of numbers are read as such: a class may be called 1, None or NA
            predictions = pd.read_csv(
                folder / "predictions.csv", dtype=dict.fromkeys(kind.text_columns(given), str), keep_default_na=False,
                na_values={name: [""] for name in kind.blanks},
            )  # fmt: skip
            return kind(**given, predictions=predictions)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise RunError(f"{folder}: its scores were written by another version, or damaged ({error}): run it again") from error

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> dict[str, Any]:
        """The fields that `to_json` made plain, as they were. The wings read theirs."""
        plain["classes"] = tuple(plain["classes"])
        plain["difference"] = Interval(**plain["difference"])
        plain["table"] = intervals_in(plain["table"])
        return plain

    @classmethod
    def text_columns(cls, given: dict[str, Any]) -> tuple[str, ...]:
        """The columns of predictions that are no numbers, of scores with these fields."""
        return cls.texts

    def heading(self) -> str:
        """How many of what were held out."""
        return f"{self.n_test} held-out items"

    def further(self) -> list[str]:
        """Lines on what is this task's own."""
        return []

    def __str__(self) -> str:
        metrics = self.metrics
        width = max(map(len, self.table)) + 2
        lines = [f"{self.heading()}, 95 % intervals over {self.resampled}"]
        rows = [[method, *(str(row.get(name, NONE)) for name in metrics)] for method, row in self.table.items()]
        cells = [["", *metrics], *rows]
        broad = max(23, max(len(cell) for row in cells for cell in row[1:]) + 2)
        lines += [first.ljust(width) + "".join(cell.ljust(broad) for cell in rest) for first, *rest in cells]
        lines += [*self.further(), *(f"note: {note}" for note in self.notes)]
        return "\n".join(line.rstrip() for line in [*lines, f"verdict: {self.verdict}"])


def verdict(best_simple: str, difference: Interval, *, of: str = "", in_units: bool = False) -> str:
    """One sentence: is the network better than the best simple method, and by how much? `of` says what the points are of, where
    it is not accuracy. `in_units` where there are no points, but the unit of what is predicted."""
    if in_units:
        value, low, high = difference.figures
        if difference.low > 0:
            return f"better than the best simple method ({best_simple}) by {value} {of} [{low}, {high}]"
        if difference.high < 0:
            return f"worse than {best_simple} by {value.lstrip('-')} {of}: [{low}, {high}]"
        return f"not better than {best_simple}: [{low}, {high}] {of}"
    points = f"points of {of}" if of else "points"
    if difference.low > 0:
        return f"better than the best simple method ({best_simple}) by {100 * difference.value:.1f} {points} {difference.points}"
    if difference.high < 0:
        return f"worse than {best_simple} by {-100 * difference.value:.1f} {points}: {difference.points} points"
    return f"not better than {best_simple}: {difference.points} {points}"


def intervals_in(plain: dict[str, Any]) -> dict[str, Metrics]:
    """The intervals of a table that was made plain."""
    return {method: {name: Interval(**value) for name, value in metrics.items()} for method, metrics in plain.items()}


def groups_line(by_group: dict[str, dict[str, dict[str, Any]]], headline: str, *, counted: str) -> list[str]:
    """A line for each column that scores are broken down by; `counted` is what there are so many of."""
    lines = []
    for column, values in by_group.items():
        told = (f"{value} {each['metrics'][headline]} ({each['n']} {counted})" for value, each in values.items())
        lines.append(f"{headline} by {column}: {', '.join(told)}")
    return lines


def groups_in(plain: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """Scores broken down by columns, that were made plain, with their intervals."""
    for values in plain.values():
        for each in values.values():
            each["metrics"] = {name: Interval(**value) for name, value in each["metrics"].items()}
    return plain


def _plain(value: Any) -> Any:
    """Intervals and tuples as JSON has them, all the way down."""
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
