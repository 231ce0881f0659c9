"""A fastai Learner from a labelled table, the last steps of its `build_learner`: network, loss, metrics; a blend with trees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from fastai.learner import Learner
from fastai.metrics import AccumMetric, ActivationType, accuracy, mae, rmse
from fastai.tabular.learner import TabularLearner
from fastai.torch_core import set_seed
from sklearn.metrics import roc_auc_score

from toolkit.data.tabular.labelled import LabelledTabular
from toolkit.errors import ToolkitError
from toolkit.files import read_json, write_json
from toolkit.learning.callbacks import FirstWeights
from toolkit.learning.class_weights import WEIGHINGS, class_weights
from toolkit.learning.cpu.bfloat16 import BFloat16OnCPU
from toolkit.learning.fitting import ADAMW
from toolkit.learning.runs import Run
from toolkit.learning.tabular.boosted_trees import Trees, fit_trees
from toolkit.learning.tabular.loaders import tabular_loaders
from toolkit.learning.tabular.networks import (
    ClassLoss,
    PlainNetwork,
    TabMNetwork,
    TargetScaler,
    ValueDropout,
    ValueLoss,
    schedule_for,
)
from toolkit.spec import Spec

AUTO, TABM, PLAIN = ARCHITECTURES = ("auto", "tabm", "plain")
DECAY = 0.01


@dataclass(frozen=True, kw_only=True)
class TabularSpec(Spec):
    """As `Spec`, with how classes are weighed, rows a training step, the target's name, how many rows there are to learn from,
    and what each column was taken for."""

    class_weights: str
    batch_size: int
    target: str
    rows: dict[str, int]
    columns: list[str]


def check_tabular_choices(arch: str, weighing: str) -> None:
    """Refuse an unknown architecture or weighing before any row is read. Raises `ToolkitError`."""
    for what, name, known in (("arch", arch, ARCHITECTURES), ("class weights", weighing, WEIGHINGS[1:])):
        if name not in known:
            raise ToolkitError(f"{what} {name!r}; choose from {', '.join(known)}")


def build_tabular_learner(
    labelled: LabelledTabular, arch: str = AUTO, *, weighing: str = "none", batch_size: int = 0, seed: int = 42
) -> Learner:
    """A Learner whose loaders are train, valid and the held-out test of `labelled`.

    `arch` is one of `ARCHITECTURES`, `weighing` how rare classes count (see `class_weights`), `batch_size` rows a training step,
    0 by their number. Its `spec` says what was chosen. Raises `ToolkitError` for a batch of one row with the plain network.
    """
    set_seed(seed)
    arch = TABM if arch == AUTO else arch
    rows = labelled.rows_of("train")
    targets = labelled.targets[rows]
    schedule = schedule_for(len(rows))
    if arch == PLAIN and batch_size == 1:
        raise ToolkitError("batch_size 1: the plain network has batch norms, which need two rows or more")
    dls = tabular_loaders(labelled, batch_size or schedule.batch)
    learn = TabularLearner(
        dls, _network(labelled, arch), loss_func=_loss(labelled, weighing), opt_func=ADAMW, metrics=_metrics(labelled),
        wd=DECAY, cbs=[FirstWeights(), _value_dropout(labelled), *([BFloat16OnCPU()] if arch == TABM else [])],
    )  # fmt: skip
    learn.spec = TabularSpec(
        task="tabular_regression" if labelled.regression else "tabular_classification", arch=arch, class_weights=weighing,
        batch_size=dls.train.bs, epochs=schedule.epochs, lr=schedule.lr, seed=seed, target=labelled.target.name,
        rows={"train": len(targets)}, columns=[str(decision) for decision in labelled.decisions],
    )  # fmt: skip
    return learn


def blend_trees(learn: Learner, run: Run | None = None) -> str:
    """Fit gradient-boosted trees to the training rows and average them in, as far as that lowers the loss on the validation rows:
    `learn.trees`. With `run` they are kept there as trees.json, and a run that goes on takes those. Returns a sentence on their
    share."""
    kept = run.folder / "trees.json" if run else None
    if kept and kept.exists():
        learn.trees = Trees.from_dict(read_json(kept, "a run with trees"))
    else:
        learn.trees = _fitted_trees(learn)
        if kept:
            write_json(kept, learn.trees.to_dict())
    return f"blend: {100 * learn.trees.weight:.0f} % gradient-boosted trees, as the validation rows have it"


def _fitted_trees(learn: Learner) -> Trees:
    labelled: LabelledTabular = learn.dls.labelled
    train, valid = (
        (labelled.codes[rows], labelled.numbers[rows], labelled.targets[rows])
        for rows in map(labelled.rows_of, ("train", "valid"))
    )
    weights = learn.loss_func.func.weight if labelled.classes else None
    weights = None if weights is None else weights.tolist()
    trees = fit_trees(
        train, valid, cardinalities=labelled.tabular_input.cardinalities, classes=len(labelled.classes), weights=weights,
        seed=learn.spec.seed,
    )  # fmt: skip
    with learn.no_bar(), learn.no_logging():
        answers, _ = learn.get_preds(dl=learn.dls.valid)
    codes, numbers, targets = valid
    trees.choose_weight(answers.numpy(), codes=codes, numbers=numbers, targets=targets, weights=weights)
    return trees


def _network(labelled: LabelledTabular, arch: str) -> torch.nn.Module:
    tabular_input, target = labelled.tabular_input, labelled.target
    rows = labelled.rows_of("train")
    values = labelled.numbers[rows][:, : len(tabular_input.numeric)]
    scaler = None
    if labelled.regression:
        known = labelled.targets[rows].astype(np.float64)
        span = None if target.low is None or target.high is None else (target.low, target.high)
        scaler = TargetScaler(known.mean(), known.std(), span=span)
    outputs = len(labelled.classes) or 1
    if arch == PLAIN:
        return PlainNetwork(tabular_input.cardinalities, len(tabular_input.features), n_out=outputs, scaler=scaler)
    flags = len(tabular_input.features) - len(tabular_input.numeric)
    return TabMNetwork(tabular_input.cardinalities, torch.from_numpy(values), n_flags=flags, n_out=outputs, scaler=scaler)


def _loss(labelled: LabelledTabular, weighing: str) -> ClassLoss | ValueLoss:
    known = labelled.targets[labelled.rows_of("train")]
    if labelled.regression:
        return ValueLoss(float(known.std(dtype=np.float64)))
    weights = class_weights(np.bincount(known, minlength=len(labelled.classes)), weighing)
    return ClassLoss(weight=None if weights is None else torch.from_numpy(weights))


def _metrics(labelled: LabelledTabular) -> list[Any]:
    if labelled.regression:
        return [rmse, mae]
    if len(labelled.classes) > 2:
        return [accuracy]
    return [accuracy, AccumMetric(roc_auc, dim_argmax=-1, activation=ActivationType.BinarySoftmax, to_np=True)]


def roc_auc(probabilities: np.ndarray, targets: np.ndarray) -> float:
    """The chance that a row of the second class gets a higher probability of it than one of the first; NaN without both."""
    return float(roc_auc_score(targets, probabilities)) if len(np.unique(targets)) > 1 else float("nan")


def _value_dropout(labelled: LabelledTabular) -> ValueDropout:
    """What has training meet cells that no training row has."""
    tabular_input = labelled.tabular_input
    measured = [column for column in tabular_input.columns if column.kind != "category"]
    places = [tabular_input.places(column.name)[1] for column in measured]
    flag_of = [flag for flag, each in enumerate(places) for _ in each[:-1]]
    fills = [(column.fill - column.mean) / column.std for column in tabular_input.numeric]
    return ValueDropout(
        fills, flag_of, flags_missing=[column.had_missing for column in measured],
        codes_missing=[column.had_missing for column in tabular_input.categories],
    )  # fmt: skip
