"""Many files read at once, in threads, with progress, and how much of what was read is kept in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

from joblib import Parallel, delayed

from toolkit.data.progress import track

PIXEL_BUDGET = 2 * 2**30  # bytes of prepared pixels kept in memory; beyond it, items are read again each epoch

T = TypeVar("T")
R = TypeVar("R")


def in_threads(read: Callable[[T], R], items: Collection[T], *, what: str, jobs: int | None = None) -> Iterator[R]:
    """Yield `read(item)` of each item, in order; `what` names the work in the progress bar. `jobs`: how many threads (None: one a
    core)."""
    work = Parallel(n_jobs=jobs or os.cpu_count(), prefer="threads", return_as="generator")(delayed(read)(item) for item in items)
    yield from track(work, total=len(items), what=what)
