"""What happens around training: the log, the two checkpoints, the stop when nothing improves, the first weights kept. Each is a
fastai callback."""

from __future__ import annotations

import csv
import io
import math
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.data.load import DataLoader

from toolkit.errors import RunError
from toolkit.files import write_text
from toolkit.learning.runs import Run, read_checkpoint, save_tensors
from toolkit.learning.tensors import copy_of


class FirstWeights(Callback):
    """Keep the weights the learner was built with, so that the untrained network can be scored beside the trained one."""

    def after_create(self) -> None:
        self.weights = copy_of(self.model)


class EpochLog(Callback):
    """One row for each epoch, from 0 (the untrained network): mean training loss, validation loss, metrics, seconds.

    `names` are the metrics' names. `rows` is the table; with a path it is written after every epoch. `offset` is the
    number of epochs that earlier phases took, `start` the first epoch of this fit that is really trained.
    """

    order = 55  # after the Recorder

    def __init__(self, names: Sequence[str], path: Path | None = None) -> None:
        self.path, self.offset, self.start, self.names = path, 0, 0, names
        self.rows: list[dict[str, Any]] = []

    def before_epoch(self) -> None:
        self.began, self.total, self.count = time.perf_counter(), 0.0, 0

    def after_batch(self) -> None:
        if self.training:
            self.total = self.total + self.loss.detach() * len(self.xb[0])
            self.count += len(self.xb[0])

    def after_epoch(self) -> None:
        if self.epoch >= self.start:
            seconds = time.perf_counter() - self.began
            self.add(
                self.offset + self.epoch + 1, float(self.total) / self.count, figures=self.learn.final_record[1:], seconds=seconds
            )

    def add(self, epoch: int, train_loss: float | None, *, figures: Sequence[float], seconds: float) -> None:
        """Append a row; `figures` are the validation loss and the metrics, as fastai gives them."""
        names = ["valid_loss", *self.names]
        row = {"epoch": epoch, "train_loss": train_loss, **dict(zip(names, map(float, figures), strict=True))}
        self.rows.append({**row, "seconds": round(seconds, 3)})
        self.write()

    def write(self) -> None:
        """Write all rows, atomically."""
        if self.path is None or not self.rows:
            return
        stream = io.StringIO()
        table = csv.DictWriter(stream, list(self.rows[0]), lineterminator="\n")
        table.writeheader()
        table.writerows(self.rows)
        write_text(self.path, stream.getvalue())


class Checkpoints(Callback):
    """Keep the best weights, write `best` and `last` after every epoch, and stop when nothing improves for long.

    Best is the lowest validation loss. `patience` is the number of epochs without a lower one after which training
    stops, though not before `select_after`; 0 never stops it. `spec` is what a later run needs to know of this one, saved with
    the best weights. From epoch `select_after` on, the best is looked for anew: a validation part of a few sessions is noisy, and
    may find weights best that were still at the full rate. Without `run`, nothing is written.
    """

    order = 60  # after the log

    def __init__(self, log: EpochLog, run: Run | None, *, patience: int, spec: dict[str, Any], select_after: int = 0) -> None:
        # not `run`: by that name fastai asks whether a callback is to be called
        self.log, self.folder, self.patience, self.spec, self.select_after = log, run, patience, spec, select_after
        self.lowest, self.best_epoch, self.phase, self.stopped = float("inf"), 0, 0, False
        self.best: dict[str, Any] | None = None
        self.settings: dict[str, Any] = {}

    def begin(self, phase: int, start: int, *, offset: int) -> None:
        """Say which stretch of training comes next; see `EpochLog` for `start` and `offset`."""
        self.phase, self.log.start, self.log.offset = phase, start, offset

    def after_epoch(self) -> None:
        if self.epoch < self.log.start:
            return
        row = self.log.rows[-1]
        if not math.isfinite(row["valid_loss"]):
            raise RunError(f"the validation loss is {row['valid_loss']} after epoch {row['epoch']}: give a lower --lr")
        if row["epoch"] == self.select_after:
            self.lowest = float("inf")
        if row["valid_loss"] < self.lowest:
            self.lowest, self.best_epoch, self.best = row["valid_loss"], row["epoch"], copy_of(self.model)
            if self.folder:
                save_tensors(self.folder.best, {"model": self.best, "epoch": row["epoch"], **self.spec})
        waited = self.patience and row["epoch"] - self.best_epoch >= self.patience
        self.stopped = bool(waited) and row["epoch"] >= self.select_after
        if self.folder:
            save_tensors(self.folder.last, self.state())
        if self.stopped:
            raise CancelFitException()

    def restore(self, saved: dict[str, Any], run: Run) -> None:
        """Stand where `state` stood when it was saved into `run`."""
        for name in ("settings", "stopped", "lowest", "best_epoch"):
            setattr(self, name, saved[name])
        self.log.rows = saved["rows"]
        self.log.write()
        self.best = read_checkpoint(run.best)["model"]

    def state(self) -> dict[str, Any]:
        """All that training goes on from after this epoch."""
        return plain_values(
            {
                "phase": self.phase,
                "epoch": self.epoch + 1,
                "stopped": self.stopped,
                "settings": self.settings,
                "lowest": self.lowest,
                "best_epoch": self.best_epoch,
                "rows": self.log.rows,
                "model": self.model.state_dict(),
                "opt": self.opt.state_dict(),
                "random": random_state(self.dls.train),
            }
        )


def plain_values(value: Any) -> Any:
    """`value` with numpy's numbers as Python's, all the way down: a checkpoint holds tensors and plain values only."""
    if isinstance(value, dict):
        return {key: plain_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(plain_values(item) for item in value)
    return value.item() if isinstance(value, np.generic) else value


def random_state(loader: DataLoader) -> dict[str, Any]:
    """Where every random generator stands that training draws from."""
    name, keys, *rest = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "loader": loader.rng.getstate(),
    }


def set_random_state(state: dict[str, Any], loader: DataLoader) -> None:
    """Put every random generator back to where `random_state` found it."""
    random.setstate(_tuples(state["python"]))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])
    loader.rng.setstate(_tuples(state["loader"]))


def _tuples(state: Sequence[Any]) -> tuple[Any, ...]:
    version, keys, gauss = state
    return version, tuple(keys), gauss
