"""Finding an item by its title as users type it: any case, no accents, the year or not, with slips of the finger.

A wrong item found is worse than none: what is meant, what is guessed and what is only suggested is decided here alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np

from toolkit.program.cells import quoted
from toolkit.program.collab.title_text import MOST_READ, Name, name_of, with_last_year

MEMBERS = {  # the arrays of an index, and their dtypes
    "title_keys": "<u8", "title_items": "<i4", "part_keys": "<u8", "part_items": "<i4",
    "gram_codes": "<i8", "gram_starts": "<i8", "gram_items": "<i4", "gram_counts": "<i2",
}  # fmt: skip
SUGGESTED = 5
NEAREST = 40  # candidates whose spelling is compared
LIKE_ENOUGH = 0.45  # to be suggested
COMPARED = 80  # characters
MOST_SHOWN = 120  # characters
PART = 0.5  # of a slip: the whole title goes first
GRAM = 3
CHUNK = 2**17  # titles at a time


@dataclass(frozen=True)
class Match:
    """What a text was found to mean: `item` is its position in the catalogue, None where it is unknown. `note` says what was
    guessed. `guessed` where the text is not just another way to write the title. `suggestions` are titles that are alike."""

    item: int | None
    note: str = ""
    guessed: bool = False
    suggestions: tuple[str, ...] = ()


class TitleIndex:
    """The catalogue by title and by id. Made by `build` when a program is exported, from its arrays when it is loaded."""

    def __init__(
        self, titles: Sequence[str], ids: Sequence[str], *, popularity: np.ndarray, arrays: Mapping[str, np.ndarray]
    ) -> None:
        self.titles, self.ids, self.popularity = titles, ids, popularity
        self.codes = {name: code for code, name in enumerate(ids)}
        self._arrays = dict(arrays)

    @classmethod
    def build(cls, titles: Sequence[str], ids: Sequence[str], *, popularity: np.ndarray) -> TitleIndex:
        """Index `titles`, one for each of `ids`; `popularity` settles which of two namesakes is meant."""
        keys, owners, part_keys, part_owners, grams = [], [], [], [], []
        for start in range(0, len(titles), CHUNK):
            names = [name_of(title) for title in titles[start : start + CHUNK]]
            keys.append(_hashed(name.key for name in names))
            owners.append(np.arange(start, start + len(names), dtype=np.int32))
            part_keys.append(_hashed(part.replace(" ", "") for name in names for part in name.parts))
            part_owners.append(np.repeat(owners[-1], [len(name.parts) for name in names]))
            grams.append(_grams_of([name.core for name in names], start))
        key, owner = _sorted(np.concatenate(keys), np.concatenate(owners))
        part, part_owner = _sorted(np.concatenate(part_keys), np.concatenate(part_owners))
        once = np.ones(len(part), dtype=bool)  # a part that several titles have stands for none of them
        twice = part[1:] == part[:-1]
        once[1:] &= ~twice
        once[:-1] &= ~twice
        code, gram_owner = (np.concatenate(each) for each in zip(*grams, strict=True))
        counts = np.bincount(gram_owner, minlength=len(titles)).astype("<i2")
        code, gram_owner = _sorted(code, gram_owner)
        first = np.flatnonzero(np.r_[True, code[1:] != code[:-1]]) if len(code) else np.zeros(0, dtype=np.int64)
        arrays = (
            key, owner, part[once], part_owner[once],
            code[first], np.r_[first, len(code)], gram_owner, counts,
        )  # fmt: skip
        named = {name: np.asarray(each, dtype=kind) for (name, kind), each in zip(MEMBERS.items(), arrays, strict=True)}
        return cls(titles, ids, popularity=popularity, arrays=named)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """What `__init__` takes: the arrays named in `MEMBERS`."""
        return dict(self._arrays)

    def problem(self) -> str:
        """What is wrong with the arrays, "" where nothing is: each has to lead into the catalogue."""
        count, arrays = len(self.titles), self._arrays
        for keys, items in (("title_keys", "title_items"), ("part_keys", "part_items")):
            if arrays[keys].shape != arrays[items].shape:
                return f"{keys} and {items} differ in length"
        for name in ("title_items", "part_items", "gram_items"):
            if len(arrays[name]) and not 0 <= int(arrays[name].min()) <= int(arrays[name].max()) < count:
                return f"{name} leads out of the catalogue"
        starts = arrays["gram_starts"]
        if len(starts) != len(arrays["gram_codes"]) + 1 or starts[0] != 0 or starts[-1] != len(arrays["gram_items"]):
            return "gram_starts does not fit gram_items"
        return "" if (np.diff(starts) >= 0).all() and arrays["gram_counts"].shape == (count,) else "gram_starts goes back"

    def find(self, text: str, id_first: bool = False) -> Match:
        """The item that `text` means: one with this very title, or id, or a title written otherwise, or, with a note, one that
        is called so in part, or misspelt where no other is near. `id_first` where the text was a number, not words."""
        if not text.strip():
            return Match(None)
        named = self.codes.get(text)
        if id_first and named is not None:
            return Match(named)
        asked = name_of(text)
        hits = self._hits(asked.key)
        exact = [item for item in hits if self.titles[item].strip() == text.strip()]
        if exact:
            match = self._of_several(text, exact)
            notes = [match.note] if match.note else []
            if named is not None and named not in exact:
                notes.append(f"{quoted(text)} is taken as a title; it is also the id of {self.quoted(named)}")
            return Match(match.item, "; ".join(notes), match.guessed)
        if named is not None:
            return Match(named)
        if hits:
            return self._closest(text, asked, hits=hits)
        dated = with_last_year(text)
        if dated:  # only with this very year: Blade Runner 2049 is not Blade Runner (1982)
            bare = name_of(dated[0])
            hits = [item for item in self._hits(bare.key) if name_of(self.titles[item]).year == dated[1]]
            if hits:
                return self._closest(text, Name(bare.words, bare.core, dated[1], ()), hits=hits)
        return self._in_part(text, asked) or self._misspelt(text, asked)

    def quoted(self, item: int) -> str:
        """The title of an item in quotes, and its id where the title does not tell it from its namesakes."""
        title = self.titles[item]
        named = repr(title) if len(title) <= MOST_SHOWN else quoted(title)
        namesakes = sum(self.titles[other] == title for other in self._hits(name_of(title).key))
        return f"{named} (id {self.ids[item]})" if namesakes > 1 else named

    def _hits(self, key: str, kind: str = "title") -> list[int]:
        keys, items = self._arrays[f"{kind}_keys"], self._arrays[f"{kind}_items"]
        wanted = _hashed([key])[0]
        low, high = np.searchsorted(keys, wanted, "left"), np.searchsorted(keys, wanted, "right")
        return items[low:high].tolist()

    def _closest(self, text: str, asked: Name, *, hits: list[int]) -> Match:
        """Of titles with one key those that are written most as the text is: its year, its signs, its article."""
        names = {item: name_of(self.titles[item]) for item in hits}
        if asked.year and any(name.year for name in names.values()):
            same = [item for item in hits if names[item].year == asked.year]
            if not same:
                chosen = self._most_chosen(hits)
                return Match(chosen, f"{quoted(text)} is taken for {self.quoted(chosen)}, which has another year", True)
            hits = same
        folded = text.strip().casefold()
        for alike in (
            lambda item: self.titles[item].strip().casefold() == folded,
            lambda item: names[item].words == asked.words,
        ):
            hits = [item for item in hits if alike(item)] or hits
        return self._of_several(text, hits)

    def _of_several(self, text: str, items: list[int]) -> Match:
        if len(items) == 1:
            return Match(items[0])
        chosen = self._most_chosen(items)
        others = [f"{self.titles[item]} (id {self.ids[item]})" for item in items if item != chosen]
        listed = ", ".join(others[:SUGGESTED]) + (", …" if len(others) > SUGGESTED else "")
        taken = f"{self.titles[chosen]} (id {self.ids[chosen]})"
        note = f"{quoted(text)} is what {len(items)} items are called: taken for {taken}, which most people chose, not {listed}"
        return Match(chosen, note, True)

    def _most_chosen(self, items: list[int]) -> int:
        return max(items, key=lambda item: (int(self.popularity[item]), -item))

    def _in_part(self, text: str, asked: Name) -> Match | None:
        """An item that alone is called so in part, or that the text calls by less than all of the text."""
        found = set(self._hits(asked.key, "part"))
        for part in asked.parts if not found else ():
            found.update(self._hits(part.replace(" ", "")))
        if len(found) != 1:
            return None
        item = found.pop()
        return Match(item, f"{quoted(text)} is taken for {self.quoted(item)}", True)

    def _misspelt(self, text: str, asked: Name) -> Match:
        """The one title that is a slip or two away, or suggestions."""
        nearby = self._nearby(asked.core)
        if not len(nearby):
            return Match(None)
        names = [name_of(self.titles[item]) for item in nearby]
        spelt = [(place, form) for place, name in enumerate(names) for form in (name.core, *name.parts)]
        away, begun = distances(asked.core, [form for _, form in spelt])
        length = max(1, len(asked.core))
        best: dict[int, tuple[float, float]] = {}  # how alike, how many slips
        for (place, form), apart, start in zip(spelt, away.tolist(), begun.tolist(), strict=True):
            alike = max(1 - apart / max(length, len(form)), 0.9 * (1 - start / length))
            slips = apart + PART * (form != names[place].core) if _may_be_meant(asked, form) else COMPARED
            old = best.get(place, (0.0, COMPARED))
            best[place] = (max(old[0], alike), min(old[1], slips))
        fewest = min(slips for _, slips in best.values())
        if fewest <= _slips_allowed(asked.key):
            meant = [place for place, (_, slips) in best.items() if slips == fewest]
            if len({names[place].core for place in meant}) == 1:
                match = self._closest(
                    text, Name(names[meant[0]].words, asked.core, asked.year, ()), hits=[nearby[p] for p in meant]
                )
                if match.item is not None:
                    return Match(match.item, match.note or f"{quoted(text)} is taken for {self.quoted(match.item)}", True)
        shared = self._shared(asked.core, nearby)
        likeness = {place: max(alike, shared[place]) for place, (alike, _) in best.items()}
        order = sorted(likeness, key=lambda place: (-likeness[place], -int(self.popularity[nearby[place]]), nearby[place]))
        close = [nearby[place] for place in order if likeness[place] >= LIKE_ENOUGH][:SUGGESTED]
        return Match(None, suggestions=tuple(self.quoted(item) for item in close))

    def _counted(self, core: str) -> tuple[np.ndarray, int]:
        """How many runs of three letters each title shares with `core`, and how many that has."""
        codes, starts, items = (self._arrays[name] for name in ("gram_codes", "gram_starts", "gram_items"))
        wanted = np.unique(_grams_of([core], 0)[0])
        place = np.searchsorted(codes, wanted)
        known = place[(place < len(codes)) & (codes[np.minimum(place, len(codes) - 1)] == wanted)] if len(codes) else place[:0]
        lists = [items[starts[one] : starts[one + 1]] for one in known.tolist()]
        shared = np.concatenate(lists) if lists else np.zeros(0, dtype=np.int32)
        return np.bincount(shared, minlength=len(self.titles)), len(wanted)

    def _nearby(self, core: str) -> list[int]:
        counts, wanted = self._counted(core)
        most = int(counts.max(initial=0))
        if not most:
            return []
        pool = np.flatnonzero(2 * counts >= most)
        found = counts[pool].astype(np.float32)
        alike = 2 * found / (wanted + self._arrays["gram_counts"][pool])
        near: dict[int, None] = {}
        for measure in (alike, found / wanted + 0.1 * alike):  # as a whole; as a beginning of something longer
            top = np.argpartition(measure, len(pool) - NEAREST)[-NEAREST:] if len(pool) > NEAREST else np.arange(len(pool))
            near.update(dict.fromkeys(pool[top].tolist()))
        return list(near)

    def _shared(self, core: str, items: list[int]) -> list[float]:
        """How much of `core` each of some titles holds, in any order, from 0 to 1: all of it for less than an equal title."""
        counts, wanted = self._counted(core)
        alike = 2 * counts[items] / (wanted + self._arrays["gram_counts"][items])
        return np.maximum(alike, 0.9 * counts[items] / wanted).tolist()


def distances(text: str, others: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """How many slips (a letter more, less, another, or two swapped) lie between a text and each of n others, int32 (n,), and
    between the text and the nearest beginning of each: the optimal string alignment distance, for all others at once."""
    letters = np.frombuffer(text[:COMPARED].encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)
    cut = [other[:COMPARED] for other in others]
    lengths = np.array([len(other) for other in cut])
    width = int(lengths.max(initial=1))
    table = np.full((len(cut), width), -1, dtype=np.int64)
    table[np.arange(width) < lengths[:, None]] = np.frombuffer("".join(cut).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    across = np.arange(width + 1, dtype=np.int32)
    before = np.tile(across, (len(cut), 1))
    earlier = before
    for row, letter in enumerate(letters):
        now = np.empty_like(before)
        now[:, 0] = row + 1
        now[:, 1:] = np.minimum(before[:, 1:] + 1, before[:, :-1] + (table != letter))
        if row:
            swapped = (table[:, 1:] == letters[row - 1]) & (table[:, :-1] == letter)
            now[:, 2:] = np.where(swapped, np.minimum(now[:, 2:], earlier[:, :-2] + 1), now[:, 2:])
        earlier, before = before, np.minimum.accumulate(now - across, axis=1) + across  # letters more, along the row
    inside = np.where(across <= lengths[:, None], before, COMPARED)
    return before[np.arange(len(cut)), lengths], inside.min(axis=1)


def _slips_allowed(key: str) -> int:
    return 0 if len(key) < 4 else 1 if len(key) < 8 else 2 if len(key) < 14 else 3


def _may_be_meant(asked: Name, form: str) -> bool:
    """Whether a name may be what was misspelt: not another sequel, and a short one begins alike."""
    numbers = Name(form, form, "", ()).numbers
    return asked.numbers == numbers and (len(asked.key) > 5 or asked.core[:1] == form[:1])


def _hashed(keys: Iterable[str]) -> np.ndarray:
    """A number, uint64, for each key: the same in every process."""
    digests = b"".join(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest() for key in keys)
    return np.frombuffer(digests, dtype="<u8")


def _sorted(keys: np.ndarray, owners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.argsort(keys, kind="stable")
    return keys[order], owners[order]


def _grams_of(texts: list[str], first: int) -> tuple[np.ndarray, np.ndarray]:
    """The runs of three letters of each text, a space before and behind it: codes int64 and owners int32, counted from `first`,
    each once a text."""
    padded = [f" {text[:MOST_READ]} " for text in texts]
    letters = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.int64)
    lengths = np.array([len(text) for text in padded])
    owners = np.repeat(np.arange(first, first + len(texts), dtype=np.int32), lengths)
    if len(letters) < GRAM:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
    codes = (letters[:-2] << 42) | (letters[1:-1] << 21) | letters[2:]
    within = owners[2:] == owners[:-2]
    codes, owners = codes[within], owners[2:][within]
    order = np.lexsort((codes, owners))
    codes, owners = codes[order], owners[order]
    new = np.r_[True, (codes[1:] != codes[:-1]) | (owners[1:] != owners[:-1])]
    return codes[new], owners[new]
