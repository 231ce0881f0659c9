"""Results made one by one, in an order of steps that a kill cannot harm: in this process, in threads, in other processes.

A finished result is never made again, a half-made one never has its name, and no worker writes once its folder's lock is gone.
"""

from __future__ import annotations

import gc
import hashlib
import os
import pickle
import signal
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache, partial
from itertools import islice
from pathlib import Path
from threading import Lock, Thread
from typing import Any

from joblib.externals.loky import ProcessPoolExecutor
from joblib.externals.loky.backend.reduction import dumps  # of what a notebook defines too

from toolkit.data.hashing import content_hash
from toolkit.data.items import NOT_UTF8, is_utf8
from toolkit.data.mirror.manifest import Manifest
from toolkit.errors import ConversionError, DataError, RunError, ToolkitError
from toolkit.files import PART, remove_leftovers, replacing

KEPT = "up to date"
BATCH = 64  # items that a process is sent at once
ONE_THREAD = dict.fromkeys(
    (
        "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
        "NUMBA_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    ),
    "1",
)  # fmt: skip
WATCH = 0.2  # seconds between a worker's looks at whether its parent lives

Result = tuple[str, str | None]  # (what was done, None), or (item, why it failed)
Submit = Callable[[list[tuple[str, str]]], Future[list[Result]]]


class Maker:
    """Makes the result of one item, in whichever thread or process; with `strict`, raises what is wrong with an item."""

    def __init__(
        self, source: Path, target: Path, *, manifest: Manifest, make: Callable[[Path, Path], str], settings: str, strict: bool
    ) -> None:
        self.source, self.target, self.manifest = source, target, manifest
        self.make, self.settings, self.strict = make, settings, strict

    def __call__(self, item: str, made: str) -> Result:
        """Make `made` (a path below the target) of `item` (one below the source) where it is not up to date."""
        path = self.source / item
        try:
            with _blaming(path):
                return self._one(path, made), None
        except ConversionError as error:
            if self.strict:
                raise
            return str(path) if is_utf8(path) else ascii(str(path)), error.reason

    def _one(self, item: Path, made: str) -> str:
        if not is_utf8(item):
            raise ConversionError(ascii(str(item)), NOT_UTF8)
        path = self.target / made
        key = hashlib.blake2b(f"{content_hash(item)} {self.settings}".encode(), digest_size=16).hexdigest()
        known, there = self.manifest.key(made), path.exists()
        if known is None and there:
            raise ConversionError(item, f"{path} stands in its place, which this command did not make")
        if key == known and there:
            self.manifest.add(made, key)
            return KEPT
        # What stands under its name is always what the manifest says: a stale result goes first, the new one is recorded and
        # then gets its name. One that a kill left recorded without it is made again.
        if there:
            remove(path)
        with replacing(path, durable=False) as temporary:
            said = self.make(item, temporary)
            self.manifest.add(made, key)
        return said


@contextmanager
def _blaming(item: Path) -> Iterator[None]:
    """Whatever is wrong with one item becomes a `ConversionError`; what would be wrong with every item stays as it is."""
    try:
        yield
    except RunError as error:
        if not isinstance(error.__cause__, (FileExistsError, NotADirectoryError)):
            raise
        raise ConversionError(item, f"{error}: a file stands where a folder should be; run again") from error
    except ToolkitError:
        raise
    except OSError as error:
        raise ConversionError(item, error.strerror or str(error)) from error
    except Exception as error:  # somebody's converter, met with what its author did not think of
        raise ConversionError(item, f"{type(error).__name__}: {error}") from error


def pickled(make: Callable[..., Any]) -> bytes:
    """`make` as other processes are sent it. Raises `DataError` where it cannot be."""
    try:
        return bytes(dumps(make))
    except Exception as error:  # objects that refuse it raise anything
        raise DataError(
            f"{make}: cannot be sent to other processes ({error}): let its fields be plain numbers and strings, "
            "or work in this process alone (jobs=1)"
        ) from error


def results(
    maker: Maker, work: Iterator[tuple[str, str]], *, total: int, jobs: int, processes: bool
) -> Generator[Result, None, None]:
    """The result of each (item, made) of `work`, about `total` of them, in no order; few are taken ahead.

    However the iteration ends, nothing is written after it.
    """
    if jobs == 1:
        for item, made in work:
            yield maker(item, made)
        return
    size = max(1, min(BATCH, total // (16 * jobs))) if processes else 1  # some to share out even where they are few
    with (_processes if processes else _threads)(maker, jobs) as submit:
        at_work: set[Future[list[Result]]] = set()
        while batch := list(islice(work, size)):
            at_work.add(submit(batch))
            if len(at_work) >= 2 * jobs:
                finished, at_work = wait(at_work, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield from future.result()
        for future in as_completed(at_work):
            yield from future.result()


def _make_all(maker: Maker, batch: list[tuple[str, str]]) -> list[Result]:
    return [maker(*pair) for pair in batch]


@contextmanager
def _threads(maker: Maker, jobs: int) -> Iterator[Submit]:
    pool = ThreadPoolExecutor(jobs)
    try:
        yield partial(pool.submit, partial(_make_all, maker))
    finally:
        pool.shutdown(cancel_futures=True)  # waits for what is in hand


@contextmanager
def _processes(maker: Maker, jobs: int) -> Iterator[Submit]:
    """Workers of this pass alone: those that `joblib.Parallel` shares and keeps would know a converter's code of before."""
    parent, stopped = os.getpid(), True
    pool = ProcessPoolExecutor(jobs, initializer=_begin, initargs=(parent,), env=ONE_THREAD)
    try:
        with _ignoring_interrupts():
            pool.submit(_make_here, pickled(maker), parent, [])  # starts the workers
        yield partial(pool.submit, _make_here, pickled(maker), parent)
        stopped = False
    except BrokenProcessPool as error:
        pool.shutdown(kill_workers=True)
        parts = (path.relative_to(maker.target) for path in maker.target.rglob(f".*{PART}"))
        names = ", ".join(sorted(str(path.with_name(path.name[1:].rsplit(".", 2)[0])) for path in parts)) or "nothing"
        raise RunError(
            f"{maker.target}: a worker was killed, as when memory runs out, or crashed; in the making were {names}: "
            "run again to go on, without what crashes it"
        ) from error
    finally:
        pool.shutdown(kill_workers=stopped)
        if stopped:
            remove_leftovers(maker.target)


@contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Processes started in the block ignore Ctrl-C from their first moment: it reaches them too, and their parent ends them."""
    try:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not in the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


_at_work = Lock()  # held while a worker makes something


def _begin(parent: int) -> None:
    """Prepare a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # also where it did not inherit that
    gc.freeze()  # loky collects garbage every second, and need not look through all that was imported
    Thread(target=_end_with, args=(parent,), daemon=True).start()


def _end_with(parent: int) -> None:
    """End this worker soon after its parent was killed, but not amid an item: its temporary file would stay."""
    while os.getppid() == parent:
        time.sleep(WATCH)
    with _at_work:
        os._exit(1)


@cache
def _opened(maker: bytes) -> Maker:
    return pickle.loads(maker)


def _make_here(maker: bytes, parent: int, batch: list[tuple[str, str]]) -> list[Result]:
    """The results of some items, in a worker."""
    made = []
    for pair in batch:
        with _at_work:
            if os.getppid() != parent:
                os._exit(1)
            made.append(_opened(maker)(*pair))
    return made


def remove(path: Path) -> None:
    """Remove a file, or nothing where there is none. Raises `RunError`."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise RunError(f"cannot remove {path}: {error.strerror}") from error
