"""A whole tree of files made into another, in parallel: stopped at any moment, it goes on where it was.

What one item becomes is a function; all the rest (what is done already, what failed, what has gone, who else is writing) is the
same for shrinking photos, converting raw files and repairing masks.
"""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from joblib import cpu_count

from toolkit.data.items import files_below
from toolkit.data.mirror.manifest import Manifest
from toolkit.data.mirror.workers import KEPT, Maker, pickled, remove, results
from toolkit.data.progress import track
from toolkit.errors import DataError, RunError
from toolkit.files import LOCK, locked, write_text

MANIFEST, FAILED = ".done.sqlite", "failed.csv"
REMOVED = "removed"


@dataclass
class Outcome:
    """What came of a tree: how many items for each outcome ("up to date", "removed" and the verb's own), (item, reason) for
    each that failed, and how many files of other kinds were left alone."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, str]] = field(default_factory=list)
    others: int = 0


def sync(
    source: Path,
    target: Path,
    *,
    make: Callable[[Path, Path], str],
    suffixes: tuple[str, ...],
    settings: dict[str, Any],
    name: Callable[[str], str] = str,
    jobs: int | None = None,
    strict: bool = False,
    processes: bool = False,
    wanted: Callable[[Path], bool] | None = None,
) -> Outcome:
    """Call `make(item, temporary)` for every file below `source` that ends in one of `suffixes`, and is `wanted` where that is
    said; what it writes to the temporary file becomes the item's result below `target`.

    `make` returns one word for what it did, and raises `ConversionError` for an item it cannot read: such items, and those
    for which it raises any other error but our own, are listed in `target`/failed.csv, or with `strict` the first is raised.
    `settings` are plain values that its result depends on; `name` maps an item's file name to its result's. An item whose
    content and settings are as they were when its result was made is left alone; a result whose item has gone, or can no
    longer be read, is removed. Items pass through in constant memory, in `jobs` threads (None: as many as there are cores) or
    with `processes` in as many processes, which pays where `make` is Python rather than a codec; one job is this thread.

    Raises `DataError` where there is nothing to do, `target` holds what was made of something else or `make` cannot be sent
    to processes, `RunError` where `target` cannot be written to or another process is writing there.
    """
    source, target = Path(source), Path(target)
    jobs = cpu_count() if jobs is None else jobs
    if jobs < 1:
        raise DataError(f"jobs {jobs}: expected 1 or more, or none for one a core")
    if processes and jobs > 1:
        pickled(make)  # refused before anything is written
    outcome = Outcome()

    def chosen(path: Path) -> bool:
        return path.suffix.lower() in suffixes and (wanted is None or wanted(path))

    total, outcome.others = _check(source, target, suffixes=suffixes, chosen=chosen)
    with locked(target), closing(Manifest.begin(target / MANIFEST, source)) as manifest:
        maker = Maker(source, target, manifest=manifest, make=make, settings=json.dumps(settings, sort_keys=True), strict=strict)
        split = map(os.path.split, _items(source, target, chosen=chosen))
        work = ((os.path.join(folder, item), os.path.join(folder, name(item))) for folder, item in split)
        with closing(results(maker, work, total=total, jobs=min(jobs, total), processes=processes)) as made:
            for said, reason in track(made, total, what=target.name):
                if reason is None:
                    outcome.counts[said] += 1
                else:
                    outcome.failed.append((said, reason))
        for gone in manifest.not_of_this_pass():
            remove(target / gone)
            manifest.forget(gone)
            outcome.counts[REMOVED] += 1
        _list_failures(target / FAILED, outcome.failed)
    return outcome


def tell(outcome: Outcome, target: Path, *, words: tuple[str, ...]) -> int:
    """Print what came of a tree, the verb's own `words` first; return the exit status: 1 where an item failed."""
    told = [f"{outcome.counts[said]} {said}" for said in (*words, KEPT, REMOVED) if outcome.counts[said]]
    if outcome.others:
        told.append(f"{outcome.others} of other kinds left alone")
    print(f"{target}: {', '.join(told) or 'nothing'}")
    if outcome.failed:
        item, reason = outcome.failed[0]
        print(f"{len(outcome.failed)} set aside, such as {item}: {reason}; all in {target / FAILED}", file=sys.stderr)
    return 1 if outcome.failed else 0


def _check(source: Path, target: Path, *, suffixes: tuple[str, ...], chosen: Callable[[Path], bool]) -> tuple[int, int]:
    """Refuse what would overwrite somebody's files; return the number of items, and that of other files."""
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    try:
        if target.exists() and target.samefile(source):
            raise DataError(f"{target}: name a folder other than the one the items are in")
        held = {path.name for path in target.iterdir()} - {LOCK} if target.exists() else set()
    except OSError as error:
        raise RunError(f"cannot write to {target}: {error.strerror or error}") from error
    if held and MANIFEST not in held:
        raise DataError(f"{target}: holds files that this command did not make: name a new or an empty folder")
    kinds = Counter(map(chosen, files_below(source, apart_from=target)))
    if not kinds[True]:
        raise DataError(f"{source}: no file ends in one of {' '.join(suffixes)}")
    return kinds[True], kinds[False]


def _items(source: Path, target: Path, *, chosen: Callable[[Path], bool]) -> Iterator[str]:
    """The items below `source`, as paths from there, apart from what is below `target`."""
    for path in files_below(source, apart_from=target):
        if chosen(path):
            yield os.path.relpath(path, source)


def _list_failures(path: Path, failed: list[tuple[str, str]]) -> None:
    """Write the failures of this pass, or remove an earlier pass's list where there are none."""
    if not failed:
        remove(path)
        return
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([("item", "reason"), *sorted(failed)])
    write_text(path, stream.getvalue())
