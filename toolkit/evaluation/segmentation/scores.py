"""Scoring a learner that answers for each pixel, beside the untrained network and simple methods.

Masks are too large to be kept: test pictures are gone through one at a time, and of each only counts stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from toolkit.data.progress import track
from toolkit.data.segmentation.labelled import LabelledSegmentation
from toolkit.errors import DataError
from toolkit.evaluation.bootstrap import FEWEST_GROUPS, Bootstrap, Interval, bounded_interval
from toolkit.evaluation.classification import ClassScores
from toolkit.evaluation.learner import first_weights, test_groups
from toolkit.evaluation.sampling import sample_rows
from toolkit.evaluation.scores import NETWORK, UNTRAINED, Metrics, Paired, Scores, intervals_in, verdict
from toolkit.evaluation.segmentation.baselines import PixelBaselines, resize_nearest
from toolkit.evaluation.segmentation.metrics import MEAN_IOU, PICTURE_METRICS, Tally, metric_samples, segmentation_metrics
from toolkit.evaluation.segmentation.network import pixel_network
from toolkit.program.segmentation.inputs import PixelNetwork, segment
from toolkit.spec import spec_of

if TYPE_CHECKING:
    from fastai.learner import Learner
    from PIL import Image

MOST_PICTURES = 2000  # that simple methods are fitted on: some hundred pixels of each are enough

Masks = dict[str, np.ndarray]  # method -> class numbers, uint8 (height, width)


@dataclass(frozen=True, kw_only=True)
class SegmentationScores(ClassScores):
    """Scores of a learner that answers for each pixel.

    The headline is mean IoU. `per_class` maps a method to the IoU of each class that is in the test set, `confusion` counts
    pixels (`low` and `high` are None). `predictions` has for each picture path, content, group, its own mean IoU, pixel accuracy
    and boundary F1, and worst class, that of the lowest IoU.
    """

    texts: ClassVar[tuple[str, ...]] = ("path", "content", "group", "worst class")
    blanks: ClassVar[tuple[str, ...]] = PICTURE_METRICS

    headline: str = MEAN_IOU
    per_class: dict[str, Metrics] = field(default_factory=dict)

    @property
    def question(self) -> str:
        return "classes of pixels"

    def paired(self, others: Sequence[Scores], tables: Sequence[pd.DataFrame], *, bootstrap: Bootstrap) -> Paired:
        """A run keeps three figures of each picture, and it is their means that are compared."""
        samples = [{name: bootstrap.mean(table[name].to_numpy()) for name in PICTURE_METRICS} for table in tables]
        found = [{name: bounded_interval(values, bootstrap.units) for name, values in each.items()} for each in samples]
        gains = [
            {name: bounded_interval(each[name] - samples[0][name], bootstrap.units, lowest=-1.0) for name in PICTURE_METRICS}
            for each in samples[1:]
        ]
        note = "each figure is the mean of the pictures' own, mean IoU that over the classes in a picture"
        return Paired(MEAN_IOU, found, gains, note)

    def card(self) -> dict[str, Any]:
        """As of all scores, without what other methods than the network score on each class."""
        whole = super().card()
        return {**whole, "per_class": {name: each for name, each in whole["per_class"].items() if name == NETWORK}}

    @classmethod
    def from_json(cls, plain: dict[str, Any]) -> dict[str, Any]:
        plain = super().from_json(plain)
        return {**plain, "per_class": intervals_in(plain.get("per_class", {}))}

    def further(self) -> list[str]:
        own = self.per_class.get(NETWORK)
        return [f"IoU of each class, {NETWORK}: {', '.join(f'{name} {iou}' for name, iou in own.items())}"] if own else []


def evaluate_segmentation(learn: Learner, seed: int = 0, *, network: PixelNetwork | None = None) -> SegmentationScores:
    """Score `learn`, whose loaders carry `LabelledSegmentation`, on its test pictures, each at its own size, and nothing else.

    The simple methods are fitted on the train and valid parts, and see pictures at the scale the network does. `network` is the
    learner's as a function from pixels to probabilities, which follows its weights; None makes one of `learn`. The
    verdict is about mean IoU: the difference is taken on the same resamples for both sides.
    """
    labelled: LabelledSegmentation = learn.dls.labelled
    classes = tuple(map(str, labelled.classes))
    answer = network or pixel_network(learn)
    simple = _fitted(labelled, seed)

    def by_network(picture: Image.Image) -> Masks:
        return {NETWORK: segment(picture, answer, segmentation_input=labelled.segmentation_input)}

    def by_simple(picture: Image.Image) -> Masks:
        found = simple.predict(np.asarray(labelled.segmentation_input.scaled(picture)))
        return {name: resize_nearest(mask, picture.size[::-1]) for name, mask in found.items()}

    found = tallies(labelled, lambda picture: {**by_network(picture), **by_simple(picture)})
    with first_weights(learn) as untrained:
        before = tallies(labelled, by_network, what="segmenting untrained") if untrained else None
    methods = {NETWORK: found.pop(NETWORK), **({UNTRAINED: before[NETWORK]} if before else {}), **found}

    groups = test_groups(learn)
    bootstrap = Bootstrap.draw(len(methods[NETWORK].counts), groups, seed=seed)
    measured = {name: segmentation_metrics(tally, bootstrap, groups=groups) for name, tally in methods.items()}
    best_simple = max(found, key=lambda name: measured[name][0][MEAN_IOU].value)
    difference = paired_difference(methods[NETWORK], methods[best_simple], bootstrap=bootstrap)
    return SegmentationScores(
        task=spec_of(learn).task,
        classes=classes,
        n_test=len(methods[NETWORK].counts),
        resampled=bootstrap.resampled,
        table={name: metrics for name, (metrics, _) in measured.items()},
        confusion={name: {"counts": tally.confusion.tolist(), "low": None, "high": None} for name, tally in methods.items()},
        best_simple=best_simple,
        difference=difference,
        verdict=verdict(best_simple, difference, of=MEAN_IOU) + _of_few(groups),
        predictions=_per_picture(labelled, methods[NETWORK]),
        per_class={name: {classes[number]: iou for number, iou in each.items()} for name, (_, each) in measured.items()},
    )


def tallies(
    labelled: LabelledSegmentation, answer: Callable[[Image.Image], Masks], *, what: str = "segmenting"
) -> dict[str, Tally]:
    """Go over the test pictures in their order, one at a time, and tally what each method of `answer` makes of them. `what` names
    the work in the progress bar. Raises `DataError` where there are none."""
    found: dict[str, Tally] = {}
    rows = labelled.rows("test")
    if not rows:
        raise DataError("this learner's data holds no test pictures: build it with a recipe")
    for row in track(rows, len(rows), what=what):
        truth = labelled.truth(row)
        for name, mask in answer(labelled.picture(row)).items():
            found.setdefault(name, Tally(len(labelled.classes))).add(truth, mask)
    return found


def paired_difference(one: Tally, other: Tally, *, bootstrap: Bootstrap) -> Interval:
    """Mean IoU of `one` less that of `other`: resamples draw the same pictures for both."""
    first, second = (metric_samples(tally, bootstrap)[0][MEAN_IOU] for tally in (one, other))
    return bounded_interval(first - second, bootstrap.units, lowest=-1.0)


def _fitted(labelled: LabelledSegmentation, seed: int) -> PixelBaselines:
    """The simple methods, fitted on (a sample of) the train and valid parts."""
    known = np.array([*labelled.rows("train"), *labelled.rows("valid")])
    some = known[sample_rows(len(known), MOST_PICTURES, seed=seed)].tolist()

    def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        yield from (labelled.pair(row) for row in track(some, len(some), what="fitting simple methods"))

    return PixelBaselines(len(labelled.classes), seed).fit(pairs(), len(some))


def _of_few(groups: np.ndarray | None) -> str:
    """A warning where pictures belong together, and to so few groups that the bootstrap could only draw pictures."""
    few = 0 if groups is None else len(set(groups))
    return f" (the test's pictures are of only {few} groups: too few to rely on)" if 0 < few < FEWEST_GROUPS else ""


def _per_picture(labelled: LabelledSegmentation, tally: Tally) -> pd.DataFrame:
    table = labelled.table[labelled.table.split == "test"]
    figures, worst = zip(*map(tally.picture, range(len(table))), strict=True)
    described = {name: table[name].fillna("").tolist() for name in ("content", "group") if name in table}
    named = {"worst class": [labelled.classes[number] if number >= 0 else "" for number in worst]}
    paths = {"path": [str(Path(path).absolute()) for path in table.path]}
    return pd.DataFrame({**paths, **described, **{name: [row[name] for row in figures] for name in figures[0]}, **named})
