"""One photo explained: what a trained run answers, where it looked, and what that reminds it of.

It starts from a run folder and a file, long after training: the program gives the answer, the checkpoint the gradients, and
training.npz the index of what was learnt from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd

from toolkit.converters.base import Converter
from toolkit.data.hashing import content_hash
from toolkit.errors import ConversionError, RunError
from toolkit.evaluation.images.cam import CAM
from toolkit.evaluation.images.embedding_index import EmbeddingIndex
from toolkit.files import read_json
from toolkit.learning.images.networks import Stats
from toolkit.learning.images.saved import load_network
from toolkit.program import load
from toolkit.program.images.inputs import ImageInput
from toolkit.program.images.program import ImageProgram
from toolkit.program.outputs import Prediction
from toolkit.reports.explaining import not_explained
from toolkit.reports.images.report import looked_at
from toolkit.reports.page import Gallery, Page, Section, Table, Text, as_picture

NEAREST, SHOWN_CLASSES, SHOWN_MAPS = 8, 10, 3
TORN = 1e-3  # two classes so close in probability may change places between the network and its program


@dataclass(frozen=True)
class Neighbour:
    """A training picture, and how alike the network finds it: cosine similarity of features, up to 1. Where it shows a window of
    the file at `path`, `span` says from when to when, and `number` which."""

    path: str
    label: str
    similarity: float
    span: str = ""
    number: int = 0


@dataclass(frozen=True)
class Explanation:
    """What is known about one item, or about the window of a long one in which the answer was surest.

    `image` is uint8 (height, width, 3), as the network sees it; `heat` maps the most probable classes to where they
    were seen, float32 (rows, columns) from 0 to 1 (empty where the network has no maps). `neighbours` are the nearest
    training pictures, `distances` how far each class's average picture is, nearest first; both are empty for a run that
    kept no training.npz.
    """

    item: str
    prediction: Prediction
    image: np.ndarray
    heat: dict[str, np.ndarray]
    neighbours: list[Neighbour]
    distances: dict[str, float]

    def __str__(self) -> str:
        lines = [f"{self.item}: {self.prediction.text(SHOWN_CLASSES)}"]
        lines += [f"  like {near.label} {near.path}{near.span} ({near.similarity:.3f})" for near in self.neighbours[:3]]
        if self.distances:
            nearest, distance = next(iter(self.distances.items()))
            lines.append(f"  nearest class average: {nearest} ({distance:.3f})")
        return "\n".join(lines)


class Explainer:
    """A finished run that learnt from pictures, ready to explain items. Raises `RunError` where the folder holds none, or
    one of another task.

    `converter` is needed only where the run was made with one that is registered under no name.
    """

    def __init__(self, run: Path | str, converter: Converter | None = None) -> None:
        self.run = Path(run)
        if not (self.run / "program.pyz").is_file():
            raise RunError(f"{run}: not a finished run (no program.pyz)")
        program = load(self.run / "program.pyz", converter)
        if not isinstance(program, ImageProgram):
            raise not_explained(self.run, program.card)
        self.program = program
        network = load_network(self.run)
        self.cam = CAM(network.model, cast(Stats, network.stats))  # which come with a trained one
        self.index = EmbeddingIndex.load(self.run)
        self.items = _items(self.run, self.index) if self.index else pd.DataFrame()
        self.classes = list(self.program.output.classes)

    @cached_property
    def training_input(self) -> ImageInput:
        """How training pictures were read: windows that are learnt from may stand closer together."""
        given, about = self.program.input, read_json(self.run / "run.json", "a run").get("about", {})
        if not given.windowed or "training_step" not in about:
            return given
        converter: Any = given.converter
        return replace(given, converter=replace(converter, step=about["training_step"]))

    def _picture(self, item: Path) -> tuple[np.ndarray, str]:
        """An item as the network sees it; of a long one the window whose answer is surest, and its time."""
        if not self.program.input.windowed:
            return self.program.input.prepare(item), ""
        sure = [float(answer.max()) for _, _, answer in self.program.windows(item)]
        start, stop, image = next(islice(self.program.input.windows(item), int(np.argmax(sure)), None))
        return image, _span((start, stop))

    def explain(self, item: Path | str) -> Explanation:
        """Explain one item. Raises `ConversionError` where it cannot be read."""
        image, span = self._picture(Path(item))
        prediction = self.program.output.read(self.program.run(image[None]))[0]
        first, second = [*prediction.probabilities.values(), 0.0][:2]
        known = self.classes[int(self.cam.probabilities(image[None]).argmax())]
        if known != prediction.label and first - second > TORN:
            raise RunError(f"{self.run}: its checkpoint is not the network of its program.pyz: --resume the run, or run it again")
        shown_classes = list(prediction.probabilities)[:SHOWN_MAPS]
        heat = self.cam.grad_cam(np.repeat(image[None], len(shown_classes), 0), map(self.classes.index, shown_classes))
        neighbours: list[Neighbour] = []
        distances: dict[str, float] = {}
        if self.index:
            near = self.index.nearest(self.cam.features(image[None])[0], NEAREST)
            rows = self.items.iloc[[row for row, _ in near]]
            spans = zip(rows.start, rows.stop, strict=True) if "start" in rows else [()] * len(rows)
            found = zip(rows.path, rows.label, near, map(_span, spans), rows.number, strict=True)
            neighbours = [Neighbour(path, label, alike, span, number) for path, label, (_, alike), span, number in found]
            far = self.index.distances(image)
            distances = {self.classes[i]: float(far[i]) for i in np.argsort(far, kind="stable") if np.isfinite(far[i])}
        maps = {} if heat is None else dict(zip(shown_classes, heat, strict=True))
        return Explanation(f"{_printable(item)}{span}", prediction, image, maps, neighbours, distances)

    @staticmethod
    def page_name(item: Path) -> str:
        """What the page of an item is called: its name and content, so that two photos called 001.jpg have a page each."""
        return f"{_printable(item.name).replace(chr(92), '_')[:50]}-{content_hash(item)[:6]}.html"  # chr(92): a backslash

    def page(self, explanation: Explanation) -> Page:
        """The explanation as a page."""
        said = explanation.prediction
        name = Path(explanation.item).name
        seen = [([as_picture(explanation.image, f"{name} as the network sees it")], [name, "as the network sees it"])]
        for label, heat in explanation.heat.items():
            image = looked_at(explanation.image, heat, what=label)[1]
            seen.append(([image], [label, f"{said.probabilities[label]:.3f}"]))
        scores = [[label, f"{probability:.3f}"] for label, probability in list(said.probabilities.items())[:SHOWN_CLASSES]]
        blocks: list[Text | Gallery | Table] = [Gallery(seen), Table(["class", "probability"], scores)]
        if explanation.heat:
            blocks.insert(0, Text("Bright is where the evidence for each class lies (Grad-CAM)."))
        sections = [Section("What was seen, and where", blocks)]
        if explanation.neighbours and self.index:
            sections += [self._neighbours(explanation), self._averages(explanation, self.index)]
        else:
            told = (
                "This run was made by an earlier version and kept no training.npz: nearest pictures and averages are not known."
            )
            sections.append(Section("What it is like", [Text(told)]))
        about = f"Run {self.run.name}, {self._card_line()}"
        return Page(f"{name} explained", f"{said.label}, {said.probability:.3f}", about, sections)

    def _card_line(self) -> str:
        scores = self.program.card.get("scores")
        return scores["verdict"] + "." if scores else "which was never scored."

    def _neighbours(self, explanation: Explanation) -> Section:
        cards = []
        for near in explanation.neighbours:
            lines = [near.label, f"alike {near.similarity:.3f}", Path(near.path).name + near.span]
            try:
                seen = next(islice(self.training_input.windows(Path(near.path)), near.number, None))[2]
                image = [as_picture(seen, f"training picture of {near.label}")]
            except (ConversionError, StopIteration) as error:
                reason = getattr(error, "reason", "the file has changed")
                image, lines = [], [*lines, f"cannot be shown: {reason}"]
            cards.append((image, lines))
        told = (
            "The training pictures that the network finds most alike (cosine similarity of what its last layer sees, at most 1). "
            "If they are nothing like this one, it has not seen such a picture before, however sure it is."
        )
        return Section("What it is like", [Text(told), Gallery(cards)])

    def _averages(self, explanation: Explanation, index: EmbeddingIndex) -> Section:
        nearest = list(explanation.distances)[:5]
        averages = index.averages
        cards = [
            (
                [as_picture(averages[self.classes.index(label)], f"the average of {label}")],
                [label, f"{explanation.distances[label]:.3f}"],
            )
            for label in nearest
        ]
        agrees = "says the same" if nearest[0] == explanation.prediction.label else f"would say {nearest[0]}"
        told = (
            f"The simplest method, which calls a picture by the class average it is nearest to, {agrees}. Below each average is "
            "how far this picture is from it (root mean square over small pixels, 0 to 1)."
        )
        return Section("The nearest class average", [Text(told), Gallery(cards)])


def _items(run: Path, index: EmbeddingIndex) -> pd.DataFrame:
    """The items that the rows of `index` are among: path, label, start and stop of a window, and its number within its file."""
    try:
        items = pd.read_csv(run / "items.csv", dtype=str, keep_default_na=False)
        items = items[[name for name in ("path", "label", "start", "stop") if name in items]]
        items["number"] = items.groupby("path").cumcount()
        return items.iloc[: index.rows.max() + 1]
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{run}: its items.csv cannot be read ({error}): run it again") from error


def _span(times: Sequence[Any]) -> str:
    """From when to when, as it stands behind a file's name; nothing where there are no times."""
    return f" {float(times[0]):.2f}-{float(times[1]):.2f} s" if times else ""


def _printable(name: object) -> str:
    """A name as text: a file system may hold names that are none."""
    return str(name).encode("utf-8", "backslashreplace").decode("utf-8")
