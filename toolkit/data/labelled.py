"""What all labelled data offers, whatever its task: what runs write down, and what a reader is told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

import pandas as pd

from toolkit.data.items import PARTS, summary


class Labelled(Protocol):
    """Labelled data, split.

    `wing` names its task. `table` has one row an item, with `split` ("train", "valid" or "test") and `content` (a hash); `path`,
    where the item has a file. `rejected` lists (item, reason) for what is not used, `notes` are sentences a user should read.
    """

    wing: ClassVar[str]

    @property
    def table(self) -> pd.DataFrame: ...

    @property
    def rejected(self) -> list[tuple[str, str]]: ...

    @property
    def notes(self) -> list[str]: ...

    def describe(self) -> str:
        """How many items each part holds, what else is to be known, and what was set aside, for a reader."""
        ...


def parts_line(table: pd.DataFrame) -> str:
    """How many rows each part holds: "700 train, 100 valid, 200 test"."""
    counts = table.split.value_counts()
    return ", ".join(f"{counts.get(part, 0)} {part}" for part in PARTS)


def described(lines: Sequence[str], labelled: Labelled) -> str:
    """`lines` on data, with its notes and what was set aside."""
    return "\n".join([*lines, *labelled.notes, *([summary(labelled.rejected)] if labelled.rejected else [])])
