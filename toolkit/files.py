"""Writing so that nothing is lost: a file is there whole, or as it was before."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from toolkit.errors import RunError
from toolkit.needs import require

LOCK = ".lock"
STANDARD = "-"  # standard input or output
PART = ".toolkit-part"  # ends the name of every temporary file


@contextmanager
def replacing(path: Path | str, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it is moved into place in one step.

    When the block raises, `path` is left as it was and the temporary file is removed. `durable` also survives a power
    cut; without it, many small files that can be made again are written faster. Raises `RunError` where the folder
    cannot be written to or the disk is full.
    """
    path = Path(path)
    # of the name only so much that a long one stays a name with what is added to it
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(4)}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)  # with the rights that the user's new files have
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        yield temporary
        if durable:
            with open(temporary, "rb+") as written:  # fsync wants a writable handle on Windows
                os.fsync(written.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def writing(path: Path | str, encoding: str = "utf-8") -> Iterator[TextIO]:
    """A stream to write lines to: standard output where `path` is "-", else a file that is there when all of it is written, or
    as it was before. What is there and is no file, such as a pipe, is written to and not replaced."""
    if path == STANDARD:
        yield sys.stdout
        return
    if Path(path).exists() and not Path(path).is_file():
        with open(path, "w", encoding=encoding, newline="") as stream:
            yield stream
        return
    with replacing(path) as temporary, open(temporary, "w", encoding=encoding, newline="") as stream:
        yield stream


@contextmanager
def locked(folder: Path | str) -> Iterator[None]:
    """Be the only process that writes into `folder`, which is made where it is missing, for the time of the block.

    The lock ends with the process, however it ends; what an earlier one left half-written is removed. Raises `RunError`
    where it is held already, or the folder cannot be written to.
    """
    require("filelock", why="to keep two runs out of one folder", extra="train")
    from filelock import FileLock, Timeout

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / LOCK, thread_local=False)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"{folder}: another process is writing there: wait for it, or name another folder") from error
    except (OSError, NotImplementedError) as error:  # filelock's, where the file system knows no locks
        raise RunError(f"cannot write to {folder}: {getattr(error, 'strerror', None) or error}") from error
    try:
        remove_leftovers(folder)
        yield
    finally:
        lock.release()


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: object) -> None:
    """Write `value` as indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def remove_leftovers(folder: Path | str) -> None:
    """Remove the temporary files that a killed process left below `folder`, but for folders below it with a lock of their own."""
    for below, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not Path(below, name, LOCK).exists()]
        for name in names:
            if name.endswith(PART):
                Path(below, name).unlink(missing_ok=True)


def read_json(path: Path | str, what: str) -> dict[str, Any]:
    """Read a JSON object. Raises `RunError`, which calls the file's folder no `what`, where it is missing or damaged."""
    path = Path(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RunError(f"{path.parent}: not {what} (no {path.name})") from error
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise RunError(f"{path}: cannot be read (expected a JSON object)")
    return value
