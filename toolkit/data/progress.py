"""Progress of long loops outside training: a bar on a terminal, silence elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def track(work: Iterable[T], total: int, *, what: str) -> Iterator[T]:
    """Pass `work` through, showing how far it is where standard error is a terminal: `total` is its length, `what` its name."""
    if not sys.stderr.isatty():
        yield from work
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(work, description=what, total=total, console=Console(stderr=True), transient=True)
