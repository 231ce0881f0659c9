"""Learner -> `program.pyz`: one file that runs without fastai and gives the learner's answers, or no file at all.

It is a file of its own because this is the one place that knows both sides: torch's network and the runtime's format.
"""

from __future__ import annotations

import copy
import hashlib
import io
import json
import logging
import tempfile
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import nn

import toolkit
from toolkit.data.windows import file_of
from toolkit.errors import ConversionError, ExportError
from toolkit.evaluation.evaluate import predictions
from toolkit.evaluation.scores import Scores
from toolkit.files import replacing
from toolkit.learning.loaders import image_input_of, normalization_of
from toolkit.learning.runs import versions
from toolkit.program import Program, load
from toolkit.program.archive import CARD, FORMAT, MODEL, card_digest
from toolkit.program.inputs import ImageInput, to_png

if TYPE_CHECKING:
    from fastai.learner import Learner

TOLERANCE = 1e-4  # of a probability
RUNTIME = ("__init__.py", "errors.py", "needs.py", "converters/*.py", "program/*.py")
NOT_RUNTIME = {"converters/__main__.py", "converters/settings.py", "converters/show.py"}  # for people who train
NEEDS = ("numpy", "pillow", "onnxruntime")
GOLDEN_BYTES = 256 * 1024  # a larger picture is shrunk before it becomes a golden input
MOST_GOLDEN_BYTES = 2 * 1024 * 1024  # a larger file of another kind does not become one

MAIN = '''"""The program's entry: checks what is needed, then hands over to the runtime beside it."""
import json
import os
import sys
import zipfile

if sys.version_info < (3, 11):
    sys.exit("this program needs Python 3.11 or newer; this is Python " + sys.version.split()[0])

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    from toolkit.needs import missing

    try:
        with zipfile.ZipFile(HERE) as archive:
            needs = json.loads(archive.read("program.json"))["needs"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        sys.exit(f"error: {HERE}: truncated or altered ({error}): copy it again")
    absent = missing(needs)
    if absent:
        sys.exit(f"this program needs {', '.join(absent)}: pip install {' '.join(absent)}")
    from toolkit.program.cli import main as run

    return run(HERE)


if __name__ == "__main__":
    sys.exit(main())
'''


def export(learn: Learner, path: Path | str, scores: Scores | None = None, name: str = "", golden: int = 3) -> Program:
    """Write `learn` as a program to `path` and return it, loaded.

    Normalisation and softmax are inside its graph. Before the file is moved into place, every held-out item is replayed
    from its raw file through both: a probability off by more than 1e-4, or another label (unless its two highest lie
    within 1e-4), raises `ExportError` and leaves what was at `path`. `scores` becomes the score card. `golden` items
    of the test set, as raw files with the answers, travel inside for the self-test; 0 for none, where
    the pictures are private.
    """
    image_input = image_input_of(learn.dls)
    classes = [str(label) for label in learn.dls.vocab]
    test = learn.dls[2]
    probabilities, _ = predictions(learn, test)
    items = list(test.dataset.items)
    paths = list(dict.fromkeys(file_of(item) for item in items))
    deployed = _deployed(learn)
    members = {MODEL: _onnx(deployed, image_input)}
    goldens = _golden(deployed, image_input, paths, classes, golden)
    if golden and not goldens:
        large = f"the test files are larger than {MOST_GOLDEN_BYTES // 2**20} MB each"
        warnings.warn(f"{path}: no golden inputs for --selftest: {large}", stacklevel=2)
    for item in goldens:
        members.update(item.pop("members"))
    card = {
        "format": FORMAT,
        "task": getattr(learn, "about", {}).get("task", "image_classification"),
        "name": name or Path(path).stem,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "input": image_input.card(),
        "output": {"kind": "classes", "classes": classes},
        "needs": [*NEEDS, *image_input.needs],
        "scores": scores.card() if scores else None,
        "versions": versions(),
        "golden": goldens,
        "sha256": {member: hashlib.sha256(data).hexdigest() for member, data in members.items()},
    }
    card["digest"] = card_digest(card)
    with replacing(path) as temporary:
        _write(temporary, card, members)
        program = load(temporary, image_input.converter)
        _gate(program, paths, [file_of(item) for item in items], probabilities)
        temporary.chmod(0o755)
    return load(path, image_input.converter)


