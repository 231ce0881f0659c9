"""What pointer logs hold that no picture shows: rows that had to be left out, counted over a whole collection."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from joblib import Parallel, delayed

from toolkit.converters.mouse import Mouse
from toolkit.errors import ConversionError


def rows_left_out(paths: Iterable[Path], mouse: Mouse) -> list[str]:
    """A note, for a reader, on the rows of these logs that are off the screen, no numbers, or in no known state; none where
    every row was of use."""
    found = Parallel(n_jobs=os.cpu_count(), prefer="threads")(delayed(_of_one)(path, mouse) for path in paths)
    total: Counter[str] = sum(found, Counter())
    if not total:
        return []
    logs = sum(bool(each) for each in found)
    reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(total.items()))
    return [f"rows left out in {logs} of {len(found)} logs: {reasons}"]


def _of_one(path: Path, mouse: Mouse) -> Counter[str]:
    dropped: dict[str, int] = {}
    try:
        for *_, events in mouse.segments(path):
            dropped = events.dropped  # counted up to there
    except ConversionError:  # it is set aside as a whole, with its reason
        return Counter()
    return Counter(dropped)
