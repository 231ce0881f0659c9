"""The record of a tree of results: what each was made from, so that only what changed is made again.

It is a file of its own because a million items must take no memory, and threads and kills must not harm it: it is a
table on disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from toolkit.errors import DataError, RunError


class Done:
    """Which results made of `source` are there, what each was made from, and in which pass it was last seen.

    Raises `DataError` where the table at `path` is that of another source, `RunError` where it is damaged or cannot be
    written to.
    """

    def __init__(self, path: Path, source: Path) -> None:
        self.path, self.alone = path, Lock()  # of the table: joblib's threads all ask it
        with self._asking():
            self.table = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.close = self.table.close
            self.table.execute("PRAGMA synchronous = OFF")  # what a power cut loses is made again
            self.table.execute("CREATE TABLE IF NOT EXISTS done (made TEXT PRIMARY KEY, key TEXT, pass INTEGER)")
            self.table.execute("CREATE TABLE IF NOT EXISTS source (path TEXT)")
            self.number = (self.table.execute("SELECT max(pass) FROM done").fetchone()[0] or 0) + 1
            (earlier,) = self.table.execute("SELECT path FROM source").fetchone() or (None,)
            if earlier is None:
                self.table.execute("INSERT INTO source VALUES (?)", (ascii(str(source.resolve())),))
        if earlier not in (None, ascii(str(source.resolve()))):
            self.close()
            raise DataError(f"{path.parent}: holds what was made of {earlier}: name another folder")

    def key(self, made: str) -> str | None:
        """What a result was made from: None where it is not ours, "" where it may be half-done."""
        with self._asking():
            row = self.table.execute("SELECT key FROM done WHERE made = ?", (made,)).fetchone()
        return row and row[0]

    def add(self, made: str, key: str) -> None:
        """Note, in this pass, what the result `made` was made from."""
        with self._asking():
            self.table.execute("INSERT OR REPLACE INTO done VALUES (?, ?, ?)", (made, key, self.number))

    def not_of_this_pass(self) -> list[str]:
        """The results that this pass, now complete, did not come by, and those that could not be made again."""
        with self._asking():
            return [made for (made,) in self.table.execute("SELECT made FROM done WHERE pass <> ? OR key = ''", (self.number,))]

    def forget(self, made: str) -> None:
        """Note that the result `made` is no longer there."""
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
            raise RunError(f"{self.path}: damaged ({error}): name a new folder, or remove this one") from error
