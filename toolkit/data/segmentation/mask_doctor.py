"""The mask doctor: what is wrong with a set of masks, file by file, and whether it stops training.

It is a file of its own because wrong masks are the commonest failure of segmentation and the quietest: a network trained on
0 and 255, on blended borders or on its neighbour's mask learns something, and nothing says what.
"""

from __future__ import annotations

import shlex
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

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


@dataclass
class Diagnosis:
    """What the doctor found.

    `findings`: one for each kind of fault, those that stop training first. `mapping`: raw value -> class number of
    `class_mapping`, the proposed reading of the masks; `own`: the same for single masks that need one of their own, by path.
    `outside`: values of which nobody can tell the class. `reach`: by how many levels JPEG changed values that still are what they
    were. `averaged`: the masks whose class numbers were. `in_colour`: whether palettes are to be read as colours. `pixels` of
    each value. Of `total` masks `looked` were looked at. `options`: of the command line that finds the same masks.
    """

    findings: list[Finding]
    class_mapping: ClassMapping | None
    mapping: dict[Value, int] = field(default_factory=dict)
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

    def as_dict(self) -> dict:
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
                {"value": _plain(value), "number": to, "class": number[to], "pixels": self.pixels.get(value, 0)}
                for value, to in self.mapping.items()
            ],
            "own_mappings": {
                path: [{"value": _plain(value), "number": to} for value, to in own.items()] for path, own in self.own.items()
            },
            "outside": [_plain(value) for value in self.outside],
            "reach": self.reach,
            "averaged": sorted(self.averaged),
        }  # fmt: skip


def check_masks(pairs: Items, class_mapping: ClassMapping | None) -> None:
    """Raise `DataError` where a sample of the masks shows a fault that is no accident."""
    refusal = diagnose(pairs, class_mapping, quick=True).refusal()
    if refusal:
        raise DataError(refusal)


def diagnose(
    pairs: Items, class_mapping: ClassMapping | None, quick: bool = False, ignore: str = "auto", palette: ClassList | None = None
) -> Diagnosis:
    """Look at the masks of `pairs` (see `find_pairs`) and say what is wrong with them.

    `class_mapping` is what their values should stand for (see `read_class_mapping`); None finds it out as far as that can be
    done, with `ignore`. `palette` lists the colours of `class_mapping`'s classes for masks that are in colours. `quick` looks at
    64 masks, evenly spread, for faults that are no accident: fatal ones, which at least 5 % of the masks have and more than 3
    files, or half of few files.

    Raises `DataError` where `palette` names other classes than `class_mapping`.
    """
    table = pairs.table
    rows = np.unique(np.linspace(0, len(table) - 1, min(QUICK, len(table)) if quick else len(table)).round().astype(int))
    in_colour = palette is not None or (class_mapping is not None and class_mapping.in_colour)
    facts = look_at(table.path.iloc[rows].tolist(), table["mask"].iloc[rows].tolist(), in_colour, "looking at masks")
    seen = Readable([fact for fact in facts if fact.size], in_colour)
    values = judge_values(seen, class_mapping, ignore, palette, common_folder(table["mask"].tolist()))
    findings = [*values.findings, *_misfits(facts), *_unreadable(facts), *_blank(values)]
    findings += [*_repeated(values.seen.facts), *_astray(values.seen.facts)]
    if values.class_mapping is not None and values.mapping and not quick:
        findings += _absent(values)
    if not quick:
        findings += _unpaired(pairs)
    judged = [_judged(finding, len(facts)) for finding in findings]
    options = getattr(pairs, "options", ()) or (
        str(common_folder(table.path.tolist())),
        str(common_folder(table["mask"].tolist())),
    )
    return Diagnosis(
        sorted(judged, key=lambda finding: not finding.fatal),
        values.class_mapping,
        values.mapping,
        values.own,
        values.outside,
        values.reach,
        values.averaged,
        in_colour or (values.class_mapping is not None and values.class_mapping.in_colour),
        {value: tally.count for value, tally in values.seen.values.items()},
        len(facts),
        len(table),
        (*options, *(class_mapping.options if class_mapping is not None else ())),
    )


