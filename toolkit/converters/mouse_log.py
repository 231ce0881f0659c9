"""Reading pointer logs: columns, units and words of several kinds of log become five arrays of numbers.

The ways to write such a log are many; how it is drawn is in `mouse_drawing`.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import itemgetter

import numpy as np

from toolkit.converters.tables import Rows
from toolkit.errors import ConversionError

NO_BUTTON, LEFT, RIGHT, MIDDLE, WHEEL = range(5)
MOVED, PRESSED, RELEASED, DRAGGED, SCROLLED = range(5)
UNKNOWN = -1

BLOCK = 8192  # rows read at a time
OFF_SCREEN = 65_535  # what remote desktops log for a pointer that is elsewhere
NOT_NUMBERS, OFF_THE_SCREEN, UNKNOWN_STATE = "cells missing or not numbers", "off the screen", "a state that is not known"

# column names in use, without case, blanks and signs, best first; a time's unit is taken off before
TIMES = ("clienttimestamp", "timestamp", "time", "t", "ts", "eventtime", "clienttime", "elapsed", "recordtimestamp", "")
UNITS = dict.fromkeys(("ms", "msec", "millis", "milliseconds"), 1e-3) | dict.fromkeys(("us", "microseconds"), 1e-6)
UNITS |= dict.fromkeys(("s", "sec", "secs", "seconds"), 1.0)
BEFORE = ("mouse", "pointer", "cursor", "screen", "client", "page", "pos", "position", "coord", "abs", "event", "mousepos")
AFTER = ("pos", "position", "coord", "coordinate", "px", "pixel", "pixels", "screen")
BUTTONS = ("button", "btn", "buttons", "mousebutton", "buttonname")
STATES = ("state", "event", "eventtype", "action", "type", "eventname", "kind", "status")

# words for the buttons, and for what happened once "mouse", "pointer", "button" and the button's name are taken off
BUTTON_WORDS = dict.fromkeys(("left", "l", "1", "primary"), LEFT) | dict.fromkeys(("right", "r", "2", "secondary"), RIGHT)
BUTTON_WORDS |= dict.fromkeys(("middle", "m", "3"), MIDDLE) | dict.fromkeys(("scroll", "wheel"), WHEEL)
STATE_WORDS = dict.fromkeys(("pressed", "press", "down", "click", "clicked", "doubleclick", "dblclick"), PRESSED)
STATE_WORDS |= dict.fromkeys(("released", "release", "up"), RELEASED)
STATE_WORDS |= dict.fromkeys(("drag", "dragged", "dragging"), DRAGGED)
STATE_WORDS |= dict.fromkeys(("scroll", "scrolled", "scrollup", "scrolldown", "wheel", "wheelup", "wheeldown"), SCROLLED)
STATE_WORDS |= dict.fromkeys(("", "none", "move", "moved", "moving", "movement", "over", "enter", "leave", "out"), MOVED)


@dataclass(frozen=True)
class Events:
    """A track: five arrays of one length, and what was left out.

    `time` in seconds since the log's first event, rising; `x` to the right and `y` down, in screen pixels; `button` 0 none,
    1 left, 2 right, 3 middle, 4 wheel; `state` 0 moved, 1 pressed (or clicked), 2 released, 3 dragged, 4 scrolled.
    `dropped` counts the rows left out up to here, by reason.
    """

    time: np.ndarray
    x: np.ndarray
    y: np.ndarray
    button: np.ndarray
    state: np.ndarray
    dropped: dict[str, int] = field(default_factory=dict, kw_only=True)

    def __len__(self) -> int:
        return len(self.time)

    @property
    def columns(self) -> tuple[np.ndarray, ...]:
        return self.time, self.x, self.y, self.button, self.state

    def part(self, chosen: slice | np.ndarray) -> Events:
        """The chosen events, in the order chosen."""
        return Events(*(column[chosen] for column in self.columns), dropped=self.dropped)

    @property
    def still(self) -> bool:
        """Whether there is nothing to draw: at most one event, or all in one place and no button or wheel used."""
        return len(self) < 2 or not (np.ptp(self.x) or np.ptp(self.y) or self.state.any())


def join(parts: list[Events]) -> Events:
    """The parts as one, sorted by time; events of the same time stay in their order."""
    joined = parts[0]
    if len(parts) > 1:
        joined = Events(*map(np.concatenate, zip(*(part.columns for part in parts), strict=True)), dropped=parts[-1].dropped)
    if (np.diff(joined.time) < 0).any():
        joined = joined.part(np.argsort(joined.time, kind="stable"))
    return joined


def from_array(array: np.ndarray, name: str) -> Events:
    """Events of a structured array with fields `time`, `x`, `y` and optionally `button`, `state`, or of a 2-D array with
    these as its 3 to 5 columns. Raises `ConversionError`, for the item called `name`, for anything else."""
    fields = ("time", "x", "y", "button", "state")
    if isinstance(array, np.ndarray) and array.dtype.names and {*fields[:3]} <= {*array.dtype.names} and array.ndim == 1:
        columns = [array[key] if key in array.dtype.names else np.zeros(len(array)) for key in fields]
    elif isinstance(array, np.ndarray) and array.ndim == 2 and 3 <= array.shape[1] <= 5 and array.dtype.kind in "iuf":
        columns = [*array.T, *np.zeros((5 - array.shape[1], len(array)))]
    else:
        raise ConversionError(name, "expected Events, or an array with the columns time, x, y and optionally button, state")
    try:
        time, x, y, *codes = (np.asarray(column, float) for column in columns)
    except (TypeError, ValueError) as error:
        raise ConversionError(name, f"expected numbers in the columns {', '.join(fields)} ({error})") from error
    button, state = (np.where((code >= 0) & (code <= 4), code, UNKNOWN).astype(np.int64) for code in codes)
    dropped: Counter[str] = Counter()
    events = _on_screen(Events(time, x, y, button, state), dropped)
    if not len(events):
        raise ConversionError(name, f"no events in {len(time)} rows{_left_out(dropped)}")
    return join([replace(events, time=events.time - events.time.min(), dropped=_counted(dropped))])


def read_blocks(table: Rows) -> Iterator[Events]:
    """The log's events in the order of its rows, at most `BLOCK` at a time; time counts from the first one.

    Off-screen positions and rows without numbers are left out and counted. Raises `ConversionError` for columns that are
    missing, for more than a tenth of rows without numbers, and for no events.
    """
    columns, second = find_columns(table)
    found, lines = list(columns.values()), iter(table)
    buttons, states = _Codes(_button_of), _Codes(_state_of)
    dropped: Counter[str] = Counter()
    seen, began, held, complaint = 0, None, False, ""
    while rows := list(islice(lines, BLOCK)):
        try:
            cells = list(zip(*rows, strict=True))  # rows of unequal length, as those cut short, are looked at one by one
            cells = [cells[index] for index in found]
            numbers = [_finite(map(float, column), len(rows)) for column in cells[:3]]
        except (ValueError, IndexError):
            wrong = [_complaint(row, columns, names=table.names) for row in rows]
            complaint = complaint or next(
                (f"row {table.row - len(rows) + 1 + i}: {words}" for i, words in enumerate(wrong) if words), ""
            )
            good = [row for row, words in zip(rows, wrong, strict=True) if not words]
            dropped[NOT_NUMBERS] += len(rows) - len(good)
            cells = list(zip(*map(itemgetter(*found), good), strict=True))
            numbers = [np.array(column, float) for column in cells[:3]]
        seen += len(rows)
        if dropped[NOT_NUMBERS] > seen / 10:
            raise ConversionError(table.name, complaint)
        if not cells:
            continue
        words = dict(zip(columns, cells, strict=True))
        button, state, held = _codes(words, buttons, states=states, count=len(cells[0]), held=held)
        block = _on_screen(Events(numbers[0], numbers[1], numbers[2], button, state), dropped)
        if not len(block):
            continue
        second = second or _second(block.time)
        if began is None:
            began = block.time.min()
        yield replace(block, time=(block.time - began) * second, dropped=_counted(dropped))
    if began is None:
        raise ConversionError(table.name, f"no events in {seen} rows{_left_out(dropped)}")
    if sum(dropped.values()) > seen / 2:
        raise ConversionError(table.name, f"more than half of its {seen} rows are of no use{_left_out(dropped)}")


def _left_out(dropped: dict[str, int]) -> str:
    return "".join(f"; {count} {reason}" for reason, count in _counted(dropped).items())


def _counted(dropped: dict[str, int]) -> dict[str, int]:
    return {reason: count for reason, count in dropped.items() if count}


def _finite(numbers: Iterable[float], count: int) -> np.ndarray:
    array = np.fromiter(numbers, float, count)
    if not np.isfinite(array).all():
        raise ValueError("not finite")
    return array


def find_columns(table: Rows) -> tuple[dict[str, int], float | None]:
    """The places of the columns time, x, y, button and state (of the last two, those that are there), and the seconds in a unit
    of time, None where its column's name does not say. Raises `ConversionError` where one of the first three is missing."""
    plain = [re.sub("[^a-z0-9]", "", name.lower()) for name in table.names]
    times = [_without_unit(name) for name in table.names]
    places = {
        "time": _first([name for name, _ in times], TIMES, units=[unit for _, unit in times]),
        "x": _first(plain, ("x", *(f"{word}x" for word in BEFORE), *(f"x{word}" for word in AFTER))),
        "y": _first(plain, ("y", *(f"{word}y" for word in BEFORE), *(f"y{word}" for word in AFTER))),
        "button": _first(plain, BUTTONS),
        "state": _first(plain, STATES),
    }
    found = {key: place for key, place in places.items() if place is not None}
    lacking = [key for key in ("time", "x", "y") if key not in found]
    if lacking:
        there = ", ".join(name or "(no name)" for name in table.names[:12])
        raise ConversionError(
            table.name,
            f"row 1: no column for {' and '.join(lacking)}; expected columns such as time (or time_ms), x, y, button, state; "
            f"found {there}",
        )
    return found, times[found["time"]][1]


