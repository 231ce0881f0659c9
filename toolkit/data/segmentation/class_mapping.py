"""The class mapping of a set of masks: which raw value stands for which class, and which do not count.

Sets of masks differ in nothing as much: class numbers, 0 and 255, palettes, colours. Past this file there are class numbers, and
`IGNORED`, alone.
"""

from __future__ import annotations

import colorsys
import os
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from toolkit.data.reading import in_threads
from toolkit.data.segmentation.class_lists import ClassList, find_list, read_list
from toolkit.data.segmentation.mask_io import (
    Colour,
    Value,
    check_value,
    colour_of,
    count_values,
    from_hex,
    packed,
    read_mask,
    read_paletted,
    show_value,
)
from toolkit.errors import ConversionError, DataError

IGNORED = 255  # what a pixel that does not count is called in masks of class numbers
MOST_CLASSES = 254
MOST_FOUND = 40  # distinct values that masks without a list of classes may hold: more are blends, or photos
FEW = 3  # values that no class has among which 255 is still a mark rather than a blend
UNCOUNTED = ("void", "unlabelled", "unlabeled", "ignore", "ignored", "unknown")
_UNKNOWN = 254  # in tables: no class
_HAND_CHOSEN = (
    "202020 e6194b 3cb44b ffe119 4363d8 f58231 911eb4 42d4f4 f032e6 bfef45 fabed4 469990 dcbeff 9a6324 fffac8 800000 aaffc3 "
    "808000 ffd8b1 000075 a9a9a9"
)

__all__ = ["IGNORED", "ClassMapping", "default_colours", "read_class_mapping", "read_mask"]


@dataclass(frozen=True)
class ClassMapping:
    """Which raw value of a mask stands for which class.

    `classes`: names; a class's number is its place, at most 254 of them. `values`: the raw value of each, all grey levels or
    palette indices (0 to 65535), or all colours (r, g, b). `ignored`: raw values that do not count. `colours`: how each class is
    drawn; () takes `default_colours`. `notes`: what a user should know of how it was found; `options`: those of
    `read_class_mapping` that were given, as a command line has them; `found`: whether no list but the masks themselves said the
    classes. Raises `DataError` where these do not fit together.
    """

    classes: tuple[str, ...]
    values: tuple[Value, ...]
    _: KW_ONLY
    ignored: tuple[Value, ...] = ()
    colours: tuple[Colour, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)
    options: tuple[str, ...] = field(default=(), compare=False)
    found: bool = field(default=False, compare=False)

    def __post_init__(self) -> None:
        for name, kind in (("classes", str), ("values", _as_tuple), ("ignored", _as_tuple), ("colours", _as_tuple)):
            object.__setattr__(self, name, tuple(kind(entry) for entry in getattr(self, name)))
        if not self.colours:
            object.__setattr__(self, "colours", default_colours(len(self.classes)))
        known = [*self.values, *self.ignored]
        if not 1 <= len(self.classes) <= MOST_CLASSES:
            raise DataError(f"{len(self.classes)} classes: expected 1 to {MOST_CLASSES}")
        if not len(self.classes) == len(self.values) == len(self.colours):
            counts = f"{len(self.classes)} classes, {len(self.values)} values, {len(self.colours)} colours"
            raise DataError(f"{counts}: expected as many of each")
        for what, entries in (("class", self.classes), ("value", known)):
            twice = [entry for entry, count in Counter(entries).items() if count > 1]
            if twice:
                raise DataError(f"{what} {show_value(twice[0])} is there twice: each stands for one thing")
        if len({isinstance(value, tuple) for value in known}) > 1:
            raise DataError("some values are grey levels and some colours: write all in one of the two ways")
        for value in known:
            check_value(value)

    @property
    def in_colour(self) -> bool:
        """Whether the masks' values are colours."""
        return isinstance(self.values[0], tuple)

    def numbers(self, raw: np.ndarray) -> np.ndarray:
        """Class numbers, uint8 (height, width), of what `read_mask` gave; `IGNORED` where a pixel does not count.

        Raises `DataError` for values that are neither a class's nor ignored: it names the commonest and counts their pixels.
        """
        numbers = self._look_up(raw)
        if (numbers == _UNKNOWN).any():
            unknown = self.unknown(raw)
            shown = ", ".join(f"{show_value(value)} ({count} pixels)" for value, count in list(unknown.items())[:3])
            more = f" and {len(unknown) - 3} more" if len(unknown) > 3 else ""
            raise DataError(f"holds {shown}{more}, which no class has; the classes have {self._shown()}")
        return numbers

    def unknown(self, raw: np.ndarray) -> dict[Value, int]:
        """How many pixels hold each value that is neither a class's nor ignored, the commonest first."""
        counts = count_values(raw[self._look_up(raw) == _UNKNOWN][None])
        return dict(sorted(counts.items(), key=lambda entry: -entry[1]))

    def _look_up(self, raw: np.ndarray) -> np.ndarray:
        keys, numbers = self._table
        if raw.ndim == 2 and not self.in_colour:
            return numbers[raw]
        if not self.in_colour:  # grey among colours is still grey
            grey = (raw[..., 0] == raw[..., 1]) & (raw[..., 1] == raw[..., 2])
            return np.where(grey, numbers[raw[..., 0]], np.uint8(_UNKNOWN))
        wanted = packed(raw)
        places = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
        return np.where(keys[places] == wanted, numbers[places], np.uint8(_UNKNOWN))

    @cached_property
    def _table(self) -> tuple[np.ndarray, np.ndarray]:
        """Where values are colours: their packed forms in order, and the number of each; else the number of every grey level."""
        known = [*zip(self.values, range(len(self.values)), strict=True), *((value, IGNORED) for value in self.ignored)]
        if self.in_colour:
            pairs = sorted((int(packed(np.array(value))), number) for value, number in known)
            return np.array([key for key, _ in pairs]), np.array([number for _, number in pairs], dtype=np.uint8)
        numbers = np.full(65536, _UNKNOWN, dtype=np.uint8)
        for value, number in known:
            numbers[value] = number
        return np.arange(0), numbers

    def _shown(self, most: int = 12) -> str:
        shown = ", ".join(show_value(value) for value in self.values[:most])
        return shown + (f" … {show_value(self.values[-1])}" if len(self.values) > most else "")


