"""The run folder, the same for every recipe: what a run was run with, its log, and the two checkpoints it can go on or start anew
from."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from contextlib import ExitStack
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar
from weakref import WeakValueDictionary

import torch
from fastai.learner import Learner

from toolkit.errors import RunError, WeightsError
from toolkit.files import locked, read_json, replacing, write_json, write_text
from toolkit.learning.tensors import load_tensors
from toolkit.spec import spec_of

if TYPE_CHECKING:
    import pandas as pd

    from toolkit.data.labelled import Labelled

RUNS = Path("runs")
NO_MATTER = {"cache"}  # settings that change no result
FORMAT = 3  # of the run folder: raised when an earlier folder can no longer be gone on with
NAMED = ("fastai", "torch", "torchvision", "numpy", "pillow", "pandas", "scikit-learn", "tabm", "lightgbm", "onnx", "onnxruntime")


class Run:
    """One folder, opened by `Run.open`; until `close`, or the end of a `with` block, no other process may write to it.

    Gone on with in the same process, after a stop in a notebook say, it is taken over from the earlier `Run`.
    """

    _open: ClassVar[WeakValueDictionary[Path, Run]] = WeakValueDictionary()

    def __init__(self, folder: Path, take_over: bool = False) -> None:
        self.folder, self._held, whole = folder, ExitStack(), folder.resolve()
        if take_over and whole in self._open:
            self._open[whole].close()
        self._held.enter_context(locked(folder))
        self._open[whole] = self

    def __enter__(self) -> Run:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let others write to the folder."""
        self._held.close()

    @classmethod
    def open(cls, name: str, learn: Learner, *, settings: dict[str, Any], folder: Path | str = "", resume: bool = False) -> Run:
        """Start a run, or go on with one, and write down what it is run with: run.json and items.csv.

        A new run takes `folder`, which must not hold one yet, or else `runs/name`, `runs/name-2` and so on. With `resume`
        it is `folder` or the latest `runs/name…`, and settings and items must be what they were: otherwise it would be
        another run. `settings` are plain values, as the user gave them; those that the recipe chose are in the learner's spec.
        Raises `RunError`, also where another process is writing to the folder.
        """
        labelled = learn.dls.labelled
        digest = hashlib.sha256(_written(labelled.table).encode()).hexdigest()
        described = json.loads(json.dumps({**settings, "about": spec_of(learn).settings(), "items": digest}, default=str))
        path = Path(folder) if folder else _latest(name) if resume else _next_free(name)
        if resume:
            _check_same(path, described)
            return cls(path, take_over=True)
        run = cls(path)
        try:
            run._begin(described, labelled)
        except BaseException:
            run.close()
            raise
        return run

    def _begin(self, described: dict[str, Any], labelled: Labelled) -> None:
        if (self.folder / "run.json").exists():
            raise RunError(f"{self.folder} holds a run already: --resume goes on with it, or name another folder with --run")
        # with whole paths: it is read from anywhere
        whole = labelled.table.assign(path=[str(Path(path).absolute()) if path else "" for path in labelled.table.path])
        write_text(self.folder / "items.csv", _written(whole))
        aside = {"set_aside": labelled.rejected, "notes": labelled.notes}
        write_json(self.folder / "run.json", {"format": FORMAT, **described, **aside, "versions": versions()})

    def write_down(self, **facts: object) -> None:
        """Add what only came out along the way, such as the learning rate that was found, to run.json."""
        described = read_json(self.folder / "run.json", "a run")
        write_json(self.folder / "run.json", {**described, **facts})

    @property
    def program(self) -> Path:
        """Where the exported program goes."""
        return self.folder / "program.pyz"

    @property
    def last(self) -> Path:
        """All that training goes on from."""
        return self.folder / "checkpoints" / "last.pth"

    @property
    def best(self) -> Path:
        """The weights of the epoch with the lowest validation loss, and what a later run needs to take them over."""
        return self.folder / "checkpoints" / "best.pth"


def _written(table: pd.DataFrame) -> str:
    """A table of items as CSV: what a window is, its other columns say."""
    return table.drop(columns="item", errors="ignore").to_csv(index=False)


def _check_same(folder: Path, described: dict[str, Any]) -> None:
    earlier = read_json(folder / "run.json", "a run to go on with")
    if earlier.get("format", 1) != FORMAT:
        raise RunError(
            f"{folder} was written by another version of the toolkit (run folder format {earlier.get('format', 1)}, "
            f"this one is {FORMAT}): start a new run; a program.pyz in it works as it did"
        )
    differing = [
        f"{key} was {earlier.get(key)!r}, is {value!r}"
        for key, value in described.items()
        if key not in NO_MATTER and earlier.get(key) != value
    ]
    if differing:
        raise RunError(f"{folder} was run with other settings ({'; '.join(differing)}): repeat them, or start a new run")


def save_tensors(path: Path, value: dict[str, Any]) -> None:
    """Write a checkpoint of tensors and plain values, atomically; `read_checkpoint` reads it without running code."""
    with replacing(path) as temporary:
        try:
            with open(temporary, "wb") as stream:
                torch.save(value, stream)
        except RuntimeError as error:  # what a full disk is to torch, which tells no more of it
            reason = error.__context__ if isinstance(error.__context__, OSError) else "the disk is full, or failed"
            raise RunError(f"cannot write {path}: {getattr(reason, 'strerror', reason)}") from error


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint. Raises `RunError` where it is missing or damaged."""
    try:
        return load_tensors(path)
    except WeightsError as error:
        raise RunError(f"cannot go on from this checkpoint: {error}") from error


def versions() -> dict[str, str]:
    """The versions of what a run depends on."""
    found = {"python": platform.python_version()}
    for name in NAMED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _next_free(name: str) -> Path:
    """Make and return the first folder of this name that is free; of two processes that ask at once each gets its own."""
    number = 1
    while True:
        folder = RUNS / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError:
            number += 1
        except OSError as error:
            raise RunError(f"cannot write to {RUNS.resolve()} ({error.strerror}): name another folder with --run") from error


def _latest(name: str) -> Path:
    ours = re.compile(re.escape(name) + r"(-\d+)?")
    found = [path for path in RUNS.glob("*/run.json") if ours.fullmatch(path.parent.name)]
    if not found:
        raise RunError(f"no run named {name} in {RUNS}/ to go on with: leave out --resume, or name its folder with --run")
    return max(found, key=lambda path: path.stat().st_mtime).parent
