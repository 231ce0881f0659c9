"""A whole tree of files made into another, in parallel: stopped at any moment, it goes on where it was.

It is a file of its own because shrinking photos is only the first such verb: what one item becomes is a function, and
all the rest (what is done already, what failed, who else is writing) is the same.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import sqlite3
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from joblib import Parallel, delayed

from toolkit.data.cache import content_hash
from toolkit.data.progress import track
from toolkit.errors import ConversionError, DataError, RunError
from toolkit.files import locked, write_text

DONE, FAILED = ".done.sqlite", "failed.csv"
KEPT = "up to date"


@dataclass
class Outcome:
    """What came of a tree: how many items for each outcome ("up to date" and the verb's own), and (item, reason) for
    each that failed."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, str]] = field(default_factory=list)


def mirror(
    source: Path,
    target: Path,
    make: Callable[[Path, Path], str],
    suffixes: tuple[str, ...],
    settings: dict,
    name: Callable[[str], str] = str,
    jobs: int | None = None,
    strict: bool = False,
) -> Outcome:
    """Call `make(item, path)` for every file below `source` that ends in one of `suffixes`, to write `path` below `target`.

    `make` returns one word for what it did, and raises `ConversionError` for an item it cannot read: such items are listed
    in `target`/failed.csv, or with `strict` the first is raised. `settings` are plain values that its result depends
    on; `name` maps an item's file name to its result's. An item whose content and settings are as they were when its
    result was made is left alone. Items pass through in constant memory, in `jobs` threads (None: as many as there are
    cores).

    Raises `DataError` where there is nothing to do, `RunError` where `target` cannot be written to or another process
    is writing there.
    """
    source, target = Path(source), Path(target)
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    if source.resolve() == target.resolve():
        raise DataError(f"{target}: name a folder other than the one the items are in")
    total = sum(1 for _ in _items(source, target, suffixes))
    if not total:
        raise DataError(f"{source}: no file ends in one of {' '.join(suffixes)}")
    outcome = Outcome()
    with locked(target), closing(_Done(target / DONE)) as done:
        work = (
            delayed(_one)(source / item, target / made, done.key(made), make, settings)
            for item in _items(source, target, suffixes)
            for made in [str(Path(item).with_name(name(Path(item).name)))]
        )
        # threads: the codecs of pictures and sounds let go of the interpreter's lock
        pool = Parallel(n_jobs=jobs or os.cpu_count(), prefer="threads", return_as="generator_unordered")
        results = track(pool(work), total, target.name)
        try:
            for path, key, said, reason in results:
                if reason is None:
                    outcome.counts[said] += 1
                    if said != KEPT:
                        done.add(str(path.relative_to(target)), key)
                elif strict:
                    raise ConversionError(said, reason)
                else:
                    outcome.failed.append((said, reason))
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that items were in work when the first failure ended it
                results.close()
            _list_failures(target / FAILED, outcome.failed)
    return outcome


def _one(item: Path, path: Path, known: str | None, make: Callable, settings: dict) -> tuple[Path, str, str, str | None]:
    """(path, key, outcome, None) for one item, or (path, "", item, reason)."""
    try:
        described = json.dumps(settings, sort_keys=True)
        key = hashlib.blake2b(f"{content_hash(item)} {described}".encode(), digest_size=16).hexdigest()
        if key == known and path.exists():
            return path, key, KEPT, None
        path.parent.mkdir(parents=True, exist_ok=True)
        return path, key, make(item, path), None
    except ConversionError as error:
        return path, "", error.source, error.reason
    except OSError as error:
        return path, "", str(item), error.strerror or str(error)


class _Done:
    """Which results are there and what they were made from: a table on disk, so that a million items take no memory."""

    def __init__(self, path: Path) -> None:
        self.path, self.alone = path, Lock()  # joblib asks for the next item from whichever thread is free
        try:
            self.table = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.table.execute("PRAGMA synchronous = OFF")  # what a power cut loses is made again
            self.table.execute("CREATE TABLE IF NOT EXISTS done (made TEXT PRIMARY KEY, key TEXT)")
        except sqlite3.Error as error:
            raise RunError(f"{path}: {error}: remove this file, and all is made again") from error
        self.close = self.table.close

    def key(self, made: str) -> str | None:
        with self.alone:
            row = self.table.execute("SELECT key FROM done WHERE made = ?", (made,)).fetchone()
        return row and row[0]

    def add(self, made: str, key: str) -> None:
        try:
            with self.alone:
                self.table.execute("INSERT OR REPLACE INTO done VALUES (?, ?)", (made, key))
        except sqlite3.Error as error:
            raise RunError(f"cannot write {self.path}: {error}") from error


def _items(source: Path, target: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    """The items below `source`, in sorted order, as paths from there; hidden ones and `target` are left out."""
    within = target.resolve()
    for folder, folders, names in os.walk(source):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and Path(folder, f).resolve() != within)
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in suffixes:
                yield os.path.relpath(os.path.join(folder, name), source)


def _list_failures(path: Path, failed: list[tuple[str, str]]) -> None:
    """Write the failures of this pass, or remove an earlier pass's list where there are none."""
    if not failed:
        path.unlink(missing_ok=True)
        return
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([("item", "reason"), *sorted(failed)])
    write_text(path, stream.getvalue())
