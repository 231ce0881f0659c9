"""The manifest of a tree of results: what each was made from, so that only what changed is made again.

It is a table on disk: a million items take no memory, and threads, processes and kills do not harm it.
"""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from toolkit.errors import DataError, RunError

PATIENCE = 60  # seconds for which a write waits for those of other processes
PAUSE = 2e-4, 2e-2  # seconds between two tries, at first and at most: sqlite's own take longer than making a small picture

T = TypeVar("T")


class Manifest:
    """Which results are there, what each was made from, and in which pass it was last seen.

    A pass is begun with `begin`; other processes take part in it by its number, each with a table of its own on the same
    file (pickled, a `Manifest` is its path and number). Raises `RunError` where the file is damaged or cannot be written to.
    """

    def __init__(self, path: Path, number: int) -> None:
        self.path, self.number, self.alone = path, number, Lock()  # of the table: threads all ask it
        try:
            self.table = sqlite3.connect(path, timeout=0, isolation_level=None, check_same_thread=False)
        except sqlite3.Error as error:
            raise self._trouble(error) from error
        self.close = self.table.close
        self._change("PRAGMA synchronous = OFF")  # what a power cut loses is made again
        # not WAL, which needs memory that network file systems do not share; a kept journal spares a file for each write
        self._change("PRAGMA journal_mode = PERSIST")

    @classmethod
    def begin(cls, path: Path, source: Path) -> Manifest:
        """Begin a pass over `source`, and so end every earlier one. Raises `DataError` where the table is of another source."""
        manifest, of = cls(path, 0), ascii(str(source.resolve()))
        try:
            manifest._change("CREATE TABLE IF NOT EXISTS done (made TEXT PRIMARY KEY, key TEXT, pass INTEGER)")
            manifest._change("CREATE TABLE IF NOT EXISTS source (path TEXT)")
            manifest._change("CREATE TABLE IF NOT EXISTS pass (number INTEGER PRIMARY KEY)")
            ((earlier,),) = manifest._rows("SELECT path FROM source") or [(None,)]
            if earlier not in (None, of):
                raise DataError(f"{path.parent}: holds what was made of {earlier}: name another folder")
            if earlier is None:
                manifest._change("INSERT INTO source VALUES (?)", of)
            manifest._change("INSERT INTO pass VALUES (NULL)")
            ((manifest.number,),) = manifest._rows("SELECT max(number) FROM pass")
        except BaseException:
            manifest.close()
            raise
        return manifest

    def __reduce__(self) -> tuple[type[Manifest], tuple[Path, int]]:
        return Manifest, (self.path, self.number)

    def key(self, made: str) -> str | None:
        """What a result was made from; None where it is not ours."""
        rows = self._rows("SELECT key FROM done WHERE made = ?", made)
        return rows[0][0] if rows else None

    def add(self, made: str, key: str) -> None:
        """Note what the result `made` was made from. Raises `RunError` where another pass has begun meanwhile, as when a
        killed process's workers are still at it: they must not undo what that pass does."""
        sentence = "INSERT OR REPLACE INTO done SELECT ?, ?, ? WHERE ? = (SELECT max(number) FROM pass)"
        if not self._change(sentence, made, key, self.number, self.number):
            raise RunError(f"{self.path.parent}: another pass has begun there; this one ends")

    def not_of_this_pass(self) -> list[str]:
        """The results that this pass, now complete, did not come by, and those that could not be made again."""
        return [made for (made,) in self._rows("SELECT made FROM done WHERE pass <> ?", self.number)]

    def forget(self, made: str) -> None:
        """Note that the result `made` is no longer there."""
        self._change("DELETE FROM done WHERE made = ?", made)

    def _rows(self, sentence: str, *values: object) -> list[tuple[Any, ...]]:
        return self._patiently(lambda: self.table.execute(sentence, values).fetchall())

    def _change(self, sentence: str, *values: object) -> int:
        """The number of rows changed."""
        return self._patiently(lambda: self.table.execute(sentence, values).rowcount)

    def _patiently(self, ask: Callable[[], T]) -> T:
        began, pause = time.monotonic(), PAUSE[0]
        while True:
            try:
                with self.alone:
                    return ask()
            except sqlite3.Error as error:
                busy = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() - began > PATIENCE:
                    raise self._trouble(error) from error
            time.sleep(random.uniform(0.5, 1) * pause)
            pause = min(2 * pause, PAUSE[1])

    def _trouble(self, error: sqlite3.Error) -> RunError:
        if isinstance(error, sqlite3.OperationalError):  # a full disk, a folder that cannot be written to
            return RunError(f"cannot write {self.path}: {error}")
        return RunError(f"{self.path}: damaged ({error}): name a new folder, or remove this one")
