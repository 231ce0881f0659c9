"""The mask doctor: what is wrong with a set of masks, file by file, and whether it stops training.

Wrong masks are the commonest failure of segmentation and the quietest: a network trained on 0 and 255, on blended borders or on
its neighbour's mask learns something, and nothing says what.
"""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from toolkit.data.hashing import content_hash
from toolkit.data.items import Items
from toolkit.data.segmentation.class_lists import ClassList
from toolkit.data.segmentation.class_mapping import IGNORED, ClassMapping, Value, common_folder, show_value
from toolkit.data.segmentation.mask_areas import Readable
from toolkit.data.segmentation.mask_facts import SCALED, SIZE, TURNED, Facts, agreement, look_at
from toolkit.data.segmentation.mask_values import Finding, Judgement, judge_values, many
from toolkit.data.segmentation.pairs import NO_MASK, NO_PICTURE
from toolkit.errors import DataError

QUICK = 64  # masks looked at before training
OFTEN = 0.05  # part of the masks from which on a fault is no accident
FEW = 3  # files that may always have it
ENOUGH = 16  # pictures from which on borders can be held against edges
COMMAND = "python -m toolkit.data.doctor masks"


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What the doctor found.

    `findings`: one for each kind of fault, those that stop training first. `class_mapping`: what the masks should follow, None
    where that could not be told. `reading`: raw value -> class number, as the masks should be read; `own`: the same for single
    masks that need one of their own, by path. `outside`: values of which nobody can tell the class. `reach`: by how many levels
    JPEG changed values that still are what they were. `averaged`: the masks whose class numbers were. `in_colour`: whether
    palettes are to be read as colours. `pixels` of each value. Of `total` masks `looked` were looked at. `options`: of the
    command line that finds the same masks.
    """

    findings: list[Finding]
    class_mapping: ClassMapping | None
    reading: dict[Value, int] = field(default_factory=dict)
    own: dict[str, dict[Value, int]] = field(default_factory=dict)
    outside: tuple[Value, ...] = ()
    reach: int = 0
    averaged: frozenset[str] = frozenset()
    in_colour: bool = False
    pixels: dict[Value, int] = field(default_factory=dict)
    looked: int = 0
    total: int = 0
    options: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        """The command line that shows all of it."""
        return f"{COMMAND} {shlex.join(self.options)}"

    def refusal(self) -> str:
        """Why these masks should not be learnt from, in lines that end in the command that tells more; "" if they may be."""
        fatal = [finding for finding in self.findings if finding.fatal]
        if not fatal:
            return ""
        lines = [f"the masks cannot be learnt from as they are ({self.looked} of {self.total} looked at):"]
        for finding in fatal:
            first = f", such as {finding.files[0][0]}" if finding.files else ""
            lines += [f"- {finding.found}{first}", f"  {finding.todo}"]
        mended = any(finding.repairable for finding in fatal)
        lines += ["To see each file" + (", and how to repair them:" if mended else ":"), f"  {self.command}"]
        return "\n".join(lines)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain values, for JSON."""
        number = {**dict(enumerate(self.class_mapping.classes if self.class_mapping else ())), IGNORED: "does not count"}
        return {
            "looked": self.looked,
            "total": self.total,
            "findings": [
                {
                    "kind": finding.kind, "found": finding.found, "todo": finding.todo, "repairable": finding.repairable,
                    "fatal": finding.fatal, "files": [{"file": file, "detail": detail} for file, detail in finding.files],
                }
                for finding in self.findings
            ],
            "classes": list(self.class_mapping.classes) if self.class_mapping else [],
            "mapping": [
                {"value": _json_value(value), "number": to, "class": number[to], "pixels": self.pixels.get(value, 0)}
                for value, to in self.reading.items()
            ],
            "own_mappings": {
                path: [{"value": _json_value(value), "number": to} for value, to in own.items()] for path, own in self.own.items()
            },
            "outside": [_json_value(value) for value in self.outside],
            "reach": self.reach,
            "averaged": sorted(self.averaged),
        }  # fmt: skip


def check_masks(pairs: Items, class_mapping: ClassMapping | None) -> None:
    """Raise `DataError` where a sample of the masks shows a fault that is no accident."""
    refusal = diagnose(pairs, class_mapping, quick=True).refusal()
    if refusal:
        raise DataError(refusal)


