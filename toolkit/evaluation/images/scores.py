"""Scoring a learner of pictures on its held-out test set, beside the untrained network and simple methods."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from toolkit.errors import DataError
from toolkit.evaluation.bootstrap import FEWEST_GROUPS, FEWEST_WINDOWED, Bootstrap, Interval, paired_interval
from toolkit.evaluation.classification import MOST_CLASSES, ClassScores, classification_metrics, confusion_matrix
from toolkit.evaluation.images.baselines import MOST_ITEMS, baseline_probabilities, small_pixels
from toolkit.evaluation.images.hand_crafted import HandCraftedFeatures, SplitGap, hand_crafted_probabilities
from toolkit.evaluation.learner import first_weights, test_groups
from toolkit.evaluation.sampling import sample_rows
from toolkit.evaluation.scores import ACCURACY, NETWORK, UNTRAINED, Metrics, intervals_in, verdict
from toolkit.program.outputs import aggregate
from toolkit.spec import spec_of

DESCRIBED = ("content", "group", "start", "stop")  # columns of the items' table that stand beside each prediction

if TYPE_CHECKING:
    from fastai.data.core import Datasets, TfmdDL
    from fastai.learner import Learner

    from toolkit.data.images.labelled import LabelledImages


@dataclass(frozen=True, kw_only=True)
class ImageScores(ClassScores):
    """Scores of a learner of pictures.

    `predictions` has a row for each test item: path, label, predicted, probability (of the predicted class),
    probability_of_label, and, where the data has them, content (hash of the file), group, and start and stop of a window in
    seconds. Where items are windows of files, `whole` is a table as `table` for the `n_whole` files, each answered by the
    aggregate of its windows. `gap` is there where the data has groups and a method on the raw input was tried.
    """

    whole: dict[str, Metrics] = field(default_factory=dict)
    n_whole: int = 0
    gap: SplitGap | None = None

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> dict[str, Any]:
        plain = super().from_json(plain)
        gap = plain.get("gap")
        plain["gap"] = SplitGap(gap["method"], Interval(**gap["random"]), Interval(**gap["grouped"])) if gap else None
        return {**plain, "whole": intervals_in(plain.get("whole", {}))}

    def heading(self) -> str:
        return f"{self.n_test} {f'windows of {self.n_whole} held-out files' if self.whole else 'held-out items'}"

    def further(self) -> list[str]:
        lines = [f"whole files ({self.n_whole}), {method}: accuracy {row[ACCURACY]}" for method, row in self.whole.items()]
        return lines + ([f"the split matters: {self.gap}"] if self.gap else [])


def evaluate_images(learn: Learner, seed: int = 0, *, hand_crafted: HandCraftedFeatures | None = None) -> ImageScores:
    """Score `learn` on its test set, the third of its loaders.

    The simple methods are fitted on the train and valid parts. The untrained network is the one with the weights that
    `build_learner` returned. Groups of the data, where it has some, are what the bootstrap draws. `hand_crafted` is a method of
    experts on the raw input, to be held against too, where the pictures were made of something else. Windows of files are scored
    one by one, and aggregated over each file.

    Raises `DataError` where the hand-crafted features do not stand for the test items one by one.
    """
    classes = tuple(learn.dls.vocab)
    probabilities, targets = predictions(learn, learn.dls[2])
    with first_weights(learn) as untrained:
        before = predictions(learn, learn.dls[2])[0] if untrained else None
    simple = _simple(learn, len(classes), seed=seed)
    labelled = getattr(learn.dls, "labelled", None)
    gap = None
    if hand_crafted is not None:
        if labelled is None:
            raise DataError("hand_crafted reads files, and these loaders name none: build the learner with a recipe")
        simple[hand_crafted.name], gap = hand_crafted_probabilities(hand_crafted, labelled, classes=classes, seed=seed)
    methods = {NETWORK: probabilities, **({UNTRAINED: before} if before is not None else {}), **simple}
    windowed = labelled is not None and "item" in labelled.table
    fewest = FEWEST_WINDOWED if windowed else FEWEST_GROUPS
    bootstrap = Bootstrap.draw(len(targets), test_groups(learn), seed=seed, fewest=fewest)
    predicted = probabilities.argmax(axis=1)
    best_simple = max(simple, key=lambda name: (simple[name].argmax(axis=1) == targets).mean())
    gained = (predicted == targets).astype(float) - (simple[best_simple].argmax(axis=1) == targets)
    difference = paired_interval(gained, bootstrap)
    return ImageScores(
        task=spec_of(learn).task,
        classes=classes,
        n_test=len(targets),
        resampled=bootstrap.resampled,
        table={name: classification_metrics(answer, targets, bootstrap=bootstrap) for name, answer in methods.items()},
        confusion={
            name: confusion_matrix(methods[name], targets, bootstrap=bootstrap) for name in _confused(methods, len(classes))
        },
        best_simple=best_simple,
        difference=difference,
        verdict=verdict(best_simple, difference) + _of_few(bootstrap, windowed),
        predictions=_per_item(learn.dls[2].dataset.items, probabilities, targets=targets, classes=classes, labelled=labelled),
        gap=gap,
        **_whole_files(methods, targets, labelled=labelled, seed=seed),
    )


def _whole_files(
    methods: dict[str, np.ndarray], targets: np.ndarray, *, labelled: LabelledImages | None, seed: int
) -> dict[str, Any]:
    """The scores of each method on whole files, each answered by the aggregate of its windows."""
    if labelled is None or "item" not in labelled.table:
        return {}
    table = labelled.table[labelled.table.split == "test"]
    numbers, first = np.unique(pd.factorize(table.path.astype(str))[0], return_index=True)
    windows = np.split(np.arange(len(table)), first[1:])  # those of a file stand together
    pooled = {name: np.stack([aggregate(answer[rows]) for rows in windows]) for name, answer in methods.items()}
    bootstrap = Bootstrap.draw(len(numbers), table.group.to_numpy(dtype=str)[first], seed=seed, fewest=FEWEST_WINDOWED)
    found = {name: classification_metrics(answer, targets[first], bootstrap=bootstrap) for name, answer in pooled.items()}
    return {"whole": found, "n_whole": len(numbers)}


def _confused(methods: dict[str, np.ndarray], classes: int) -> list[str]:
    """Whose confusion matrix is kept: everyone's, but the network's alone where it has very many cells."""
    return list(methods) if classes <= MOST_CLASSES else [NETWORK]


def _of_few(bootstrap: Bootstrap, windowed: bool) -> str:
    """A warning where few recordings, however many their windows, stand for all there are."""
    if not windowed or bootstrap.units >= FEWEST_GROUPS:
        return ""
    return f" (the test has only {bootstrap.units} groups of windows: too few to rely on)"


def predictions(learn: Learner, loader: TfmdDL) -> tuple[np.ndarray, np.ndarray]:
    """The learner's probabilities (items, classes) and the class numbers (items,) over a loader, in its order."""
    with learn.no_bar(), learn.no_logging():
        probabilities, targets = learn.get_preds(dl=loader)
    return probabilities.numpy(), targets.numpy().astype(np.int64)


