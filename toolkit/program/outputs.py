"""What a program answers: one class for each kind of output, each turning the model's numbers into a prediction.

A program of pictures and one of tables answer in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

LEAST = 1e-7  # no single window rules a class out


@dataclass(frozen=True)
class Moment:
    """What was recognised from `start` to `stop`, in seconds from the beginning of a long item."""

    start: float
    stop: float
    label: str
    probability: float


@dataclass(frozen=True)
class Prediction:
    """One answer. `probabilities` maps each class to its probability, most probable first; they sum to 1. `timeline` has a
    moment for each window of a long item, of which the answer is the `aggregate`; it is empty where an item is seen at once.
    `notes` say what was odd about a row of a table, and what was done about it."""

    label: str
    probability: float
    probabilities: dict[str, float]
    timeline: tuple[Moment, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text()

    def text(self, top: int = 3) -> str:
        """The `top` most probable classes in one line."""
        return "  ".join(f"{label} {p:.3f}" for label, p in list(self.probabilities.items())[: max(1, top)])


def aggregate(probabilities: np.ndarray) -> np.ndarray:
    """The probabilities (classes,) of a whole item from those of its windows, (windows, classes): their geometric mean,
    brought to a sum of 1. A window that is sure weighs more than one that wavers."""
    scores = np.log(np.maximum(probabilities, LEAST)).mean(axis=0, dtype=np.float64)
    likely = np.exp(scores - scores.max())
    return (likely / likely.sum()).astype(np.float32)


@dataclass(frozen=True)
class ClassOutput:
    """Probabilities (items, classes) -> one `Prediction` an item."""

    classes: tuple[str, ...]

    def read(self, probabilities: np.ndarray) -> list[Prediction]:
        """One prediction for each row of `probabilities`."""
        order = np.argsort(-probabilities, axis=1, kind="stable")
        return [self._one(row, ranks) for row, ranks in zip(probabilities, order, strict=True)]

    def over_time(self, spans: list[tuple[float, float]], probabilities: np.ndarray) -> Prediction:
        """The prediction for a long item from those of its windows (windows, classes), which stand at `spans` of seconds."""
        moments = tuple(
            Moment(*span, self.classes[best], float(row[best]))
            for span, row, best in zip(spans, probabilities, probabilities.argmax(axis=1), strict=True)
        )
        return replace(self.read(aggregate(probabilities)[None])[0], timeline=moments)

    def _one(self, row: np.ndarray, ranks: np.ndarray) -> Prediction:
        ranked = {self.classes[i]: float(row[i]) for i in ranks}
        label = self.classes[ranks[0]]
        return Prediction(label, ranked[label], ranked)

    def one(self, row: np.ndarray, notes: tuple[str, ...] = ()) -> Prediction:
        """The prediction of one row of probabilities (classes,)."""
        numbers = row.tolist()
        ranks = sorted(range(len(numbers)), key=numbers.__getitem__, reverse=True)
        ranked = {self.classes[place]: numbers[place] for place in ranks}
        return Prediction(self.classes[ranks[0]], numbers[ranks[0]], ranked, (), notes)

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> ClassOutput:
        """The output that program.json describes."""
        return cls(tuple(str(name) for name in card["classes"]))


@dataclass(frozen=True)
class Estimate:
    """One answer that is a number, in the unit of what was learnt. `notes` as in `Prediction`."""

    value: float
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text()

    def text(self, top: int = 1) -> str:
        """The value in one line."""
        return f"{self.value:.6g}"


@dataclass(frozen=True)
class ValueOutput:
    """Values (items, 1) -> one `Estimate` an item. `name` is what is estimated."""

    name: str

    def read(self, values: np.ndarray) -> list[Estimate]:
        """One estimate for each row of `values`."""
        return [self.one(row) for row in values]

    def one(self, row: np.ndarray, notes: tuple[str, ...] = ()) -> Estimate:
        """The estimate of one row of values (1,)."""
        return Estimate(float(row[0]), notes)

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> ValueOutput:
        """The output that program.json describes."""
        return cls(str(card["name"]))
