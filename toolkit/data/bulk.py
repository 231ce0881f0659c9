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
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Condition

from joblib import Parallel, delayed

from toolkit.data.cache import content_hash
from toolkit.data.done import Done
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

    Raises `DataError` where there is nothing to do or `target` holds what was made of something else, `RunError` where
    it cannot be written to or another process is writing there.
    """
    source, target = Path(source), Path(target)
    total = _check(source, target, suffixes)
    outcome = Outcome()
    with locked(target), closing(Done(target / DONE, source)) as done:
        maker = _Maker(target, done, make, json.dumps(settings, sort_keys=True))
        work = (
            delayed(maker)(source / item, str(Path(item).with_name(name(Path(item).name))))
            for item in _items(source, target, suffixes)
        )
        # threads: the codecs of pictures and sounds let go of the interpreter's lock
        pool = Parallel(n_jobs=jobs or os.cpu_count(), prefer="threads", return_as="generator_unordered")
        results = track(pool(work), total, target.name)
        try:
            for said, reason in results:
                if reason is None:
                    outcome.counts[said] += 1
                elif strict:
                    raise ConversionError(said, reason)
                else:
                    outcome.failed.append((said, reason))
        finally:
            maker.rest()  # before the lock is let go of
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # that items were in work when the first failure ended it
                results.close()
        for gone in done.not_of_this_pass():
            if (target / gone).exists():
                _remove(target / gone)
                outcome.counts[REMOVED] += 1
            done.forget(gone)
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


class _Maker:
    """Makes the result of one item, in whichever thread; `rest` ends that, so that no thread writes after the lock has gone."""

    def __init__(self, target: Path, done: Done, make: Callable[[Path, Path], str], settings: str) -> None:
        self.target, self.done, self.make, self.settings = target, done, make, settings
        self.idle, self.at_work, self.resting = Condition(), 0, False

    def __call__(self, item: Path, made: str) -> tuple[str, str | None]:
        """(outcome, None) for one item, or (item, reason)."""
        if not is_utf8(item):
            return ascii(str(item)), NOT_UTF8
        try:
            with self._at_work():
                return self._one(item, made)
        except ConversionError as error:
            return error.source, error.reason
        except OSError as error:
            return str(item), error.strerror or str(error)
        except RunError as error:
            if isinstance(error.__cause__, (FileExistsError, NotADirectoryError)):
                return str(item), f"{error}: a file stands where a folder should be; run again"
            raise

    def _one(self, item: Path, made: str) -> tuple[str, str | None]:
        path = self.target / made
        key = hashlib.blake2b(f"{content_hash(item)} {self.settings}".encode(), digest_size=16).hexdigest()
        known = self.done.key(made)
        if known is None and path.exists():
            return str(item), f"{path} stands in its place, which this command did not make"
        said = KEPT
        if key != known or not path.exists():
            self.done.add(made, "")  # ours from now on, and made of nothing yet: a kill may fall between the next two
            said = self.make(item, path)
        self.done.add(made, key)
        return said, None

    @contextmanager
    def _at_work(self) -> Iterator[None]:
        with self.idle:
            if self.resting:
                raise OSError("stopped")
            self.at_work += 1
        try:
            yield
        finally:
            with self.idle:
                self.at_work -= 1
                self.idle.notify_all()

    def rest(self) -> None:
        """Let no more work begin, and wait for what is in hand."""
        with self.idle:
            self.resting = True
            self.idle.wait_for(lambda: not self.at_work)


def _items(source: Path, target: Path, suffixes: tuple[str, ...]) -> Iterator[str]:
    """The items below `source`, as paths from there, apart from what is below `target`."""
    for path in files_below(source, apart_from=target):
        if path.suffix.lower() in suffixes:
            yield os.path.relpath(path, source)


def _list_failures(path: Path, failed: list[tuple[str, str]]) -> None:
    """Write the failures of this pass, or remove an earlier pass's list where there are none."""
    if not failed:
        _remove(path)
        return
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([("item", "reason"), *sorted(failed)])
    write_text(path, stream.getvalue())


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot remove {path}: {error.strerror}") from error
