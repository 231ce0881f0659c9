"""Rows of a table with what is to be predicted, checked and split. It never changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd

from toolkit.data.labelled import described, parts_line
from toolkit.data.tabular.column_kinds import Decision
from toolkit.data.tabular.targets import Target
from toolkit.program.tabular.inputs import TabularInput


@dataclass(frozen=True, kw_only=True)
class LabelledTabular:
    """Rows of a table with what is to be predicted, split.

    `frame`: the rows as read, all columns. `table`: for each row `path` (the file, where there is one), `row` (1 is the first
    below the header), `label`, `group`, `split` and `content` (a hash of its cells). `codes`, int64 (rows, categories), and
    `numbers`, float32 (rows, features), are the rows as `tabular_input` prepares them, `targets` class numbers (int64) or values
    (float32).
    `decisions` say what each column was taken for. `by` names the columns by whose values scores are broken
    down. `text`: the cells of `frame` are texts, as a CSV has them.
    """

    wing: ClassVar[str] = "tabular"

    frame: pd.DataFrame
    table: pd.DataFrame
    target: Target
    tabular_input: TabularInput
    codes: np.ndarray
    numbers: np.ndarray
    targets: np.ndarray
    decisions: list[Decision]
    by: tuple[str, ...]
    text: bool
    rejected: list[tuple[str, str]]
    notes: list[str]

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, none where a number is predicted."""
        return self.target.classes

    @property
    def regression(self) -> bool:
        """Whether a number is predicted."""
        return not self.target.classes

    def rows_of(self, part: str) -> np.ndarray:
        """The positions of the rows of "train", "valid" or "test"."""
        return np.flatnonzero((self.table.split == part).to_numpy())

    def describe(self) -> str:
        """How many rows each part holds, what each column was taken for, and what was set aside, for a reader."""
        what = f"one of {len(self.classes)} classes" if self.classes else "a number"
        first = f"{len(self.table)} rows: {parts_line(self.table)}; predicted is {self.target.name!r}, {what}"
        return described([first, *(f"  {decision}" for decision in self.decisions)], self)
