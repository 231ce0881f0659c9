"""Opening a program file: the archive is read as data, and becomes the program of its task."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.program.archive import Archive

if TYPE_CHECKING:
    from toolkit.converters.base import Converter


def load(path: Path | str, converter: Converter | None = None) -> Any:
    """Open a program file, as the `Program` of its task. It is read as data: no code inside it is run, and nothing in it is a
    pickle.

    `converter` is needed only where the program was made with one that is registered under no name. An `ImageProgram` recognises
    pictures, a `SegmentationProgram` names each pixel, a `TabularProgram` predicts from the rows of a table, a `Recommender`
    recommends.
    Raises `ProgramError` for a file that is truncated, altered, or not a program.
    """
    from toolkit.tasks import task_of_card  # here: importing this room costs nothing

    archive = Archive(path)
    program = task_of_card(archive.card, archive.path).part("program")
    return program(archive) if converter is None else program(archive, converter)
