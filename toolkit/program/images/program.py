"""A loaded program that sees pictures, or what becomes pictures: raw item in, prediction out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np

from toolkit.converters.base import Converter
from toolkit.errors import ConversionError, ProgramError
from toolkit.program.archive import Archive
from toolkit.program.images.inputs import ImageInput, Item
from toolkit.program.outputs import ClassOutput, Prediction
from toolkit.program.session import session_of


class ImageProgram:
    """A trained model whose weights are fixed. Made by `load`; safe to share between threads.

    `card` is what program.json says: task, classes, score card, versions. `input` prepares items, `output` reads the
    model's answers.
    """

    def __init__(self, archive: Archive, converter: Converter | None = None) -> None:
        self.archive, self.card = archive, archive.card
        try:
            self.input, self.output = self._described(converter)
        except (KeyError, TypeError, ValueError) as error:
            raise ProgramError(f"{archive.path}: its program.json lacks or garbles {error}: export it again") from error
        self._session = session_of(archive)
        (taken, given) = (self._session.get_inputs()[0].shape, self._session.get_outputs()[0].shape)
        fits = [known is None or side == known for side, known in zip(taken[1:], self.input.shape, strict=False)]
        if len(taken) != 4 or not all(fits) or given[1] != len(set(self.output.classes)):
            raise ProgramError(
                f"{archive.path}: its model takes {taken} and gives {given}, its program.json says {self.input.shape} and "
                f"{len(self.output.classes)} classes: export it again"
            )

    def _described(self, converter: Converter | None) -> tuple[ImageInput, ClassOutput]:
        if self.card["output"]["kind"] != "classes":
            raise ValueError(f"the kind of its output ({self.card['output']['kind']!r})")
        return ImageInput.from_card(self.card["input"], converter), ClassOutput.from_card(self.card["output"])

    def predict(self, item: Item) -> Prediction:
        """Predict one item: a path, the bytes of a file, a PIL image or an array.

        A long item, where the program looks at windows, is streamed; its prediction has a `timeline`.
        Raises `ConversionError` for an item that cannot be read.
        """
        if not self.input.windowed:
            return self.output.read(self.run(self.input.prepare(item)[None]))[0]
        spans, answers = [], []
        for start, stop, probabilities in self.windows(item):
            spans.append((start, stop))
            answers.append(probabilities)
        return self.output.over_time(spans, np.stack(answers))

    def windows(self, item: Item, batch_size: int = 16) -> Iterator[tuple[float, float, np.ndarray]]:
        """Yield (start, stop, probabilities of the classes) for each window of an item, as it is read, in constant memory.

        Raises `ConversionError` for an item that cannot be read, also midway.
        """
        stream = self.input.windows(item)
        while batch := list(islice(stream, batch_size)):
            starts, stops, prepared = zip(*batch, strict=True)
            yield from zip(starts, stops, self.run(np.stack(prepared)), strict=True)

    def predict_many(
        self, items: Iterable[Item], batch_size: int = 16, *, strict: bool = False
    ) -> Iterator[Prediction | ConversionError]:
        """Predict any number of items in constant memory, one result for each, in order.

        The result for an item that cannot be read is its `ConversionError`, not raised, so that one bad file among ten
        thousand stops nothing; with `strict` it is raised.
        """
        if batch_size < 1:
            raise ProgramError(f"batch_size {batch_size}: expected a whole number from 1")
        if self.input.windowed:
            yield from (self._whole(item, strict) for item in items)
            return
        stream = iter(items)
        while batch := list(islice(stream, batch_size)):
            prepared = [self._prepare(item, strict) for item in batch]
            good = [pixels for pixels in prepared if isinstance(pixels, np.ndarray)]
            answers = iter(self.output.read(self.run(np.stack(good))) if good else ())
            for pixels in prepared:
                yield next(answers) if isinstance(pixels, np.ndarray) else pixels

    def run(self, prepared: np.ndarray) -> np.ndarray:
        """The bare model: a batch of prepared items in, its output array out (float32 probabilities)."""
        return self._session.run(None, {"input": prepared})[0]

    def _whole(self, item: Item, strict: bool) -> Prediction | ConversionError:
        try:
            return self.predict(item)
        except ConversionError as error:
            if strict:
                raise
            return error

    def _prepare(self, item: Item, strict: bool) -> np.ndarray | ConversionError:
        try:
            return self.input.prepare(item)
        except ConversionError as error:
            if strict:
                raise
            return error
