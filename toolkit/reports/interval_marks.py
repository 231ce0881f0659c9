"""Values on one scale, a line each: bars from zero or dots, with their intervals, and cards of them.

`page.html` draws these itself: the names of columns and groups may be long and of any script, which no drawing with one font can
show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class IntervalMark:
    """A line: its name and, smaller, a detail, the value with the ends of its interval where it has one, and all that in figures.
    `value` None: it is not known, and `figures` says why."""

    name: str
    value: float | None
    figures: str
    detail: str = ""
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class IntervalMarks:
    """Lines on a scale from `low` to `high`: bars from zero, or `dots`. `line` is a value that all are held against."""

    lines: Sequence[IntervalMark]
    low: float
    high: float
    dots: bool = False
    line: float | None = None
    kind: str = field(default="marks", init=False)

    @classmethod
    def of(cls, lines: Sequence[IntervalMark], dots: bool = False, *, line: float | None = None) -> IntervalMarks:
        """Lines on a scale that holds them all, with zero where they are bars."""
        ends = [end for mark in lines for end in (mark.value, mark.low, mark.high) if end is not None]
        ends += [0.0] if not dots else []
        ends += [line] if line is not None else []
        low, high = min(ends, default=0.0), max(ends, default=1.0)
        spare = 0.03 * (high - low) if dots else 0.0
        return cls(lines, low - spare, high + spare, dots, line)

    def at(self, value: float) -> str:
        """Where on the scale a value lies, in percent of its length."""
        return f"{100 * min(max((value - self.low) / ((self.high - self.low) or 1.0), 0.0), 1.0):.2f}"

    def reach(self, one: float, other: float) -> str:
        """How long the piece between two values is, in percent."""
        return f"{abs(float(self.at(one)) - float(self.at(other))):.2f}"


@dataclass(frozen=True)
class Cards:
    """Cards of a bold line, lines of text, marks, and further lines below."""

    cards: Sequence[tuple[Sequence[str], IntervalMarks, Sequence[str]]]
    kind: str = field(default="cards", init=False)
