"""Opening a program file: the archive is read as data, the model inside it becomes a session.

It is a file of its own so that a program that reads tables never imports what only pictures need.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.program.archive import Archive

if TYPE_CHECKING:
    from toolkit.converters.base import Converter
    from toolkit.program.collab.program import Recommender
    from toolkit.program.images.program import Program
    from toolkit.program.tabular.program import TableProgram


def load(path: Path | str, converter: Converter | None = None) -> Program | TableProgram | Recommender:
    """Open a program file. It is read as data: no code inside it is run, and nothing in it is a pickle.

    `converter` is needed only where the program was made with one that is registered under no name. A program that predicts from
    the rows of a table is a `TableProgram`, one that recommends is a `Recommender`.
    Raises `ProgramError` for a file that is truncated, altered, or not a program.
    """
    archive = Archive(path)
    taken = archive.card.get("input")
    kind = taken.get("kind") if isinstance(taken, dict) else None
    if kind == "table":
        from toolkit.program.tabular.program import TableProgram

        return TableProgram(archive)
    if kind == "ratings":
        from toolkit.program.collab.program import Recommender

        return Recommender(archive)
    from toolkit.program.images.program import Program

    return Program(archive, converter)
