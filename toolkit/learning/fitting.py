"""Fitting, the same for every task: find a learning rate, train in one cycle or fine-tune, keep the best weights, go on after a
stop."""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from fastai.callback.core import Callback
from fastai.callback.schedule import LRFinder
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import set_seed
from scipy.ndimage import gaussian_filter1d
from torch.optim import AdamW

from toolkit.errors import ToolkitError
from toolkit.learning.callbacks import Checkpoints, EpochLog, set_random_state
from toolkit.learning.runs import Run, read_checkpoint
from toolkit.spec import spec_of
from toolkit.tasks import task_of_learner

EPOCHS, TAKEN_OVER_EPOCHS, FINE_TUNE_EPOCHS = 28, 14, 5
# torch's AdamW updates all parameters in one call, where fastai's Adam loops over them in Python
ADAMW = partial(OptimWrapper, opt=AdamW, betas=(0.9, 0.99), eps=1e-5, fused=True)


@dataclass
class Phase:
    """A stretch of training under one cycle: its highest rate `lr`, or a slice from the first layers' to the head's, is reached
    after a share `pct_start` of it, from a `div`-th. `frozen` trains the head alone."""

    epochs: int
    lr: float | slice
    frozen: bool = False
    pct_start: float = 0.25
    div: float = 25.0


