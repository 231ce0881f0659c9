"""The error tree: every error a user can cause, or can mend, is one of these.

It imports nothing else: each room raises them, down to the runtime inside a program.

    ToolkitError
    ├── DataError         what is learnt from: a folder, a CSV, a split
    ├── ConversionError   one raw item that cannot become an image; has `.source` and `.reason`
    ├── ConformanceError  a converter that breaks what converters promise; has `.problems`
    ├── WeightsError      first weights that could not be had
    ├── RunError          a run folder that cannot be written or gone on with
    ├── ExportError       a learner that cannot become a program, or a program that does not equal it
    ├── ProgramError      a program file that is truncated, altered or not one of ours
    └── MissingPackage    a package that is not installed (also an ImportError)
"""

from __future__ import annotations

import sys
from types import TracebackType


class ToolkitError(Exception):
    """The root: `except ToolkitError` catches all that the toolkit raises on purpose."""


class DataError(ToolkitError):
    """What is learnt from cannot be used as it is: the message says what was found and what to do."""


class ConversionError(ToolkitError):
    """One raw item cannot be turned into an image.

    `source` is the item's name as a user knows it (its path, or what kind of object it was); `reason` is one phrase.
    """

    def __init__(self, source: object, reason: str) -> None:
        name = f"<{len(source)} bytes>" if isinstance(source, (bytes, bytearray)) else str(source)
        super().__init__(f"{name}: {reason}")
        self.source, self.reason = name, reason

    def __reduce__(self) -> tuple[type[ConversionError], tuple[str, str]]:
        return type(self), (self.source, self.reason)


class ConformanceError(ToolkitError):
    """A converter breaks what converters promise: `problems` lists each finding with what to do."""

    def __init__(self, converter: str, problems: tuple[str, ...]) -> None:
        count = "one problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__("\n- ".join([f"{converter}: {count}", *problems]))
        self.converter, self.problems = converter, problems

    def __reduce__(self) -> tuple[type[ConformanceError], tuple[str, tuple[str, ...]]]:
        return type(self), (self.converter, self.problems)


class WeightsError(ToolkitError):
    """First weights could not be had: no such file, another architecture's, or a download that failed."""


class RunError(ToolkitError):
    """A run folder cannot be written to, or does not hold what is needed to go on from."""


class ExportError(ToolkitError):
    """The learner cannot become a program, or the program's answers are not the learner's."""


class ProgramError(ToolkitError):
    """A program file is truncated, altered, made for a newer runtime, or not one of ours."""


class MissingPackage(ToolkitError, ImportError):
    """A package is not installed; the message names the command that installs it."""


def report_plainly(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A `sys.excepthook` for scripts: our own errors in one line each, anything else with its traceback."""
    if issubclass(kind, ToolkitError):
        print(f"error: {error}", file=sys.stderr)
    elif issubclass(kind, KeyboardInterrupt):
        print(
            "stopped: nothing is half-written; training goes on with --resume, shrinking and converting with the same command",
            file=sys.stderr,
        )
    else:
        sys.__excepthook__(kind, error, trace)
