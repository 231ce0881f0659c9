"""What the values of a set of masks are, and what they should be: areas, blends, 0 and 255, colours, strangers.

It is the judgement that the rest of the doctor rests on: from many tallies to one table that says which raw value is which class.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path

import numpy as np

from toolkit.data.segmentation.class_lists import FORMS, ClassList
from toolkit.data.segmentation.class_mapping import (
    IGNORED,
    MOST_FOUND,
    UNCOUNTED,
    ClassMapping,
    Value,
    evenly_spread,
    found_class_mapping,
    show_value,
)
from toolkit.data.segmentation.mask_areas import SMEARED, Readable, area_values, lifted, reach_of, split_values
from toolkit.data.segmentation.mask_facts import Facts, ValueTally
from toolkit.data.segmentation.mask_io import Colour
from toolkit.errors import DataError

KEPT_APART = 3  # levels that values must have to each side to be told after JPEG
CLIMBS, FEW_STEPS = 0.1, 40  # part of a border that may climb through other classes (clean masks: 0.06), in longer ones than this


@dataclass(frozen=True)
class Finding:
    """One kind of fault. `files` are (path, what is special about it, or ""), `found` says in one sentence what was found and
    `todo` what to do; `repairable`: --apply mends it; `fatal`: it stops training."""

    kind: str
    files: tuple[tuple[str, str], ...]
    _: KW_ONLY
    found: str
    todo: str
    repairable: bool = False
    fatal: bool = False


def many(count: int, what: str = "mask") -> str:
    """The number of something in words: "one mask", "4 masks"."""
    return f"one {what}" if count == 1 else f"{count} {what}s"


@dataclass
class Judgement:
    """What `seen` masks should follow, `class_mapping`, and their `reading`; see `Diagnosis` for the rest."""

    seen: Readable
    class_mapping: ClassMapping | None
    findings: list[Finding] = field(default_factory=list)
    reading: dict[Value, int] = field(default_factory=dict)
    own: dict[str, dict[Value, int]] = field(default_factory=dict)
    outside: tuple[Value, ...] = ()
    reach: int = 0
    averaged: frozenset[str] = frozenset()


Unknown = dict[Value, ValueTally]  # values that no class has


def judge_values(
    seen: Readable, class_mapping: ClassMapping | None, *, ignore: str, palette: ClassList | None, folder: Path
) -> Judgement:
    """Say what is wrong with the values of the masks in `folder`; the arguments are those of `diagnose`."""
    if not seen.facts:
        return Judgement(seen, class_mapping)
    classes, blends = class_mapping, set[Value]()
    if classes is None or classes.found:
        areas, blends = split_values(seen)
        try:
            classes = classes if classes is not None and not blends else found_class_mapping(areas, folder, ignore=ignore)
        except DataError:
            return Judgement(seen, None, [_no_classes(seen, areas)])
        if classes.in_colour:
            seen, blends = Readable(seen.facts, True), {lifted(value) for value in blends}
    judged = Judgement(seen, classes, reading=_reading(classes, palette, ignore=ignore))
    unknown = {value: tally for value, tally in seen.values.items() if value not in judged.reading}
    for judge in (_colours, _spread, _shifted, _not_counted):
        judge(judged, classes, unknown=unknown, palette=palette)
        if any(finding.kind == "no_classes" for finding in judged.findings):
            return judged
        unknown = {value: tally for value, tally in unknown.items() if value not in judged.reading}
    judged.reach = reach_of(seen, judged.reading)
    _blends_and_strangers(judged, classes, unknown=unknown, blends=blends)
    _averaged(judged)
    _mixed(judged, classes)
    _palettes(judged, classes)
    return judged


def _no_classes(seen: Readable, areas: Sequence[Value]) -> Finding:
    found = f"the masks hold {len(seen.values)} values, of which {len(areas)} form areas: not 2 to {MOST_FOUND} classes"
    todo = "see whether these are pictures, given in the place of masks; where they are masks, name their classes with --classes"
    return Finding("no_classes", _listed(seen.facts), found=found, todo=todo, fatal=True)


def _reading(classes: ClassMapping, palette: ClassList | None, *, ignore: str) -> dict[Value, int]:
    """The class number of each value that the mapping knows, and of each colour of the palette."""
    in_colour = classes.in_colour or palette is not None
    known = dict(zip(classes.values, range(len(classes.values)), strict=True)) | dict.fromkeys(classes.ignored, IGNORED)
    reading: dict[Value, int] = {lifted(value) if in_colour else value: number for value, number in known.items()}
    if palette is not None:
        numbers = {name.casefold(): number for number, name in enumerate(classes.classes)}
        uncounted = {*UNCOUNTED, *(name.strip().casefold() for name in ignore.split(","))}
        for name, value in zip(palette.names, palette.values, strict=True):
            number = numbers.get(name.casefold(), IGNORED if name.casefold() in uncounted else None)
            if number is None:
                listed = ", ".join(classes.classes)
                raise DataError(f"{palette.path}: {name!r} is none of the classes ({listed}): name both lists' classes alike")
            reading[lifted(value)] = number
    return reading


def _colours(judged: Judgement, classes: ClassMapping, *, unknown: Unknown, palette: ClassList | None) -> None:
    """Masks in colours."""
    seen = judged.seen
    coloured = [fact for fact in seen.facts if any(isinstance(value, tuple) and len(set(value)) > 1 for value in fact.values)]
    if not coloured:
        return
    count = f"{many(len(coloured))} in colours"
    if classes.in_colour:
        todo = "they are read by their colours as they are; --apply makes class numbers of them, which other tools expect"
        judged.findings.append(Finding("colours", _listed(coloured), found=count, todo=todo, repairable=True))
    elif palette is not None:
        todo = "make class numbers of them with --apply, or name the list of colours as the list of classes"
        judged.findings.append(
            Finding(
                "colours",
                _listed(coloured),
                found=f"{count} where the classes are numbers",
                todo=todo,
                repairable=True,
                fatal=True,
            )
        )
    else:
        ordered = sorted(unknown.items(), key=lambda entry: -entry[1].count)
        common = [value for value, tally in ordered if isinstance(value, tuple) and not tally.thin]
        if len(common) > MOST_FOUND:
            judged.reading = {}
            judged.findings.append(_no_classes(seen, common))
            return
        shown = ", ".join(f'"NAME": "{show_value(value)}"' for value in common)
        todo = f"say which colour is which class in a .json, as in {{{shown}}}, and name it with --palette"
        judged.findings.append(
            Finding(
                "colours",
                _listed(coloured),
                found=f"{count}, and nothing says which colour is which class",
                todo=todo,
                fatal=True,
            )
        )
        if len(coloured) == len(seen.facts):
            judged.reading = {}  # there is nothing that it could be said of


def _spread(judged: Judgement, classes: ClassMapping, *, unknown: Unknown, palette: ClassList | None) -> None:
    """Class numbers spread over 0 to 255, as painting programs save them."""
    seen = judged.seen
    if classes.in_colour:
        return
    listed = sorted(
        value for value in judged.reading if not isinstance(value, tuple) and (value != 255 or value in classes.values)
    )
    count = len(listed)
    if classes.found:
        if evenly_spread(classes.values):
            shown = " and ".join(map(str, classes.values)) if count == 2 else f"{count} levels spread over 0 to 255"
            found = f"masks hold {shown} where class numbers, 0 to {count - 1}, are usual"
            todo = "they are read as they are; --apply makes class numbers of them, and a list of classes would name them"
            judged.findings.append(
                Finding("spread", _listed(seen.having(classes.values[1:])), found=found, todo=todo, repairable=True)
            )
        return
    proper: Unknown = {value: seen.values[value] for value in listed if value and value in seen.values}
    if area_values(seen, proper):
        return  # they are class numbers already
    levels = {round(level): place for place, level in enumerate(np.linspace(0, 255, count))}
    areas = [value for value in area_values(seen, unknown) if not isinstance(value, tuple)]
    places = {value: levels.get(value, levels.get(value + 1, levels.get(value - 1))) for value in areas}
    hit = {value: place for value, place in places.items() if place}
    if not hit or len(hit) < len(places) or 2 * (len(hit) + 1) < count:
        return
    if not seen.jpeg:  # thin classes too, where they are on the same scale
        hit |= {value: levels[value] for value in unknown if not isinstance(value, tuple) and levels.get(value)}
    lost = [value for value in listed if value and value not in hit]  # there by chance, as blends or noise
    numbers: dict[Value, int] = {value: judged.reading[listed[place]] for value, place in hit.items()}
    judged.reading = {value: number for value, number in judged.reading.items() if value not in lost} | numbers
    values = "255 where 1 is meant" if count == 2 else f"{', '.join(map(str, sorted(hit)))} where 1 to {count - 1} is meant"
    files = seen.having(hit)
    judged.findings.append(
        Finding(
            "spread",
            _listed(files),
            found=f"{many(len(files))} with {values}",
            todo="make class numbers of them with --apply",
            repairable=True,
            fatal=True,
        )
    )


def _shifted(judged: Judgement, classes: ClassMapping, *, unknown: Unknown, palette: ClassList | None) -> None:
    """Classes counted from 1 where the list counts from 0."""
    seen = judged.seen
    known = set(judged.reading) - {255}  # classes, and listed ones that do not count
    held = set(seen.values) - {255}
    count = len(known)
    counted_from_0 = not classes.found and known == set(range(count))
    if counted_from_0 and count in unknown and held <= set(range(1, count + 1)):
        ignored: dict[Value, int] = {255: IGNORED} if 255 in judged.reading else {}
        judged.reading = {**{place + 1: judged.reading[place] for place in range(count)}, **ignored}
        found = f"the masks count classes from 1 to {count}, their list has them from 0 to {count - 1}"
        todo = 'make class numbers of them with --apply, or write the values into a .json as in {"name": 1}'
        judged.findings.append(Finding("shifted", _listed(seen.facts), found=found, todo=todo, repairable=True, fatal=True))


def _not_counted(judged: Judgement, classes: ClassMapping, *, unknown: Unknown, palette: ClassList | None) -> None:
    """255 beside proper classes, and not among them."""
    seen = judged.seen
    if 255 in unknown and judged.reading.keys() & seen.values.keys():
        judged.reading[255] = IGNORED
        files = seen.having({255})
        found = f"{many(len(files))} with 255 beside the classes: the usual mark of pixels that do not count"
        todo = "say so with --ignore 255 (or auto), in training too; or give it a name in the list of classes"
        judged.findings.append(Finding("not_counted", _listed(files), found=found, todo=todo, repairable=True, fatal=True))


def _blends_and_strangers(judged: Judgement, classes: ClassMapping, *, unknown: Unknown, blends: set[Value]) -> None:
    """Values that no class has: blends along borders, or classes that the list leaves out."""
    seen = judged.seen
    smeared = len(unknown) > SMEARED or seen.jpeg
    thin_colours = sum(isinstance(value, tuple) and tally.thin for value, tally in unknown.items())
    coloured = any(finding.kind == "colours" and not finding.repairable for finding in judged.findings)

    def stranger(value: Value) -> bool:
        """Whether a thin value is a thin class rather than a blend."""
        tally = unknown[value]
        if not tally.thin or smeared:
            return False
        return thin_colours < 3 if isinstance(value, tuple) else 2 * tally.between < tally.count

    solid = set(area_values(seen, unknown))
    areas = [value for value in unknown if value not in blends and (value in solid or stranger(value))]
    mixed = unknown.keys() - set(areas)
    if coloured:  # of which that finding tells
        areas = [value for value in areas if not isinstance(value, tuple)]
        mixed = {value for value in mixed if not isinstance(value, tuple)}
    files = seen.having(mixed, beyond=not coloured)
    if files:
        share = sum(seen.values[value].count for value in mixed) + sum(fact.others for fact in seen.facts)
        why = "they are saved as JPEG, which changes values" if seen.jpeg else "borders were smoothed, or scaled with smoothing"
        found = f"{many(len(files))} with values in between classes ({100 * share / seen.pixels:.2g} % of all pixels): {why}"
        todo = "give each such pixel the class of the nearest clean one with --apply; save masks as PNG and scale them unsmoothed"
        lost = seen.jpeg and judged.reach < KEPT_APART
        if lost:
            todo = "make them anew from their source as PNG: values so close together cannot be told again after JPEG"
            judged.reading = {}
        elif classes.found:
            todo += "; where a class is missing below, as thin ones may be, name the list with --classes"
        judged.findings.append(
            Finding("blends", _listed(files, _values_of(mixed)), found=found, todo=todo, repairable=not lost, fatal=True)
        )
    if areas:
        judged.outside = tuple(sorted(areas, key=lifted))
        shown = ", ".join(f"{show_value(value)} ({unknown[value].count} pixels)" for value in judged.outside[:8])
        more = f" and {len(areas) - 8} more" if len(areas) > 8 else ""
        files = seen.having(areas)
        found = f"{many(len(files))} with values that no class has: {shown}{more}"
        todo = f"name them in the list of classes (a .json: {FORMS}), or say with --ignore that they do not count"
        judged.findings.append(Finding("outside", _listed(files, _values_of(areas)), found=found, todo=todo, fatal=True))


def _averaged(judged: Judgement) -> None:
    """Averages of class numbers are class numbers too: known by borders that climb from one class to another through others."""
    seen = judged.seen
    climbs = {value: tally.climb for value, tally in seen.values.items() if value in judged.reading and tally.climb}
    through = [value for value, count in climbs.items() if count > 0.05 * sum(climbs.values())]
    # a class that is an outline lies between two others too, but it is one, and has no areas
    counted = set(climbs) if len(through) > 2 else {value for value in climbs if not seen.values[value].thin}
    files = []
    for fact in seen.facts:
        climbing = sum(tally.climb for value, tally in fact.values.items() if value in counted)
        if fact.steps >= FEW_STEPS and climbing > CLIMBS * fact.steps:
            files.append(fact)
    if files:
        judged.averaged = frozenset(str(fact.mask) for fact in files)
        found = f"{many(len(files))} with borders that pass through other classes: class numbers were averaged, as smoothing does"
        todo = "scale masks anew without smoothing; or let --apply give such pixels the class of the nearest clean one"
        judged.findings.append(Finding("averaged", _listed(files), found=found, todo=todo, repairable=True, fatal=True))


def _mixed(judged: Judgement, classes: ClassMapping) -> None:
    """Single masks of 0 and 255 among masks of 0 and 1, where 255 would be taken for what does not count."""
    seen = judged.seen
    if classes.values != (0, 1) or judged.reading.get(255) != IGNORED:
        return
    files = [fact for fact in seen.facts if fact.values.keys() == {0, 255} and not fact.values[255].thin]
    if files and len(files) < len(seen.facts):
        judged.own |= {str(fact.mask): {0: 0, 255: 1} for fact in files}
        found = f"{many(len(files))} with 0 and 255 alone, where others hold 0 and 1: this 255 would not count"
        judged.findings.append(
            Finding(
                "mixed", _listed(files), found=found, todo="make class numbers of them with --apply", repairable=True, fatal=True
            )
        )


def _palettes(judged: Judgement, classes: ClassMapping) -> None:
    """Palettes that differ, so that the same index is another colour."""
    paletted = [fact for fact in judged.seen.facts if fact.palette]
    if classes.in_colour or not paletted:
        if paletted and not classes.found:
            found = (
                f"{many(len(paletted))} with palettes that differ, or lack colours of the list: only their colours say the class"
            )
            todo = "make class numbers of them with --apply"
            judged.findings.append(Finding("palettes", _listed(paletted), found=found, todo=todo, repairable=True, fatal=True))
        return
    votes: dict[int, Counter[Colour]] = defaultdict(Counter)
    for fact in paletted:
        for value, colour in (fact.palette or {}).items():
            votes[value][colour] += 1
    usual = {value: counts.most_common(1)[0][0] for value, counts in votes.items()}
    index = {colour: value for value, colour in usual.items()}
    odd = [
        fact for fact in paletted
        if any(colour != usual[value] and index.get(colour, value) != value for value, colour in (fact.palette or {}).items())
    ]  # fmt: skip
    if not odd:
        return
    told = len(index) == len(usual)
    for fact in odd:
        places = {value: index.get(colour) for value, colour in (fact.palette or {}).items()}
        judged.own[str(fact.mask)] = {
            value: judged.reading[place]
            for value, place in places.items()
            if told and place is not None and place in judged.reading
        }
    found = f"{many(len(odd))} with another order of colours in the palette than the rest: the same value is another class"
    todo = "make class numbers by colour with --apply" if told else "say which colour is which class with --palette"
    judged.findings.append(Finding("palettes", _listed(odd), found=found, todo=todo, repairable=told, fatal=True))


def _listed(facts: list[Facts], detail: Callable[[Facts], str] = lambda fact: "") -> tuple[tuple[str, str], ...]:
    return tuple((str(fact.mask), detail(fact)) for fact in facts)


def _values_of(wanted: Collection[Value]) -> Callable[[Facts], str]:
    def detail(fact: Facts) -> str:
        held = sorted((value for value in fact.values if value in wanted), key=lifted)
        return ", ".join(map(show_value, held[:5])) + (f" and {len(held) - 5 + (fact.others > 0)} more" if len(held) > 5 else "")

    return detail