def _first(names: list[str], wanted: tuple[str, ...], *, units: list[float | None] | None = None) -> int | None:
    # a column with no name at all is none; one that is called "ms" alone is the time
    return next((names.index(word) for word in wanted if word in names and (word or (units and units[names.index("")]))), None)


def _without_unit(name: str) -> tuple[str, float | None]:
    words = re.findall("[A-Z]*[a-z0-9]+|[A-Z]+", name)
    words = [word.lower() for word in words if word.lower() != "in"]
    unit = UNITS.get(words[-1]) if words else None
    return "".join(words[:-1] if unit else words), unit


def _second(time: np.ndarray) -> float:
    """Of a unit that no name tells: events come milliseconds apart, so steps of 1 and more are no seconds."""
    steps = np.diff(np.sort(time))
    steps = steps[steps > 0]
    return 1e-3 if len(steps) and np.median(steps) >= 1 else 1.0


def _complaint(row: list[str], columns: dict[str, int], *, names: list[str]) -> str:
    """What is wrong with a row, in words; empty where nothing is."""
    if len(row) <= max(columns.values()):
        return f"{len(row)} cells, expected {len(names)}"
    for key in ("time", "x", "y"):
        cell = row[columns[key]]
        try:
            finite = math.isfinite(float(cell))
        except ValueError:
            finite = False
        if not finite:
            return f"{names[columns[key]]} is {cell[:40]!r}, expected a number"
    return ""