class _Deployed(nn.Module):
    """uint8 (batch, height, width, 3) -> probabilities (batch, classes): the network with all that stands around it."""

    def __init__(self, model: nn.Module, mean: tuple, std: tuple) -> None:
        super().__init__()
        self.model = model
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = pixels.permute(0, 3, 1, 2).float() / 255
        return self.model((x - self.mean) / self.std).softmax(dim=1)


def _deployed(learn: Learner) -> _Deployed:
    """A copy of the network on the CPU, in float32, fit for export."""
    mean, std = normalization_of(learn.dls)
    return _Deployed(copy.deepcopy(learn.model), mean, std).to("cpu", torch.float32).eval()


def _onnx(deployed: _Deployed, image_input: ImageInput) -> bytes:
    """The network as ONNX bytes, float32, any batch size."""
    example = torch.zeros((2, *image_input.size, 3), dtype=torch.uint8)
    batches = ({0: torch.export.Dim("batch")},)
    try:
        with tempfile.TemporaryDirectory() as folder, _quiet():
            file = Path(folder) / MODEL
            torch.onnx.export(
                deployed, (example,), file, dynamo=True, external_data=False, dynamic_shapes=batches,
                input_names=["input"], output_names=["output"], verbose=False,
            )  # fmt: skip
            return file.read_bytes()
    except Exception as error:  # the exporter raises whatever its many passes raise
        raise ExportError(f"this network does not become ONNX ({type(error).__name__}: {error})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's progress and advice for the time of the block."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _golden(deployed: _Deployed, image_input: ImageInput, paths: list[Path], classes: list[str], count: int) -> list[dict]:
    """A few test items spread over the set: raw file, prepared pixels and the network's answer for each."""
    chosen = []
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


def _gate(program: Program, paths: list[Path], files: list[Path], probabilities: np.ndarray) -> None:
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
            _compare(path, found, expected, program.output.classes)


def _replayed(program: Program, paths: list[Path], at_once: int = 16) -> Iterator[list[np.ndarray]]:
    """The program's probabilities for each file, a list of one for each of its windows."""
    try:
        if program.input.windowed:
            yield from ([answer for _, _, answer in program.windows(path)] for path in paths)
            return
        for start in range(0, len(paths), at_once):
            pictures = [program.input.prepare(path) for path in paths[start : start + at_once]]
            yield from ([answer] for answer in program.run(np.stack(pictures)))
    except ConversionError as error:
        raise ExportError(f"the program cannot read {error}") from error


def _compare(path: Path, found: np.ndarray, expected: np.ndarray, classes: tuple[str, ...]) -> None:
    apart = float(np.abs(found - expected).max())
    second, first = np.sort(expected)[-2:]
    if not apart <= TOLERANCE:
        raise ExportError(f"{path}: the program's probabilities are {apart:.1e} off the learner's (allowed: {TOLERANCE:.0e})")
    if found.argmax() != expected.argmax() and first - second > TOLERANCE:
        raise ExportError(f"{path}: the program says {classes[int(found.argmax())]}, the learner does not")


def _write(path: Path, card: dict, members: dict[str, bytes]) -> None:
    """A zipapp of stored members behind a #! line."""
    root = Path(toolkit.__file__).parent
    found = {file for pattern in RUNTIME for file in root.glob(pattern)}
    sources = sorted(file for file in found if file.relative_to(root).as_posix() not in NOT_RUNTIME)
    with open(path, "wb") as stream:
        stream.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("__main__.py", MAIN)
            for file in sources:
                archive.writestr(f"toolkit/{file.relative_to(root).as_posix()}", file.read_bytes())
            for member, data in members.items():
                archive.writestr(member, data)
            archive.writestr(CARD, json.dumps(card, ensure_ascii=False, indent=1))
