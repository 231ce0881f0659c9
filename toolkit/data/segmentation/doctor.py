"""The doctor of masks at a terminal: `python -m toolkit.data.doctor masks images/ masks/`."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

from toolkit.data.mirror.sync import tell
from toolkit.data.segmentation.class_lists import read_list
from toolkit.data.segmentation.class_mapping import (
    IGNORED,
    ClassMapping,
    PalettesDiffer,
    TooManyValues,
    read_class_mapping,
    show_value,
)
from toolkit.data.segmentation.mask_doctor import COMMAND, Diagnosis, Finding, diagnose
from toolkit.data.segmentation.mask_repair import COPIED, REPAIRED, repair_masks
from toolkit.data.segmentation.mask_values import many
from toolkit.data.segmentation.pairs import Pairs, find_pairs
from toolkit.errors import DataError
from toolkit.files import write_json

NAME, HELP = "masks", "pictures and their masks, for segmentation"
SHOWN = 10  # files of each kind, unless --all


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what is asked of masks."""
    parser.add_argument("images", type=Path, help="the folder of pictures; or, alone, a folder of both, or a CSV")
    parser.add_argument("masks", type=Path, nargs="?", help="the folder of masks")
    parser.add_argument(
        "--mask-suffix", default="", metavar="S", help="what a mask's name has besides its picture's, as in _mask"
    )
    parser.add_argument("--csv", default="", help="a CSV of picture and mask, whose files lie below the folder of pictures")
    parser.add_argument("--image-column", default="", metavar="NAME", help="its column of pictures, if not named as usual")
    parser.add_argument("--mask-column", default="", metavar="NAME", help="its column of masks, if not named as usual")
    parser.add_argument("--classes", default="", metavar="FILE", help="names of the classes: .txt, one a line, or .json")
    parser.add_argument(
        "--ignore", default="auto", metavar="X", help="what does not count: names, values, none or auto (default: void, 255, …)"
    )
    parser.add_argument(
        "--palette", default="", metavar="FILE", help='which colour is which class: a .json of {"name": "#rrggbb"}'
    )
    parser.add_argument("--all", action="store_true", help=f"name every file, not the first {SHOWN} of each kind")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all of it as JSON too")
    parser.add_argument("--apply", type=Path, metavar="TARGET", help="write the masks, repaired, below this folder")


def run(chosen: argparse.Namespace) -> int:
    """Look at masks: their values, sizes, names and borders. Masks are never changed; --apply writes repaired ones elsewhere.
    Exit status: 0 nothing found, 1 something found, 2 wrong usage."""
    pairs = _pairs(chosen)
    listed, palette = chosen.classes or chosen.palette, None
    if chosen.palette:
        palette = read_list(chosen.palette)
        if not isinstance(palette.values[0], tuple):
            raise DataError(f'{palette.path}: no colours; expected a .json of {{"name": "#rrggbb"}} or {{"name": [r, g, b]}}')
        palette = palette if chosen.classes else None  # alone it is the list of classes
    try:
        class_mapping: ClassMapping | None = read_class_mapping(pairs.table["mask"].tolist(), listed, ignore=chosen.ignore)
    except (TooManyValues, PalettesDiffer):  # of which the diagnosis tells
        class_mapping = None
    diagnosis = diagnose(pairs, class_mapping, ignore=chosen.ignore, palette=palette)
    if chosen.json:
        write_json(chosen.json, diagnosis.as_dict())
    _tell(pairs, diagnosis, most=SHOWN if not chosen.all else sys.maxsize)
    if chosen.apply is None:
        if _helps(diagnosis):
            print(f"\nTo write repaired masks, and leave these as they are:\n  {_again(chosen)} --apply TARGET")
        return 1 if diagnosis.findings else 0
    outcome = repair_masks(pairs, diagnosis, target=chosen.apply)
    print()
    return tell(outcome, chosen.apply, words=(REPAIRED, COPIED))


def _pairs(chosen: argparse.Namespace) -> Pairs:
    named = {name: getattr(chosen, name) for name in ("mask_suffix", "csv", "image_column", "mask_column")}
    if chosen.masks is None:
        return find_pairs(chosen.images, **named)
    for folder in (chosen.images, chosen.masks):
        if not folder.is_dir():
            raise DataError(f"{folder}: no such folder; expected the folder of pictures and that of masks")
    images, masks = chosen.images.absolute(), chosen.masks.absolute()
    return find_pairs(images.parent, images=images, masks=masks, **named)


def _again(chosen: argparse.Namespace) -> str:
    """The command line as it was given, without what it was asked to write."""
    named = ("mask_suffix", "csv", "image_column", "mask_column", "classes", "ignore", "palette")
    given = [(f"--{name.replace('_', '-')}", str(getattr(chosen, name))) for name in named]
    options = [part for name, value in given if value and (name, value) != ("--ignore", "auto") for part in (name, value)]
    folders = [str(folder) for folder in (chosen.images, chosen.masks) if folder is not None]
    return f"{COMMAND} {shlex.join([*folders, *options])}"


def _helps(diagnosis: Diagnosis) -> bool:
    return any(finding.repairable for finding in diagnosis.findings)


def _tell(pairs: Pairs, diagnosis: Diagnosis, *, most: int) -> None:
    class_mapping, findings = diagnosis.class_mapping, diagnosis.findings
    classes = f", {len(class_mapping.classes)} classes" if class_mapping else ""
    print(f"{many(len(pairs.table), 'picture')} with a mask{classes}")
    for note in (*pairs.notes, *(class_mapping.notes if class_mapping else ())):
        print(f"  {note}")
    if not findings:
        print("nothing found that is wrong")
        return
    fatal = sum(finding.fatal for finding in findings)
    kinds = "one kind of fault" if len(findings) == 1 else f"{len(findings)} kinds of fault"
    print(f"{kinds} found, {fatal or 'none'} of them such that training would not begin")
    for finding in findings:
        _tell_one(finding, most)
    if class_mapping is not None and diagnosis.reading:
        _tell_reading(diagnosis, class_mapping)


def _tell_one(finding: Finding, most: int) -> None:
    mark = "stops training" if finding.fatal else "repairable" if finding.repairable else "look at it"
    print(f"\n[{mark}] {finding.found}\n  {finding.todo}")
    for file, detail in finding.files[:most]:
        print(f"    {file}" + (f": {detail}" if detail else ""))
    if len(finding.files) > most:
        print(f"    and {len(finding.files) - most} more (--all names them)")


def _tell_reading(diagnosis: Diagnosis, class_mapping: ClassMapping) -> None:
    names = {**dict(enumerate(class_mapping.classes)), IGNORED: "(does not count)"}
    total = max(1, sum(diagnosis.pixels.values()))
    print("\nProposed reading of the masks:\n     value  class number  of all pixels  class")
    shown = {number for value, number in diagnosis.reading.items() if diagnosis.pixels.get(value)} | {IGNORED}
    for value, number in diagnosis.reading.items():
        if not diagnosis.pixels.get(value) and number in shown:
            continue  # what stands for a class elsewhere
        share = f"{100 * diagnosis.pixels.get(value, 0) / total:.2f} %"
        print(f"{show_value(value):>10}  {number:>12}  {share:>13}  {names[number]}")
