"""The program file: a zip of stored members behind a `#!` line, read as data and never run.

All that is believed about a file somebody was handed is checked here.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from pathlib import Path
from typing import Any

from toolkit.errors import ProgramError

FORMAT = 1
CARD = "program.json"
MODEL = "model.onnx"
MAX_CARD_BYTES = 64 * 2**20


class Archive:
    """The data inside a program file: `card` (what program.json says) and the bytes of each member, verified.

    Raises `ProgramError` for a file that is missing, truncated, altered, made for a newer runtime, or not one of ours.
    The digests find accidents and careless edits; they are no signature.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ProgramError(f"{path}: {'a folder, not a file' if self.path.is_dir() else 'no such file'}")
        self.card = self._read_card()

    def read(self, name: str) -> bytes:
        """The bytes of one data member, compared with the digest that program.json holds for it."""
        data = self._read_member(name)
        digest = hashlib.sha256(data).hexdigest()
        if digest != self.card["sha256"].get(name):
            raise ProgramError(f"{self.path}: {name} inside it was altered after export: export or copy it again")
        return data

    def _read_card(self) -> dict[str, Any]:
        try:
            card = json.loads(self._read_member(CARD))
        except ValueError as error:
            raise ProgramError(f"{self.path}: its {CARD} is damaged ({error}): copy the file again") from error
        if not isinstance(card, dict) or not isinstance(card.get("sha256"), dict) or "format" not in card:
            raise ProgramError(f"{self.path}: a zip file, but not a program of this toolkit")
        if card["format"] == FORMAT and card.get("digest") != card_digest(card):
            raise ProgramError(f"{self.path}: its {CARD} was altered after export: export or copy it again")
        if card["format"] != FORMAT:
            raise ProgramError(
                f"{self.path}: program format {card['format']!r}, this runtime reads {FORMAT}: "
                "run the file itself (python program.pyz …) or install the fastai-toolkit that made it"
            )
        return card

    def _read_member(self, name: str) -> bytes:
        try:
            with zipfile.ZipFile(self.path) as archive:
                member = archive.getinfo(name)
                # stored members cannot unpack to more than the file itself: no archive can blow up in memory
                if member.compress_type != zipfile.ZIP_STORED or (name == CARD and member.file_size > MAX_CARD_BYTES):
                    raise ProgramError(f"{self.path}: not as an export writes it ({name} is compressed or too large)")
                return archive.read(member)
        except KeyError as error:
            raise ProgramError(f"{self.path}: a zip file, but not a program of this toolkit (no {name})") from error
        except zipfile.BadZipFile as error:
            raise ProgramError(f"{self.path}: not a program, or truncated or altered ({error}): copy it again") from error
        except (OSError, EOFError, NotImplementedError, RuntimeError) as error:  # zipfile: a method or a cipher it lacks
            raise ProgramError(f"{self.path}: cannot be read ({error})") from error


def card_digest(card: dict[str, Any]) -> str:
    """The sha256 of a card's content, its own `digest` left out."""
    content = {name: value for name, value in card.items() if name != "digest"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
