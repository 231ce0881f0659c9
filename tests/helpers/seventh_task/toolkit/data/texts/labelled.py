"""From a CSV of text and label to texts that are split and ready to learn from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from toolkit.data.labelled import described, parts_line
from toolkit.data.splitting import SplitOptions, split_items
from toolkit.program.texts.program import TextInput


@dataclass
class LabelledTexts:
    """Texts with a label each, split: `table` has `text`, `label`, `group`, `split`, `path` and `content`; `shares`, float32
    (rows, letters), are they as `text_input` prepares them."""

    wing: ClassVar[str] = "texts"

    table: pd.DataFrame
    text_input: TextInput
    shares: np.ndarray
    classes: tuple[str, ...]
    rejected: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def rows_of(self, part: str) -> np.ndarray:
        """The positions of the rows of "train", "valid" or "test"."""
        return np.flatnonzero((self.table.split == part).to_numpy())

    def describe(self) -> str:
        """How many texts each part holds, for a reader."""
        return described([f"{len(self.table)} texts: {parts_line(self.table)}"], self)


def labelled_texts(csv: Path | str, split: SplitOptions) -> LabelledTexts:
    """Read and split a CSV with the columns text and label."""
    table = pd.read_csv(csv, dtype=str).assign(group=None, split=None, path="")
    table["content"] = [hashlib.sha256(text.encode()).hexdigest() for text in table.text]
    table["split"] = split_items(table, split)
    text_input = TextInput("abcdefghijklmnopqrstuvwxyz")
    shares = np.stack([text_input.prepare(text) for text in table.text])
    return LabelledTexts(table, text_input, shares, tuple(sorted(table.label.unique())))
