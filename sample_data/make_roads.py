"""Make `roads/`: drawn streets as a driver sees them, each with an exact mask. `python sample_data/make_roads.py`.

A file of its own because a picture with a mask needs a small world: what stands along a bending road is projected as by a
camera and painted twice, in its colours and as its class, from far to near. The picture is then shrunk with soft edges, the
mask by majority, so that no pixel of it is a blend. Each drive has its own seed.
"""

from __future__ import annotations

import math
import sys
from collections import namedtuple
from itertools import pairwise, product
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter, ImageOps

HERE = Path(__file__).resolve().parent
CODES = ("sky", "building", "tree", "road", "car")  # the number of a class is its place here
DRIVES, FRAMES, WIDTH, HEIGHT, SEED = 30, 8, 128, 96, 1968
SCALE, W, H = 4, 4 * WIDTH, 4 * HEIGHT  # what is painted on is larger
FOCAL, EYE, NEAR, FAR = 0.7 * W, 1.4, 1.0, 75.0  # pixels; metres above the road; metres ahead
MARGIN, LANE = 140, 3.2  # pixels of sky beyond each side, for the bends; metres, and the camera is in the middle of the right one


def colours(text: str) -> list[tuple[int, ...]]:
    """(red, green, blue) of each hexadecimal number in `text`."""
    return [ImageColor.getrgb("#" + number) for number in text.split()]


PALETTE = colours("8ecae6 bc7a60 529454 767480 e8be3e")  # of the classes, in the masks
WALLS = colours("808084 a6a4a0 d6c4a0 a45442 eae8e2 849ebc eedaac 606268 be7854 b6cabc deaa96 6c86a8")
PAINTS = colours("ececea 1c1e22 787c82 babec4 b21e22 22428e 266042 deac28 7ca0be 8c684c")
GREEN, AUTUMN = colours("427030 58883a 345c34 709042 36583e"), colours("ce8e30 be602c a0422e ccb04c 6e823c")
ROOFS, PANES = colours("964836 5c5658 783e32 4a4e5a"), colours("343c48 4e6074 789098")
WHITE, DARK, METAL, WOOD, LAMP, BRAKE = colours("ececea 141416 82848a 56443a ffe09a c41818")
# side views: (part of the length, metres above the road) from rear to front, where glass lies from 2 to 3 and from 4 to 5
SALOON = ((0, 0.30), (0, 0.90), (0.15, 0.98), (0.30, 1.42), (0.60, 1.45), (0.77, 0.96), (0.98, 0.76), (1, 0.30))
HATCH = ((0, 0.30), (0, 0.92), (0.03, 1.00), (0.13, 1.48), (0.60, 1.52), (0.78, 1.02), (0.98, 0.82), (1, 0.30))
VAN = ((0, 0.35), (0, 1.15), (0.01, 1.25), (0.03, 2.10), (0.70, 2.15), (0.86, 1.25), (0.99, 1.05), (1, 0.35))
CARS = ((SALOON, 4.5, 1.8), (HATCH, 4.0, 1.75), (SALOON, 4.8, 1.85), (HATCH, 3.6, 1.7), (VAN, 5.0, 2.0))  # length, width
# sky: colours above, at the horizon, of clouds; light: a factor for red, green, blue; sight: metres after which haze has taken
# 63 % of the contrast; sun: how much brighter walls in the sun are, and darker the others; lamps: part of the windows that is lit
Weather = namedtuple("Weather", "sky light sight sun lamps")
WEATHERS = (
    Weather("4884d6 bad6f0 fafafc", (1.08, 1.05, 1.00), 600, 0.22, 0.0),  # noon
    Weather("78a4dc f6e2c8 fff4e6", (1.06, 0.98, 0.86), 350, 0.20, 0.05),  # morning
    Weather("9ea6b2 ced2d6 dcdee2", (0.88, 0.90, 0.93), 300, 0.04, 0.1),  # overcast
    Weather("68609e fca65c ffc496", (0.98, 0.78, 0.62), 350, 0.20, 0.3),  # evening
    Weather("bcc0c4 d8dadb ced0d2", (0.95, 0.96, 0.97), 150, 0.02, 0.1),  # mist
    Weather("2a3462 b07a84 605478", (0.56, 0.56, 0.72), 350, 0.04, 0.5),  # dusk
    Weather("707884 a4aab0 8c929c", (0.72, 0.76, 0.82), 220, 0.03, 0.3),  # rain
)


