"""The record of a tree of results: what each was made from, so that only what changed is made again.

It is a file of its own because a million items must take no memory, and threads, processes and kills must not harm it: it
is a table on disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from toolkit.errors import DataError, RunError

PATIENCE = 60  # seconds for which a write waits for those of other processes


class Done:
    """Which results are there, what each was made from, and in which pass it was last seen.

    A pass is begun with `begin`; other processes take part in it by its number, each with a table of its own on the same
    file (pickled, a `Done` is its path and number). Raises `RunError` where the file is damaged or cannot be written to.
    """

    def __init__(self, path: Path, number: int) -> None:
        self.path, self.number, self.alone = path, number, Lock()  # of the table: threads all ask it
        with self._asking():
            self.table = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None, check_same_thread=False)
            self.close = self.table.close
            self.table.execute("PRAGMA synchronous = OFF")  # what a power cut loses is made again
            # not WAL, which needs memory that network file systems do not share; a kept journal spares a file for each write
            self.table.execute("PRAGMA journal_mode = PERSIST")

    @classmethod
    def begin(cls, path: Path, source: Path) -> Done:
        """Begin a pass over `source`, and so end every earlier one. Raises `DataError` where the table is of another source."""
        done, of = cls(path, 0), ascii(str(source.resolve()))
        try:
            with done._asking():
                done.table.execute("CREATE TABLE IF NOT EXISTS done (made TEXT PRIMARY KEY, key TEXT, pass INTEGER)")
                done.table.execute("CREATE TABLE IF NOT EXISTS source (path TEXT)")
                done.table.execute("CREATE TABLE IF NOT EXISTS pass (number INTEGER PRIMARY KEY)")
                (earlier,) = done.table.execute("SELECT path FROM source").fetchone() or (None,)
                if earlier is None:
                    done.table.execute("INSERT INTO source VALUES (?)", (of,))
                if earlier in (None, of):
                    done.number = done.table.execute("INSERT INTO pass VALUES (NULL)").lastrowid
            if not done.number:
                raise DataError(f"{path.parent}: holds what was made of {earlier}: name another folder")
        except BaseException:
            done.close()
            raise
        return done

    def __reduce__(self) -> tuple:
        return Done, (self.path, self.number)

    def key(self, made: str) -> str | None:
        """What a result was made from; None where it is not ours."""
        with self._asking():
            row = self.table.execute("SELECT key FROM done WHERE made = ?", (made,)).fetchone()
        return row and row[0]

    def add(self, made: str, key: str) -> None:
        """Note what the result `made` was made from. Raises `RunError` where another pass has begun meanwhile, as when a
        killed process's workers are still at it: they must not undo what that pass does."""
        with self._asking():
            added = self.table.execute(
                "INSERT OR REPLACE INTO done SELECT ?, ?, ? WHERE ? = (SELECT max(number) FROM pass)",
                (made, key, self.number, self.number),
            ).rowcount
        if not added:
            raise RunError(f"{self.path.parent}: another pass has begun there; this one ends")

    def not_of_this_pass(self) -> list[str]:
        """The results that this pass, now complete, did not come by, and those that could not be made again."""
        with self._asking():
            return [made for (made,) in self.table.execute("SELECT made FROM done WHERE pass <> ?", (self.number,))]

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
