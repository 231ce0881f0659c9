"""What a program answers: one class for each kind of output, each turning the model's numbers into a prediction.

A new kind of output is one class here and one line in `OUTPUTS`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Prediction:
    """One answer. `probabilities` maps each class to its probability, most probable first; they sum to 1."""

    label: str
    probability: float
    probabilities: dict[str, float]

    def __str__(self) -> str:
        return self.text()

    def text(self, top: int = 3) -> str:
        """The `top` most probable classes in one line."""
        return "  ".join(f"{label} {p:.3f}" for label, p in list(self.probabilities.items())[: max(1, top)])


@dataclass(frozen=True)
class ClassOutput:
    """Probabilities (items, classes) -> one `Prediction` an item."""

    classes: tuple[str, ...]

    def read(self, probabilities: np.ndarray) -> list[Prediction]:
        """One prediction for each row of `probabilities`."""
        order = np.argsort(-probabilities, axis=1, kind="stable")
        return [self._one(row, ranks) for row, ranks in zip(probabilities, order, strict=True)]

    def _one(self, row: np.ndarray, ranks: np.ndarray) -> Prediction:
        ranked = {self.classes[i]: float(row[i]) for i in ranks}
        label = self.classes[ranks[0]]
        return Prediction(label, ranked[label], ranked)

    @classmethod
    def from_card(cls, card: dict) -> ClassOutput:
        """The output that program.json describes."""
        return cls(tuple(str(name) for name in card["classes"]))


OUTPUTS = {"classes": ClassOutput}
