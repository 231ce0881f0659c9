"""What a converter's pictures depend on besides its input, as a digest."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from toolkit import converters
from toolkit.converters import Converter
from toolkit.data.hashing import content_hash


def converter_key(converter: Converter) -> str | None:
    """A digest, 16 hex digits, of all that a converter's pictures depend on besides its input; None where that cannot be
    told, as of a class written in a notebook: its pictures are not to be kept.

    It is made of the name the converter is registered under (else that of its class), its settings, the distribution that
    brought it, the Python files beside its class, beside the classes it is built on and beside our own converters (so whoever
    edits one gets new pictures), and the versions of numpy, pillow and what else it says it needs.
    """
    folders = {Path(converters.__file__).parent}
    files = set()
    for cls in type(converter).__mro__:
        if cls.__module__.partition(".")[0] in sys.stdlib_module_names - {"__main__"}:
            continue
        file = getattr(sys.modules.get(cls.__module__), "__file__", None)
        if file is None or not Path(file).is_file():
            return None
        files.add(Path(file))
        folders.add(Path(file).parent)
    for folder in folders:
        files |= set(_python_files(folder))
    name = converters.name_of(converter) or f"{type(converter).__module__}:{type(converter).__qualname__}"
    needed = sorted({"numpy", "pillow", *converters.needs_of(converter)})
    try:
        parts = [name, converters.settings_of(converter), converters.package_of(converter), [_version(each) for each in needed]]
        described = json.dumps([*parts, sorted(content_hash(path) for path in files)], sort_keys=True)
    except (OSError, TypeError, ValueError):  # files that cannot be read, settings that are not plain
        return None
    return hashlib.blake2b(described.encode(), digest_size=8).hexdigest()


def _python_files(folder: Path) -> Iterator[Path]:
    """Those of a folder, and of all below it where it is a package."""
    return folder.rglob("*.py") if (folder / "__init__.py").exists() else folder.glob("*.py")


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""
