"""Mouse: a log of the pointer's movement and clicks becomes a picture, lines for movement, circles for clicks.

This is the converter as a user sees it: settings, pictures, and windows of long sessions. How logs are written is in `mouse_log`,
how tracks are drawn in `mouse_drawing`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from toolkit.converters.mouse_drawing import CHANNELS, Canvas
from toolkit.converters.mouse_log import Events, from_array, join, read_blocks
from toolkit.converters.sources import source_name
from toolkit.converters.tables import open_table
from toolkit.errors import ConversionError, ToolkitError

MAX_EVENTS = 2_000_000  # ten hours of a mouse that reports 50 times a second: longer logs are cut into windows
NO_MOVEMENT = "no movement: expected at least two events, in different places or with a button or the wheel used"


@dataclass(frozen=True)
class Mouse:
    """A pointer log -> an RGB picture of `size` x `size` pixels, bright on black.

    `channels` says what the colours mean. `rhythm`, made for a network: red is the track with its circles, green and blue
    are charts of its steps, how far and how long (see `mouse_drawing.rhythm`). `speed`: the track, coloured by speed,
    pauses and order in time. `buttons`: movement, left button, other buttons and wheel. `plain`: white lines, red circles.

    `keep` is `keep` for the track's own proportions, `fill` for the picture's. `span` fixes the scale instead: so many
    screen pixels fill the picture, and what is farther from the track's middle is left out; 0 fits the track. `line` is
    the width of lines in pixels.

    Long sessions: with `length` a log is cut into windows of so many events or seconds (`unit`), one every `step` (0: one
    after the other); see `windows`. Calling the converter draws the whole log as one picture whatever `length` is.
    """

    size: int = 64
    channels: str = "rhythm"
    keep: str = "keep"
    span: float = 0.0
    line: float = 1.0
    antialias: bool = True
    length: float = 0
    step: float = 0
    unit: str = "events"

    suffixes: ClassVar[tuple[str, ...]] = (".csv", ".tsv")

    def __post_init__(self) -> None:
        for name, choices in (("channels", tuple(CHANNELS)), ("keep", ("keep", "fill")), ("unit", ("events", "seconds"))):
            if getattr(self, name) not in choices:
                raise ToolkitError(f"mouse: {name} {getattr(self, name)!r}; choose from {', '.join(choices)}")
        if self.antialias not in (False, True):
            raise ToolkitError(f"mouse: antialias {self.antialias!r}; choose from False, True")
        ranges = {"size": (16, 2048), "line": (0.1, 64), "span": (0, 1e6), "length": (0, 1e9), "step": (0, 1e9)}
        whole = ("size", "length", "step") if self.unit == "events" else ("size",)
        for name, (low, high) in ranges.items():
            value, kind = getattr(self, name), "a whole number" if name in whole else "a number"
            fits = isinstance(value, (int, float)) and not isinstance(value, bool) and low <= value <= high
            if not fits or (name in whole and value != int(value)):
                raise ToolkitError(f"mouse: {name} {value!r}; expected {kind} from {low} to {high:g}")
        for name in whole:  # 256.0, as from a command line, is 256
            object.__setattr__(self, name, int(getattr(self, name)))
        if self.length == 1 and self.unit == "events":
            raise ToolkitError("mouse: length 1; a window of one event has no movement: expected 0 (no windows) or from 2")

    def __call__(self, source: Path | str | bytes) -> Image.Image:
        """The whole log as one picture. Raises `ConversionError` for what is no log, or holds no movement."""
        return self._picture(self.read(source), source_name(source))

    def draw(self, events: Events | np.ndarray) -> Image.Image:
        """The picture of events that are in memory.

        `events`: `Events`; a structured array with fields `time` (seconds), `x`, `y` (screen pixels) and optionally
        `button`, `state` (codes as in `Events`); or a 2-D array with these as its 3, 4 or 5 columns, in that order.
        """
        name = source_name(events)
        return self._picture(events if isinstance(events, Events) else from_array(events, name), name)

    def read(self, source: Path | str | bytes) -> Events:
        """The whole log, sorted by time. Raises `ConversionError` where it has over `MAX_EVENTS` events."""
        with open_table(source) as table:
            return next(_by_events(read_blocks(table), source_name(source), length=math.inf, step=math.inf))[2]

    def segments(self, source: Path | str | bytes) -> Iterator[tuple[float, float, Events]]:
        """The log's windows: start and stop in seconds since its first event, and the events.

        One pass over the source, of which only a window and a block of rows are in memory; rows out of order are put in
        order within those. Windows in which nothing moves and no button or wheel is used are left out; so is a last window
        that is not full, unless there is no other. With `unit` events, start and stop are the times of a window's first and
        last event; with seconds, the window's ends. Without `length` there is one window, the whole log.

        Raises `ConversionError` where no window is left, and as reading does.
        """
        name, given = source_name(source), False
        cut = _by_seconds if self.length and self.unit == "seconds" else _by_events
        length = self.length or math.inf
        with open_table(source) as table:
            for start, stop, events, full in cut(read_blocks(table), name, length=length, step=self.step or length):
                if not events.still and (full or not given):
                    given = True
                    yield start, stop, events
        if not given:
            raise ConversionError(name, NO_MOVEMENT)

    def windows(self, source: Path | str | bytes) -> Iterator[tuple[float, float, Image.Image]]:
        """The pictures of `segments`, with their start and stop in seconds since the log's first event."""
        for start, stop, events in self.segments(source):
            yield start, stop, self._picture(events, source_name(source))

    def _picture(self, events: Events, name: str) -> Image.Image:
        if events.still:
            raise ConversionError(name, NO_MOVEMENT)
        canvas = Canvas(int(self.size), float(self.line), bool(self.antialias))
        x, y = canvas.place(events, self.keep == "keep", span=float(self.span))
        planes = CHANNELS[self.channels](canvas, events, x=x, y=y)
        return Image.merge("RGB", [Image.fromarray((plane * 255 + 0.5).astype(np.uint8)) for plane in planes])


