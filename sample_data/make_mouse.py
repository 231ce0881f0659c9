"""Make `mouse/`: gestures drawn, and pointing sessions worked, by simulated users. `python sample_data/make_mouse.py`.

A file of its own because pointer movement has a model of its own: every movement is a sum of strokes with lognormal speed
(Plamondon 1995), aimed movements take the time that Fitts' law gives them, miss by more the faster they are, and are
corrected (Meyer et al. 1988). Each file has its own seed, so any part can be made alone, byte for byte.
"""

from __future__ import annotations

import csv
import math
import sys
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SCREEN = np.array([1600, 900])  # pixels; the same for all, so that the size of the screen names nobody
SESSIONS, EVENTS, TAKES = 6, 1500, 8
SEED = 1995
HEADER = ("time", "x", "y", "button", "state")


@dataclass(frozen=True)
class User:
    """How a hand moves. Times are in seconds, angles in radians."""

    intercept: float  # Fitts' law: a
    slope: float  # Fitts' law: b, for each bit
    skew: float  # sigma of the lognormal speed: a larger one starts more suddenly and ends more slowly
    bend: float  # what a straight movement turns by on its way
    aim: float  # part of the distance that the first stroke covers
    noise: float  # spread of the end point, for each pixel a second of mean speed
    tremor: float  # pixels, at 8 to 12 Hz
    click: float  # how long a button is held
    pause: float  # rest between movements
    notch: float  # time between two notches of the wheel
    wheel: float  # part of the actions that is scrolling
    sampling: float  # time between two reports of the device


USERS = {
    "user1": User(0.10, 0.09, 0.30, 0.15, 0.95, 0.010, 0.3, 0.085, 0.35, 0.060, 0.10, 0.008),
    "user2": User(0.22, 0.20, 0.20, -0.30, 0.99, 0.006, 0.2, 0.130, 0.70, 0.120, 0.20, 0.016),
    "user3": User(0.07, 0.10, 0.42, 0.45, 0.88, 0.016, 0.5, 0.065, 0.25, 0.035, 0.15, 0.008),
    "user4": User(0.16, 0.21, 0.30, -0.05, 0.92, 0.010, 0.8, 0.160, 1.00, 0.085, 0.08, 0.010),
    "user5": User(0.08, 0.14, 0.38, -0.50, 1.03, 0.012, 0.2, 0.095, 0.30, 0.045, 0.30, 0.016),
    "user6": User(0.20, 0.12, 0.23, 0.30, 0.97, 0.014, 0.5, 0.110, 0.50, 0.095, 0.05, 0.010),
}


def of_the_day(user: User, rng: np.random.Generator) -> User:
    """`user` as they move in one session: everything some percent off, and at times another device."""
    values = {field.name: getattr(user, field.name) * rng.lognormal(0, 0.05) for field in fields(User)}
    sampling = user.sampling if rng.random() < 0.85 else float(rng.choice([0.008, 0.010, 0.016]))
    aim, bend = user.aim + 0.02 * rng.standard_normal(), user.bend + 0.06 * rng.standard_normal()
    return replace(user, **(values | {"sampling": sampling, "aim": aim, "bend": bend}))


@dataclass(frozen=True)
class Stroke:
    """From its start to `chord` pixels away in direction `angle`, on an arc that turns by `bend`."""

    chord: float
    angle: float
    bend: float
    seconds: float
    skew: float

    def __call__(self, t: np.ndarray) -> np.ndarray:
        """Displacement of shape (len(t), 2), in pixels, at `t` seconds after the start.

        Sigma-lognormal model: the way covered is a lognormal distribution function of time, and the direction turns with
        it. Positions in closed form: Plamondon and Djioua (2006), A multi-level representation paradigm for handwriting
        stroke generation. Here 99 % of the way is covered after `seconds`: the quantile is 2.326.
        """
        mu = math.log(self.seconds) - 2.326 * self.skew
        z = (np.log(np.maximum(t, 1e-9)) - mu) / self.skew
        covered = np.array([0.5 * (1 + math.erf(value / math.sqrt(2))) for value in z])
        bend = self.bend if abs(self.bend) > 1e-3 else 1e-3  # a straight line is a very flat arc
        first, radius = self.angle - bend / 2, self.chord / (2 * math.sin(bend / 2))
        now = first + bend * covered
        return radius * np.stack([np.sin(now) - math.sin(first), math.cos(first) - np.cos(now)], axis=1)


