"""Opening a program file: the archive is read as data, the model inside it becomes a session.

It is a file of its own so that a program that reads tables never imports what only pictures need.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ProgramError
from toolkit.program.archive import MODEL, Archive

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

    from toolkit.converters.base import Converter
    from toolkit.program.program import Program
    from toolkit.program.recommender import Recommender
    from toolkit.program.table_program import TableProgram


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
        from toolkit.program.table_program import TableProgram

        return TableProgram(archive)
    if kind == "ratings":
        from toolkit.program.recommender import Recommender

        return Recommender(archive)
    from toolkit.program.program import Program

    return Program(archive, converter)


def session_of(archive: Archive, member: str = MODEL) -> InferenceSession:
    """The model that is a member of `archive`, ready to run. Raises `ProgramError` where it cannot be loaded."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads stall a busy machine
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(archive.read(member), options, providers=["CPUExecutionProvider"])
    except ProgramError:
        raise
    except Exception as error:  # onnxruntime's own errors share no base class
        raise ProgramError(f"{archive.path}: onnxruntime {onnxruntime.__version__} cannot load its model ({error})") from error