Windows = Iterator[tuple[float, float, Events, bool]]


def _by_events(blocks: Iterator[Events], name: str, *, length: float, step: float) -> Windows:
    """Windows of `length` events: start, stop, events, and whether the window is full."""
    parts, count, skip, given = [], 0, 0, -math.inf
    for block in blocks:
        _check_order(block, given, name=name)
        parts.append(block)
        count = _check_count(parts, name)
        if count >= skip + length:
            waiting = join(parts)
            while count >= skip + length:
                window = waiting.part(slice(skip, skip + int(length)))
                given = float(window.time[0])
                yield float(window.time[0]), float(window.time[-1]), window, True
                skip += int(step)
            parts = [waiting.part(slice(skip, None))]
            skip = max(0, skip - count)
        elif count <= skip:
            parts, skip = [], skip - count
    rest = join(parts).part(slice(skip, None)) if parts else None
    if rest:
        yield float(rest.time[0]), float(rest.time[-1]), rest, False


def _by_seconds(blocks: Iterator[Events], name: str, *, length: float, step: float) -> Windows:
    """Windows of `length` seconds, as `_by_events`; stretches without events are passed over at once."""
    parts, number = [], 0
    for block in blocks:
        _check_order(block, (number - 1) * step, name=name)
        parts.append(block)
        _check_count(parts, name)
        if block.time.max() > step * 2**50:  # windows could not be told apart by their starts
            raise ConversionError(
                name, f"its times lie {block.time.max():.3g} seconds apart, too far for a window every {step:g}"
            )
        if block.time.max() < number * step + length:
            continue
        waiting = join(parts)
        while len(waiting) and waiting.time[-1] >= number * step + length:
            start = number * step
            first, end = np.searchsorted(waiting.time, [start, start + length])
            if first < end:
                yield float(start), float(start + length), waiting.part(slice(first, end)), True
            # the next window is the first that holds an event from where it can start
            after = np.searchsorted(waiting.time, start + step)
            reach = waiting.time[after] if after < len(waiting) else waiting.time[-1]
            number = max(number + 1, math.floor((reach - length) / step) + 1)
        parts = [waiting.part(slice(np.searchsorted(waiting.time, number * step), None))]
    rest = join(parts) if parts else None
    if rest:
        yield float(number * step), float(rest.time[-1]), rest, False


def _check_order(block: Events, given: float, *, name: str) -> None:
    """Refuse a log in which events of a window that was given already come later; within a block they are put in order."""
    if block.time.min() < given:
        raise ConversionError(name, "its rows are not in order of time, by far: sort the log by time")


def _check_count(parts: list[Events], name: str) -> int:
    count = sum(map(len, parts))
    if count > MAX_EVENTS:
        raise ConversionError(name, f"more than {MAX_EVENTS:,} events in one picture: cut it into windows (length)")
    return count
