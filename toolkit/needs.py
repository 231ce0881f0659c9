"""Missing packages, each named with the command that installs it.

It imports nothing but the standard library: a program checks what it needs before it imports any of it.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec

from toolkit.errors import MissingPackage

IMPORT_NAMES = {"pillow": "PIL", "scikit-learn": "sklearn", "imagehash": "imagehash"}


def missing(packages: list[str]) -> list[str]:
    """Those of `packages` (names as in `pip install`) that cannot be imported here."""
    return [name for name in packages if not _found(IMPORT_NAMES.get(name, name), name)]


def require(*packages: str, why: str, extra: str = "") -> None:
    """Raise `MissingPackage` unless each of `packages` is installed.

    `why` completes the sentence "X is needed ..."; `extra` names the extra of ours that brings the packages.
    """
    absent = missing(list(packages))
    if absent:
        what = f"'fastai-toolkit[{extra}]'" if extra else " ".join(absent)
        are = "is" if len(absent) == 1 else "are"
        raise MissingPackage(f"{', '.join(absent)} {are} needed {why}: pip install {what}")


def _found(module: str, package: str) -> bool:
    if sys.modules.get(module, module) is None:  # a module that was switched off
        return False
    try:
        if find_spec(module) is not None:
            return True
        from importlib.metadata import distribution  # here: it brings much along

        return module == package and bool(distribution(package))  # imported under a name other than pip's
    except (ImportError, ValueError):  # PackageNotFoundError is an ImportError
        return False
