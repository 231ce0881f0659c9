"""The report of a network that answers for each pixel: what every recipe shares, and masks to be judged by eye.

An answer is a picture here: it stands beside the photo, the truth, and where the network was unsure; and whether that can be
trusted is measured too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from PIL import Image

from toolkit.data.items import PARTS
from toolkit.data.segmentation.class_mapping import IGNORED
from toolkit.data.segmentation.labelled import LabelledSegmentation
from toolkit.evaluation.scores import NETWORK
from toolkit.evaluation.segmentation.metrics import MEAN_IOU
from toolkit.evaluation.segmentation.network import pixel_network
from toolkit.evaluation.segmentation.scores import SegmentationScores
from toolkit.files import read_json
from toolkit.learning.runs import Run
from toolkit.program.segmentation.inputs import PixelNetwork, segment
from toolkit.reports import sections
from toolkit.reports.charts import MOST_NAMED, coloured, dots, lit
from toolkit.reports.page import Block, Figure, Gallery, Picture, Section, Table, Text, as_picture, drawn, write_page
from toolkit.reports.segmentation.uncertainty import uncertainty, uncertainty_section

if TYPE_CHECKING:
    from fastai.learner import Learner

CARDS = 6  # of the worst pictures, and of the best
SIDE = 320  # pixels of a shown picture's longer side
MOST_DOTS = 40  # classes in one drawing
GIVEN = "pixel by pixel: its colour, that of its surroundings, and its place in the picture"  # how simple methods see the data


@dataclass(frozen=True)
class Named(Picture):
    """A picture with a word below it."""

    name: str = ""


@dataclass(frozen=True)
class Legend:
    """What colours stand for: (name, CSS colour) each, "" for the grey hatching of what does not count."""

    entries: Sequence[tuple[str, str]]
    kind: str = field(default="legend", init=False)


def write_segmentation_report(learn: Learner, scores: SegmentationScores, *, log: list[dict[str, Any]], run: Run) -> Path:
    """Write report.html into the run folder. `log` is what `fit` returned. Returns the report's path."""
    described = read_json(run.folder / "run.json", "a run")
    labelled: LabelledSegmentation = learn.dls.labelled
    network = pixel_network(learn)
    page = sections.page_of(
        run.folder.name,
        scores,
        data=labelled.describe().splitlines()[0],
        parts=[
            sections.score_section(scores, GIVEN),
            _class_section(scores, labelled),
            sections.curve_section(log, [metric.name for metric in learn.metrics], best_epoch=described.get("best_epoch")),
            sections.confusion_section(scores, pixels=True),
            *_picture_sections(scores, labelled, network=network),
            uncertainty_section(labelled, network),
            _data_section(labelled),
            sections.settings_section(described),
        ],
    )
    path = run.folder / "report.html"
    write_page(path, page)
    return path


def _class_section(scores: SegmentationScores, labelled: LabelledSegmentation) -> Section:
    network, simple = scores.per_class[NETWORK], scores.per_class[scores.best_simple]
    order = sorted(network, key=lambda name: -network[name].value)
    pixels = np.array(scores.confusion[NETWORK]["counts"]).sum(axis=1)
    pictures = (labelled.counts[labelled.rows("test")] > 0).sum(axis=0)
    rows = []
    for name in order:
        number = scores.classes.index(name)
        share, shows = sections.percent(pixels[number] / max(1, pixels.sum())), str(pictures[number])
        rows.append([name, sections.cell(network[name]), sections.cell(simple[name]), share, shows])
    few = order[-MOST_DOTS:]
    values = {
        name: {of: (iou.value, iou.low, iou.high) for of, iou in ((NETWORK, network[name]), (scores.best_simple, simple[name]))}
        for name in few
    }
    drawing = dots(values, [scores.classes.index(name) + 1 for name in few], what="IoU")
    caption = f"The {len(few)} classes of the lowest IoU." if len(few) < len(order) else ""
    said = f"IoU of each class, from {order[0]} {network[order[0]].value:.3f} to {order[-1]} {network[order[-1]].value:.3f}"
    told = (
        "The IoU of a class, intersection over union, is the share of right pixels among all that are of that class or were said "
        "to be: 1 where every one is right, 0 where none is. The mean IoU above is the mean of these, so a rare class counts as "
        f"much as a common one. {scores.best_simple[0].upper() + scores.best_simple[1:]} is the best of the simple methods."
    )
    absent = [name for name in scores.classes if name not in network]
    blocks: list[Block] = [
        Text(told),
        Figure([drawn(drawing, said)], caption),
        Table(["class", NETWORK, scores.best_simple, "of the test pixels", "in test pictures"], rows),
    ]
    if absent:
        blocks.append(Text(f"No test picture shows {', '.join(absent)}: how well that is recognised is not measured."))
    return Section("Class by class", blocks)


