"""Raw input becomes an image here: the registry of converters, and the reading of pictures.

A converter is found by name: ours in `CONVERTERS`, other packages' through the entry-point group `toolkit.converters`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.converters.base import Converter, Windowed, needs_of, promised_size, settings_of
from toolkit.converters.images import IMAGE_SUFFIXES, MAX_PIXELS, RESIZE_METHODS, fit_image, picture_size, read_image
from toolkit.errors import ToolkitError

__all__ = [
    "CONVERTERS",
    "IMAGE_SUFFIXES",
    "MAX_PIXELS",
    "RESIZE_METHODS",
    "Converter",
    "Windowed",
    "check",
    "converter_class",
    "converter_names",
    "find_converter",
    "fit_image",
    "name_of",
    "needs_of",
    "package_of",
    "picture_size",
    "promised_size",
    "read_image",
    "settings_of",
]

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

    from toolkit.converters.conformance import Report

ENTRY_POINTS = "toolkit.converters"

# name -> "module:class", imported when asked for
CONVERTERS: dict[str, str] = {
    "bytes": "toolkit.converters.binary:Bytes",
    "mouse": "toolkit.converters.mouse:Mouse",
    "series": "toolkit.converters.series:Series",
    "sound": "toolkit.converters.sound:Sound",
}


def converter_names() -> list[str]:
    """Every name `find_converter` accepts here, ours and other packages'."""
    return sorted({*CONVERTERS, *(entry.name for entry in _entry_points())})


def find_converter(name: str, settings: dict[str, Any] | None = None) -> Converter:
    """The converter registered as `name`, with `settings` for its fields.

    Raises `ToolkitError` for an unknown name (and lists the known ones) or for settings the class does not have.
    """
    cls = converter_class(name)
    try:
        return cls(**(settings or {}))
    except TypeError as error:
        raise ToolkitError(f"converter {name!r} does not take these settings: {error}") from error


def name_of(converter: Converter) -> str | None:
    """The name under which the converter's class is registered; None where it is not."""
    cls = type(converter)
    for name, target in CONVERTERS.items():
        if target == f"{cls.__module__}:{cls.__qualname__}":
            return name
    entry = _entry_of(cls)
    return entry.name if entry else None


def package_of(converter: Converter) -> tuple[str, str] | None:
    """The distribution, and its version, that registered the converter's class; None for ours, and where it is not
    registered."""
    entry = _entry_of(type(converter))
    dist = getattr(entry, "dist", None)
    return (dist.name, dist.version) if dist else None


def _entry_of(cls: type) -> EntryPoint | None:
    # a package may register its class under a shorter path than the module it is written in
    named = (entry for entry in _entry_points() if entry.attr == cls.__qualname__)
    return next((entry for entry in named if entry.load() is cls), None)


def converter_class(name: str) -> type[Converter]:
    """The class registered as `name`. Raises `ToolkitError` for an unknown name (and lists the known ones)."""
    if name in CONVERTERS:
        module, _, attribute = CONVERTERS[name].partition(":")
        return getattr(import_module(module), attribute)
    entry = next((entry for entry in _entry_points() if entry.name == name), None)
    if entry is None:
        raise ToolkitError(f"no converter is registered as {name!r}; known: {', '.join(converter_names())}")
    return entry.load()


def check(converter: Converter, samples: Iterable[Path | str]) -> Report:
    """Hold `converter` to its promises on `samples`, paths of good files; see `toolkit.converters.conformance`.

    Returns what was checked, and the time and memory an item takes. Raises `ConformanceError` with every problem found.
    """
    from toolkit.converters import conformance  # a program never needs it

    return conformance.check(converter, samples)


def _entry_points() -> EntryPoints:
    from importlib.metadata import entry_points

    return entry_points(group=ENTRY_POINTS)
