"""A loaded program that predicts from the rows of a table: a row in, a prediction and notes out.

Rows come by the million and one by one: both ways are quick, and read a cell alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.errors import ConversionError, ProgramError
from toolkit.program.archive import Archive
from toolkit.program.cells import quoted
from toolkit.program.outputs import ClassOutput, Estimate, Prediction, ValueOutput
from toolkit.program.session import session_of
from toolkit.program.tabular.inputs import Prepared, TabularInput

if TYPE_CHECKING:
    from toolkit.program.tabular.shapley import Reason

OUTPUTS: dict[str, type[ClassOutput] | type[ValueOutput]] = {"classes": ClassOutput, "value": ValueOutput}
TREES = "trees.onnx"
CHUNK = 4096  # rows at a time


class TabularProgram:
    """A trained model of tables whose weights are fixed. Made by `load`; safe to share between threads.

    `card` is what program.json says. `input` prepares rows, `output` reads the model's answers. `trees` is the weight of the
    gradient-boosted trees in the answer, 0 where there are none.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive, self.card = archive, archive.card
        try:
            self.input = TabularInput.from_card(self.card["input"])
            self.output = OUTPUTS[self.card["output"]["kind"]].from_card(self.card["output"])
            self.trees = float(self.card["output"].get("trees", 0.0))
        except (KeyError, TypeError, ValueError) as error:
            raise ProgramError(f"{archive.path}: its program.json lacks or garbles {error}: export it again") from error
        self._network = session_of(archive)
        self._trees = session_of(archive, TREES) if self.trees else None
        taken = {each.name: each.shape[1:] for each in self._network.get_inputs()}
        wanted = {"codes": [len(self.input.categories)], "numbers": [len(self.input.features)]}
        given = self._network.get_outputs()[0].shape[1:]
        answers = [len(self.output.classes) if isinstance(self.output, ClassOutput) else 1]
        if any(taken[name] != wanted.get(name) for name in taken) or given != answers:
            raise ProgramError(
                f"{archive.path}: its model takes {taken} and gives {given}, its program.json says {wanted} and {answers}: "
                "export it again"
            )
        self._takes = [tuple(each.name for each in session.get_inputs()) for session in (self._network, self._trees) if session]

    def predict(self, row: Mapping[Any, object]) -> Prediction | Estimate:
        """Predict one row: a mapping of column names to cells, such as a dict or a row of a DataFrame.

        A cell that is missing, or unlike any in training, is answered too, and the prediction's `notes` say what was done.
        Raises `ConversionError` for what is no row, or has none of the columns.
        """
        prepared = self._prepare(row)
        return self.output.one(self.run(prepared.codes, prepared.numbers)[0], prepared.notes[0])

    def predict_many(
        self, rows: Iterable[Mapping[Any, object]], *, batch_size: int = CHUNK, strict: bool = False
    ) -> Iterator[Prediction | Estimate | ConversionError]:
        """Predict any number of rows in constant memory, one result for each, in order; a pandas DataFrame is taken by its
        columns.

        The result for what is no row is its `ConversionError`, not raised; with `strict` it is raised. A DataFrame of which no
        column is ours, or two have one name, raises it anyway.
        """
        if batch_size < 1:
            raise ProgramError(f"batch_size {batch_size}: expected a whole number from 1")
        if hasattr(rows, "columns"):
            yield from self._of_frame(rows, batch_size)
            return
        stream = iter(rows)
        while batch := list(islice(stream, batch_size)):
            prepared = [self._tried(row, strict) for row in batch]
            good = [each for each in prepared if isinstance(each, Prepared)]
            answers = self._answers(_joined(good)) if good else iter(())
            for each in prepared:
                yield next(answers) if isinstance(each, Prepared) else each

    def run(self, codes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The bare model: `codes` and `numbers` of prepared rows in; probabilities (rows, classes) or values (rows, 1) out."""
        answer = self.run_network(codes, numbers)
        if self._trees is None:
            return answer
        return (1 - self.trees) * answer + self.trees * self.run_trees(codes, numbers)

    def run_network(self, codes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The answer of the network alone."""
        return _run(self._network, self._takes[0], codes=codes, numbers=numbers)

    def run_trees(self, codes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        """The answer of the trees alone; for programs that have some."""
        return _run(self._trees, self._takes[1], codes=codes, numbers=numbers)

    def why(self, row: Mapping[Any, object]) -> list[Reason]:
        """Which columns moved the answer for a row away from that for a typical one, the strongest first; see
        `shapley_values`. Raises `ConversionError` as `predict`."""
        self._prepare(row)
        from toolkit.program.tabular.shapley import shapley_values  # here: it is seldom asked

        return shapley_values(self.input, self.run, row=row)

    def _of_frame(self, frame: Any, batch_size: int) -> Iterator[Prediction | Estimate]:
        if not frame.columns.is_unique:
            twice = quoted(frame.columns[frame.columns.duplicated()][0])
            raise ConversionError("the table", f"two of its columns are called {twice}: rename one")
        for start in range(0, len(frame), batch_size):
            part = frame.iloc[start : start + batch_size]
            yield from self._answers(self.input.prepare({name: part[name] for name in part.columns}))

    def _prepare(self, row: Mapping[Any, object]) -> Prepared:
        expected = "expected one row: a mapping of column names to cells, such as a dict"
        if hasattr(row, "columns"):
            raise ConversionError(type(row).__name__, f"{expected}; predict_many takes tables")
        try:
            return self.input.prepare_row(row)
        except (TypeError, AttributeError, KeyError) as error:
            if isinstance(row, Mapping):
                raise
            raise ConversionError(type(row).__name__, expected) from error

    def _tried(self, row: Mapping[Any, object], strict: bool) -> Prepared | ConversionError:
        try:
            return self._prepare(row)
        except ConversionError as error:
            if strict:
                raise
            return error

    def _answers(self, prepared: Prepared) -> Iterator[Prediction | Estimate]:
        answers = self.run(prepared.codes, prepared.numbers)
        for answer, notes in zip(answers, prepared.notes, strict=True):
            yield self.output.one(answer, notes)


def _run(session: Any, takes: tuple[str, ...], *, codes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    given = {"codes": codes, "numbers": numbers}
    return session.run(None, given if len(takes) == 2 else {takes[0]: given[takes[0]]})[0]


def _joined(rows: list[Prepared]) -> Prepared:
    return Prepared(
        np.concatenate([row.codes for row in rows]),
        np.concatenate([row.numbers for row in rows]),
        [row.notes[0] for row in rows],
    )
