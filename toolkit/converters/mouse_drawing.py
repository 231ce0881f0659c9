"""Drawing a mouse's track: lines for movement, circles for clicks, each pixel with its share of every line.

Arrays go in, an array of pixels comes out, with no loop over events. A line is laid down as points half a pixel apart, each
shared out among the four pixels around it; unlike a line drawing library's, this one is the same in the mirror, and can give
every piece of a line a value of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.converters.mouse_log import DRAGGED, LEFT, MIDDLE, NO_BUTTON, PRESSED, RIGHT, SCROLLED, WHEEL, Events

SPACING = 0.5  # pixels between the points a line is laid down as
AT_ONCE = 2**20  # points laid down at a time: what does not fit is drawn in halves
# What a person and a mouse do spans decades, so it is drawn on logarithmic scales with fixed ends: pictures compare.
DISTANCES = (0.7, 400.0)  # screen pixels from one event to the next; a mouse moves by at least one
INTERVALS = (0.004, 4.0)  # seconds from one event to the next; from 250 a second to a pause for thought
SPEEDS = (10.0, 10_000.0)  # screen pixels a second
CHART_EVENTS = 256  # a chart of so many events is drawn as counted; of more or fewer, as if there were so many


@dataclass(frozen=True)
class Canvas:
    """A square picture of `size` pixels, one number a pixel, and the pen: `line` is its width in pixels."""

    size: int
    line: float = 1.0
    antialias: bool = True

    @property
    def radius(self) -> float:
        """Of the circle around a click, in pixels: 2.5 in a picture of 64."""
        return max(1.5, self.size * 2.5 / 64)

    @property
    def margin(self) -> float:
        """Free pixels on each side, so that a circle at the track's end is whole."""
        return min(self.radius + self.line / 2, self.size / 4)

    def place(self, events: Events, keep: bool, *, span: float) -> tuple[np.ndarray, np.ndarray]:
        """The track in this picture's pixels, its bounding box in the middle.

        `span` screen pixels fill the picture; with 0 the track does, in its own proportions (`keep`) or in the picture's.
        """
        room = self.size - 1 - 2 * self.margin
        low, high = np.array([(values.min(), values.max()) for values in (events.x, events.y)]).T
        wide = high - low
        if span:
            scale = np.full(2, (self.size - 1) / span)
        else:
            scale = room / np.maximum(wide.max() if keep else wide, 1e-9)
            scale = np.broadcast_to(np.where(wide > 0, scale, 0.0), 2)
        (middle_x, middle_y), centre = (low + high) / 2, (self.size - 1) / 2
        return (events.x - middle_x) * scale[0] + centre, (events.y - middle_y) * scale[1] + centre

    def lines(
        self, x: np.ndarray, y: np.ndarray, *, shown: np.ndarray | None = None, values: Sequence[np.ndarray] = ()
    ) -> list[np.ndarray]:
        """How much line there is in each pixel, 1 where one line passes, and the sums of `values`, one a piece, over it.

        `x`, `y`: the line's corners in pixels; `shown` says which of its pieces are drawn.
        """
        along, down = np.diff(x), np.diff(y)
        enters, leaves = self._inside(x, y, along=along, down=down)
        length = np.hypot(along, down) * (leaves - enters)
        counts = np.maximum(np.ceil(length / SPACING), 1).astype(np.int64) * (leaves >= enters)
        if shown is not None:
            counts *= shown
        if counts.sum() > AT_ONCE and len(counts) > 1:
            half = len(counts) // 2
            ends, pieces = (slice(half + 1), slice(half, None)), (slice(half), slice(half, None))
            halves = [
                self.lines(
                    x[end], y[end], shown=None if shown is None else shown[piece], values=tuple(value[piece] for value in values)
                )
                for end, piece in zip(ends, pieces, strict=True)
            ]
            return [one + other for one, other in zip(*halves, strict=True)]
        piece = np.repeat(np.arange(len(counts)), counts)
        part = (np.arange(len(piece)) - (np.cumsum(counts) - counts)[piece] + 0.5) / counts[piece]
        part = enters[piece] + part * (leaves - enters)[piece]
        at_x, at_y = x[piece] + part * along[piece], y[piece] + part * down[piece]
        ink = (np.maximum(length, SPACING) / np.maximum(counts, 1))[piece]
        copies = max(1, round(self.line))
        if copies == 1:
            return self.points(at_x, at_y, ink=ink * min(self.line, 1.0), values=[value[piece] for value in values])
        # a wider line is several beside each other
        aside = np.repeat(np.arange(copies) - (copies - 1) / 2, len(piece))
        long = np.maximum(np.hypot(along, down), 1e-9)
        at_x = np.tile(at_x, copies) - aside * np.tile((down / long)[piece], copies)
        at_y = np.tile(at_y, copies) + aside * np.tile((along / long)[piece], copies)
        return self.points(at_x, at_y, ink=np.tile(ink, copies), values=[np.tile(value[piece], copies) for value in values])

    def _inside(self, x: np.ndarray, y: np.ndarray, *, along: np.ndarray, down: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Between which parts of each piece, 0 its start and 1 its end, it is in the picture (Liang and Barsky 1984)."""
        enters, leaves = np.zeros(len(along)), np.ones(len(along))
        low, high = -self.line, self.size - 1 + self.line
        if min(x.min(), y.min()) < low or max(x.max(), y.max()) > high:
            with np.errstate(divide="ignore", invalid="ignore"):  # a piece along a side never crosses it: infinite or nan
                for place, way in ((x[:-1], along), (y[:-1], down)):
                    ends = (low - place) / way, (high - place) / way
                    enters, leaves = np.fmax(enters, np.fmin(*ends)), np.fmin(leaves, np.fmax(*ends))
            outside = enters > leaves
            enters[outside], leaves[outside] = 1.0, 0.0
        return enters, leaves

    def points(
        self, x: np.ndarray, y: np.ndarray, *, ink: np.ndarray | float = 1.0, values: Sequence[np.ndarray] = ()
    ) -> list[np.ndarray]:
        """Ink laid down at points, shared among the four pixels around each, and the sums of `values` weighted by it."""
        ink = np.broadcast_to(ink, x.shape)
        if len(x) and (min(x.min(), y.min()) < 0 or max(x.max(), y.max()) > self.size - 1):
            inside = (x >= 0) & (y >= 0) & (x <= self.size - 1) & (y <= self.size - 1)
            x, y, ink, values = x[inside], y[inside], ink[inside], [value[inside] for value in values]
        row = self.size + 1  # a pixel more than shown, for the right and lower neighbours of the last
        if self.antialias:
            left, top = x.astype(np.int64), y.astype(np.int64)
            right_part, low_part = x - left, y - top
            first, low_ink = top * row + left, ink * low_part
            high_ink = ink - low_ink
            where = np.concatenate([first, first + 1, first + row, first + row + 1])
            weights = np.concatenate(
                [high_ink * (1 - right_part), high_ink * right_part, low_ink * (1 - right_part), low_ink * right_part]
            )
            values = [np.concatenate([value] * 4) for value in values]
        else:
            where, weights = np.rint(y).astype(np.int64) * row + np.rint(x).astype(np.int64), ink
        sums = [np.bincount(where, weights if value is None else weights * value, row * row) for value in (None, *values)]
        return [total[: row * row].reshape(row, row)[:-1, :-1] for total in sums]

    def circles(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """A circle around each point, as `lines` counts ink."""
        if not len(x):
            return np.zeros((self.size, self.size))
        count = 4 * int(np.ceil(self.radius * np.pi / 2 / SPACING))
        angle = (np.arange(count) + 0.5) * (2 * np.pi / count)  # no point on an axis: the same in the mirror
        if len(x) > AT_ONCE // count:
            return self.circles(x[: len(x) // 2], y[: len(x) // 2]) + self.circles(x[len(x) // 2 :], y[len(x) // 2 :])
        around_x = x[:, None] + self.radius * np.cos(angle)
        around_y = y[:, None] + self.radius * np.sin(angle)
        ink = 2 * np.pi * self.radius / count
        return self.points(around_x.ravel(), around_y.ravel(), ink=ink)[0]

    def chart(self, right: np.ndarray, down: np.ndarray) -> np.ndarray:
        """How many points lie at (`right`, `down`), each from -1 to 1 as seen from the middle; brightness is the log of it."""
        scale = (self.size - 1) / 2
        count = self.points((right * 0.94 + 1) * scale, (down * 0.94 + 1) * scale)[0]
        share = count * (CHART_EVENTS / len(right)) * (self.size / 64) ** 2  # a larger picture has more pixels for them
        return np.minimum(np.log1p(2 * share) / np.log(25), 1.0)


def plain(canvas: Canvas, events: Events, *, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """White lines; red circles for clicks."""
    track, clicks = crisp(canvas.lines(x, y)[0]), crisp(canvas.circles(*_presses(events, x, y=y)))
    return [np.maximum(track, clicks), track * (1 - clicks), track * (1 - clicks)]


def speed(canvas: Canvas, events: Events, *, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Red is the log of the speed, green the log of the time since the event before, blue the order in time; circles are
    white."""
    interval, distance, *_ = _steps(events)
    fast = _log_scale(distance / np.maximum(interval, 1e-3), SPEEDS)
    values = (0.1 + 0.9 * value for value in (fast, _log_scale(interval, INTERVALS), np.linspace(0, 1, len(interval))))
    ink, *sums = canvas.lines(x, y, values=tuple(values))
    covered, clicks = crisp(ink) / np.maximum(ink, 1e-9), crisp(canvas.circles(*_presses(events, x, y=y)))
    return [np.maximum(total * covered, clicks) for total in sums]


def buttons(canvas: Canvas, events: Events, *, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Red is movement; green the left button's circles and drags; blue the other buttons' circles, and the wheel as dots."""
    dragged, wheel = (events.state == DRAGGED)[1:], events.state == SCROLLED
    left = canvas.lines(x, y, shown=dragged)[0] + canvas.circles(*_presses(events, x, y=y, which=(NO_BUTTON, LEFT)))
    other = canvas.circles(*_presses(events, x, y=y, which=(RIGHT, MIDDLE, WHEEL))) + 2 * canvas.points(x[wheel], y[wheel])[0]
    return [crisp(canvas.lines(x, y)[0]), crisp(left), crisp(other)]


def rhythm(canvas: Canvas, events: Events, *, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    """Red is the track with its circles; green and blue are charts of its steps, from one event to the next, a point each.

    Green is direction and distance: a step's point lies in its own direction from the middle, as far as the log of its
    distance in screen pixels. Blue is distance and time: to the left or right, as the step went, by the log of its
    distance, and up or down by the log of its seconds, long ones at the top; steps in place stand in the middle. The
    mouse's clock shows as rows of points, a hand's habits as a cloud. In the mirror they are mirrored as the track is.
    """
    seconds, distance, right, down = _steps(events)
    far, long = _log_scale(distance, DISTANCES), _log_scale(seconds, INTERVALS)
    whole = np.maximum(distance, 1e-9)  # a step in place has no direction, and stays in the middle
    track = canvas.lines(x, y)[0] + canvas.circles(*_presses(events, x, y=y))
    return [
        1 - np.exp(-0.7 * track),
        canvas.chart(right / whole * far, down / whole * far),
        canvas.chart(np.sign(right) * far, 1 - 2 * long),
    ]


CHANNELS: dict[str, Callable[..., list[np.ndarray]]] = {"rhythm": rhythm, "speed": speed, "buttons": buttons, "plain": plain}


def crisp(ink: np.ndarray) -> np.ndarray:
    """Brightness, 0 to 1: a line is as bright as many over each other."""
    return np.minimum(ink, 1.0)


def _presses(
    events: Events, x: np.ndarray, *, y: np.ndarray, which: tuple[int, ...] = tuple(range(5))
) -> tuple[np.ndarray, np.ndarray]:
    pressed = (events.state == PRESSED) & np.isin(events.button, which)
    return x[pressed], y[pressed]


def _steps(events: Events) -> tuple[np.ndarray, ...]:
    """From each event to the next: seconds, screen pixels, and those to the right and down."""
    right, down = np.diff(events.x), np.diff(events.y)
    return np.diff(events.time), np.hypot(right, down), right, down


def _log_scale(values: np.ndarray, ends: tuple[float, float]) -> np.ndarray:
    """0 at the lower end and below it, 1 at the upper and above."""
    low, high = np.log(ends)
    return np.clip((np.log(np.maximum(values, ends[0])) - low) / (high - low), 0.0, 1.0)