def diagnose(
    pairs: Items,
    class_mapping: ClassMapping | None,
    *,
    quick: bool = False,
    ignore: str = "auto",
    palette: ClassList | None = None,
) -> Diagnosis:
    """Look at the masks of `pairs` (see `find_pairs`) and say what is wrong with them.

    `class_mapping` is what their values should stand for (see `read_class_mapping`); None finds it out as far as that can be
    done, with `ignore`. `palette` lists the colours of its classes for masks that are in colours. `quick` looks at 64 masks,
    evenly spread, for faults that are no accident: fatal ones, which at least 5 % of the masks have and more than 3 files, or
    half of few files.

    Raises `DataError` where `palette` names other classes than `class_mapping`.
    """
    table = pairs.table
    rows = np.unique(np.linspace(0, len(table) - 1, min(QUICK, len(table)) if quick else len(table)).round().astype(int))
    in_colour = palette is not None or (class_mapping is not None and class_mapping.in_colour)
    facts = look_at(
        table.path.iloc[rows].tolist(), table["mask"].iloc[rows].tolist(), in_colour=in_colour, what="looking at masks"
    )
    readable = Readable([fact for fact in facts if fact.size], in_colour)
    folder = common_folder(table["mask"].tolist())
    judged = judge_values(readable, class_mapping, ignore=ignore, palette=palette, folder=folder)
    findings = [*judged.findings, *_misfits(facts), *_unreadable(facts), *_blank(judged)]
    findings += [*_repeated(judged.seen.facts), *_astray(judged.seen.facts)]
    if judged.class_mapping is not None and judged.reading and not quick:
        findings += _absent(judged, judged.class_mapping)
    if not quick:
        findings += _unpaired(pairs)
    findings = [_no_accident(finding, len(facts)) for finding in findings]
    options = getattr(pairs, "options", ()) or (str(common_folder(table.path.tolist())), str(folder))
    return Diagnosis(
        findings=sorted(findings, key=lambda finding: not finding.fatal),
        class_mapping=judged.class_mapping,
        reading=judged.reading,
        own=judged.own,
        outside=judged.outside,
        reach=judged.reach,
        averaged=judged.averaged,
        in_colour=in_colour or (judged.class_mapping is not None and judged.class_mapping.in_colour),
        pixels={value: tally.count for value, tally in judged.seen.values.items()},
        looked=len(facts),
        total=len(table),
        options=(*options, *(class_mapping.options if class_mapping is not None else ())),
    )


def _json_value(value: Value) -> int | list[int]:
    return list(value) if isinstance(value, tuple) else value


def _no_accident(finding: Finding, looked: int) -> Finding:
    """A finding that stops training only where it is no accident."""
    count = len(finding.files)
    often = count >= OFTEN * looked and (count > FEW or 2 * count >= looked)
    return finding if often or not finding.fatal else replace(finding, fatal=False)


def _of(files: Iterable[Facts]) -> tuple[tuple[str, str], ...]:
    return tuple((str(fact.mask), "") for fact in files)