class Pen:
    """A pointer that writes down what happens to it: the rows of a log."""

    def __init__(self, user: User, rng: np.random.Generator):
        self.user, self.rng, self.now, self.rows = user, rng, 0.0, []
        self.place = rng.uniform(0.2, 0.8, 2) * SCREEN

    def wait(self, seconds: float, spread: float = 0.3) -> None:
        self.now += seconds * self.rng.lognormal(0, spread)

    def note(self, button: str, state: str) -> None:
        """One row. Time ascends by a millisecond at least, the resolution of the log."""
        time = max(round(1000 * self.now), self.rows[-1][0] + 1 if self.rows else 0)
        x, y = np.clip(np.round(self.place), 0, SCREEN - 1).astype(int).tolist()
        self.rows.append((time, x, y, button, state))

    def follow(self, strokes: list[tuple[float, Stroke]], state: str) -> None:
        """Move along the sum of (start in seconds, stroke); a device reports only when the whole pixel changed."""
        stop = max(start + 1.15 * stroke.seconds for start, stroke in strokes)
        t = np.arange(1, int(stop / self.user.sampling) + 2) * self.user.sampling
        way = self.place + sum(stroke(t - start) for start, stroke in strokes)
        hertz, phase = self.rng.uniform(8, 12), self.rng.uniform(0, 2 * np.pi, 2)
        shaken = way + self.user.tremor * np.sin(2 * np.pi * hertz * t[:, None] + phase)
        begin, before = self.now, np.round(self.place)
        for seconds, place in zip(t, shaken, strict=True):
            if (np.round(place) != before).any():
                before, self.place = np.round(place), place
                self.now = begin + seconds + 0.001 * self.rng.random()
                self.note("NoButton", state)
        self.now, self.place = begin + stop, np.clip(way[-1], 0, SCREEN - 1)

    def reach(self, target: np.ndarray, width: float, state: str = "Move") -> None:
        """Move to a target `width` pixels wide, by a first stroke and at most three corrections."""
        user, rng = self.user, self.rng
        for attempt in range(4):
            dx, dy = target - self.place
            distance, angle = math.hypot(dx, dy), math.atan2(dy, dx)
            if distance < width / 2:
                break
            # Fitts (1954) in the form of MacKenzie (1992)
            seconds = (user.intercept + user.slope * math.log2(distance / width + 1)) * rng.lognormal(0, 0.12)
            # faster movements miss by more: noise grows with the signal (Schmidt et al. 1979; Harris and Wolpert 1998)
            spread = min(user.noise * distance / seconds, 0.15 * distance)
            chord = (user.aim if attempt == 0 else 1) * distance + spread * rng.standard_normal()
            off = 0.5 * spread * rng.standard_normal() / distance
            bend = (user.bend + 0.2 * rng.standard_normal()) * (1 if attempt == 0 else 0.3)
            self.follow([(0.0, Stroke(max(chord, 1), angle + off, bend, seconds, user.skew))], state)
            self.wait(0.06)  # until the eye has seen where it ended

    def press(self, button: str = "Left") -> None:
        self.note(button, "Pressed")
        self.wait(self.user.click, 0.2)
        self.note(button, "Released")

    def scroll(self) -> None:
        """A few runs of notches in one direction, now and then back."""
        direction = self.rng.choice(["Down", "Down", "Up"])
        for _ in range(self.rng.integers(1, 4)):
            for _ in range(self.rng.integers(3, 9)):
                self.note("Scroll", direction)
                self.wait(self.user.notch)
            self.wait(self.user.pause)

    def drag(self) -> None:
        self.note("Left", "Pressed")
        self.wait(0.1)
        self.reach(self.anywhere(), 30, "Drag")
        self.wait(0.1)
        self.note("Left", "Released")

    def anywhere(self) -> np.ndarray:
        """Where the next thing to click lies: half of them near the last one."""
        near = self.place + self.rng.normal(0, 120, 2)
        return np.clip(near if self.rng.random() < 0.5 else self.rng.uniform(0.04, 0.96, 2) * SCREEN, 20, SCREEN - 20)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="") as file:
            rows = [(f"{time / 1000:.3f}", *rest) for time, *rest in self.rows]
            csv.writer(file, lineterminator="\n").writerows([HEADER, *rows])


