"""The run folder: what a run was run with, its log, and the two checkpoints it can go on or start anew from.

It is a file of its own because every recipe writes the same folder and every later run may read it.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from fastai.learner import Learner

from toolkit.errors import RunError, WeightsError
from toolkit.files import replacing, write_json, write_text
from toolkit.learning.weights import load_tensors

RUNS = Path("runs")
NAMED = ("fastai", "torch", "torchvision", "numpy", "pillow", "pandas", "scikit-learn", "onnx", "onnxruntime")


class Run:
    """One folder, opened by `Run.open`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def open(cls, name: str, learn: Learner, settings: dict, folder: Path | str = "", resume: bool = False) -> Run:
        """Start a run, or go on with one, and write down what it is run with: run.json and items.csv.

        A new run takes `folder`, which must not hold one yet, or else `runs/name`, `runs/name-2` and so on. With `resume`
        it is `folder` or the latest `runs/name…`, and settings and items must be what they were: otherwise it would be
        another run. Raises `RunError`.
        """
        labelled = learn.dls.labelled
        items = labelled.table.to_csv(index=False)
        digest = hashlib.sha256(items.encode()).hexdigest()
        described = json.loads(json.dumps({**settings, "about": getattr(learn, "about", {}), "items": digest}, default=str))
        run = cls(Path(folder) if folder else _latest(name) if resume else _next_free(name))
        if resume:
            run._check_same(described)
        elif (run.folder / "run.json").exists():
            raise RunError(f"{run.folder} holds a run already: --resume goes on with it, or name another folder with --run")
        else:
            write_text(run.folder / "items.csv", items)
            aside = {"set_aside": labelled.set_aside, "notes": labelled.notes}
            write_json(run.folder / "run.json", {**described, **aside, "versions": versions()})
        return run

    def _check_same(self, described: dict) -> None:
        try:
            earlier = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RunError(f"{self.folder}: no run to go on with (its run.json cannot be read)") from error
        differing = [
            f"{key} was {earlier.get(key)!r}, is {value!r}" for key, value in described.items() if earlier.get(key) != value
        ]
        if differing:
            raise RunError(f"{self.folder} was run with other settings ({'; '.join(differing)}): repeat them, or start a new run")

    def write_down(self, **facts: object) -> None:
        """Add what only came out along the way, such as the learning rate that was found, to run.json."""
        described = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
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


def save_tensors(path: Path, value: dict) -> None:
    """Write a checkpoint of tensors and plain values, atomically; `read_checkpoint` reads it without running code."""
    with replacing(path) as temporary:
        torch.save(value, temporary)


def read_checkpoint(path: Path) -> dict:
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
    number = 1
    while (folder := RUNS / (name if number == 1 else f"{name}-{number}")).exists():
        number += 1
    return folder


def _latest(name: str) -> Path:
    ours = re.compile(re.escape(name) + r"(-\d+)?")
    found = [path for path in RUNS.glob("*/run.json") if ours.fullmatch(path.parent.name)]
    if not found:
        raise RunError(f"no run named {name} in {RUNS}/ to go on with: leave out --resume, or name its folder with --run")
    return max(found, key=lambda path: path.stat().st_mtime).parent