def _plain(value: Value) -> int | list[int]:
    return list(value) if isinstance(value, tuple) else value


def _judged(finding: Finding, looked: int) -> Finding:
    """A finding that stops training only where it is no accident."""
    count = len(finding.files)
    often = count >= OFTEN * looked and (count > FEW or 2 * count >= looked)
    return finding if often or not finding.fatal else Finding(**{**vars(finding), "fatal": False})


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
        findings.append(Finding(name, tuple(files), f"{many(len(files))} {what}", todo, repairable, True))
    return findings


def _unreadable(facts: list[Facts]) -> list[Finding]:
    masks = tuple((str(fact.mask), fact.trouble) for fact in facts if fact.trouble)
    pictures = tuple((str(fact.picture), fact.picture_trouble) for fact in facts if fact.picture_trouble)
    findings = []
    for kind, files, what in (("unreadable", masks, "mask"), ("unreadable_picture", pictures, "picture")):
        if files:
            found = f"{many(len(files), what)} that cannot be read"
            findings.append(
                Finding(kind, files, found, "make them anew, or leave them out: training sets them aside", False, True)
            )
    return findings


def _blank(judged: Judgement) -> list[Finding]:
    """Masks that say nothing, or the same of every pixel."""
    facts, class_mapping, mapping = judged.seen.facts, judged.class_mapping, judged.mapping
    nothing = [fact for fact in facts if mapping and all(mapping.get(value) == IGNORED for value in fact.values)]
    one = [fact for fact in facts if len(fact.values) == 1 and fact not in nothing]
    findings = []
    if nothing:
        todo = "see whether what they hold should count (--ignore none), or leave them out: training sets them aside"
        findings.append(
            Finding("nothing_counts", _of(nothing), f"{many(len(nothing))} without a pixel that counts", todo, False, True)
        )
    if one:
        named = {number: repr(name) for number, name in enumerate(class_mapping.classes if class_mapping else ())}
        what = Counter(named.get(mapping.get(next(iter(fact.values)), -1), "one value") for fact in one).most_common(1)[0][0]
        files = tuple((str(fact.mask), f"all {show_value(next(iter(fact.values)))}") for fact in one)
        found = f"{many(len(one))} of one value only ({what if len(one) == 1 else 'mostly ' + what})"
        todo = "right where a picture shows nothing else; else they are masks that nobody drew, or drew in another layer"
        findings.append(Finding("one_value", files, found, todo, False, len(one) == len(facts)))
    return findings


def _absent(judged: Judgement) -> list[Finding]:
    """Classes that no mask shows, or one alone."""
    facts, class_mapping = judged.seen.facts, judged.class_mapping
    shows: dict[int, list[Facts]] = defaultdict(list)
    for fact in facts:
        for number in {judged.own.get(str(fact.mask), judged.mapping).get(value) for value in fact.values} - {None, IGNORED}:
            shows[number].append(fact)
    none = [name for number, name in enumerate(class_mapping.classes) if not shows[number]]
    once = [(name, shows[number][0]) for number, name in enumerate(class_mapping.classes) if len(shows[number]) == 1]
    findings = []
    if none:
        found = f"no mask shows {', '.join(map(repr, none))}"
        todo = "see whether the list of classes is this data's and in its order; a class without pixels cannot be learnt"
        findings.append(Finding("empty_class", (), found, todo))
    if once and len(facts) > 1:
        files = tuple((str(fact.mask), f"the only one with {name!r}") for name, fact in once)
        found = f"in one mask only: {', '.join(repr(name) for name, _ in once)}"
        findings.append(
            Finding("rare_class", files, found, "label more pictures that show them, or join them with another class")
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
    return [Finding("repeated", tuple(files), f"{len(files)} masks that are the same for different pictures", todo)]


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
    return [Finding("astray", tuple(files), found, "a suspicion: look whether each is its picture's mask", False, False)]


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
            f"{many(len(files), 'mask' if kind == 'no_picture' else 'picture')} {said[kind][0]}",
            said[kind][1],
        )
        for kind, files in kinds.items()
    ]
