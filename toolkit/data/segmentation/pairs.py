"""Finding pictures and their masks: two folders of the same names, one folder with a suffix, or a CSV.

A pair is found by two names that must agree, and sets of masks agree in many ways; a picture that lost its mask, or took
another's, must not go unnoticed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from toolkit.converters import IMAGE_SUFFIXES
from toolkit.data.items import (
    FILE_COLUMNS,
    NOT_UTF8,
    PART_NAMES,
    PARTS,
    Items,
    column_named,
    compiled,
    files_below,
    has_parts,
    is_utf8,
    matched,
    part_cells,
    read_cells,
    summary,
    without_repeats,
)
from toolkit.errors import DataError

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "photos", "pictures", "jpegimages", "leftimg8bit", "frames")
MASK_FOLDERS = (
    "masks", "mask", "labels", "label", "annotations", "annotation", "annots", "annot", "segmentationclass", "segmentation",
    "segmentations", "gt", "gtfine", "ground_truth", "groundtruth", "targets",
)  # fmt: skip
IMAGE_COLUMNS = ("image", "picture", "photo", "img", "image_path", "image_file", *FILE_COLUMNS)
MASK_COLUMNS = ("mask", "mask_path", "mask_file", "annotation", "annot", "segmentation", "gt", "label", "labels", "target")
NO_MASK, NO_PICTURE = "no mask of its name", "a mask, but no picture of its name"  # how reasons begin


def find_pairs(
    data: Path | str,
    *,
    images: Path | str = "",
    masks: Path | str = "",
    mask_suffix: str = "",
    csv: Path | str = "",
    group_by: str = "",
    image_column: str = "",
    mask_column: str = "",
) -> Pairs:
    """Find pictures and their masks under `data`.

    `data` is a folder, or a CSV of picture and mask. In a folder, `images` and `masks` name two folders below it (or anywhere);
    empty, the usual names are tried (images, masks, labels, …), there and below `train/`, `valid/` and `test/`, which then are
    the parts. A mask has its picture's name, in the same folders below its own, with any picture suffix; `mask_suffix` is what
    its name has besides, as in `_mask`, or with a star for the picture's name, as in `mask_*`. With `mask_suffix`, pictures and
    masks may be in one folder. A CSV may have a column of parts too; `images` and `masks` then are the folders that its files are
    in. `group_by` is a column of the CSV, or a regular expression on the picture's path below `data` (its first group, else
    the whole match).

    The table has `path` (the picture), `mask`, `label` (None), `group` and `split`. Pictures without a mask and masks without a
    picture are set aside. Raises `DataError` where no pair is found, or an option does not apply.
    """
    data = Path(data)
    if not data.exists():
        raise DataError(f"{data}: no such folder or CSV")
    if data.is_file():
        if data.suffix.lower() not in (".csv", ".tsv"):
            raise DataError(f"{data}: expected a folder of pictures and masks, or a CSV of picture and mask")
        if csv:
            raise DataError(f"{data} is a CSV, and csv names another ({csv}): name the folder and one CSV")
        csv, data = data, data.parent
    if csv and mask_suffix:
        raise DataError("mask_suffix finds masks by their names, the CSV names them: leave one of them out")
    if not csv and (image_column or mask_column):
        raise DataError("image_column and mask_column are columns of a CSV, and there is none: name it with csv")
    if csv:
        items = _from_csv(
            data,
            Path(csv),
            folders=[str(images), str(masks)],
            group_by=group_by,
            image_column=image_column,
            mask_column=mask_column,
        )
        named = (("--csv", csv), ("--image-column", image_column), ("--mask-column", mask_column))
        options = (str(data), *(str(part) for option in named if option[1] for part in option))
    else:
        items = _from_folders(data, images=str(images), masks=str(masks), affixes=_affixes(mask_suffix), group_by=group_by)
        options = (*items.options, *(("--mask-suffix", mask_suffix) if mask_suffix else ()))
    items = _with_shared_noted(without_repeats(replace(items, options=options), "mask"))
    if items.table.empty:
        raise DataError(f"{data}: no picture with a mask is left ({summary(items.rejected)})")
    return items


@dataclass(frozen=True)
class Pairs(Items):
    """Pictures with masks; `options` are what the mask doctor's command line is given to find the same ones."""

    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """A folder of pictures, the folder of their masks, and which part they are, where that is known."""

    images: Path
    masks: Path
    part: str | None = None


