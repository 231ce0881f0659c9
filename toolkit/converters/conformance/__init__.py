"""The conformance kit: is to a converter what scikit-learn's `check_estimator` is to an estimator.

Whoever writes a converter, here or in another package, tests it with one call, which needs numpy and pillow alone. What is
promised is in `promises`, what has to happen in another process in `elsewhere`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from toolkit.converters.base import Converter
from toolkit.errors import ConformanceError, ToolkitError

__all__ = ["Report", "check"]


@dataclass(frozen=True)
class Report:
    """What `check` found of a converter that keeps its promises: those that were tested and those that could not be here,
    the median time an item took, in seconds, and the most memory that Python and numpy took for one, in bytes."""

    converter: str
    passed: tuple[str, ...]
    skipped: tuple[str, ...]
    seconds: float
    peak: int

    def __str__(self) -> str:
        lines = [self.converter, *(f"  ok       {promise}" for promise in self.passed)]
        lines += [f"  skipped  {reason}" for reason in self.skipped]
        return "\n".join([*lines, f"  {1000 * self.seconds:.1f} ms and {self.peak / 1e6:.1f} MB an item"])


def check(converter: Converter, samples: Path | str | Iterable[Path | str]) -> Report:
    """Hold a converter against what `Converter` promises, and `Windowed` where it has `windows`.

    `samples` are one or more good files. The converter is handed copies of them: twice, as bytes, after other items, in
    threads, in another process. It is handed items that are empty, cut off, of another kind, and of gigabytes. Takes a few
    seconds. Raises `ConformanceError`, which lists every problem found with what to do; `ToolkitError` where a sample is no
    file.
    """
    from toolkit.converters.conformance.cases import Case
    from toolkit.converters.conformance.promises import PROMISES

    files = [Path(sample) for sample in ([samples] if isinstance(samples, (str, Path)) else samples)]
    absent = [str(file) for file in files if not file.is_file()]
    if absent or not files:
        raise ToolkitError(f"samples: {', '.join(absent) or 'none'}; expected one or more good files for the converter")
    problems: list[str] = []
    passed: list[str] = []
    with TemporaryDirectory(prefix="conformance-", ignore_cleanup_errors=True) as folder:
        case = Case.of(converter, files, folder=Path(folder))
        for promise, look in PROMISES.items():
            found = list(filter(None, look(case)))
            problems += found
            if not found and promise not in case.left_out:
                passed.append(promise)
            if found and (isinstance(converter, type) or not is_dataclass(converter)):
                break  # nothing is known of its settings
    if problems:
        raise ConformanceError(case.described, tuple(dict.fromkeys(problems)))
    skipped = tuple(f"{promise}: {reason}" for promise, reason in case.left_out.items() if reason)
    return Report(case.described, tuple(passed), skipped, case.seconds, case.peak)
