"""What a recogniser of pictures, or of what becomes pictures, is exported as."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from toolkit.data.images.window_reader import file_of
from toolkit.errors import ConversionError, ExportError
from toolkit.evaluation.images.scores import predictions
from toolkit.export.onnx import onnx_bytes
from toolkit.export.parity import TOLERANCE
from toolkit.learning.images.loaders import image_input_of, normalization_of
from toolkit.learning.images.networks import Stats
from toolkit.program.archive import MODEL
from toolkit.program.images.inputs import ImageInput, to_png
from toolkit.program.images.program import ImageProgram

if TYPE_CHECKING:
    from fastai.learner import Learner

NEEDS = ("numpy", "pillow", "onnxruntime")
GOLDEN_BYTES = 256 * 1024  # a larger picture is shrunk before it becomes a golden input
MOST_GOLDEN_BYTES = 2 * 1024 * 1024  # a larger file of another kind does not become one


class ImageExport:
    """A learner of pictures as the parts of a program: `input`, and `output` as the card describes it; what it needs installed,
    and what else the card describes."""

    def __init__(self, learn: Learner) -> None:
        test = learn.dls[2]
        self.input = image_input_of(learn.dls)
        self.classes = [str(label) for label in learn.dls.vocab]
        self.output = {"kind": "classes", "classes": self.classes}
        self.needs = [*NEEDS, *self.input.needs]
        self.described: dict[str, Any] = {}
        self.probabilities, _ = predictions(learn, test)
        self.files = [file_of(item) for item in test.dataset.items]
        self.paths = list(dict.fromkeys(self.files))
        self.deployed = deployed(learn)

    def members(self) -> dict[str, bytes]:
        """The network as ONNX, float32, any batch size."""
        example = torch.zeros((2, *self.input.size, 3), dtype=torch.uint8)
        return {MODEL: onnx_bytes(self.deployed, {"input": example}, dynamic={0: torch.export.Dim("batch")})}

    def golden(self, count: int, path: Path | str) -> list[dict[str, Any]]:
        """A few test items spread over the set: raw file, prepared pixels and the network's answer for each."""
        found = _golden(self.deployed, self.input, paths=self.paths, classes=self.classes, count=count)
        if count and not found:
            large = f"the test files are larger than {MOST_GOLDEN_BYTES // 2**20} MB each"
            warnings.warn(f"{path}: no golden inputs for --selftest: {large}", stacklevel=3)
        return found

    def check(self, program: ImageProgram) -> None:
        """Replay every held-out item: a probability off by more than 1e-4, or another label (unless its two highest lie within
        1e-4), raises `ExportError`."""
        _gate(program, self.paths, files=self.files, probabilities=self.probabilities)


class Deployed(nn.Module):
    """uint8 (batch, height, width, 3) -> probabilities (batch, classes, …): the network with all that stands around it."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, model: nn.Module, stats: Stats) -> None:
        super().__init__()
        self.model = model
        for name, values in zip(("mean", "std"), stats, strict=True):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels.permute(0, 3, 1, 2).float() / 255
        scores: torch.Tensor = self.model((x - self.mean) / self.std)
        return scores.softmax(dim=1)


def deployed(learn: Learner) -> Deployed:
    """A copy of the network on the CPU, in float32, fit for export."""
    return Deployed(copy.deepcopy(learn.model), normalization_of(learn.dls)).to("cpu", torch.float32).eval()


def _golden(
    deployed: Deployed, image_input: ImageInput, *, paths: list[Path], classes: list[str], count: int
) -> list[dict[str, Any]]:
    """A few test items spread over the set: raw file, prepared pixels and the network's answer for each."""
    chosen: list[dict[str, Any]] = []
    if image_input.converter is not None:  # what it reads cannot be made smaller
        paths = [path for path in paths if path.stat().st_size <= MOST_GOLDEN_BYTES]
    for row in np.linspace(0, len(paths) - 1, min(count, len(paths))).round().astype(int):
        raw, suffix = paths[row].read_bytes(), paths[row].suffix.lower()
        if len(raw) > GOLDEN_BYTES and image_input.converter is None:
            image = image_input.read(paths[row])
            image.thumbnail((4 * image_input.size[1], 4 * image_input.size[0]))
            raw, suffix = to_png(image), ".png"
        _, _, prepared = next(image_input.windows(raw))
        with torch.no_grad():
            answer = deployed(torch.from_numpy(prepared.copy())[None])[0]
        item, pixels = f"golden/{len(chosen)}{suffix}", f"golden/{len(chosen)}.prepared.png"
        members = {item: raw, pixels: to_png(Image.fromarray(prepared))}
        label = classes[int(answer.argmax())]
        chosen.append({"item": item, "prepared": pixels, "label": label, "output": answer.tolist(), "members": members})
    return chosen


def _gate(program: ImageProgram, paths: list[Path], *, files: list[Path], probabilities: np.ndarray) -> None:
    """Replay every held-out item from its raw file, window by window; raise `ExportError` at the first real difference.

    `paths` are the files, each once; `files` has the one that each row of `probabilities` was read from.
    """
    rows_of: dict[Path, list[int]] = {path: [] for path in paths}
    for row, file in enumerate(files):
        rows_of[file].append(row)
    for path, answers in zip(paths, _replayed(program, paths), strict=True):
        if len(answers) != len(rows_of[path]):
            raise ExportError(f"{path}: the program sees {len(answers)} windows, the learner {len(rows_of[path])}")
        for found, expected in zip(answers, probabilities[rows_of[path]], strict=True):
            _compare(found, expected, path=path, classes=program.output.classes)


def _replayed(program: ImageProgram, paths: list[Path], *, at_once: int = 16) -> Iterator[list[np.ndarray]]:
    """The program's probabilities for each file, a list of one for each of its windows."""
    try:
        if program.input.windowed:
            yield from ([answer for _, _, answer in program.windows(path)] for path in paths)
            return
        for start in range(0, len(paths), at_once):
            images = [program.input.prepare(path) for path in paths[start : start + at_once]]
            yield from ([answer] for answer in program.run(np.stack(images)))
    except ConversionError as error:
        raise ExportError(f"the program cannot read {error}") from error


def _compare(found: np.ndarray, expected: np.ndarray, *, path: Path, classes: tuple[str, ...]) -> None:
    apart = float(np.abs(found - expected).max())
    second, first = np.sort(expected)[-2:]
    if not apart <= TOLERANCE:
        raise ExportError(f"{path}: the program's probabilities are {apart:.1e} off the learner's (allowed: {TOLERANCE:.0e})")
    if found.argmax() != expected.argmax() and first - second > TOLERANCE:
        raise ExportError(f"{path}: the program says {classes[int(found.argmax())]}, the learner does not")
