"""A torch network as ONNX bytes, or an error that says why not: torch's exporter talks, warns and raises as its many passes
please, and writes down on whose machine it ran."""

from __future__ import annotations

import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import onnx
import torch
from torch import nn

from toolkit.errors import ExportError
from toolkit.program.archive import MODEL


def onnx_bytes(network: nn.Module, examples: dict[str, torch.Tensor], *, dynamic: dict[int, object]) -> bytes:
    """`network` as ONNX, its inputs named as in `examples` and its output "output". `dynamic` maps the axes of the inputs that
    may have any length to torch's `Dim`s. Raises `ExportError`."""
    try:
        with tempfile.TemporaryDirectory() as folder, _quiet():
            file = Path(folder) / MODEL
            torch.onnx.export(
                network, tuple(examples.values()), file, dynamo=True, external_data=False,
                dynamic_shapes=(dynamic,) * len(examples), input_names=list(examples), output_names=["output"], verbose=False,
            )  # fmt: skip
            return _without_origin(file.read_bytes())
    except Exception as error:  # the exporter raises whatever its many passes raise
        raise ExportError(f"this network does not become ONNX ({type(error).__name__}: {error})") from error


def _without_origin(written: bytes) -> bytes:
    """The model without what the exporter notes of each node: the stack of calls it comes from, with the paths of their files."""
    model = onnx.load_from_string(written)
    noted = [model, model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer, *model.functions]
    noted += [node for function in model.functions for node in function.node]
    for each in [*noted, *model.graph.input, *model.graph.output]:
        each.ClearField("doc_string")
        each.ClearField("metadata_props")
    return model.SerializeToString()


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
