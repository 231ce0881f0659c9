"""A whole tree of files made into another, in parallel: stopped at any moment, it goes on where it was.

It is a file of its own because shrinking photos is only the first such verb: what one item becomes is a function, and
all the rest (what is done already, what failed, what has gone, who else is writing) is the same.
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
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from joblib import Parallel, delayed

from toolkit.data.cache import content_hash
from toolkit.data.items import NOT_UTF8, files_below, is_utf8
from toolkit.data.progress import track
from toolkit.errors import ConversionError, DataError, RunError
from toolkit.files import LOCK, locked, write_text

DONE, FAILED = ".done.sqlite", "failed.csv"
KEPT, REMOVED = "up to date", "removed"


@dataclass
class Outcome:
    """What came of a tree: how many items for each outcome ("up to date", "removed" and the verb's own), and (item,
    reason) for each that failed."""

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
    result was made is left alone; a result whose item has gone, or can no longer be read, is removed. Items pass through
    in constant memory, in `jobs` threads (None: as many as there are cores).

    Raises `DataError` where there is nothing to do or `target` holds something else, `RunError` where it cannot be
    written to or another process is writing there.
    """
    source, target = Path(source), Path(target)
    total = _check(source, target, suffixes)
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
                    done.add(str(path.relative_to(target)), key)
                elif strict:
                    raise ConversionError(said, reason)
                else:
                    outcome.failed.append((said, reason))
        finally:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that items were in work when the first failure ended it
                results.close()
        for gone in done.not_of_this_pass():
            (target / gone).unlink(missing_ok=True)
            done.forget(gone)
            outcome.counts[REMOVED] += 1
        _list_failures(target / FAILED, outcome.failed)
    return outcome


def _check(source: Path, target: Path, suffixes: tuple[str, ...]) -> int:
    """Refuse what would overwrite somebody's files; return the number of items."""
    if not source.is_dir():
        raise DataError(f"{source}: no such folder")
    try:
        if target.exists() and target.samefile(source):
            raise DataError(f"{target}: name a folder other than the one the items are in")
        held = {path.name for path in target.iterdir()} - {LOCK} if target.exists() else set()
    except OSError as error:
        raise RunError(f"cannot write to {target}: {error.strerror or error}") from error
    if held and DONE not in held:
        raise DataError(f"{target}: holds files that this command did not make: name a new or an empty folder")
    total = sum(1 for _ in _items(source, target, suffixes))
    if not total:
        raise DataError(f"{source}: no file ends in one of {' '.join(suffixes)}")
    return total


def _one(item: Path, path: Path, known: str | None, make: Callable, settings: dict) -> tuple[Path, str, str, str | None]:
    """(path, key, outcome, None) for one item, or (path, "", item, reason)."""
    if not is_utf8(item):
        return path, "", ascii(str(item)), NOT_UTF8
    try:
        described = json.dumps(settings, sort_keys=True)
        key = hashlib.blake2b(f"{content_hash(item)} {described}".encode(), digest_size=16).hexdigest()
        if key == known and path.exists():
            return path, key, KEPT, None
        return path, key, make(item, path), None
    except ConversionError as error:
        return path, "", error.source, error.reason
    except OSError as error:
        return path, "", str(item), error.strerror or str(error)


class _Done:
    """Which results are there, what each was made from, and in which pass it was last seen: a table on disk, so that a
    million items take no memory."""

    def __init__(self, path: Path) -> None:
        self.path, self.alone = path, Lock()  # joblib asks for the next item from whichever thread is free
        with self._asking():
            self.table = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.close = self.table.close
            self.table.execute("PRAGMA synchronous = OFF")  # what a power cut loses is made again
            self.table.execute("CREATE TABLE IF NOT EXISTS done (made TEXT PRIMARY KEY, key TEXT, pass INTEGER)")
            self.number = (self.table.execute("SELECT max(pass) FROM done").fetchone()[0] or 0) + 1

    def key(self, made: str) -> str | None:
        if not is_utf8(Path(made)):
            return None
        with self._asking():
            row = self.table.execute("SELECT key FROM done WHERE made = ?", (made,)).fetchone()
        return row and row[0]

    def add(self, made: str, key: str) -> None:
        with self._asking():
            self.table.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?)", (made, key, self.number))

    def not_of_this_pass(self) -> list[str]:
        """The results that this pass, now complete, did not come by."""
        with self._asking():
            return [made for (made,) in self.table.execute("SELECT made FROM done WHERE pass <> ?", (self.number,))]

    def forget(self, made: str) -> None:
        with self._asking():
            self.table.execute("DELETE FROM done WHERE made = ?", (made,))

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            with self.alone:
                yield
        except sqlite3.OperationalError as error:  # a full disk, a folder that cannot be written to
            raise RunError(f"cannot write {self.path}: {error}") from error
        except sqlite3.Error as error:
            raise RunError(f"{self.path}: {error}: remove this file, and all is made again") from error


def _items(source: Path, target: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    """The items below `source`, as paths from there, apart from what is below `target`."""
    for path in files_below(source, apart_from=target):
        if path.suffix.lower() in suffixes:
            yield os.path.relpath(path, source)


def _list_failures(path: Path, failed: list[tuple[str, str]]) -> None:
    """Write the failures of this pass, or remove an earlier pass's list where there are none."""
    if not failed:
        path.unlink(missing_ok=True)
        return
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([("item", "reason"), *sorted(failed)])
    write_text(path, stream.getvalue())
