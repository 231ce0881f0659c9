"""The file a program is, whatever it does: a zipapp of stored members, the runtime among them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import toolkit
from toolkit.program.archive import CARD

RUNTIME = ("__init__.py", "errors.py", "files.py", "needs.py", "na_values.py", "converters/*.py", "program/**/*.py", "tasks.py")
NOT_RUNTIME = {"converters/__main__.py", "converters/settings.py", "converters/contact_sheet.py"}  # for people who train

MAIN = '''"""The program's entry: checks what is needed, then hands over to the runtime beside it."""
import json
import os
import sys
import zipfile

if sys.version_info < (3, 11):
    sys.exit("this program needs Python 3.11 or newer; this is Python " + sys.version.split()[0])

HERE = os.path.dirname(os.path.abspath(__file__))


def main():
    from toolkit.needs import missing

    try:
        with zipfile.ZipFile(HERE) as archive:
            needs = json.loads(archive.read("program.json"))["needs"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        sys.exit(f"error: {HERE}: truncated or altered ({error}): copy it again")
    absent = missing(needs)
    if absent:
        sys.exit(f"this program needs {', '.join(absent)}: pip install {' '.join(absent)}")
    from toolkit.program.cli import main as run

    return run(HERE)


if __name__ == "__main__":
    sys.exit(main())
'''


def write_program(path: Path, card: dict[str, Any], *, members: dict[str, bytes]) -> None:
    """Write `card`, as program.json, and `members` (name -> bytes) to `path`, behind a `#!` line."""
    root = Path(toolkit.__file__).parent
    found = {file for pattern in RUNTIME for file in root.glob(pattern)}
    sources = sorted(file for file in found if file.relative_to(root).as_posix() not in NOT_RUNTIME)
    with open(path, "wb") as stream:
        stream.write(b"#!/usr/bin/env python3\n")
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr("__main__.py", MAIN)
            for file in sources:
                archive.writestr(f"toolkit/{file.relative_to(root).as_posix()}", file.read_bytes())
            for member, data in members.items():
                archive.writestr(member, data)
            archive.writestr(CARD, json.dumps(card, ensure_ascii=False, indent=1))
