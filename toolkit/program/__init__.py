"""The runtime: open a `program.pyz`, put an item in, get a prediction out. It needs numpy and onnxruntime, for pictures pillow.

    from toolkit.program import load
    program = load("program.pyz")
    print(program.predict("photo.jpg"))

This room travels inside every program; nothing in it imports torch, fastai or pandas.
"""

from typing import TYPE_CHECKING

from toolkit.program.loading import load

if TYPE_CHECKING:
    from toolkit.program.base import Program

__all__ = ["Program", "load"]


def __getattr__(name: str) -> type:
    """`Program`, imported where it is asked for: only type hints need it."""
    if name == "Program":
        from toolkit.program.base import Program

        return Program
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
