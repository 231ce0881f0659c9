"""fastai DataLoaders over the rows of a table that were prepared once: train, valid and the held-out test, in that order.

fastai's own draw training rows with replacement, learn categories from the test part, and fail or guess at rows that are unlike
those in training.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd
import torch
from fastai.data.core import DataLoaders
from fastai.data.transforms import Categorize
from fastai.tabular.core import ReadTabBatch, TabDataLoader, TabularPandas, TabularProc
from fastai.tabular.data import TabularDataLoaders
from fastcore.basics import chunked

from toolkit.data.items import PARTS
from toolkit.data.tabular.labelled import LabelledTabular
from toolkit.errors import ConversionError, DataError
from toolkit.program.cells import is_missing, number_of, python_value, text_of
from toolkit.program.tabular.inputs import TabularInput

VALID_BATCH = 8192  # rows at a time where nothing is learnt


class PrepareRows(TabularProc):
    """Rows as they come -> codes and standardised numbers, as the program reads them: what `dls.test_dl` and `learn.predict` use.

    `classes` maps each column of categories to what its codes stand for, as fastai's own `Categorify` does.
    """

    def __init__(self, labelled: LabelledTabular) -> None:
        super().__init__()
        self.tabular_input, self.target = labelled.tabular_input, labelled.target
        self.cats, self.conts = names_in(self.tabular_input, labelled.target.name)
        columns = zip(self.cats, self.tabular_input.categories, strict=True)
        self.classes = {name: ["#na#", "#other#", *column.values] for name, column in columns}

    def encodes(self, to: TabularPandas) -> None:
        to.items = self.frame(to.items)

    def frame(self, rows: pd.DataFrame) -> pd.DataFrame:
        """The rows as the network takes them, with the target where they have it; where every one is empty, they have none."""
        rows = rows.loc[:, ~rows.columns.duplicated()]
        try:
            prepared = self.tabular_input.prepare({name: rows[name] for name in rows.columns})
        except ConversionError as error:
            raise DataError(str(error)) from error
        found = prepared_frame(prepared.codes, prepared.numbers, cats=self.cats, conts=self.conts, index=rows.index)
        name = self.target.name
        if name in rows.columns and not all(is_missing(python_value(cell)) for cell in rows[name]):
            found[name] = [self._target(cell) for cell in rows[name]]
        return found

    def _target(self, cell: object) -> str | float:
        text = text_of(python_value(cell)).strip()
        if text in self.target.classes:
            return text
        value = number_of(text, self.target.decimal)
        meant = next((name for name in self.target.classes if value is not None and number_of(name) == value), None)
        if meant is not None:
            return meant
        if self.target.classes or value is None or not np.isfinite(value):
            expected = f"one of {', '.join(self.target.classes[:20])}" if self.target.classes else "a finite number"
            raise DataError(f"{cell!r} in the target column {self.target.name!r}: expected {expected}")
        return value

    def decodes(self, to: TabularPandas) -> None:
        shown = to.items.copy()
        for name, values in self.classes.items():
            shown[name] = [values[int(code)] for code in shown[name]]
        for name, column in zip(self.conts, self.tabular_input.numeric, strict=False):
            shown[name] = shown[name].astype(float) * column.std + column.mean
        to.items = shown


class ReadRows(ReadTabBatch):
    """Rows -> tensors; those that were held as tensors are so already."""

    def __init__(self, to: TabularPandas, classes: bool) -> None:
        super().__init__(to)
        self.classes = classes

    def encodes(self, to: TabularPandas | list) -> tuple:  # plain types: fasttransform goes by them
        if isinstance(to, list):  # fasttransform makes one of a tuple
            return tuple(to)
        found = [_tensor(to.cats, np.int64), _tensor(to.conts, np.float32)]
        if to.y_names[0] in to.items.columns:
            found.append(_tensor(to.ys, np.int64 if self.classes else np.float32))
        return tuple(found)


def _tensor(frame: pd.DataFrame, kind: type) -> torch.Tensor:
    return torch.from_numpy(frame.to_numpy(dtype=kind, copy=True))


class TabularLoader(TabDataLoader):
    """fastai's loader of tables, which indexes tensors where its dataset holds some. Each training row is seen once an epoch, but
    for one that would be a batch by itself: a batch norm cannot learn from it.

    `hold` gives a dataset its tensors.
    """

    def create_batches(self, samples: Iterable[int]) -> Iterator[tuple[torch.Tensor, ...]]:
        held = vars(self.dataset).get("held")
        if held is None:
            yield from super().create_batches(samples)
            return
        for rows in chunked(samples, self.bs):
            if len(rows) == 1 and self.shuffle and self.n > 1:
                continue
            rows = torch.as_tensor(rows)
            yield tuple(tensor[rows] for tensor in held)


def hold(dataset: TabularPandas, *, codes: np.ndarray, numbers: np.ndarray, targets: np.ndarray) -> None:
    """Give `dataset` its rows as arrays: codes int64 (n, C), numbers float32 (n, F), class numbers or values (n,)."""
    dataset.held = torch.from_numpy(codes), torch.from_numpy(numbers), torch.from_numpy(targets)[:, None]


def tabular_loaders(labelled: LabelledTabular, batch_size: int) -> DataLoaders:
    """Train, valid and test loaders of (codes, numbers, target); the batch is never larger than the training part.

    Everything that is fitted was fitted to training rows, by `labelled_tabular`. The loaders carry `labelled`. Raises `DataError`
    for a batch size below 1.
    """
    if batch_size < 1:
        raise DataError(f"batch_size {batch_size}: expected a whole number from 1")
    prepare = PrepareRows(labelled)
    procs = [prepare, Categorize(vocab=list(labelled.classes), sort=False)] if labelled.classes else [prepare]
    rows = [labelled.rows_of(part) for part in PARTS]

    def part(positions: Sequence[np.ndarray]) -> TabularPandas:
        at = np.concatenate(positions)
        frame = prepared_frame(labelled.codes[at], labelled.numbers[at], cats=prepare.cats, conts=prepare.conts)
        frame[labelled.target.name] = labelled.targets[at]
        return TabularPandas(
            frame, procs, prepare.cats, prepare.conts, labelled.target.name, do_setup=False, reduce_memory=False,
            splits=[list(range(len(positions[0]))), list(range(len(positions[0]), len(at)))],
        )  # fmt: skip

    known = part(rows[:2])
    train = TabularLoader(
        known.train,
        bs=min(batch_size, len(rows[0])),
        shuffle=True,
        drop_last=False,
        after_batch=ReadRows(known.train, bool(labelled.classes)),
    )
    valid = train.new(known.valid, bs=VALID_BATCH, shuffle=False)
    test = valid.new(part([rows[2], rows[2][:0]]).train)
    for loader, positions in zip((train, valid, test), rows, strict=True):
        hold(
            loader.dataset,
            codes=labelled.codes[positions],
            numbers=labelled.numbers[positions],
            targets=labelled.targets[positions],
        )
    dls = TabularDataLoaders(train, valid, test)
    dls.labelled, dls.c = labelled, len(labelled.classes) or 1  # said here: a column may be called c
    dls.vocab = list(labelled.classes)
    return dls


def prepared_frame(
    codes: np.ndarray, numbers: np.ndarray, *, cats: list[str], conts: list[str], index: pd.Index | None = None
) -> pd.DataFrame:
    """Prepared rows as a frame: `codes` (n, C) under the names `cats`, `numbers` (n, F) under `conts`."""
    return pd.concat([pd.DataFrame(codes, index, cats), pd.DataFrame(numbers, index, conts)], axis=1)


def names_in(tabular_input: TabularInput, target: str) -> tuple[list[str], list[str]]:
    """The names of codes and of numbers in a frame: those of the columns, with a stroke behind one that is taken."""
    taken = {target}
    found: list[str] = []
    for name in (*(column.name for column in tabular_input.categories), *tabular_input.features):
        while name in taken:
            name += "'"
        taken.add(name)
        found.append(name)
    return found[: len(tabular_input.categories)], found[len(tabular_input.categories) :]