def _picture_sections(scores: SegmentationScores, labelled: LabelledSegmentation, *, network: PixelNetwork) -> list[Section]:
    """The test pictures of the lowest and of the highest mean IoU."""
    table = scores.predictions.reset_index(drop=True)  # its rows are the test pictures in their order
    table = table[table[MEAN_IOU].notna()].sort_values(MEAN_IOU, kind="stable")
    worst = _of_several_groups(table)
    best = _of_several_groups(table.drop(worst)[::-1])
    rows = labelled.rows("test")
    looks = {place: _looked_at(labelled, rows[place], network=network) for place in (*worst, *best)}
    spread = np.concatenate([each.unsure.ravel() for each in looks.values()])
    ends = float(np.percentile(spread, 2)), float(np.percentile(spread, 99.5))
    cards = {place: (each.pictures(labelled, ends), _lines(scores.predictions.iloc[place])) for place, each in looks.items()}
    two = "; of a group there are two at most, while others are left" if table["group"].any() else ""
    told = (
        "The test pictures of the lowest mean IoU (here the mean over the classes in that picture): look here first for wrong "
        f"masks and for kinds of pictures that training lacked{two}. The last of each four is dark where the network was sure "
        "and bright where it was not, on one scale for all pictures here; a light blue line goes around what it got wrong, where "
        "that is more than a seam."
    )
    legend = _legend(labelled, any((each.truth == IGNORED).any() for each in looks.values()))
    found = [Section("Worst pictures", [Text(told), legend, Gallery([cards[place] for place in worst], wide=True)])]
    if best:
        told = "The test pictures of the highest mean IoU, in the same colours."
        found.append(Section("Best pictures", [Text(told), Gallery([cards[place] for place in best], wide=True)]))
    return found


def _of_several_groups(table: pd.DataFrame) -> list[int]:
    """The first few pictures, in their order; a third of one group only where there are no others."""
    third = (table.groupby("group").cumcount() >= 2) & (table["group"] != "")
    chosen = third.sort_values(kind="stable").index[:CARDS]
    return [place for place in table.index if place in chosen]


def _lines(item: pd.Series) -> list[str]:
    return [f"mean IoU {item[MEAN_IOU]:.3f}, worst class {item['worst class']}", Path(item.path).name]


def _legend(labelled: LabelledSegmentation, uncounted: bool) -> Legend:
    names = list(labelled.classes)
    if len(names) > MOST_NAMED:  # as the confusions above number them
        names = [f"{number} {name}" for number, name in enumerate(names, 1)]
    entries = [
        (name, "#{:02x}{:02x}{:02x}".format(*colour)) for name, colour in zip(names, labelled.class_mapping.colours, strict=True)
    ]
    return Legend([*entries, ("does not count", "")] if uncounted else entries)


@dataclass(frozen=True)
class _Look:
    """A test picture as it is shown: `photo`, `truth`, `said` and `unsure`, all of one size."""

    name: str
    photo: Image.Image
    truth: np.ndarray
    said: np.ndarray
    unsure: np.ndarray

    def pictures(self, labelled: LabelledSegmentation, ends: tuple[float, float]) -> list[Named]:
        """The four pictures of a card; `ends` are the uncertainty that is drawn black, and brightest."""
        wrong = (self.truth != self.said) & (self.truth != IGNORED)
        masks = [
            _named(
                coloured(mask, labelled.class_mapping.colours),
                name,
                alt=f"{self.name}, {name}: {_mostly(mask, labelled.classes)}",
            )
            for name, mask in (("truth", self.truth), ("said", self.said))
        ]
        unsure = (self.unsure - ends[0]) / max(ends[1] - ends[0], 1e-6)
        where = f"{self.name}: bright where the network was unsure, a line around what it got wrong"
        return [_named(self.photo, "picture", alt=self.name), *masks, _named(lit(unsure, wrong), "unsure", alt=where)]


def _named(picture: Image.Image, name: str, *, alt: str) -> Named:
    return Named(**vars(as_picture(picture, alt, longest=SIDE, lossless=picture.mode == "P")), name=name)


def _looked_at(labelled: LabelledSegmentation, row: int, *, network: PixelNetwork) -> _Look:
    picture, segmentation_input = labelled.picture(row), labelled.segmentation_input
    unsure, _ = uncertainty(np.asarray(segmentation_input.scaled(picture)), network, segmentation_input=segmentation_input)
    masks = [
        Image.fromarray(mask) for mask in (labelled.truth(row), segment(picture, network, segmentation_input=segmentation_input))
    ]
    scale = min(1.0, SIDE / max(picture.size))
    size = max(1, round(scale * picture.width)), max(1, round(scale * picture.height))
    truth, said = (np.asarray(mask.resize(size, Image.Resampling.NEAREST)) for mask in masks)
    spread = np.asarray(Image.fromarray(unsure).resize(size, Image.Resampling.BILINEAR))
    return _Look(labelled.items[row].name, picture.resize(size), truth, said, spread)


def _mostly(mask: np.ndarray, classes: Sequence[str], *, most: int = 3) -> str:
    """The largest classes of a mask in words."""
    counts = np.bincount(mask.ravel(), minlength=len(classes))[: len(classes)]
    largest = [classes[number] for number in np.argsort(-counts, kind="stable")[:most] if counts[number]]
    return ", ".join(largest) or "no pixel counts"


def _data_section(labelled: LabelledSegmentation) -> Section:
    """Which part of the data shows how much of which class, and what was set aside."""
    parts = [labelled.counts[labelled.rows(part)] for part in PARTS]
    rows: list[list[object]] = [["pictures", *(str(len(counts)) for counts in parts)]]
    for number, name in enumerate(labelled.classes):
        shares = [(counts[:, number].sum() / max(1, counts.sum()), (counts[:, number] > 0).sum()) for counts in parts]
        rows.append([name, *((sections.percent(share), f"in {pictures}") for share, pictures in shares)])
    told = (
        "Training learns from train, valid chooses the epoch, test is for the scores and nothing else. Pictures with identical "
        "content stay on one side."
    )
    groups = labelled.table.group.replace("", None).nunique()
    told += f" So do pictures of one group ({groups} groups)." if groups else ""
    told += " Beside each class its share of the pixels that count, and in how many pictures it is."
    table = Table(["class", *PARTS], rows)
    return Section("How the data was split", [Text(told), table, *sections.left_out(labelled.rejected, labelled.notes)])
