"""What a learner of tables is exported as: a network, trees beside it where they were asked for, and how a row is read.

Rows have guardrails: whatever a cell holds, program and learner have to say the same.
"""

from __future__ import annotations

import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from toolkit.data.tabular.labelled import LabelledTabular
from toolkit.errors import ExportError
from toolkit.evaluation.tabular.scores import network_answer, program_answer, tabular_answers
from toolkit.export.onnx import onnx_bytes
from toolkit.export.parity import TOLERANCE
from toolkit.export.tabular.trees import trees_onnx
from toolkit.learning.tabular.deployed import deployed
from toolkit.program.archive import MODEL
from toolkit.program.cells import is_missing, python_value
from toolkit.program.outputs import ClassOutput
from toolkit.program.tabular.columns import CategoryColumn, NumberColumn
from toolkit.program.tabular.inputs import Prepared
from toolkit.program.tabular.program import TREES, TabularProgram

if TYPE_CHECKING:
    from fastai.learner import Learner

ONE_BY_ONE = 200  # test rows that are also replayed singly
NETWORK, BOOSTED = "network", "trees"


class TabularExport:
    """A learner of tables as the parts of a program: `input`, and `output` as the card describes it."""

    def __init__(self, learn: Learner) -> None:
        self.labelled: LabelledTabular = learn.dls.labelled
        self.input = self.labelled.tabular_input
        trees = getattr(learn, "trees", None)
        self.trees = trees if trees and trees.weight else None
        weight = {"trees": self.trees.weight} if self.trees else {}
        classes = list(self.labelled.classes)
        name = self.labelled.target.name
        self.output = {"kind": "classes", "classes": classes, **weight} if classes else {"kind": "value", "name": name, **weight}
        self.needs = ["numpy", "onnxruntime"]
        self.described = {"target": name, "schema": self.input.schema()}
        self.network, self.answer = network_answer(learn), program_answer(learn)
        network = deployed(copy.deepcopy(learn.model).to("cpu", torch.float32).eval())
        self.deployed = _Answering(network, bool(classes)).eval()
        self.answers = tabular_answers(learn)
        self.rows = self.labelled.rows_of("test")
        # a value is as exact as the spread of what is learnt from
        self.allowed = TOLERANCE if classes else TOLERANCE * max(1e-12, float(np.std(self.labelled.targets, dtype=np.float64)))

    def members(self) -> dict[str, bytes]:
        """The network as ONNX, float32, any number of rows, and the trees."""
        codes = torch.zeros((2, len(self.input.categories)), dtype=torch.int64)
        numbers = torch.zeros((2, len(self.input.features)))
        network = onnx_bytes(self.deployed, {"codes": codes, "numbers": numbers}, dynamic={0: torch.export.Dim("batch", min=1)})
        return {MODEL: network, **({TREES: trees_onnx(self.trees)} if self.trees else {})}

    def golden(self, count: int, path: object) -> list[dict[str, Any]]:
        """A few test rows: cells, codes, numbers and the answer for each."""
        chosen = []
        for place in np.linspace(0, len(self.rows) - 1, min(max(0, count), len(self.rows))).round().astype(int):
            row = self.rows[place]
            cells = {name: _as_json(self.labelled.frame[name].iloc[row]) for name in self.input.names}
            prepared = self.input.prepare({name: [cell] for name, cell in cells.items()}, self.labelled.text)
            answer = self.answer(prepared.codes, prepared.numbers)[0]
            chosen.append(
                {
                    "row": cells,
                    "text": self.labelled.text,
                    "codes": prepared.codes[0].tolist(),
                    "numbers": prepared.numbers[0].astype(float).tolist(),
                    "output": answer.astype(float).tolist(),
                }
            )
        return chosen

    def check(self, program: TabularProgram) -> None:
        """Replay every held-out row from its cells, some also singly, and rows on which each guardrail acts. Of the network and
        of the trees alike, a probability off by more than 1e-4, another label (unless the two highest lie within 1e-4), or a
        value off by more than 1e-4 of the values' spread raises `ExportError`."""
        cells = {name: self.labelled.frame[name].iloc[self.rows] for name in self.input.names}
        prepared = program.input.prepare(cells, self.labelled.text)
        parts = (NETWORK, BOOSTED) if self.trees else (NETWORK,)
        self._compare(program, prepared, expected={name: self.answers[name] for name in parts})
        for row in self.rows[:: max(1, len(self.rows) // ONE_BY_ONE)].tolist():
            one = {name: column.loc[row] for name, column in cells.items()}
            several = program.input.prepare({name: [cell] for name, cell in one.items()})
            single = program.input.prepare_row(one)
            if not (np.array_equal(single.codes, several.codes) and np.array_equal(single.numbers, several.numbers)):
                raise ExportError(f"row {self.labelled.table.row[row]}: read by itself it is another row than among others")
        odd = program.input.prepare(self._odd_cells())
        expected = {NETWORK: self.network(odd.codes, odd.numbers)}
        if self.trees:
            expected[BOOSTED] = self.trees.predict(odd.codes, odd.numbers)
        self._compare(program, odd, expected=expected)

    def _compare(self, program: TabularProgram, rows: Prepared, *, expected: dict[str, np.ndarray]) -> None:
        runs = {NETWORK: program.run_network, BOOSTED: program.run_trees}
        for part, answers in expected.items():
            found = runs[part](rows.codes, rows.numbers)
            apart = np.abs(found - answers).max(axis=1)
            worst = int(apart.argmax())
            if not apart[worst] <= self.allowed:
                raise ExportError(
                    f"the program's {part} would be {apart[worst]:.1e} off the learner's for a row (allowed: {self.allowed:.0e})"
                )
            if isinstance(program.output, ClassOutput):
                second, first = np.sort(answers, axis=1)[:, -2:].T
                if ((found.argmax(axis=1) != answers.argmax(axis=1)) & (first - second > TOLERANCE)).any():
                    raise ExportError(f"the program's {part} would call a row otherwise than the learner's")

    def _odd_cells(self) -> dict[str, list[object]]:
        """Rows that no column met in training: nothing at all, what was never seen, too large or too small by far, infinite."""
        cells: dict[str, list[object]] = {}
        for column in self.input.columns:
            if isinstance(column, CategoryColumn):
                cells[column.name] = [None, "\0never seen", 10**9, "", f" {column.values[0]} "]
            elif isinstance(column, NumberColumn):
                cells[column.name] = [None, "no number", 1e300, -1e300, float("inf")]
            else:
                cells[column.name] = [None, "no date", datetime(9999, 1, 1), datetime(1, 1, 1), ""]
        return cells


class _Answering(nn.Module):
    """Codes and numbers -> probabilities (n, classes), or values (n, 1)."""

    def __init__(self, model: nn.Module, classes: bool) -> None:
        super().__init__()
        self.model, self.classes = model, classes

    def forward(self, codes: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        answer = self.model(codes, numbers)
        return answer.softmax(dim=1) if self.classes else answer


def _as_json(cell: object) -> object:
    """A cell as JSON has it; a date in ISO form."""
    cell = python_value(cell)
    if is_missing(cell) and not isinstance(cell, str):
        return None
    if isinstance(cell, (str, bool, int)):
        return cell
    if isinstance(cell, float):
        return cell if np.isfinite(cell) else str(cell)
    isoformat = getattr(cell, "isoformat", None)
    return str(cell) if isoformat is None else isoformat()
