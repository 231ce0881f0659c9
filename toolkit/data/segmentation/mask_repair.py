"""Repairing masks as the doctor proposes: into PNGs of class numbers, of their pictures' size, in a tree of their own.

The masks that are read are never changed.
"""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from toolkit.converters import IMAGE_SUFFIXES
from toolkit.data.items import Items
from toolkit.data.mirror.sync import Outcome, sync
from toolkit.data.segmentation.class_mapping import IGNORED, ClassMapping, Value, common_folder, read_mask, show_value
from toolkit.data.segmentation.mask_doctor import Diagnosis
from toolkit.data.segmentation.mask_facts import SIZE, climbing, look, turned
from toolkit.errors import ConversionError, DataError
from toolkit.files import write_json, write_text

REPAIRED, COPIED = "repaired", "written as they were"
AFFECTS = ("classes", "mapping", "own_mappings", "outside", "reach", "averaged")  # parts of a diagnosis that results depend on
MOST_UNKNOWN = 0.5  # part of a mask's pixels beyond which nearest pixels are a guess


@dataclass(frozen=True)
class Repair:
    """Writes the mask `item` repaired to a path, by `diagnosis`, whose `class_mapping` it has; `pictures` has the picture of each
    mask, by path."""

    diagnosis: Diagnosis
    class_mapping: ClassMapping
    _: KW_ONLY
    pictures: dict[str, Path]

    def __call__(self, item: Path, path: Path) -> str:
        """Return whether anything was changed. Raises `ConversionError` for a mask that cannot be repaired."""
        picture = self.pictures.get(str(item))
        if picture is None:
            raise ConversionError(item, "no one picture goes with it")
        facts = look(picture, item, in_colour=self.diagnosis.in_colour)
        if facts.size is None or facts.upright is None:
            raise ConversionError(item, facts.trouble or f"its picture {picture.name}: {facts.picture_trouble}")
        kind, turn = facts.fit()
        if kind == SIZE or not turn:
            told = ("x".join(map(str, size)) for size in (facts.size, facts.upright))
            raise ConversionError(
                item, "{} pixels, its picture {}: which part it shows, or how it lies, is not known".format(*told)
            )
        raw = read_mask(item, self.diagnosis.in_colour)
        numbers = turned(self._numbers(item, raw), turn)
        if numbers.shape != facts.upright[::-1]:
            numbers = np.asarray(Image.fromarray(numbers).resize(facts.upright, Image.Resampling.NEAREST))
        _paletted(numbers, self.class_mapping).save(path, "PNG")
        return COPIED if np.array_equal(numbers, raw) and not kind else REPAIRED

    def _numbers(self, item: Path, raw: np.ndarray) -> np.ndarray:
        """Class numbers; a pixel of no class takes that of the nearest pixel that has one."""
        own = self.diagnosis.own.get(str(item))
        if own == {}:
            raise ConversionError(item, "the order of its palette is its own, and nothing says which colour is which class")
        strangers = [value for value in self.diagnosis.outside if own is None and _equals(raw, value).any()]
        if strangers:
            raise ConversionError(item, f"holds {', '.join(map(show_value, strangers[:5]))}, which no class has")
        reading, reach = own or self.diagnosis.reading, self.diagnosis.reach
        numbers = np.zeros(raw.shape[:2], dtype=np.uint8)
        known = np.zeros(raw.shape[:2], dtype=bool)
        for value, number in reading.items():
            here = _equals(raw, value, reach=reach)
            numbers[here] = number
            known |= here
        if str(item) in self.diagnosis.averaged:
            known &= ~climbing(raw, flat=True)[0]
        unknown = ~known
        if unknown.mean() > MOST_UNKNOWN:
            raise ConversionError(item, f"{100 * unknown.mean():.0f} % of its pixels hold no class's value")
        if unknown.any():
            rows, columns = distance_transform_edt(unknown, return_distances=False, return_indices=True)
            numbers = numbers[rows, columns]
        return numbers


def repair_masks(pairs: Items, diagnosis: Diagnosis, *, target: Path | str, jobs: int | None = None) -> Outcome:
    """Write the masks of `pairs`, repaired as `diagnosis` proposes, below `target`: palette PNGs of class numbers, with the
    masks' names, and codes.txt and doctor.json. What cannot be repaired is left out and
    listed in `target`/failed.csv. `jobs` is how many threads (None: one a core).

    Stopped and run again it goes on where it was. Raises `DataError` where `target` is among the masks or the pictures or holds
    other files, and where the masks' classes could not be told.
    """
    masks, target = [Path(mask).absolute() for mask in pairs.table["mask"]], Path(target).absolute()
    source = common_folder(masks)
    for folder in (source, common_folder(pairs.table.path.tolist())):
        if target.resolve().is_relative_to(folder.resolve()):
            raise DataError(f"{target}: lies within {folder}, which is not written into: name a folder elsewhere")
    class_mapping = diagnosis.class_mapping
    if class_mapping is None or not diagnosis.reading:
        raise DataError(
            f"{source}: no telling which value is which class, so nothing can be repaired: say it with --classes or --palette"
        )
    pictures = {str(mask): Path(path) for mask, path in zip(masks, pairs.table.path, strict=True)}
    own = {str(Path(mask).absolute()): mapping for mask, mapping in diagnosis.own.items()}
    averaged = frozenset(str(Path(mask).absolute()) for mask in diagnosis.averaged)
    diagnosis = replace(diagnosis, own=own, averaged=averaged)
    settings = {key: value for key, value in diagnosis.as_dict().items() if key in AFFECTS}
    settings["mapping"] = [{**entry, "pixels": None} for entry in settings["mapping"]]  # how often a value is changes no result
    settings |= {"verb": "repair masks", "colours": class_mapping.colours, "in_colour": diagnosis.in_colour}
    outcome = sync(
        source, target, make=Repair(diagnosis, class_mapping, pictures=pictures), suffixes=IMAGE_SUFFIXES, settings=settings,
        name=lambda name: f"{Path(name).stem}.png", jobs=jobs, wanted=lambda path: str(path.absolute()) in pictures,
    )  # fmt: skip
    write_text(target / "codes.txt", "".join(f"{name}\n" for name in class_mapping.classes))
    write_json(target / "doctor.json", diagnosis.as_dict())
    return outcome


def _equals(raw: np.ndarray, value: Value, *, reach: int = 0) -> np.ndarray:
    """Where a mask holds a value, or one `reach` levels from it; grey levels and colours that are grey are the same."""
    if raw.ndim == 2 and isinstance(value, tuple):
        if max(value) - min(value) > reach:
            return np.zeros(raw.shape, dtype=bool)
        value = value[0]
    here = raw == value if not reach else np.abs(raw.astype(np.int32) - value) <= reach
    return here if raw.ndim == 2 else here.all(axis=2)


def _paletted(numbers: np.ndarray, class_mapping: ClassMapping) -> Image.Image:
    palette = np.zeros((256, 3), dtype=np.uint8)
    palette[: len(class_mapping.colours)] = class_mapping.colours
    palette[IGNORED] = 255
    image = Image.fromarray(numbers)
    image.putpalette(palette.tobytes())  # makes it mode P
    return image
