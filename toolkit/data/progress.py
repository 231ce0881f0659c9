"""Progress of long loops outside training: a bar on a terminal, silence elsewhere.

It is a file of its own so that every command shows progress in the same way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator


def track(work: Iterable, total: int, *, what: str) -> Iterator:
    """Pass `work` through, showing how far it is where standard error is a terminal."""
    if not sys.stderr.isatty():
        yield from work
        return
    from rich.console import Console
    from rich.progress import track as rich_track

    yield from rich_track(work, description=what, total=total, console=Console(stderr=True), transient=True)
