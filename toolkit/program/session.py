"""The model inside a program, ready to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from toolkit.errors import ProgramError
from toolkit.program.archive import MODEL, Archive

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


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