def default_colours(count: int) -> tuple[Colour, ...]:
    """`count` colours (r, g, b) that are told apart easily: the first 21 chosen by hand, the others made."""
    colours = [from_hex(text) for text in _HAND_CHOSEN.split()[:count]]
    turn = 0
    while len(colours) < count:  # each golden-ratio turn of the hue lands in the widest gap that earlier ones left
        turn += 1
        made = colorsys.hsv_to_rgb(0.618034 * turn % 1, (0.9, 0.55, 0.75)[turn % 3], (0.9, 0.75, 0.5, 0.98)[turn % 4])
        colour = colour_of(round(255 * level) for level in made)
        if colour not in colours:
            colours.append(colour)
    return tuple(colours)


def _as_tuple(value: object) -> object:
    """Lists as tuples, numpy's whole numbers as Python's: a mapping may come from JSON, or from an array."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return tuple(_as_tuple(level) for level in value)
    return int(value) if isinstance(value, np.integer) else value


def read_class_mapping(
    masks: Sequence[Path], classes: str | Path = "", *, ignore: str = "auto", sample: int = 64, root: Path | None = None
) -> ClassMapping:
    """Find out which value of `masks`, a set of mask files, stands for which class.

    `classes` names a list (see `read_list`); where it is empty, one of `LIST_FILES` in the masks' folder, beside it or one folder
    up is taken (not above `root`, the folder of all data), and else the values found in all the masks. Colours of a list are
    looked up in the masks' palette, where the masks have one. `ignore` says what does not count: names of classes and raw values
    (#rrggbb for colours) with commas between them; "none"; or "auto": classes of the names in `UNCOUNTED`, and 255 where it is no
    class and not the last of an evenly spread few, as in 0 and 255. What does not count is no class. `sample` masks, evenly
    spread, are looked at for that.

    Raises `DataError` for a mistake in a list, for `ignore` that names what is not there, where fewer than two classes are left,
    and where masks without a list hold more than `MOST_FOUND` values.
    """
    if not masks:
        raise DataError("there are no masks to read the classes of")
    found = _look(masks[:: -(-len(masks) // sample)])
    folders = {Path(mask).absolute().parent for mask in masks}
    path = Path(classes) if str(classes) else find_list(common_folder(masks), folders, root=root and Path(root).absolute())
    options = (*(("--classes", str(classes)) if str(classes) else ()), *(("--ignore", ignore) if ignore != "auto" else ()))
    if path is None:
        whole = found if len(masks) <= sample or len(found.values) > MOST_FOUND else _look(masks)
        if not whole.values:
            raise DataError(f"{common_folder(masks)}: not one of the masks can be read, such as {found.unreadable[0]}")
        if whole.conflict:
            raise PalettesDiffer(
                f"{whole.conflict}, and no list says which class a value is: the palettes of the masks differ. Name a list with "
                f"classes, or let the doctor look: python -m toolkit.data.doctor masks IMAGES {common_folder(masks)}"
            )
        mapping = found_class_mapping(whole.values, common_folder(masks), ignore=ignore, palette=whole.palette)
        return replace(mapping, options=options)
    notes = () if str(classes) else (f"the classes are those of {path}",)
    mapping = _of_list(read_list(path), ignore, found=found.values, palette=found.palette, notes=notes)
    return replace(mapping, options=options)


def found_class_mapping(
    values: Sequence[Value], masks: Path, *, ignore: str = "auto", palette: np.ndarray | None = None
) -> ClassMapping:
    """The mapping where no list says it: each of the `values` found in the folder `masks` that counts is a class, drawn as in the
    `palette`, uint8 (256, 3); see `read_class_mapping`. Raises `TooManyValues`, and `DataError` where fewer than two count."""
    if len(values) > MOST_FOUND:
        raise TooManyValues(
            f"{masks}: the masks hold more than {MOST_FOUND} values, and no list says which are classes. Either borders are "
            "blends (masks that were saved as JPEG, or scaled with smoothing) or these are pictures: name a list with classes, "
            f"or let the doctor look: python -m toolkit.data.doctor masks IMAGES {masks}"
        )
    classes = values
    if any(isinstance(value, tuple) for value in values):  # grey among colours is a colour
        classes = values = sorted({_order(value) for value in values})
    elif ignore.strip().casefold() == "auto" and 255 in values and _leaves_255(values, values):
        classes = [value for value in values if value != 255]
    listed = ClassList(tuple(f"class {show_value(value)}" for value in classes), tuple(classes), masks)
    notes = (f"no list of classes: they are the {len(classes)} values found in the masks",)
    return replace(_of_list(listed, ignore, found=tuple(values), palette=palette, notes=notes), found=True)


class PalettesDiffer(DataError):
    """A value has one colour in some masks and another in others, and no list of classes says which it stands for."""


class TooManyValues(DataError):
    """Masks hold more values than classes are likely to be, and no list of classes says which count."""


def _of_list(
    listed: ClassList, ignore: str, *, found: tuple[Value, ...], palette: np.ndarray | None, notes: tuple[str, ...]
) -> ClassMapping:
    """The mapping that a list makes of masks which hold the values `found` and share a palette, or do not."""
    colours = _drawn(listed.values, palette)
    values = _in_palette(listed.values, palette)
    ignored = _ignored(ignore, listed, values=values, found=found)
    kept = [place for place, value in enumerate(values) if value not in ignored]
    if len(kept) < 2:
        left = f"only {listed.names[kept[0]]!r}" if kept else "none"
        raise DataError(f"{listed.path}: of the classes {left} is left to learn; expected two or more (ignore {ignore!r})")
    told = {value: show_value(value) for value in found}
    told |= {value: f"{name} ({show_value(value)})" for name, value in zip(listed.names, values, strict=True)}
    if any(value in told for value in ignored):  # a value that is nowhere is not worth a word
        notes = (*notes, f"what does not count: {', '.join(told[value] for value in ignored if value in told)}")
    return ClassMapping(
        tuple(listed.names[place] for place in kept),
        tuple(values[place] for place in kept),
        ignored=tuple(ignored),
        colours=tuple(colours[place] for place in kept) if colours else (),
        notes=notes,
    )


@dataclass(frozen=True)
class _Found:
    """The values that some masks hold, in order, and the palette that they share, if they do; `conflict` names a mask in which a
    value has another colour than in those before."""

    values: tuple[Value, ...]
    palette: np.ndarray | None
    unreadable: tuple[str, ...]
    conflict: str = ""


def _look(masks: Sequence[Path]) -> _Found:
    def one(path: Path) -> tuple[list[Value], np.ndarray | None, Path] | str:
        try:
            raw, palette = read_paletted(path)
        except ConversionError as error:
            return str(error)
        return list(count_values(raw)), palette, path

    values: set[Value] = set()
    palettes: list[np.ndarray | None] = []
    unreadable: list[str] = []
    drawn: dict[Value, Colour] = {}
    conflict = ""
    for look in in_threads(one, masks, what="looking at masks"):
        if isinstance(look, str):
            unreadable.append(look)
        elif len(values) <= MOST_FOUND:
            held, palette, path = look
            values.update(held)
            palettes.append(palette)
            colours = {} if palette is None else {value: colour_of(palette[value]) for value in held}
            for value, colour in colours.items():
                if drawn.setdefault(value, colour) != colour:
                    conflict = conflict or f"{path}: {value} is {show_value(colour)}, in others {show_value(drawn[value])}"
    first = palettes[0] if palettes else None
    shared = first is not None and all(other is not None and np.array_equal(other, first) for other in palettes)
    return _Found(tuple(sorted(values, key=_order)), first if shared else None, tuple(unreadable), conflict)


def _order(value: Value) -> Colour:
    return value if isinstance(value, tuple) else (value, value, value)


def common_folder(files: Sequence[Path]) -> Path:
    """The deepest folder that all `files` are below."""
    return Path(os.path.commonpath([Path(path).absolute().parent for path in files]))


def _drawn(values: tuple[Value, ...], palette: np.ndarray | None) -> tuple[Colour, ...]:
    """How the classes are drawn: in the colours that the list or the masks' palette says, where those differ."""
    if isinstance(values[0], tuple):
        return tuple(value for value in values if isinstance(value, tuple))  # all are
    indices = [value for value in values if isinstance(value, int)]
    if palette is None or max(indices) > 255:
        return ()
    colours = tuple(colour_of(palette[index]) for index in indices)
    return colours if len(set(colours)) == len(colours) else ()


def _in_palette(values: tuple[Value, ...], palette: np.ndarray | None) -> tuple[Value, ...]:
    """Colours as the indices they have in the masks' palette, where it has them all."""
    if palette is None or not isinstance(values[0], tuple):
        return values
    places: dict[Value, Value] = {colour_of(colour): place for place, colour in reversed(list(enumerate(palette)))}
    return tuple(places[value] for value in values) if all(value in places for value in values) else values


def evenly_spread(values: Sequence[Value]) -> bool:
    """Whether grey levels are a few class numbers spread over 0 to 255, as 0 and 255 are, or 0, 127 and 255."""
    wanted = np.linspace(0, 255, len(values)) if len(values) > 1 else np.zeros(0)
    return len(wanted) > 0 and not isinstance(values[0], tuple) and bool(np.all(np.abs(np.sort(values) - wanted) <= 1))


def _ignored(ignore: str, listed: ClassList, *, values: tuple[Value, ...], found: tuple[Value, ...]) -> list[Value]:
    by_name = {name.casefold(): value for name, value in zip(listed.names, values, strict=True)}
    asked = ignore.strip()
    if asked.casefold() in ("none", ""):
        return []
    if asked.casefold() == "auto":
        ignored = [value for name, value in by_name.items() if name in UNCOUNTED]
        free = 255 not in values and not isinstance(values[0], tuple)
        return [*ignored, 255] if free and _leaves_255(values, found) else ignored
    by_name |= {show_value(value): value for value in (*values, *found)} | by_name  # a name that is a number is a name
    ignored = []
    for entry in filter(None, (part.strip().casefold() for part in asked.split(","))):
        value = by_name[entry] if entry in by_name else _raw_value(entry, listed)
        ignored += [value] if value not in ignored else []
    return ignored


def _leaves_255(values: Sequence[Value], found: Sequence[Value]) -> bool:
    """Whether 255 can only be what does not count: beside class numbers, not the last of spread ones, not amid blends."""
    grey = {value for value in found if not isinstance(value, tuple)}
    return len(grey - {*values, 255}) <= FEW and not evenly_spread(sorted(grey)) and bool(grey - {0, 255})


def _raw_value(entry: str, listed: ClassList) -> Value:
    if entry.isdecimal() and int(entry) < 65536:
        return int(entry)
    if re.fullmatch("#[0-9a-f]{6}", entry):
        return from_hex(entry)
    raise DataError(
        f"ignore {entry!r}: expected auto, none, or with commas between them names of classes ({', '.join(listed.names)}), "
        "mask values from 0 to 65535, or colours as #rrggbb"
    )
