"""What a network that answers for each pixel is exported as.

Its program takes pictures of any size: one graph has to serve them all, and is tried on several.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from fastai.layers import ToTensorBase
from fastai.vision.models.unet import DynamicUnet
from PIL import Image
from torch import nn

from toolkit.data.segmentation.labelled import LabelledSegmentation
from toolkit.errors import ConversionError, ExportError
from toolkit.evaluation.segmentation.network import pixel_network
from toolkit.export.images import NEEDS, Deployed
from toolkit.export.onnx import onnx_bytes
from toolkit.export.parity import TOLERANCE
from toolkit.learning.images.loaders import normalization_of
from toolkit.program.archive import MODEL
from toolkit.program.images.inputs import to_png
from toolkit.program.segmentation.inputs import segment
from toolkit.program.segmentation.outputs import MaskOutput
from toolkit.program.segmentation.program import SegmentationProgram

if TYPE_CHECKING:
    from fastai.learner import Learner

SAME_PIXELS = 0.9999  # share of them that have to get the learner's class
MOST_REPLAYED = 100  # test pictures
GOLDEN_SIDE = 320  # pixels: larger pictures are shrunk before they become golden inputs
SIDES = ((1.0, 1.0), (0.51, 1.37), (1.63, 0.77))  # of the usual picture: other sizes and proportions that are tried


class SegmentationExport:
    """A segmentation learner as the parts of a program.

    `input` takes pictures; `output`, `needs` and `described` are what the card says of its output, of the packages it takes and
    besides; `network` is what becomes ONNX.
    """

    def __init__(self, learn: Learner) -> None:
        self.labelled: LabelledSegmentation = learn.dls.labelled
        self.input, class_mapping = self.labelled.segmentation_input, self.labelled.class_mapping
        self.output = MaskOutput(class_mapping.classes, class_mapping.values, class_mapping.colours).card()
        self.needs: list[str] = [*NEEDS, *self.input.needs]
        self.described: dict[str, Any] = {}
        self.run = pixel_network(learn)
        self.network = Deployed(_traceable(learn.model), normalization_of(learn.dls)).to("cpu", torch.float32).eval()
        rows = self.labelled.rows("test")
        self.rows = [rows[place] for place in _spread(len(rows), MOST_REPLAYED)]

    def members(self) -> dict[str, bytes]:
        """The network as ONNX, float32, any number of pictures of any size."""
        # torch fixes sides of 1, and which way the network goes at a test of sizes: fastai's U-Net is shown maps that do not meet
        height, width = (65, 129) if isinstance(self.network.model, DynamicUnet) else (64, 96)
        dims = [torch.export.Dim(name, min=1) for name in ("batch", "height", "width")]
        example = torch.zeros((2, height, width, 3), dtype=torch.uint8)
        return {MODEL: onnx_bytes(self.network, {"input": example}, dynamic=dict(enumerate(dims)))}

    def golden(self, count: int, path: Path | str) -> list[dict[str, Any]]:
        """A few test pictures, in one tile each: raw file, prepared pixels and the learner's mask for each."""
        chosen: list[dict[str, Any]] = []
        for place in _spread(len(self.rows), count):
            picture = self.labelled.picture(self.rows[place])
            picture.thumbnail((GOLDEN_SIDE, GOLDEN_SIDE))
            names = [f"golden/{len(chosen)}{ending}" for ending in (".png", ".prepared.png", ".mask.png")]
            prepared, mask = self.input.prepare(picture), segment(picture, self.run, segmentation_input=self.input)
            members = dict(zip(names, map(to_png, (picture, *map(Image.fromarray, (prepared, mask)))), strict=True))
            chosen.append({"item": names[0], "prepared": names[1], "mask": names[2], "members": members})
        return chosen

    def check(self, program: SegmentationProgram) -> None:
        """Replay up to 100 held-out pictures from their files, and pictures of several other sizes: of each size at least
        0.9999 of the pixels must get the learner's class, and no probability may be off by more than 1e-4. Raises `ExportError`.
        """
        sizes: dict[tuple[int, int], list[int]] = {}
        for name, picture, again in self._replayed(program):
            expected, found = (
                segment(picture, self.run, segmentation_input=self.input),
                segment(again, program.run, segmentation_input=program.input),
            )
            if expected.shape != found.shape:
                raise ExportError(f"{name}: the program's mask is {found.shape}, the learner's {expected.shape}")
            counted = sizes.setdefault(picture.size, [0, 0])
            counted[0] += int((expected == found).sum())
            counted[1] += expected.size
        for (width, height), (same, pixels) in sizes.items():
            if same < SAME_PIXELS * pixels:
                raise ExportError(
                    f"of pictures of {width}x{height} the program gives {100 * same / pixels:.3f} % of the pixels the learner's "
                    f"class (expected: {100 * SAME_PIXELS} %)"
                )
        self._compare_numbers(program)

    def _replayed(self, program: SegmentationProgram) -> Iterator[tuple[str, Image.Image, Image.Image]]:
        """Pictures as the learner reads them, and as the program does."""
        try:
            for row in self.rows:
                path = self.labelled.table.path[row]
                yield str(path), self.labelled.picture(row), program.input.read(path)
        except ConversionError as error:
            raise ExportError(f"the program cannot read {error}") from error
        usual = self.labelled.picture(self.rows[0])
        for wide, high in SIDES:
            other = usual.resize((max(1, round(wide * usual.width)), max(1, round(high * usual.height))))
            yield f"a picture of {other.size}", other, other

    def _compare_numbers(self, program: SegmentationProgram) -> None:
        picture = self.labelled.picture(self.rows[0])
        for wide, high in SIDES:
            size = (max(1, round(wide * picture.width)), max(1, round(high * picture.height)))
            pixels = self.input.prepare(picture.resize(size))[: self.input.tile, : self.input.tile][None]
            apart = float(np.abs(self.run(pixels) - program.run(pixels)).max())
            if not apart <= TOLERANCE:
                raise ExportError(
                    f"for pictures of {pixels.shape[2]}x{pixels.shape[1]} the program's probabilities are {apart:.1e} off the "
                    f"learner's (allowed: {TOLERANCE:.0e})"
                )


def _spread(length: int, count: int) -> list[int]:
    """At most `count` places of a list, evenly spread."""
    return [round(place) for place in np.linspace(0, length - 1, min(max(0, count), length)).tolist()]


def _traceable(model: nn.Module) -> nn.Module:
    """A copy of the network that torch can trace: fastai's U-Net ends in a layer that only changes the tensor's class, and keeps
    what its body saw last."""
    for module in model.modules():
        for hook in getattr(module, "sfs", []):
            hook.stored = None
    copied = copy.deepcopy(model)
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, ToTensorBase):
                setattr(parent, name, nn.Identity())
    return copied