Affixes = tuple[str, str]  # what a mask's name has before and after its picture's
Names = dict[tuple[str, str], list[Path]]  # by the folder below their own, and by name without what is besides


def _from_folders(root: Path, *, images: str, masks: str, affixes: Affixes, group_by: str) -> Pairs:
    group_of = compiled(group_by, "group_by")
    rows: list[tuple] = []
    rejected: list[tuple[str, str]] = []
    notes: list[str] = []
    places = _places(root, images=images, masks=masks, by_suffix=any(affixes))
    usual = len(places) > 1 and not (images or masks)
    options = (str(root),) if usual else (str(places[0].images), str(places[0].masks))
    for place in places:
        parted = place.part is None and has_parts(place.images)
        for picture, mask in _matches(place, affixes, rejected=rejected, notes=notes):
            first = picture.relative_to(place.images).parts[0]
            part = PART_NAMES.get(first.lower()) if parted else place.part
            below = _below(picture, root)
            group = matched(group_of, below) if group_of else None
            if not (is_utf8(picture) and is_utf8(mask)):
                rejected.append((ascii(str(picture)), NOT_UTF8))
            elif parted and part is None:
                rejected.append((str(picture), "stands outside train/, valid/ and test/"))
            elif group_of and not group:
                rejected.append((str(picture), f"its path does not match group_by {group_by!r}"))
            else:
                rows.append((picture, mask, None, group, part))
    return Pairs(_table(rows), root, rejected, notes, options)