def session(name: str, number: int) -> Pen:
    """Session `number` of a user: pointing and clicking, scrolling, dragging."""
    rng = np.random.default_rng([SEED, 0, list(USERS).index(name), number])
    pen = Pen(of_the_day(USERS[name], rng), rng)
    while len(pen.rows) < EVENTS:
        pen.wait(pen.user.pause, 0.7)
        if rng.random() < pen.user.wheel:
            pen.scroll()
            continue
        pen.reach(pen.anywhere(), rng.choice([12, 24, 48, 90]))
        pen.wait(0.15)
        kind = rng.random()
        if kind < 0.1:
            pen.drag()
        elif kind < 0.85:
            pen.press("Right" if kind < 0.15 else "Left")
            if kind > 0.75:  # a double click
                pen.wait(0.09)
                pen.press()
    return pen


def shape(name: str, size: float, rng: np.random.Generator) -> list[tuple[float, float, float]]:
    """(chord, angle, bend) of the strokes that draw a gesture `size` pixels wide; y points down, as on a screen."""
    third, turn = 2 * np.pi / 3, rng.choice([-1, 1])
    if name == "swipe":
        return [(size, rng.choice([0, np.pi]), 0.0)]
    if name == "check":
        return [(0.35 * size, 0.9, 0.0), (0.9 * size, -0.95, -0.1)]
    if name == "zigzag":
        return [(0.55 * size, 1.0 if step % 2 else -1.0, 0.0) for step in range(rng.integers(4, 6))]
    if name == "square":
        return [(0.8 * size, turn * step * np.pi / 2, 0.0) for step in range(4)]
    if name == "circle":
        return [(0.8 * size, turn * step * third, turn * third) for step in range(3)]
    # a spiral of a little more than two turns, from the inside to the outside
    return [(size * (0.15 + 0.11 * step), turn * step * third, turn * third) for step in range(rng.integers(6, 8))]


GESTURES = ("check", "circle", "spiral", "square", "swipe", "zigzag")


def gesture(name: str, user_name: str, number: int) -> Pen:
    """One gesture with the button held: its size, place and slant, and every stroke of it, differ from take to take."""
    rng = np.random.default_rng([SEED, 1, GESTURES.index(name), list(USERS).index(user_name), number])
    user = of_the_day(USERS[user_name], rng)
    pen, slant, start, strokes = Pen(user, rng), rng.normal(0, 0.15), 0.0, []
    for chord, angle, bend in shape(name, rng.uniform(120, 320), rng):
        chord, angle = chord * rng.lognormal(0, 0.08), angle + slant + 0.08 * rng.standard_normal()
        bend = bend * rng.lognormal(0, 0.08) + 0.5 * user.bend + 0.1 * rng.standard_normal()
        seconds = (user.intercept + user.slope * math.log2(chord / 20 + 1)) * rng.lognormal(0, 0.12)
        strokes.append((start, Stroke(chord, angle, bend, seconds, user.skew)))
        start += seconds * rng.uniform(0.5, 0.75)  # the next stroke sets in before this one ends: corners are round
    pen.note("Left", "Pressed")
    pen.wait(0.05)
    pen.follow(strokes, "Drag")
    pen.note("Left", "Released")
    return pen


def main(folder: Path = HERE) -> None:
    """Write `mouse/gestures/` and `mouse/users/` below `folder`."""
    for user in USERS:
        for number in range(1, SESSIONS + 1):
            session(user, number).save(folder / "mouse" / "users" / user / f"session_{number}.csv")
        for name in GESTURES:
            for number in range(TAKES):
                target = folder / "mouse" / "gestures" / name / f"{name}_{user}_{number:02d}.csv"
                gesture(name, user, number).save(target)
    print(f"mouse: {len(USERS) * SESSIONS} sessions, {len(GESTURES) * len(USERS) * TAKES} gestures")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
