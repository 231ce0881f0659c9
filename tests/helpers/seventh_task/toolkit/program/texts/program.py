"""A loaded program that reads texts: which letters it counts, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.errors import ProgramError
from toolkit.program.archive import Archive
from toolkit.program.outputs import ClassOutput, Prediction
from toolkit.program.session import session_of


@dataclass(frozen=True)
class TextInput:
    """A text -> the share of each of `letters` in it, float32 (letters,)."""

    letters: str

    def prepare(self, text: str) -> np.ndarray:
        """The shares of the letters."""
        counts = np.array([text.lower().count(letter) for letter in self.letters], dtype=np.float32)
        return counts / max(1, counts.sum())

    def card(self) -> dict[str, Any]:
        """What `from_card` takes."""
        return {"kind": "text", "letters": self.letters}

    @classmethod
    def from_card(cls, card: dict[str, Any]) -> TextInput:
        """The input that program.json describes."""
        return cls(str(card["letters"]))


class TextProgram:
    """A trained reader of texts. Made by `load`."""

    def __init__(self, archive: Archive) -> None:
        self.archive, self.card = archive, archive.card
        try:
            self.input, self.output = TextInput.from_card(self.card["input"]), ClassOutput.from_card(self.card["output"])
        except (KeyError, TypeError) as error:
            raise ProgramError(f"{archive.path}: its program.json lacks or garbles {error}: export it again") from error
        self._session = session_of(archive)

    def predict(self, text: str) -> Prediction:
        """Predict one text."""
        return self.output.one(self.run(self.input.prepare(text)))

    def run(self, prepared: np.ndarray) -> np.ndarray:
        """The bare model: one prepared text in, probabilities (classes,) out."""
        answer: np.ndarray = self._session.run(None, {"input": prepared[None]})[0][0]
        return answer