def _below(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()


def _places(root: Path, *, images: str, masks: str, by_suffix: bool) -> list[_Place]:
    """Where pictures and masks are. Raises `DataError`."""
    here = _both(root, images=images, masks=masks)
    if here:
        return [_Place(*here)]
    folders = [path for path in sorted(root.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    parts = [
        (PART_NAMES[path.name.lower()], _both(path, images=images, masks=masks))
        for path in folders
        if path.name.lower() in PART_NAMES
    ]
    found = [_Place(*both, part) for part, both in parts if both]
    if found:
        return found
    if by_suffix and not masks:
        single = _named(root, images, usual=()) if images else root
        if single:
            return [_Place(single, single)]
    for option, name in (("images", images), ("masks", masks)):
        if name and not _named(root, name, usual=()):
            raise DataError(f"{option} {name!r}: no such folder in {root}, nor in train/, valid/ and test/ there{_told(folders)}")
    raise DataError(
        f"{root}: found no folder of pictures ({', '.join(IMAGE_FOLDERS[:5])}, …) beside one of masks "
        f"({', '.join(MASK_FOLDERS[:3])}, …), there or in train/, valid/ and test/{_told(folders)}. Name them with images and "
        "masks; where pictures and masks share a folder, say what masks' names end in with mask_suffix; or name a CSV"
    )


def _told(folders: list[Path]) -> str:
    names = ", ".join(path.name for path in folders[:12])
    return f"; it has the folders {names}" + (" …" if len(folders) > 12 else "") if names else "; it has no folders"


def _both(folder: Path, *, images: str, masks: str) -> tuple[Path, Path] | None:
    pictures, answers = _named(folder, images, usual=IMAGE_FOLDERS), _named(folder, masks, usual=MASK_FOLDERS)
    return (pictures, answers) if pictures and answers else None


def _named(folder: Path, asked: str, *, usual: Iterable[str]) -> Path | None:
    if asked:
        return next((path for path in (folder / asked, Path(asked)) if path.is_dir()), None)
    there = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    return next((there[name] for name in usual if name in there), None)


def _affixes(mask_suffix: str) -> Affixes:
    if mask_suffix.count("*") > 1 or "/" in mask_suffix:
        raise DataError(f"mask_suffix {mask_suffix!r}: expected the end of a name, as in _mask, or one star, as in mask_*")
    stem, dot, ending = mask_suffix.rpartition(".")
    whole = stem if f".{ending}".lower() in IMAGE_SUFFIXES and dot else mask_suffix
    before, star, after = whole.partition("*")
    return (before, after) if star else ("", whole)


def _matches(place: _Place, affixes: Affixes, *, rejected: list[tuple[str, str]], notes: list[str]) -> list[tuple[Path, Path]]:
    """(picture, mask) of each pair in a place; what has no partner is added to `rejected`, what a user should know to `notes`."""
    together = os.path.samefile(place.images, place.masks)
    if together and not any(affixes):
        raise DataError(f"{place.images}: pictures and masks in one folder: say what masks' names end in with mask_suffix")
    pictures = _pictures_below(place.images, None if together else place.masks)
    answers = pictures if together else _pictures_below(place.masks, place.images)
    chosen = [path for path in answers if _core(path.stem, affixes) is not None]
    if together:
        pictures = sorted(set(pictures) - set(chosen))
    elif len(chosen) < len(answers):
        notes.append(f"{len(answers) - len(chosen)} files in {place.masks} left out: their names are not those of masks")
    by_picture, by_mask = _names(pictures, place.images, affixes=("", "")), _names(chosen, place.masks, affixes=affixes)
    if not by_picture.keys() & by_mask.keys():
        for own in _shared([path.stem for path in pictures]):  # as in Cityscapes: x_leftImg8bit, x_gtFine_labelIds
            by_picture = _names(pictures, place.images, affixes=own)
            if by_picture.keys() & by_mask.keys():
                notes.append(f"pictures' names without {'*'.join(own)!r} are those of their masks")
                break
        else:
            raise DataError(_no_match(place, affixes, pictures=pictures, answers=answers))
    pairs = []
    for key, paths in by_picture.items():
        found = by_mask.get(key, [])
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            rejected += [(str(path), f"{len(found)} masks of its name: {names}") for path in paths]
        elif not found:
            rejected += [(str(path), f"{NO_MASK} in {place.masks}") for path in paths]
        else:
            pairs += [(path, found[0]) for path in paths]
    alone = [path for key, paths in by_mask.items() if key not in by_picture for path in paths]
    rejected += [(str(path), f"{NO_PICTURE} in {place.images}") for path in alone]
    return pairs


def _pictures_below(folder: Path, apart_from: Path | None) -> list[Path]:
    inside = apart_from is not None and Path(os.path.realpath(apart_from)).is_relative_to(os.path.realpath(folder))
    found = files_below(folder, apart_from if inside else None)
    return sorted(path for path in found if path.suffix.lower() in IMAGE_SUFFIXES)


def _core(stem: str, affixes: Affixes) -> str | None:
    """A name without what is before and after it; None where that is not there."""
    before, after = affixes
    fits = stem.startswith(before) and stem.endswith(after) and len(stem) > len(before) + len(after)
    return stem[len(before) : len(stem) - len(after)] if fits else None


def _names(paths: list[Path], root: Path, *, affixes: Affixes) -> Names:
    names: Names = {}
    for path in paths:
        core = _core(path.stem, affixes)
        if core is not None:
            names.setdefault((path.parent.relative_to(root).as_posix(), core), []).append(path)
    return names


def _shared(stems: list[str]) -> list[Affixes]:
    """What all names end in, begin with, or both, but for digits, which count."""
    if len(set(stems)) < 2:
        return []
    before = _begin(stems).rstrip("0123456789")
    after = _begin([stem[::-1] for stem in stems])[::-1].lstrip("0123456789")
    return [affixes for affixes in (("", after), (before, ""), (before, after)) if any(affixes)]


def _begin(names: list[str]) -> str:
    first, last = min(names), max(names)  # what these two begin with, all between them do
    return next((first[:place] for place, letter in enumerate(first) if last[place : place + 1] != letter), first)


def _no_match(place: _Place, affixes: Affixes, *, pictures: list[Path], answers: list[Path]) -> str:
    """Why no pair was found, with what masks' names seem to have besides."""
    if not pictures or not answers:
        empty = place.masks if pictures else place.images
        return f"{empty}: no file ends in one of {' '.join(IMAGE_SUFFIXES)}"
    told = f"such as {pictures[0].name} and {answers[0].name}"
    begun = f"{place.images} and {place.masks}: of {len(pictures)} pictures and {len(answers)} masks no two names agree ({told})"
    if place.images == place.masks:
        begun = f"{place.images}: no name is another's with {'*'.join(affixes).lstrip('*')!r} ({told})"
    seen = _besides([path.stem for path in answers], [path.stem for path in pictures])
    if seen and seen != affixes:
        return f"{begun}. Masks' names have more than their pictures': try mask_suffix {_written(seen)!r}"
    return f"{begun}. A mask has its picture's name; say what it has besides with mask_suffix, or pair them in a CSV"


def _besides(answers: list[str], pictures: list[str]) -> Affixes | None:
    """What most masks' names have besides a picture's."""
    sample = answers[:: -(-len(answers) // 50)]
    votes: Counter[Affixes] = Counter()
    for answer in sample:
        inside = max((stem for stem in pictures if stem in answer and stem != answer), key=len, default=None)
        if inside is not None:
            before, _, after = answer.partition(inside)
            votes[before, after] += 1
    if votes:
        affixes, count = votes.most_common(1)[0]
        if 2 * count >= len(sample) or count >= 10:
            return affixes
    bare = {_core(stem, own) for own in _shared(pictures) for stem in pictures} - {None}
    agreeing = (shared for shared in _shared(answers) if bare & {_core(stem, shared) for stem in answers})
    return next(agreeing, None)


def _written(affixes: Affixes) -> str:
    return "*".join(affixes) if affixes[0] else affixes[1]


def _from_csv(root: Path, csv: Path, *, folders: list[str], group_by: str, image_column: str, mask_column: str) -> Pairs:
    csv = csv if csv.exists() else root / csv
    frame = read_cells(csv)
    pictures = column_named(csv, frame, asked=image_column, usual=IMAGE_COLUMNS, option="--image-column")
    rest = frame.drop(columns=[] if mask_column else pictures)
    answers = column_named(csv, rest, asked=mask_column, usual=MASK_COLUMNS, option="--mask-column")
    parts = part_cells(frame)
    group_of = None if group_by in frame.columns else compiled(group_by, "group_by")
    rows, rejected = [], []
    for row, (file, answer) in enumerate(zip(frame[pictures], frame[answers], strict=True)):
        where = f"{csv.name} row {row + 2}"
        if pd.isna(file) or pd.isna(answer):
            rejected.append((where, f"no {'picture' if pd.isna(file) else 'mask'}"))
            continue
        found = [
            next((path for path in (root / folder / name, root / name, csv.parent / name) if path.is_file()), None)
            for folder, name in zip(folders, (file, answer), strict=True)
        ]
        group = frame[group_by][row] if group_by in frame.columns else matched(group_of, file) if group_of else None
        part = None if pd.isna(parts[row]) else PART_NAMES.get(parts[row].lower(), "")
        if None in found:
            rejected.append((file, f"{where} names {file if found[0] is None else answer}, but there is no such file"))
        elif group_by and (group is None or pd.isna(group)):
            rejected.append((file, f"{where} has no group ({group_by})"))
        elif part == "":
            rejected.append((file, f"{where}: part {parts[row]!r} is none of {', '.join(PARTS)}"))
        else:
            rows.append((*found, None, group, part))
    return Pairs(_table(rows), root, rejected)


def _with_shared_noted(items: Pairs) -> Pairs:
    """With a note where a mask stands for more than one picture."""
    counts = items.table["mask"].value_counts()
    shared = counts[counts > 1]
    if not len(shared):
        return items
    return items.noted(f"{len(shared)} masks stand for more than one picture, such as {shared.index[0]} for {shared.iloc[0]}")


def _table(rows: list[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["path", "mask", "label", "group", "split"]).astype(object)
