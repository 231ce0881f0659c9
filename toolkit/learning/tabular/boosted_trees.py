"""Gradient-boosted trees on a table's codes and numbers: the other half of a blend.

The trees are LightGBM's: they share with the networks their two inputs and the form of their answer.

A category column is given to the trees as numbers: the smoothed mean of the target for each category (Micci-Barreca 2001), so
that splits are comparisons alone, which ONNX has. For training rows of rare categories that mean is taken over other rows: with
a thousand categories of one row each, a row's own target would be its feature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import lightgbm as lgb
import numpy as np

from toolkit.errors import DataError

ROUNDS, FIXED_ROUNDS, PATIENCE = 2000, 100, 50
SMOOTHING, FOLDS, MANY = 10.0, 10, 30
SHARES = np.linspace(0, 1, 21)  # the shares of the trees in a blend that are tried, 0.5 among them
MANY_ROWS = 200_000  # for fewer a second thread gains little, and beside another busy process costs a hundredfold

Rows = tuple[np.ndarray, np.ndarray, np.ndarray]  # codes, numbers and targets


class Trees:
    """Fitted trees: `predict(codes, numbers)` -> probabilities (rows, classes), or values (rows, 1) in the target's unit.

    `weight` is their share in a blend with a network: (1 - weight) * network + weight * trees. `classes` is 0 for regression.
    """

    def __init__(
        self, booster: lgb.Booster, tables: Sequence[np.ndarray], *, classes: int, mean: float, std: float, weight: float = 0.5
    ) -> None:
        self.booster, self.classes, self.weight = booster, classes, weight
        self.tables = list(tables)  # for each category column: what the trees see for each code, float32 (cardinality, axes)
        self.mean, self.std = mean, std  # of the training targets, for regression

    def predict(self, codes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """Probabilities (rows, classes) or values (rows, 1), float32."""
        if not len(numbers):
            return np.zeros((0, self.classes or 1), np.float32)
        raw = np.asarray(self.booster.predict(_features(codes, numbers, tables=self.tables)))
        if not self.classes:
            return (self.mean + self.std * raw[:, None]).astype(np.float32)
        return (np.stack([1 - raw, raw], axis=1) if self.classes == 2 else raw).astype(np.float32)

    def choose_weight(
        self,
        network: np.ndarray,
        *,
        codes: np.ndarray,
        numbers: np.ndarray,
        targets: np.ndarray,
        weights: Sequence[float] | None = None,
    ) -> float:
        """Set and return the share of the trees with the lowest log loss (or squared error) on the validation part.

        `network` holds the network's answers for these rows, in the form of `predict`. Shares from 0 to 1 in steps of 0.05 are
        tried; without rows it stays as it is. `weights` are those of the classes.
        """
        if len(targets):
            trees = self.predict(codes, numbers)
            losses = [
                _loss((1 - share) * network + share * trees, targets, classes=self.classes, weights=weights) for share in SHARES
            ]
            self.weight = float(SHARES[int(np.argmin(losses))])
        return self.weight

    def to_dict(self) -> dict[str, Any]:
        """All of it as text, numbers and lists, ready for JSON."""
        tables = [table.tolist() for table in self.tables]
        facts = {"classes": self.classes, "mean": self.mean, "std": self.std, "weight": self.weight}
        return {"model": self.booster.model_to_string(), "tables": tables, **facts}

    @classmethod
    def from_dict(cls, saved: dict[str, Any]) -> Trees:
        """The trees that `to_dict` was called on; their answers are the same to the last bit."""
        tables = [np.array(table, np.float32) for table in saved["tables"]]
        booster = lgb.Booster(model_str=saved["model"])
        return cls(booster, tables, **{name: saved[name] for name in ("classes", "mean", "std", "weight")})


def fit_trees(
    train: Rows,
    valid: Rows,
    *,
    cardinalities: Sequence[int],
    classes: int = 0,
    weights: Sequence[float] | None = None,
    seed: int = 42,
) -> Trees:
    """Fit trees on `train`: codes int64 (n, columns), numbers float32 (n, features), class numbers or values (n,). `classes` 0 is
    regression, `cardinalities` has the number of codes of each column.

    Rounds stop after 50 without a lower log loss (or squared error) on `valid`, and the best is kept; with no row in `valid`
    there are 100. `weights`, one a class, count in both parts. The same seed gives the same trees. The share in a blend is
    chosen afterwards (`Trees.choose_weight`). Raises `DataError` where there is no column.
    """
    codes, numbers, targets = train
    if not (codes.shape[1] or numbers.shape[1]):
        raise DataError("the table has no column to predict from: every column but the target was left out")
    mean, std = (0.0, 1.0) if classes else (float(targets.mean(dtype=np.float64)), float(targets.std(dtype=np.float64)) or 1.0)
    axes = _axes(targets, classes)
    folds = np.random.default_rng(seed).permutation(len(targets)) % FOLDS
    tables = [_table(codes[:, j], axes, size=size) for j, size in enumerate(cardinalities)]
    crossed = [_crossed(codes[:, j], axes, size=size, folds=folds) for j, size in enumerate(cardinalities)]
    features = np.concatenate([*crossed, numbers], axis=1).astype(np.float64)

    def data(features: np.ndarray, targets: np.ndarray, *, reference: lgb.Dataset | None = None) -> lgb.Dataset:
        labels = targets if classes else (targets.astype(np.float64) - mean) / std
        each = None if weights is None else np.asarray(weights, np.float64)[targets]
        return lgb.Dataset(features, labels, weight=each, reference=reference, params={"verbosity": -1})

    task = {"objective": "regression"} if not classes else {"objective": "binary"} if classes == 2 else {
        "objective": "multiclass", "num_class": classes,
    }  # fmt: skip
    settings = {
        **task, "learning_rate": 0.05, "feature_fraction": 0.5, "use_missing": False, "seed": seed, "deterministic": True,
        "force_row_wise": True, "verbosity": -1, "num_threads": 1 if len(targets) < MANY_ROWS else 0,
    }  # fmt: skip
    learnt = data(features, targets)
    if len(valid[2]):
        checked = data(_features(valid[0], valid[1], tables=tables), valid[2], reference=learnt)
        stop: list[Callable[..., Any]] = [lgb.early_stopping(PATIENCE, verbose=False)]
        booster = lgb.train(settings, learnt, ROUNDS, valid_sets=[checked], callbacks=stop)
    else:
        booster = lgb.train(settings, learnt, FIXED_ROUNDS)
    kept = lgb.Booster(model_str=booster.model_to_string(num_iteration=booster.best_iteration))
    return Trees(kept, tables, classes=classes, mean=mean, std=std)


def _features(codes: np.ndarray, numbers: np.ndarray, *, tables: Sequence[np.ndarray]) -> np.ndarray:
    """What the trees look at: float32 numbers, as doubles."""
    return np.concatenate([*(table[codes[:, j]] for j, table in enumerate(tables)), numbers], axis=1).astype(np.float64)


def _axes(targets: np.ndarray, classes: int) -> np.ndarray:
    """The targets as numbers to average (rows, axes): the value; whether it is the second of two classes; for more, which."""
    if classes > 2:
        return np.eye(classes)[targets]
    return targets[:, None].astype(np.float64)


def _table(codes: np.ndarray, axes: np.ndarray, *, size: int) -> np.ndarray:
    """The mean of `axes` for each code, drawn towards that of all rows, which codes without a row get."""
    counts = np.bincount(codes, minlength=size)[:, None]
    sums = np.stack([np.bincount(codes, axis, minlength=size) for axis in axes.T], axis=1)
    return ((sums + SMOOTHING * axes.mean(axis=0)) / (counts + SMOOTHING)).astype(np.float32)


def _crossed(codes: np.ndarray, axes: np.ndarray, *, size: int, folds: np.ndarray) -> np.ndarray:
    """What each training row's code stands for: its mean over all rows or, where few share it, over those of other folds."""
    answer = _table(codes, axes, size=size)[codes]
    rare = np.bincount(codes, minlength=size)[codes] < MANY
    for fold in range(FOLDS):
        inside = (folds == fold) & rare
        if inside.any() and not inside.all():
            answer[inside] = _table(codes[folds != fold], axes[folds != fold], size=size)[codes[inside]]
    return answer


def _loss(answers: np.ndarray, targets: np.ndarray, *, classes: int, weights: Sequence[float] | None) -> float:
    if not classes:
        return float(((answers[:, 0].astype(np.float64) - targets) ** 2).mean())
    each = np.ones(len(targets)) if weights is None else np.asarray(weights, np.float64)[targets]
    said = np.clip(answers[np.arange(len(targets)), targets].astype(np.float64), 1e-7, 1)
    return float(-(each * np.log(said)).sum() / each.sum())
