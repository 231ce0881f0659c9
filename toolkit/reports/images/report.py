"""The report of an image recogniser: what every recipe shares, and what can be seen in pictures.

A picture can be looked into: where the network looked, what its layers respond to, and what the simplest method of all, the
average of each class, knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from toolkit.errors import DataError
from toolkit.evaluation.images.cam import CAM
from toolkit.evaluation.images.embedding_index import EmbeddingIndex
from toolkit.evaluation.images.scores import ImageScores, images_of
from toolkit.evaluation.sampling import sample_rows
from toolkit.evaluation.scores import NETWORK, Scores
from toolkit.files import read_json
from toolkit.learning.images.loaders import normalization_of
from toolkit.learning.runs import Run
from toolkit.reports import sections
from toolkit.reports.charts import bars, filter_tiles, overlay, sheet, signed
from toolkit.reports.page import Figure, Gallery, Picture, Section, Table, Text, as_picture, drawn, write_page

if TYPE_CHECKING:
    from fastai.learner import Learner
    from torch import nn

Card = tuple[list[Picture], list[str]]
WRONG, RIGHT, CHANNELS, STRONGEST = 12, 9, 10, 9
SAMPLE = 1000  # training pictures among which the strongest responses are looked for
MOST_AVERAGES, MOST_FILTERS = 40, 64
TILE = 48  # pixels
NO_MAPS = "Where it looked is not known: the layers of this network are no maps of the picture."
ABOUT_MAPS = (
    "Beside each picture, bright, is where the evidence for what was said lies: Grad-CAM, the maps of a late layer, each "
    "weighted by how much the answer leans on it."
)


def write_image_report(learn: Learner, scores: Scores, *, log: list[dict[str, Any]], run: Run) -> Path:
    """Write report.html into the run folder, and training.npz, from which single pictures are explained later.

    `scores` are what `evaluate` gave, `log` is what `fit` returned. Returns the report's path. Raises `DataError` for scores of
    another task, and `RunError` where the folder cannot be written to.
    """
    if not isinstance(scores, ImageScores):
        raise DataError(f"these are scores of {scores.task}: expected those of a learner of pictures")
    described = read_json(run.folder / "run.json", "a run")
    cam = CAM(learn.model, normalization_of(learn.dls))
    index = EmbeddingIndex.of(learn, cam)
    index.save(run.folder)
    labelled = learn.dls.labelled
    page = sections.page_of(
        run.folder.name,
        scores,
        data=labelled.describe().splitlines()[0],
        parts=[
            sections.score_section(scores),
            *_whole_files(scores),
            *_gap(scores),
            sections.curve_section(log, [metric.name for metric in learn.metrics], best_epoch=described.get("best_epoch")),
            sections.confusion_section(scores),
            _most_wrong(learn, scores, cam=cam),
            _when_right(learn, scores, cam=cam),
            _layers(learn, cam),
            _averages(scores, index, cam=cam),
            sections.split_section(labelled.table, labelled.rejected, notes=labelled.notes),
            sections.settings_section(described),
        ],
    )
    path = run.folder / "report.html"
    write_page(path, page)
    return path


def looked_at(image: np.ndarray, heat: np.ndarray | None, *, what: str) -> list[Picture]:
    """A prepared picture, and the same under the map of where the network looked, if there is one."""
    images = [as_picture(image, what)]
    if heat is not None:
        images.append(as_picture(overlay(image, heat), f"where the network looked: {what}"))
    return images


def _test_pictures(learn: Learner, rows: np.ndarray) -> np.ndarray:
    return np.concatenate([images for images, _ in images_of(learn.dls[2].dataset, rows)])


def _cards(learn: Learner, scores: ImageScores, *, cam: CAM, rows: np.ndarray) -> list[Text | Gallery]:
    """Test items with what was said, what is true, and where the network looked for what it said."""
    table = scores.predictions.iloc[rows]
    images = _test_pictures(learn, rows)
    heat = cam.grad_cam(images, [scores.classes.index(label) for label in table.predicted])
    cards: list[Card] = []
    said: Iterable[Any] = table.itertuples()
    for number, item in enumerate(said):
        right = item.label == item.predicted
        lines = [f"{item.predicted} {item.probability:.3f}" if right else f"said {item.predicted} {item.probability:.3f}"]
        lines += [] if right else [f"is {item.label} {item.probability_of_label:.3f}"]
        what = f"{item.label}, {lines[0]}"
        cards.append(
            (looked_at(images[number], None if heat is None else heat[number], what=what), [*lines, sections.item_name(item)])
        )
    return [Text(NO_MAPS if heat is None else ABOUT_MAPS), Gallery(cards, wide=True)]


def _most_wrong(learn: Learner, scores: ImageScores, *, cam: CAM) -> Section:
    table = scores.predictions
    wrong = np.flatnonzero(table.label != table.predicted)
    if not len(wrong):
        return Section("Most wrong", [Text("No test item was recognised wrongly.")])
    rows = wrong[np.argsort(table.probability_of_label.to_numpy()[wrong], kind="stable")[:WRONG]]
    told = (
        "The test items whose true class the network thought least likely, with the probability of what it said and of what is "
        "true: look here first for wrong labels and for kinds of pictures that training lacked."
    )
    return Section("Most wrong", [Text(told), *_cards(learn, scores, cam=cam, rows=rows)])


def _when_right(learn: Learner, scores: ImageScores, *, cam: CAM) -> Section:
    table = scores.predictions
    right = table[table.label == table.predicted].reset_index().sort_values("probability", ascending=False, kind="stable")
    if right.empty:
        return Section("When it was right", [Text("No test item was recognised.")])
    # the surest of each class, then the second surest, until there are enough
    rank = right.groupby("label").cumcount()
    rows = right.loc[rank.sort_values(kind="stable").index, "index"].to_numpy()[:RIGHT]
    told = "The surest answers, each class in turn. A map that lights the ground and not the thing has learnt the ground."
    return Section("When it was right", [Text(told), *_cards(learn, scores, cam=cam, rows=rows)])


def _layers(learn: Learner, cam: CAM) -> Section:
    title = "What its layers respond to"
    dataset = learn.dls.train.dataset
    found = zip(*images_of(dataset, sample_rows(len(dataset), SAMPLE)), strict=True)
    images, labels = (np.concatenate(parts) for parts in found)
    layers = cam.layers(images[:1])
    if layers is None:
        return Section(title, [Text("Nothing to draw: the layers of this network are no maps of the picture.")])
    early, late = layers
    told = (
        "A layer is many channels, each looking for one thing everywhere in the picture. Here are channels of an early and of "
        f"the last layer, each with the {STRONGEST} training pictures (of a sample) that excite it most: early ones answer to "
        "edges and colours, late ones to parts and whole things."
    )
    told_late = "Late: the channels that tell a class best, and the pictures that excite them, dark where the channel is silent."
    blocks: list[Text | Gallery] = [
        Text(told),
        Text("Early: the channels that differ most from picture to picture, and the places that excite them."),
        Gallery(_early(cam, early, images=images)),
        Text(told_late),
        Gallery(_late(cam, late, images=images, labels=labels, classes=list(learn.dls.vocab))),
    ]
    return Section(title, blocks)


def _early(cam: CAM, layer: nn.Module, *, images: np.ndarray) -> list[Card]:
    peaks, places = cam.peaks(layer, images)
    height, width = images.shape[1:3]
    reach = max(4, min(height, width) // 10)
    bordered = np.pad(images, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    cards: list[Card] = []
    for channel in np.argsort(-peaks.std(axis=0), kind="stable")[:CHANNELS]:
        tiles = []
        for row in np.argsort(-peaks[:, channel], kind="stable")[:STRONGEST]:
            top, left = (places[row, channel] * (height, width)).astype(int)
            tiles.append(bordered[row, top : top + 2 * reach + 1, left : left + 2 * reach + 1])
        what = f"places that excite channel {channel}"
        cards.append(([as_picture(sheet(tiles, 3, side=TILE), what)], [f"channel {channel}"]))
    return cards


def _late(cam: CAM, layer: nn.Module, *, images: np.ndarray, labels: np.ndarray, classes: list[str]) -> list[Card]:
    peaks, _ = cam.peaks(layer, images)
    cards: list[Card] = []
    for channel in _telling(peaks, labels, classes=len(classes)):
        rows = np.argsort(-peaks[:, channel], kind="stable")[:STRONGEST]
        maps = cam.responses(layer, images[rows], channel=int(channel)).clip(0)
        tiles = [_lit(image, heat) for image, heat in zip(images[rows], maps, strict=True)]
        most, times = Counter(labels[rows].tolist()).most_common(1)[0]
        name = "several classes" if times <= len(rows) / 2 else classes[most] if times == len(rows) else f"mostly {classes[most]}"
        what = f"training pictures that excite channel {channel}: {name}"
        cards.append(([as_picture(sheet(tiles, 3, side=TILE), what)], [name, f"channel {channel}"]))
    return cards


def _telling(peaks: np.ndarray, labels: np.ndarray, *, classes: int) -> list[int]:
    """For each class the channel that tells it best from the others, `CHANNELS` of them at most, the best first."""
    standard = (peaks - peaks.mean(axis=0)) / np.maximum(peaks.std(axis=0), 1e-12)
    there = [number for number in range(classes) if (labels == number).any()]
    means = np.stack([standard[labels == number].mean(axis=0) for number in there])
    best = means.argmax(axis=1)
    return list(dict.fromkeys(best[np.argsort(-means.max(axis=1), kind="stable")].tolist()))[:CHANNELS]


def _lit(image: np.ndarray, heat: np.ndarray) -> np.ndarray:
    """A picture that is dark where `heat` is low."""
    scaled = Image.fromarray((heat / max(float(heat.max()), 1e-12)).astype(np.float32))
    strength = np.asarray(scaled.resize(image.shape[1::-1], Image.Resampling.BICUBIC)).clip(0, 1)[..., None]
    return (image * (0.3 + 0.7 * strength)).astype(np.uint8)


def _averages(scores: ImageScores, index: EmbeddingIndex, *, cam: CAM) -> Section:
    first, second, mistaken = sections.confused_pair(scores)
    names, why = scores.classes, ", which this network confuses most" if mistaken else ""
    averages = index.averages
    known = np.flatnonzero(np.isfinite(index.centroids).all(axis=1)).tolist()  # a sample may miss a rare class
    if not {first, second} <= set(known):
        (first, second), why = known[:2], ""
    chosen = list(dict.fromkeys([first, second, *known]))[:MOST_AVERAGES]
    cards = [([as_picture(averages[i], f"the average of {names[i]}")], [names[i]]) for i in sorted(chosen)]
    part = "" if len(chosen) == len(names) else f" {len(chosen)} of the {len(names)} averages:"
    weights = averages[second].astype(np.float32).mean(axis=2) - averages[first].astype(np.float32).mean(axis=2)
    blocks: list[Text | Gallery] = [
        Text(
            "The simplest way to learn: average the pictures of each class (those of train and valid), and call a new one by the "
            f"average it is nearest to.{part}"
        ),
        Gallery(cards),
        Text(
            f"Choosing between two averages is one weighing of the pixels, by their difference: here for {names[first]} and "
            f"{names[second]}{why}. Red pixels, where bright, speak for {names[second]}, blue ones for {names[first]}. The "
            "network weighs pixels too, but with many small weighings (filters) that slide over the whole picture, then "
            "weighs their answers, and so on. Its first filters, as it has learnt them, stand beside; grey is no weight."
        ),
    ]
    drawing = signed(weights, (names[first], names[second]), numbers=(first + 1, second + 1))
    images = [drawn(drawing, f"weights that tell {names[second]} from {names[first]}")]
    filters = cam.filters()
    if filters is not None:
        tiles = filter_tiles(filters[:MOST_FILTERS])
        columns = int(np.ceil(len(tiles) ** 0.5))
        images.append(
            as_picture(
                sheet(tiles, columns, side=TILE, gap=6), f"{len(tiles)} of {len(filters)} filters", longest=440, lossless=True
            )
        )
    return Section("Averages, and what was learnt instead", [*blocks, Figure(images)])


def _whole_files(scores: ImageScores) -> list[Section]:
    """Where items are windows: the scores of whole files."""
    if not scores.whole:
        return []
    told = (
        f"The items above are windows of {scores.n_whole} held-out files. Here each file has one answer, pooled from those of "
        "its windows (their geometric mean); so does the program."
    )
    rows = [[name, *map(sections.cell, row.values())] for name, row in scores.whole.items()]
    return [Section("Whole files", [Text(told), Table(["method", *scores.whole[NETWORK]], rows)])]


def _gap(scores: ImageScores) -> list[Section]:
    """What a split that leaks would have claimed."""
    if scores.gap is None:
        return []
    found = {"split at random": scores.gap.random, "groups kept together": scores.gap.grouped}
    lost = 100 * (scores.gap.random.value - scores.gap.grouped.value)
    lie = f"{lost:.1f} points lie" if lost > 0 else "here nothing, for no points lie"
    told = (
        "Items of one group (a recording, a speaker, a session) are alike in ways that have nothing to do with the class. The "
        f"method of {scores.gap.method}, quick enough to be fitted many times, shows what that does to a score: {lie} "
        "between folds drawn at random, where groups stand on both sides, and folds of whole groups, as in the split "
        "used here, where the test is on groups never met before (cross-validated over all items)."
    )
    accuracy = {name: (value.value, value.low, value.high) for name, value in found.items()}
    said = f"Accuracy: {', '.join(f'{name} {value.value:.3f}' for name, value in found.items())}"
    table = Table(["split", "accuracy"], [[name, sections.cell(value)] for name, value in found.items()])
    return [
        Section(
            "What leaking would have claimed",
            [Text(told), Figure([drawn(bars(accuracy, "accuracy", highlighted="groups kept together"), said)]), table],
        )
    ]