class View:
    """What the camera sees from `at` metres along the road: `colour` and `classes`, W by H pixels."""

    def __init__(self, weather: Weather, sun: float, bend: float, at: float, horizon: float, backdrop: tuple):
        self.weather, self.sun, self.bend, self.at, self.horizon = weather, sun, bend, at, horizon
        left, top = MARGIN + round(FOCAL * bend * (at - 6)), H - round(horizon)  # the backdrop has its horizon at H
        self.colour, self.classes = (layer.crop((left, top, left + W, top + H)) for layer in backdrop)
        self.pens, self.haze = (ImageDraw.Draw(self.colour), ImageDraw.Draw(self.classes)), colours(weather.sky)[1]

    def project(self, side: float, along: float, up: float) -> tuple[float, float]:
        """Pixels from the left and the top of a place: metres right of the middle of the road, along it and above it."""
        ahead = max(along - self.at, NEAR)
        return W / 2 + FOCAL * ((side - LANE / 2) / ahead + self.bend * ahead / 2), self.horizon - FOCAL * (up - EYE) / ahead

    def paint(self, places: list, colour: tuple, name: str = "", light: float = 1.0, radius: float = 0.0) -> None:
        """A polygon, or a disc of `radius` metres. Without a `name` it is a detail, and the classes stay as they are."""
        ahead = max(along for _, along, _ in places) - self.at
        if ahead > NEAR:
            shape, clear = [self.project(*place) for place in places], math.exp(-ahead / self.weather.sight)
            parts = zip(colour, self.weather.light, self.haze, strict=True)
            tone = tuple(min(int(clear * part * factor * light + (1 - clear) * haze), 255) for part, factor, haze in parts)
            (x, y), r = shape[0], FOCAL * radius / ahead
            shape = [(x - r, y - r), (x + r, y + r)] if radius else shape
            for pen, fill in zip(self.pens, (tone, CODES.index(name)) if name else (tone,), strict=False):
                (pen.ellipse if radius else pen.polygon)(shape, fill=fill)

    def strip(self, left: float, right: float, colour: tuple, start: float = 0, stop: float = math.inf) -> None:
        """A band of road, in pieces that follow the bend and fade into the haze."""
        start, stop = max(start - self.at, NEAR), min(stop - self.at, FAR)
        cuts = np.geomspace(start, stop, 2 + int(4 * math.log(stop / start))) if start < stop else ()
        for near, far in pairwise(self.at + cut for cut in cuts):
            self.paint([(left, near, 0), (right, near, 0), (right, far, 0), (left, far, 0)], colour, "road")

    def shrink(self, grain: np.ndarray, blur: float, noise: float, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
        """The picture, with the grain of each class, lens blur and sensor noise, and the mask: the class of most pixels."""
        classes, blocks = np.asarray(self.classes), (HEIGHT, SCALE, WIDTH, SCALE)
        rough = np.asarray(self.colour) * (1 + np.array([0, 0.10, 0.25, 0.14, 0])[classes] * grain)[:, :, None]
        small = Image.fromarray(np.clip(rough, 0, 255).astype(np.uint8)).reduce(SCALE).filter(ImageFilter.GaussianBlur(blur))
        votes = [(classes == code).reshape(blocks).sum(axis=(1, 3)) for code in range(len(CODES))]
        mask = Image.fromarray(np.argmax(votes, axis=0).astype(np.uint8))
        mask.putpalette([part for colour in PALETTE for part in colour])
        return Image.fromarray(np.clip(np.round(small + rng.normal(0, noise, (HEIGHT, WIDTH, 3))), 0, 255).astype(np.uint8)), mask


def building(view: View, rng: np.random.Generator, side: float, far: float, length: float, floors: int) -> None:
    """A box along the road, with rows of windows, a shop or a door below, and a gable roof on some of the lower ones."""
    near, out, top, colour = far - length, np.sign(side), 3.1 * floors + 0.8, rng.choice(WALLS) * rng.normal(1, 0.05, 3)
    ridge, back, gable, sunlit = side + 4.5 * out, side + 9 * out, 3.2 * (floors < 5 and rng.random() < 0.7), 1 - out * view.sun

    def wall(start: float, stop: float, low: float, high: float, colour: tuple, light: float = sunlit, name: str = "") -> None:
        view.paint([(side, start, low), (side, stop, low), (side, stop, high), (side, start, high)], colour, name, light)

    roof = [(side, near, top), (side, far, top), (ridge, far, top + gable), (ridge, near, top + gable)]
    view.paint(roof, rng.choice(ROOFS), "building", sunlit)  # a flat one is hidden by the walls
    end = [(side, near, 0), (side, near, top), (ridge, near, top + gable), (back, near, top), (back, near, 0)]
    view.paint(end, colour, "building", 0.9)
    wall(near, far, 0, top, colour, sunlit, "building")
    bays, shop, glass, sign = int(length / rng.uniform(2.2, 3)), rng.random() < 0.4, rng.choice(PANES), rng.choice(PAINTS)
    bay, tall, wide, chances = length / bays, rng.uniform(1.3, 2), rng.uniform(1.1, 1.8), rng.random((floors, bays, 2))
    for floor, number in np.ndindex(floors, bays):
        left, low, (tone, chance) = near + (number + 0.5) * bay - wide / 2, 3.1 * floor + 0.9, chances[floor, number]
        wall(left - 0.15, left + wide + 0.15, low - 0.2, low + tall + 0.1, colour, 1.18 * sunlit)  # the frame
        lit = chance < view.weather.lamps
        wall(left, left + wide, low, low + tall, LAMP if lit else glass, 1 / max(view.weather.light) if lit else 0.7 + 0.5 * tone)
    wall(*(near + 0.2, far - 0.2, 2.6, 3.3, sign) if shop else (near + 0.4, near + 1.6, 0, 2.3, WOOD))


def tree(view: View, rng: np.random.Generator, side: float, far: float, leaves: list, size: float, trunk: float) -> None:
    """A crown of discs, lighter above and dabbed with leaves, on a trunk; a pointed crown is a fir's. A bush has no trunk."""
    radius, colour, pointed = size * rng.uniform(0.8, 1.2), leaves[rng.integers(len(leaves))], trunk and rng.random() < 0.15
    half, pixels = radius * rng.uniform(0.9, 1.4), FOCAL * radius / (far - view.at)
    thick = radius * max(0.12, 0.7 * SCALE / pixels)  # the trunk is never a thin line
    stem = [(side + way * thick, far, up) for way, up in ((-1, 0), (1, 0), (1, trunk + half), (-1, trunk + half))]
    view.paint(stem, WOOD, "tree")
    for part, number, name in ((0.75, 3, "tree"), (0.5, 30, "tree"), (0.13, 90, "")):
        for turn, reach, tone in rng.random((number, 3))[: 8 + int(pixels / 2)].tolist():  # far ones are simpler
            reach, turn = (1 - part) * math.sqrt(reach), 2 * math.pi * turn
            up, taper = reach * math.sin(turn), max(0.5 - 0.6 * reach * math.sin(turn), 0.15) if pointed else 1.0
            place = (side + radius * reach * math.cos(turn) * taper, far, trunk + half * (1 + up))
            view.paint([place], colour, name, 0.85 + 0.25 * up + 0.5 * (tone - 0.5), radius * part * math.sqrt(taper))


def car(view: View, rng: np.random.Generator, side: float, far: float, oncoming: bool) -> None:
    """A body from its side view, with glass, wheels and lamps; its shadow is road. Not drawn if less than 7 pixels wide."""
    (profile, length, width), colour = CARS[rng.integers(len(CARS))], rng.choice(PAINTS)
    near, half, order = far - length, width / 2, -1 if oncoming else 1
    if not 2.2 < near - view.at < FOCAL * width / (7 * SCALE):
        return
    line = [(far - length * part if oncoming else near + length * part, up) for part, up in profile][::order]
    left, right = ([(side + way * half * (0.86 if y > 1.3 else 1), x, y) for x, y in line] for way in (-1, 1))  # leaning in

    def pane(corners: list, part: float) -> None:
        middle = np.mean(corners, axis=0)
        view.paint((middle + part * (np.array(corners) - middle)).tolist(), PANES[0], "", 0.8)

    def both(inner: float, outer: float, low: float, high: float, colour: tuple, name: str = "") -> None:
        for one, other in ((side - inner * half, side - outer * half), (side + inner * half, side + outer * half)):
            view.paint([(one, near, low), (other, near, low), (other, near, high), (one, near, high)], colour, name)

    view.strip(side - half - 0.15, side + half + 0.15, (58, 58, 62), near - 0.3, far)
    both(0.55, 0.98, 0, 0.45, DARK, "car")  # tyres
    for at, light in zip(reversed(range(7)), (0.9, 1.15, 1.0, 1.2, 1.0, 1.15, 0.9), strict=True):  # from the far end
        across = [left[at], right[at], right[at + 1], left[at + 1]]
        view.paint(across, colour, "car", light)
        if at in (2, 4):
            pane(across, 0.85)
    both(0.62, 0.97, line[1][1] - 0.28, line[1][1] - 0.06, LAMP if oncoming else BRAKE)
    both(0, 0.28, 0.5, 0.64, WHITE)  # number plate
    for way, flank in ((-1, left), (1, right)):
        if way * (view.project(*flank[0])[0] - view.project(*flank[-1])[0]) < 0:  # it is turned to the camera
            view.paint(flank, colour, "car", 0.8)
            pane(flank[2:6], 0.78)
            for part, (radius, tone, name) in product((0.19, 0.81), ((0.34, DARK, "car"), (0.19, METAL, ""))):
                turns, hub = np.arange(16) * math.pi / 8, near + part * length
                rim = [(side + way * half, hub + radius * math.cos(turn), 0.34 + radius * math.sin(turn)) for turn in turns]
                view.paint(rim, tone, name)


def smooth(rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Cloudy noise of shape (height, width), about -0.5 to 0.5: random values on finer and finer grids, the finer the weaker."""
    grids = [Image.fromarray(rng.uniform(-0.5, 0.5, (2 * cells, cells)).astype(np.float32)) for cells in (3, 6, 12, 24, 48)]
    return sum(np.asarray(grid.resize((width, height), Image.Resampling.BICUBIC)) * 1.5 / grid.width for grid in grids)


def backdrop(weather: Weather, rng: np.random.Generator) -> tuple[Image.Image, Image.Image]:
    """Sky with clouds above a far row of houses: colours and classes, W + 2 MARGIN by 2 H pixels, the horizon at H."""
    width, height, (zenith, horizon, cloud) = W + 2 * MARGIN, np.arange(H, -H, -1)[:, None], np.array(colours(weather.sky))
    rise = np.clip(height / (0.5 * H), 0, 1)[:, :, None] ** 0.8
    cover = np.clip(3.5 * (smooth(rng, width, 2 * H) + rng.uniform(-0.1, 0.1)), 0, 0.9)[:, :, None]
    sky = (zenith * rise + horizon * (1 - rise)) * (1 - cover) + cloud * cover
    house = np.repeat(np.arange(width), rng.integers(20, 70, width))[:width]  # which house stands in a column
    walls = 0.6 * np.array(weather.light) * rng.choice(WALLS, width)[house] + 0.4 * horizon
    classes = (height < rng.integers(20, 50, width)[house]).astype(np.uint8)  # 1 is building, 0 is sky
    return Image.fromarray(np.where(classes[:, :, None], walls, sky).astype(np.uint8)), Image.fromarray(classes)


def drive(number: int) -> list[tuple[Image.Image, Image.Image]]:
    """The (picture, mask) pairs of one drive, from its first frame to its last."""
    rng, things = np.random.default_rng([SEED, number]), []  # (far end, metres a frame, what draws it, side, its settings)
    weather, leaves = WEATHERS[number % len(WEATHERS)], GREEN if rng.random() < 0.6 else AUTUMN
    green, floors = ((0.15, (3, 7)), (0.25, (2, 5)), (0.4, (2, 4)))[rng.integers(3)]  # part that is green, floors of the houses
    bend, horizon, sun = rng.uniform(-1, 1) / 200, H * rng.uniform(0.42, 0.52), rng.choice([-1, 1])
    kerb = LANE + rng.choice([2.2, 2.2, 2.2, 0.1])  # with places to park or without
    edge, step, shade = kerb + rng.uniform(1.2, 2.4), rng.uniform(0.9, 1.8), 1 - 2 * weather.sun  # of the houses, on the road
    asphalt, paving = rng.uniform(66, 140) + rng.uniform(-6, 6, 3), rng.uniform(110, 190) + rng.uniform(-14, 14, 3)
    for out, cuts in zip((-1, 1), rng.uniform(6, 14, (2, 16)).cumsum(axis=1) - 20, strict=True):  # both sides, wall to wall
        for near, far in pairwise(cuts.tolist()):
            if rng.random() < green:  # a hedge, and trees behind it
                high = rng.uniform(0.8, 1.4)
                things += [(along, 0, tree, out * edge, leaves[:1], high, 0) for along in np.arange(near, far, 0.9)]
                things += [(along, 0, tree, out * (edge + 2.5), leaves, 2.4, 2) for along in (near + 2, far - 2)]
            else:
                things.append((far, 0, building, out * edge, far - near, int(rng.integers(*floors))))
            if rng.random() < 0.15 + green:
                things.append((rng.uniform(near, far), 0, tree, out * (edge - 0.6), leaves, 1.7, 2))
            if kerb > LANE + 1 and rng.random() < 0.7:
                things.append((near + 6, 0, car, out * (LANE + 1.15), out < 0))
    things.append((rng.uniform(11, 23), step + rng.normal(0, 0.2), car, 0.5 * LANE, False))
    things.append((rng.uniform(16, 40), -rng.uniform(0.5, 1.5), car, -0.5 * LANE, True))
    scenery, grain, pairs = backdrop(weather, rng), 0.6 * rng.normal(0, 1, (H, W)) + 4 * smooth(rng, W, H), []
    blur, noise, mirrored = rng.uniform(0.2, 0.45), rng.uniform(1.5, 3.5), rng.random() < 0.3  # mirrored: they drive on the left
    for frame in range(FRAMES):
        view = View(weather, sun * weather.sun, bend, frame * step, horizon + rng.normal(0, 2), scenery)
        view.strip(-edge - 1, edge + 1, paving)
        view.strip(sun * kerb, sun * (edge + 1), shade * paving)
        view.strip(-kerb - 0.2, kerb + 0.2, 1.2 * paving)
        view.strip(-kerb, kerb, asphalt)
        view.strip(sun * 0.4 * kerb, sun * (kerb + 0.2), shade * asphalt)
        for line, start in product((-LANE, 0, LANE), np.arange(0, view.at + FAR, 6)):
            view.strip(line - 0.07, line + 0.07, WHITE, start, start + (6 if line else 3))  # dashed in the middle
        ends = [(far + frame * speed, index, *rest) for index, (far, speed, *rest) in enumerate(things)]
        seen = [thing for thing in ends if 2 < thing[0] - view.at < FAR]
        for far, index, draw, side, *settings in sorted(seen, key=lambda thing: -thing[0] - abs(thing[3] - LANE / 2)):
            draw(view, np.random.default_rng([SEED, number, index]), side, far, *settings)  # the same look in each frame
        pairs.append(tuple(ImageOps.mirror(layer) if mirrored else layer for layer in view.shrink(grain, blur, noise, rng)))
    return pairs


def main(folder: Path = HERE) -> None:
    """Write `roads/images/`, `roads/masks/` and `roads/codes.txt` below `folder`."""
    images, masks = folder / "roads" / "images", folder / "roads" / "masks"
    for target in (images, masks):
        target.mkdir(parents=True, exist_ok=True)
    (folder / "roads" / "codes.txt").write_text("".join(f"{name}\n" for name in CODES))
    for number in range(DRIVES):
        for frame, (picture, mask) in enumerate(drive(number)):
            picture.save(images / f"drive{number:02d}_{frame}.jpg", quality=90, subsampling=0, optimize=True)
            mask.save(masks / f"drive{number:02d}_{frame}.png", optimize=True)
    print(f"roads: {DRIVES * FRAMES} pictures, each with its mask")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