def _simple(learn: Learner, classes: int, *, seed: int) -> dict[str, np.ndarray]:
    """The test probabilities of each simple method, fitted on (a sample of) the train and valid parts."""
    test = learn.dls[2].dataset
    pixels, labels = _small(known_images(learn, seed))
    small, _ = _small(images_of(test, np.arange(len(test))))
    return baseline_probabilities(pixels, labels, test=small, classes=classes, seed=seed)


def known_images(learn: Learner, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What the simple methods are fitted on: chunks of (a sample of) the train and valid parts; see `images_of`."""
    datasets = [loader.dataset for loader in learn.dls.loaders[:2]]
    total = sum(map(len, datasets))
    for dataset in datasets:
        yield from images_of(dataset, sample_rows(len(dataset), MOST_ITEMS * len(dataset) // total, seed=seed))


def images_of(dataset: Datasets, rows: np.ndarray, *, chunk: int = 256) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pictures, uint8 (up to `chunk`, height, width, 3), and class numbers of the items `rows`, a chunk at a time.

    They are as prepared, before augmentation and normalisation.
    """
    held = vars(dataset).get("held")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, len(rows), chunk):
            part = np.array(rows[start : start + chunk])  # a copy: torch wants to be able to write
            if held is not None:
                yield held[0][part].numpy(), held[1][part].numpy()
            else:
                items = list(pool.map(dataset.__getitem__, part.tolist()))
                yield np.stack([x.permute(1, 2, 0).numpy() for x, _ in items]), np.array([int(y) for _, y in items])


def _small(images: Iterable[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """Small pixels, float32 (items, features), and class numbers of chunks of pictures."""
    found = [(small_pixels(pixels), targets) for pixels, targets in images]
    return np.concatenate([small for small, _ in found]), np.concatenate([targets for _, targets in found])


def _per_item(
    items: Sequence[Any],
    probabilities: np.ndarray,
    *,
    targets: np.ndarray,
    classes: tuple[str, ...],
    labelled: LabelledImages | None,
) -> pd.DataFrame:
    names = np.array(classes, dtype=object)
    table = None if labelled is None else labelled.table[labelled.table.split == "test"]
    paths = items if table is None else table.path
    described = {} if table is None else {name: table[name].fillna("").tolist() for name in DESCRIBED if name in table}
    return pd.DataFrame(
        {
            "path": [str(Path(path).absolute()) for path in paths],
            "label": names[targets],
            "predicted": names[probabilities.argmax(axis=1)],
            "probability": probabilities.max(axis=1),
            "probability_of_label": probabilities[np.arange(len(targets)), targets],
            **described,
        }
    )
