"""What every loaded program offers, whatever its task."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from toolkit.program.archive import Archive


class Program(Protocol):
    """A trained model whose weights are fixed. Made by `load`; safe to share between threads.

    `archive` is its file, `card` what program.json says: task, classes, score card, versions. What `predict` takes and gives is
    the task's own.
    """

    archive: Archive
    card: dict[str, Any]

    @property
    def predict(self) -> Callable[..., Any]:
        """Predict one item."""
        ...
