"""Program files altered by hand: what damage, or somebody who knows the format, would make of them."""

import json
import zipfile

from toolkit.program.archive import card_digest


def rewritten(source, target, change):
    """A copy of a program with `change(name, bytes)` applied to each member (None drops it)."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            data = change(name, old.read(name))
            if data is not None:
                new.writestr(name, data)
    return target


def forged(source, path, change):
    """A copy whose card was changed by somebody who knows how its digest is made."""
    card = json.loads(zipfile.ZipFile(source).read("program.json"))
    change(card)
    card["digest"] = card_digest(card)
    return rewritten(source, path, lambda name, data: json.dumps(card).encode() if name == "program.json" else data)
