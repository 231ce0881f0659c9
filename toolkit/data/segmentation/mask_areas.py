"""The values that a set of masks holds, and which of them form areas, as classes do, rather than borders, as blends and noise do.

What follows from it is said in `mask_values`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from toolkit.data.segmentation.class_mapping import MOST_FOUND, Value
from toolkit.data.segmentation.mask_facts import JPEG, Facts, ValueTally

NEAR = 24  # levels, of grey or of each of a colour's three, by which JPEG changes an area
RARE = 2e-4  # part of all pixels below which no value of very many is a class
SMEARED = 20  # unknown values from which on they are blends rather than classes that a list left out


class Readable:
    """The looks at masks that could be read, and the `values` of them all. With `in_colour` grey levels are colours too."""

    def __init__(self, facts: list[Facts], in_colour: bool) -> None:
        self.facts = facts
        if in_colour:
            for fact in facts:
                fact.values = {lifted(value): tally for value, tally in fact.values.items()}
        self.values: dict[Value, ValueTally] = defaultdict(ValueTally)
        for fact in facts:
            for value, tally in fact.values.items():
                self.values[value].add(tally)
        self.pixels = sum(tally.count for tally in self.values.values()) + sum(fact.others for fact in facts)
        self.jpeg = 2 * sum(fact.mask.suffix.lower() in JPEG for fact in facts) > len(facts)

    def having(self, values: Collection[Value], beyond: bool = False) -> list[Facts]:
        """The masks that hold any of `values`, or with `beyond` more values than were kept."""
        return [fact for fact in self.facts if (beyond and fact.others) or not fact.values.keys().isdisjoint(values)]


def split_values(seen: Readable) -> tuple[list[Value], set[Value]]:
    """The values that are classes, as far as their areas tell, and those that are blends of them."""
    many = len(seen.values) > MOST_FOUND or seen.jpeg or any(fact.others for fact in seen.facts)
    thin = {value for value, tally in seen.values.items() if tally.thin}
    if not many:
        grey = {value for value in thin if not isinstance(value, tuple)}
        blends = {value for value in grey if seen.values[value].between >= 0.9 * seen.values[value].count} | (thin - grey)
        blends = blends if len(blends) > 2 and len(seen.values) - len(blends) > 1 else set()
        return sorted(seen.values.keys() - blends, key=lifted), blends
    solid = [value for value in seen.values if value not in thin]
    if seen.jpeg:
        areas = _centres(solid, seen)
    else:
        solid = [value for value in solid if seen.values[value].count >= RARE * seen.pixels]
        areas = [value for value in solid if not _satellite(value, solid, tallies=seen.values)]
    return sorted(areas, key=lifted), seen.values.keys() - set(areas)


def area_values(seen: Readable, values: dict[Value, ValueTally]) -> list[Value]:
    """Those of `values`, which no class has, that are classes by their areas rather than blends or noise."""
    if seen.jpeg:
        centres = set(_centres([value for value, tally in seen.values.items() if not tally.thin], seen))
        return [value for value in values if value in centres]
    areas = [value for value, tally in values.items() if not tally.thin]
    if len(values) <= SMEARED:
        return areas
    common = [value for value in areas if values[value].count >= RARE * seen.pixels]
    return [value for value in common if not _satellite(value, list(seen.values), tallies=seen.values)]


def reach_of(seen: Readable, reading: dict[Value, int]) -> int:
    """By how many levels a value of a JPEG file may be off the one that it was: less than halfway to the next of `reading`."""
    if not seen.jpeg or len(reading) < 2:
        return 0
    held = [value for value in reading if value in seen.values]
    return min([NEAR, *((apart(a, b) - 1) // 2 for place, a in enumerate(held) for b in held[:place])])


def apart(value: Value, other: Value) -> int:
    """By how many levels two values differ, in the one of three where they differ most."""
    return max(abs(a - b) for a, b in zip(lifted(value), lifted(other), strict=True))


def lifted(value: Value) -> tuple[int, int, int]:
    """A grey level as the colour it is."""
    return value if isinstance(value, tuple) else (value, value, value)


def _centres(values: list[Value], seen: Readable) -> list[Value]:
    """The commonest of values that lie together, where they are not few."""
    centres: dict[Value, int] = {}
    for value in sorted(values, key=lambda value: -seen.values[value].count):
        near = next((centre for centre in centres if apart(value, centre) <= NEAR), value)
        centres[near] = centres.get(near, 0) + seen.values[value].count
    return [value for value, count in centres.items() if count >= 10 * RARE * seen.pixels]


def _satellite(value: Value, others: list[Value], *, tallies: dict[Value, ValueTally]) -> bool:
    """Whether a value is next to a far commoner one, as JPEG leaves them."""
    reach = NEAR if isinstance(value, tuple) else NEAR // 4
    return any(tallies[other].count > 20 * tallies[value].count and apart(value, other) <= reach for other in others)
