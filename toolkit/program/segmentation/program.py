"""A loaded program that answers for each pixel: a photo of any size in, a mask of its size out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from toolkit.converters.base import Converter
from toolkit.converters.images import Source
from toolkit.errors import ConversionError, ProgramError
from toolkit.program.archive import Archive
from toolkit.program.segmentation.inputs import SegmentationInput, segment
from toolkit.program.segmentation.outputs import MaskOutput, Segmentation
from toolkit.program.session import session_of


class SegmentationProgram:
    """A trained segmentation whose weights are fixed. Made by `load`; safe to share between threads.

    `card` is what program.json says. `input` brings pictures to the scale of the model, `output` makes masks of its answers.
    """

    def __init__(self, archive: Archive, converter: Converter | None = None) -> None:
        self.archive, self.card = archive, archive.card
        try:
            self.input, self.output = SegmentationInput.from_card(self.card["input"]), MaskOutput.from_card(self.card["output"])
        except (KeyError, TypeError, ValueError) as error:
            raise ProgramError(f"{archive.path}: its program.json lacks or garbles {error}: export it again") from error
        self._session = session_of(archive)
        (taken, given) = (self._session.get_inputs()[0].shape, self._session.get_outputs()[0].shape)
        if len(taken) != 4 or taken[3] != 3 or given[1] != len(set(self.output.classes)):
            raise ProgramError(
                f"{archive.path}: its model takes {taken} and gives {given}, its program.json says {self.input.shape} and "
                f"{len(self.output.classes)} classes: export it again"
            )

    def predict(self, item: Source) -> Segmentation:
        """Segment one picture: a path, the bytes of a file, a PIL image or an array. The mask is of its own size.

        Raises `ConversionError` for an item that cannot be read.
        """
        return self.output.read(segment(self.input.read(item), self.run, segmentation_input=self.input))

    def predict_many(self, items: Iterable[Source], strict: bool = False) -> Iterator[Segmentation | ConversionError]:
        """Segment any number of pictures in constant memory, one result for each, in order.

        The result for an item that cannot be read is its `ConversionError`, not raised; with `strict` it is raised.
        """
        for item in items:
            try:
                yield self.predict(item)
            except ConversionError as error:
                if strict:
                    raise
                yield error

    def run(self, prepared: np.ndarray) -> np.ndarray:
        """The bare model: pixels, uint8 (n, height, width, 3), in; probabilities, float32 (n, classes, height, width), out."""
        probabilities: np.ndarray = self._session.run(None, {"input": prepared})[0]
        return probabilities