def _size(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"


def _misfits(facts: list[Facts]) -> list[Finding]:
    """Masks of another size or orientation than their picture's."""
    kinds: dict[tuple[str, bool], list[tuple[str, str]]] = defaultdict(list)
    for fact in facts:
        if fact.size and fact.upright:
            kind, turn = fact.fit()
            detail = f"{_size(fact.size)}, its picture {_size(fact.upright)}"
            if kind == TURNED and turn:
                detail += f", EXIF orientation {turn}"
            if kind:
                kinds[kind, turn == 0].append((str(fact.mask), detail))
    said = {
        (SCALED, False): (
            "of the proportions of the picture, but another size",
            "scale each to its picture's size, to the nearest pixel without smoothing",
        ),
        (TURNED, False): (
            "lying turned: the photo (or the mask) carries an EXIF rotation that the other was made without",
            "turn each mask as EXIF says, so that it lies as its upright picture",
        ),
        (TURNED, True): (
            "with width and height swapped, and no EXIF rotation that says which way it was turned",
            "turn them as their pictures lie",
        ),
        (SIZE, False): (
            "of another size than the picture, and other proportions",
            "find out whether they were cropped or belong to other pictures, and make them anew",
        ),
    }
    findings = []
    for (kind, lost), files in kinds.items():
        what, todo = said[kind, lost]
        repairable = kind in (SCALED, TURNED) and not lost
        name = "turned_unknown" if lost else kind
        findings.append(
            Finding(name, tuple(files), found=f"{many(len(files))} {what}", todo=todo, repairable=repairable, fatal=True)
        )
    return findings


def _unreadable(facts: list[Facts]) -> list[Finding]:
    masks = tuple((str(fact.mask), fact.trouble) for fact in facts if fact.trouble)
    pictures = tuple((str(fact.picture), fact.picture_trouble) for fact in facts if fact.picture_trouble)
    findings = []
    for kind, files, what in (("unreadable", masks, "mask"), ("unreadable_picture", pictures, "picture")):
        if files:
            found = f"{many(len(files), what)} that cannot be read"
            findings.append(
                Finding(kind, files, found=found, todo="make them anew, or leave them out: training sets them aside", fatal=True)
            )
    return findings


def _blank(judged: Judgement) -> list[Finding]:
    """Masks that say nothing, or the same of every pixel."""
    facts, classes, reading = judged.seen.facts, judged.class_mapping, judged.reading
    nothing = [fact for fact in facts if reading and all(reading.get(value) == IGNORED for value in fact.values)]
    one = [fact for fact in facts if len(fact.values) == 1 and fact not in nothing]
    findings = []
    if nothing:
        todo = "see whether what they hold should count (--ignore none), or leave them out: training sets them aside"
        findings.append(
            Finding(
                "nothing_counts", _of(nothing), found=f"{many(len(nothing))} without a pixel that counts", todo=todo, fatal=True
            )
        )
    if one:
        named = {number: repr(name) for number, name in enumerate(classes.classes if classes else ())}
        what = Counter(named.get(reading.get(next(iter(fact.values)), -1), "one value") for fact in one).most_common(1)[0][0]
        files = tuple((str(fact.mask), f"all {show_value(next(iter(fact.values)))}") for fact in one)
        found = f"{many(len(one))} of one value only ({what if len(one) == 1 else 'mostly ' + what})"
        todo = "right where a picture shows nothing else; else they are masks that nobody drew, or drew in another layer"
        findings.append(Finding("one_value", files, found=found, todo=todo, fatal=len(one) == len(facts)))
    return findings


def _absent(judged: Judgement, class_mapping: ClassMapping) -> list[Finding]:
    """Classes that no mask shows, or one alone."""
    facts = judged.seen.facts
    shows: dict[int, list[Facts]] = defaultdict(list)
    for fact in facts:
        reading = judged.own.get(str(fact.mask), judged.reading)
        for number in {reading[value] for value in fact.values if value in reading} - {IGNORED}:
            shows[number].append(fact)
    none = [name for number, name in enumerate(class_mapping.classes) if not shows[number]]
    once = [(name, shows[number][0]) for number, name in enumerate(class_mapping.classes) if len(shows[number]) == 1]
    findings = []
    if none:
        found = f"no mask shows {', '.join(map(repr, none))}"
        todo = "see whether the list of classes is this data's and in its order; a class without pixels cannot be learnt"
        findings.append(Finding("empty_class", (), found=found, todo=todo))
    if once and len(facts) > 1:
        files = tuple((str(fact.mask), f"the only one with {name!r}") for name, fact in once)
        found = f"in one mask only: {', '.join(repr(name) for name, _ in once)}"
        findings.append(
            Finding("rare_class", files, found=found, todo="label more pictures that show them, or join them with another class")
        )
    return findings


def _repeated(facts: list[Facts]) -> list[Finding]:
    """The same mask for pictures that differ; a mask of one value may well be every such picture's."""
    groups: dict[str, list[Facts]] = defaultdict(list)
    for fact in facts:
        if len(fact.values) > 1:
            groups[fact.digest].append(fact)
    files = []
    for group in groups.values():
        pictures = {content_hash(fact.picture) for fact in group if fact.upright} if len(group) > 1 else ()
        if len(pictures) > 1:
            files += [(str(fact.mask), f"as {group[0].mask.name}" if fact is not group[0] else "") for fact in group]
    if not files:
        return []
    todo = "keep the picture that the mask was drawn for; a still camera may give equal masks, a copying mistake does too"
    return [Finding("repeated", tuple(files), found=f"{len(files)} masks that are the same for different pictures", todo=todo)]


def _astray(facts: list[Facts]) -> list[Finding]:
    """Masks whose borders follow another picture's edges rather than their own's, where all others follow their own."""
    fitting = [fact for fact in facts if fact.own is not None and fact.upright and not fact.fit()[0]]
    if sum(fact.edges is not None for fact in fitting) < ENOUGH:
        return []
    own, best, which = agreement(fitting)
    if np.mean(own > 1) < 0.8:
        return []  # borders say too little here
    strange = (own < -0.25) | ((own < 0) & (best - own > 3.5))
    files = []
    for place in np.flatnonzero(strange):
        fits = f"fits {fitting[which[place]].picture.name} better" if best[place] > 2.5 else "follows other pictures better"
        files.append((str(fitting[place].mask), fits))
    if not files:
        return []
    found = f"{many(len(files))} whose borders follow the edges of other pictures rather than of the own one"
    return [
        Finding("astray", tuple(files), found=found, todo="a suspicion: look whether each is its picture's mask", fatal=False)
    ]


def _unpaired(pairs: Items) -> list[Finding]:
    """What `find_pairs` set aside."""
    kinds: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for item, reason in pairs.rejected:
        kind = "no_mask" if reason.startswith(NO_MASK) else "no_picture" if reason.startswith(NO_PICTURE) else "paired"
        kinds[kind].append((item, reason))
    said = {
        "no_mask": ("without a mask", "add the masks; training leaves these pictures out"),
        "no_picture": ("without a picture", "add the pictures, or see whether names differ; training leaves these masks out"),
        "paired": ("that could not be paired", "see what is said of each; training leaves them out"),
    }
    return [
        Finding(
            kind,
            tuple(files),
            found=f"{many(len(files), 'mask' if kind == 'no_picture' else 'picture')} {said[kind][0]}",
            todo=said[kind][1],
        )
        for kind, files in kinds.items()
    ]
