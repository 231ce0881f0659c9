"""What a title says, however it is written: "Godfather, The (1972)", "the godfather" and "GODFATHER" are one name.

Names are taken apart twice, when a catalogue is indexed and when somebody types, always alike.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

ARTICLES = ("the ", "a ", "an ")  # that may be left out
MOVED = re.compile(  # Godfather, The
    r"(.+), (the|an?|le|la|les|l['’]|une?|d[eo]r|die|das|eine?|il|lo|gli|el|los|las|os?|het|en|ett)", re.IGNORECASE
)
YEAR = re.compile(r"\s*[(\[]((?:1[89]|20)\d\d)(?:\s*[-–/]\s*(?:\d\d|\d{4})?)?[)\]]\s*")  # (1972), (1972-1975)
LAST_YEAR = re.compile(r"(.+) ((?:1[89]|20)\d\d)")  # the godfather 1972
BRACKETS = re.compile(r"\s*[(\[]([^()\[\]]+)[)\]]")
ALSO = re.compile(r"(?:a\.?k\.?a\.?|also known as)\s+", re.IGNORECASE)
SUBTITLE = re.compile(r"\s*:\s+|\s+[-–—|]\s+|\s*[\uff1a\uff5c\uff5e\u301c]\s*")  # the last as wide as Japanese letters
ACCENTS = re.compile("[\u0300-\u036f]")
APOSTROPHES = re.compile("['’‘ʼ`´]")
NO_WORD = re.compile(r"[\W_]+")
LETTERS = str.maketrans({"ø": "o", "æ": "ae", "œ": "oe", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "ı": "i"})
NUMBER = re.compile(r"[a-z]*\d[a-z\d]*|\b[ivx]+\b")  # and what is joined to it, as in ids
LEAST_PART = 3  # letters of a part of a title that stands for it
MOST_READ = 300  # characters of a title; the rest tells no two titles apart


@dataclass(frozen=True)
class Name:
    """A title taken apart. `words` are in lower case without accents and punctuation, `core` is the same without its article,
    `year` is as written, or "". `parts` are the cores of what else it may be called: without its subtitle or what stands in
    brackets, or by what stands there."""

    words: str
    core: str
    year: str
    parts: tuple[str, ...]

    @property
    def key(self) -> str:
        """What is equal for all ways to write this name."""
        return self.core.replace(" ", "")

    @property
    def numbers(self) -> list[str]:
        """The numbers in it: a sequel is another thing, however alike the rest is."""
        return NUMBER.findall(self.core)


def name_of(title: str) -> Name:
    """The name that a title in any script says."""
    text = title.strip()[:MOST_READ]
    year = ""
    if text[-1:] in ")]":
        for found in YEAR.finditer(text):
            if found.start():  # a title may be a year
                year = found[1]
                text = f"{text[: found.start()]} {text[found.end() :]}".strip()
                break
    bare = BRACKETS.sub("", text).strip() if "(" in text or "[" in text else text
    front = _in_front(bare)
    words = plain_words(f"{front} {text[len(bare) :]}" if bare and text.startswith(bare) else text)
    core = without_article(words)
    also = []
    if bare != text:
        also += [front, *(_in_front(ALSO.sub("", inner).strip()) for inner in BRACKETS.findall(text))]
    if len(cut := SUBTITLE.split(front, maxsplit=1)) > 1:
        also += cut
    if front != bare:
        also.append(front.partition(" ")[2])
    parts = dict.fromkeys(without_article(plain_words(part)) for part in also if part)
    return Name(words, core, year, tuple(part for part in parts if part != core and _tells(part)))


def with_last_year(text: str) -> tuple[str, str] | None:
    """A text that ends in a bare year as what stands before it and the year, None where it does not."""
    found = LAST_YEAR.fullmatch(text.strip())
    return (found[1], found[2]) if found else None


def plain_words(text: str) -> str:
    """The words of a text in lower case, without accents and punctuation, one space between them; of a text that is nothing but
    signs, the signs."""
    if text.isascii():
        folded = text.lower()
        words = NO_WORD.sub(" ", APOSTROPHES.sub("", folded).replace("&", " and ")).strip()
    else:
        folded = ACCENTS.sub("", unicodedata.normalize("NFKD", text.casefold()))
        folded = unicodedata.normalize("NFC", folded).casefold().translate(LETTERS)
        spread = APOSTROPHES.sub("", folded).replace("&", " and ")
        # marks belong to letters in many scripts, but not to the words of a regular expression
        kept = (sign if sign.isalnum() or unicodedata.category(sign)[0] == "M" else " " for sign in spread)
        words = " ".join("".join(kept).split())
        words = words if any(sign.isalnum() for sign in words) else ""
    return words or " ".join(folded.split())


def without_article(words: str) -> str:
    """Words without the English article they begin with; foreign ones may be words of their own (Die Hard)."""
    for article in ARTICLES:
        if words.startswith(article):
            return words[len(article) :]
    return words


def _in_front(text: str) -> str:
    """A name with its article where it is spoken."""
    found = MOVED.fullmatch(text) if "," in text else None
    if not found:
        return text
    return found[2] + ("" if found[2][-1] in "'’" else " ") + found[1]


def _tells(part: str) -> bool:
    """Whether a part is long enough to stand for a title: two letters say much in some scripts, and little in others."""
    letters = sum(1 + (sign > "\u2e80") for sign in part if sign.isalpha())
    return letters >= LEAST_PART
