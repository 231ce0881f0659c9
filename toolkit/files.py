"""Writing so that nothing is lost: a file is there whole, or as it was before.

It is a file of its own because every floor writes: pictures, checkpoints, scores, programs.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toolkit.errors import RunError
from toolkit.needs import require


@contextmanager
def replacing(path: Path | str, durable: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; when the block ends well, it is moved into place in one step.

    When the block raises, `path` is left as it was and the temporary file is removed. `durable` also survives a power
    cut; without it, many small files that can be made again are written faster. Raises `RunError` where the folder
    cannot be written to or the disk is full.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
        os.close(handle)
        os.chmod(name, 0o666 & ~_umask())
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror or error}") from error
    temporary = Path(name)
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
def locked(folder: Path | str) -> Iterator[None]:
    """Be the only process that writes into `folder`, which is made where it is missing, for the time of the block.

    The lock ends with the process, however it ends; what an earlier one left half-written is removed. Raises `RunError`
    where another process holds it, or the folder cannot be written to.
    """
    require("filelock", why="to keep two runs out of one folder", extra="train")
    from filelock import FileLock, Timeout

    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", is_singleton=True, thread_local=False)  # a process never waits for itself
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"{folder}: another process is writing there: wait for it, or name another folder") from error
    except (OSError, NotImplementedError) as error:
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
    """Remove the temporary files that a killed process left below `folder`, which must be nobody else's at the time."""
    for path in Path(folder).rglob(".*.part"):
        path.unlink(missing_ok=True)


def read_json(path: Path | str, what: str) -> dict:
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


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