def _on_screen(events: Events, dropped: Counter[str]) -> Events:
    """Only events with a place on a screen and a known state; the others are counted in `dropped`."""
    finite = np.isfinite(events.time) & np.isfinite(events.x) & np.isfinite(events.y)
    # a second screen to the left or above has negative places
    inside = (np.abs(events.x) < OFF_SCREEN) & (np.abs(events.y) < OFF_SCREEN)
    known = events.state != UNKNOWN
    if (finite & inside & known).all():
        return events
    dropped[NOT_NUMBERS] += int((~finite).sum())
    dropped[OFF_THE_SCREEN] += int((finite & ~inside).sum())
    dropped[UNKNOWN_STATE] += int((finite & inside & ~known).sum())
    return events.part(finite & inside & known)


class _Codes(dict[str, int]):
    """Words -> codes, worked out once for each spelling."""

    def __init__(self, code_of: Callable[[str], int]) -> None:
        super().__init__()
        self.code_of = code_of

    def __missing__(self, word: str) -> int:
        self[word] = self.code_of(re.sub("[^a-z0-9]", "", word.lower()))
        return self[word]


def _button_of(word: str) -> int:
    return BUTTON_WORDS.get(word.removeprefix("mouse").removeprefix("button").removesuffix("button"), NO_BUTTON)


def _state_of(word: str) -> int:
    """State and, in the higher bits, the button that the word names: "RightButtonDown"."""
    word = re.sub("mouse|pointer|button|touch", "", word)
    button = next((name for name in ("left", "right", "middle") if name in word), "")
    state = STATE_WORDS.get(word.replace(button, ""), UNKNOWN)
    return state if state == UNKNOWN else state + 8 * BUTTON_WORDS.get(button, NO_BUTTON)


def _codes(
    words: dict[str, tuple[str, ...]], buttons: _Codes, *, states: _Codes, count: int, held: bool
) -> tuple[np.ndarray, np.ndarray, bool]:
    """The codes of buttons and states, and whether a button is held after the last row."""
    button, state = np.zeros(count, np.int64), np.zeros(count, np.int64)
    if "button" in words:
        button = np.fromiter(map(buttons.__getitem__, words["button"]), np.int64, count)
    if "state" in words:
        state = np.fromiter(map(states.__getitem__, words["state"]), np.int64, count)
        known = state != UNKNOWN
        button = np.where(known & (state >= 8), state // 8, button)
        state = np.where(known, state % 8, state)
        state[button == WHEEL] = SCROLLED
        button[state == SCROLLED] = WHEEL
        button[(state == PRESSED) & (button == NO_BUTTON)] = LEFT
    elif "button" in words:  # a button that is there in some rows is held in these
        down = (button != NO_BUTTON) & (button != WHEEL)
        before = np.concatenate([[held], down[:-1]])
        state = np.select([button == WHEEL, down & ~before, down, before], [SCROLLED, PRESSED, DRAGGED, RELEASED], MOVED)
        held = bool(down[-1])
    return button, state, held