def fit(
    learn: Learner,
    epochs: int = 0,
    *,
    lr: float = 0.0,
    patience: int | None = None,
    run: Run | None = None,
    resume: bool = False,
    fine_tune: bool | None = None,
) -> list[dict[str, Any]]:
    """Train `learn` and leave it with the weights of its best epoch (lowest validation loss; where its spec has `select_after`,
    of those after this share of the cycle), calibrated.

    One cycle over `epochs`, or with `fine_tune` one epoch of the head alone first, then all of it with lower rates for
    earlier layers (the schedule of fastai's `fine_tune`). None fine-tunes where the body's weights were transferred, but
    for our small network: its body has learnt from thousands of pictures, not millions, and goes on learning at the full
    rate, which rises to its highest early. `epochs` 0 is 28, or what the recipe says; 14 for such a body; 5 to fine-tune.
    `lr` is the highest learning rate; 0 has it found, unless the recipe has one. `patience` is the number of epochs without a
    lower validation loss after which training stops: None is half of them, at least 5; 0 never stops. With `run`, each epoch is
    logged and saved there, and `resume` goes on from the last one to the same result as if there had been no stop.

    At the end the network is calibrated where its task has a way to (see `toolkit.tasks`); the weights saved in `run` are not.
    Fitted again, it begins calibrated, and is calibrated anew.

    Returns the log: one dict an epoch, from 0, the untrained network. Raises `ToolkitError` for numbers below 0, and `RunError`
    for a checkpoint that cannot be gone on with, or a loss that is no number.
    """
    if epochs < 0 or lr < 0 or (patience or 0) < 0:
        raise ToolkitError(f"epochs {epochs}, lr {lr}, patience {patience}: expected numbers from 0")
    spec = spec_of(learn)
    transferred = spec.transferred
    if fine_tune is None:
        fine_tune = spec.fine_tuned
    epochs = epochs or (FINE_TUNE_EPOCHS if fine_tune else TAKEN_OVER_EPOCHS if transferred else spec.epochs or EPOCHS)
    patience = max(5, (epochs + 1) // 2) if patience is None else patience
    log = EpochLog([metric.name for metric in learn.metrics], run.folder / "log.csv" if run else None)
    select_after = math.ceil((spec.select_after or 0) * epochs)
    checkpoints = Checkpoints(
        log, run, patience=patience, spec={**spec.settings(), "classes": list(learn.dls.vocab)}, select_after=select_after
    )
    saved = read_checkpoint(run.last) if resume and run and run.last.exists() else None
    with ExitStack() as stack:
        if not (sys.stderr.isatty() or sys.stdout.isatty()):
            stack.enter_context(learn.no_bar())
            stack.enter_context(learn.no_logging())
        if saved and run:
            checkpoints.restore(saved, run)
        else:
            checkpoints.settings = {"lr": lr or spec.lr or find_rate(learn, fine_tune)}
            set_seed(spec.seed)
            learn.dls.train.rng.seed(spec.seed)
            began = time.perf_counter()
            log.add(0, None, figures=learn.validate(), seconds=time.perf_counter() - began)
        with _as_raised():
            _train(
                learn,
                _phases(epochs, checkpoints.settings["lr"], fine_tune=fine_tune, transferred=transferred),
                checkpoints=checkpoints,
                saved=saved,
            )
    learn.model.load_state_dict(checkpoints.best)
    if run:
        run.write_down(highest_lr=checkpoints.settings["lr"], best_epoch=checkpoints.best_epoch)
    task = task_of_learner(learn)
    if task.calibrate:
        task.part("calibrate")(learn)
    return log.rows


def find_rate(learn: Learner, frozen: bool = False, *, batches: int = 100) -> float:
    """A highest learning rate for `learn`, from 1e-5 to 0.1: from a mock training over rising rates (fastai's `LRFinder`; Smith
    2017), of `batches` steps. The weights are as before when it ends.

    It is the rate at which the loss, smoothed evenly to both sides, is lowest; for a body that was transferred
    (`frozen`) a quarter of that. fastai's own suggestions read a curve that is smoothed backwards only, and differ by a
    factor of twenty from one search to the next where a batch is noisy.
    """
    if frozen:
        learn.freeze()
    curve, model_dir = _Curve(), learn.model_dir
    with tempfile.TemporaryDirectory(prefix="rate_") as folder, learn.no_bar(), learn.no_logging():
        learn.model_dir = folder
        try:
            finder = LRFinder(start_lr=1e-5, end_lr=1.0, num_it=batches)
            learn.fit(batches // len(learn.dls.train) + 1, cbs=[finder, curve])
        finally:
            learn.model_dir = model_dir
    losses = np.nan_to_num(np.array(curve.losses), nan=np.inf, posinf=np.inf)
    losses = np.minimum(losses, 10 * losses[0])  # an explosion is bad however high it goes
    best = curve.rates[int(gaussian_filter1d(losses, sigma=4, mode="nearest").argmin())]
    return float(np.clip(best / 4 if frozen else best, 1e-5, 1e-1))


class _Curve(Callback):
    """The loss of each training step beside the rate it was made with."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.losses: list[float] = []

    def after_batch(self) -> None:
        self.rates.append(self.opt.hypers[-1]["lr"])
        self.losses.append(float(self.loss.detach()))


@contextmanager
def _as_raised() -> Iterator[None]:
    """Take off our own errors what fastai puts before their words: in which callback they occurred."""
    try:
        yield
    except ToolkitError as error:
        error.args = tuple(str(part).rpartition(":\n\t")[2] for part in error.args)
        raise


def _phases(epochs: int, lr: float, *, fine_tune: bool, transferred: bool) -> list[Phase]:
    if not fine_tune:
        return [Phase(epochs, lr, pct_start=0.1 if transferred else 0.25)]
    return [Phase(1, slice(lr), True, 0.99), Phase(epochs, slice(lr / 200, lr / 2), False, 0.3, 5.0)]


def _train(learn: Learner, phases: list[Phase], *, checkpoints: Checkpoints, saved: dict[str, Any] | None) -> None:
    at, done = (saved["phase"], saved["epoch"]) if saved else (0, 0)
    if done == phases[at].epochs:
        at, done = at + 1, 0
    for number, phase in list(enumerate(phases))[at:]:
        if checkpoints.stopped:
            return
        start = done if number == at else 0
        checkpoints.begin(number, start, offset=sum(earlier.epochs for earlier in phases[:number]))
        learn.opt = None  # each phase has its own schedule, so also its own momenta
        if phase.frozen:
            learn.freeze()
        else:
            learn.unfreeze()
        if saved and number == at:
            learn.model.load_state_dict(saved["model"])
            if start:
                learn.opt.load_state_dict(saved["opt"])
            set_random_state(saved["random"], learn.dls.train)
        learn.fit_one_cycle(
            phase.epochs,
            phase.lr,
            pct_start=phase.pct_start,
            div=phase.div,
            cbs=[checkpoints.log, checkpoints],
            start_epoch=start,
        )
