"""What a learner of texts is exported as."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from toolkit.errors import ExportError
from toolkit.export.onnx import onnx_bytes
from toolkit.export.parity import TOLERANCE
from toolkit.program.archive import MODEL
from toolkit.program.texts.program import TextProgram

if TYPE_CHECKING:
    from fastai.learner import Learner


class TextExport:
    """A learner of texts as the parts of a program."""

    def __init__(self, learn: Learner) -> None:
        self.labelled = learn.dls.labelled
        self.network = nn.Sequential(copy.deepcopy(learn.model).cpu(), nn.Softmax(dim=1)).eval()
        self.input = self.labelled.text_input
        self.output = {"kind": "classes", "classes": list(self.labelled.classes)}
        self.needs, self.described = ["numpy", "onnxruntime"], {}
        self.texts = self.labelled.table.text.iloc[self.labelled.rows_of("test")].tolist()

    def members(self) -> dict[str, bytes]:
        """The network as ONNX."""
        example = torch.zeros(2, len(self.input.letters))
        return {MODEL: onnx_bytes(self.network, {"input": example}, dynamic={0: torch.export.Dim("batch")})}

    def golden(self, count: int, path: object) -> list[dict[str, Any]]:
        """Test texts with their answers."""
        return [{"text": text, "output": self._answer(text).tolist()} for text in self.texts[:count]]

    def check(self, program: TextProgram) -> None:
        """Replay the test's texts through both."""
        for text in self.texts:
            if np.abs(program.run(program.input.prepare(text)) - self._answer(text)).max() > TOLERANCE:
                raise ExportError(f"{text!r} is answered otherwise than by the learner")

    def _answer(self, text: str) -> np.ndarray:
        with torch.inference_mode():
            return self.network(torch.from_numpy(self.input.prepare(text))[None])[0].numpy()
