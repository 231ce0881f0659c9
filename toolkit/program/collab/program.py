"""A loaded program that recommends: a user, or a few things that somebody likes, in; items with scores and reasons out.

Users come known and new, one by one and all at once: each is answered alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from itertools import islice

import numpy as np

from toolkit.errors import ConversionError, ProgramError
from toolkit.program.archive import Archive
from toolkit.program.cells import is_missing, number_of, python_value, quoted, text_of
from toolkit.program.collab.arrays import stored_in
from toolkit.program.collab.outputs import Recommendation, Recommendations, Standing, best
from toolkit.program.collab.reasons import Profile, because
from toolkit.program.collab.title_index import Match
from toolkit.program.outputs import Estimate

AT_ONCE = 2**23  # scores that are held at a time
MOST_USERS = 256  # at a time

Likes = Iterable[object] | Mapping[object, float]


class Recommender:
    """A trained model of what users like, whose numbers are fixed. Made by `load`; safe to share between threads.

    `card` is what program.json says. `model` is what users are folded into, `index` finds items by title or id, `users` maps the
    ids of known users, if any travel in this program, to their positions. `rated` where it expects ratings, else it only ranks.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive, self.card = archive, archive.card
        try:
            self.rated = {"rating": True, "ranking": False}[self.card["input"]["objective"]]
            self._stored = stored_in(archive)
        except (KeyError, TypeError, ValueError) as error:
            raise ProgramError(f"{archive.path}: its program.json lacks or garbles {error}: export it again") from error
        self.model, self.index, self.users = self._stored.model, self._stored.index, self._stored.users.positions
        if self.rated != (self.model.limits is not None):
            raise ProgramError(f"{archive.path}: its program.json tells of another range of ratings: export it again")

    def recommend(
        self,
        user: object = None,
        likes: Likes | None = None,
        *,
        n: int = 10,
        exclude: Iterable[object] = (),
        strict: bool = False,
    ) -> Recommendations:
        """The `n` items to show a known `user` (their id), or somebody new who `likes` some titles or ids; where the program
        expects ratings, these may come as a mapping of title to rating.

        What the user has seen, what is liked and what is in `exclude` is never among them. Nobody is known by no likes: they get
        what most users chose, and a note. A like that is found nowhere is set aside with a note, or with `strict` raised, as are
        titles that had to be guessed. Raises `ConversionError` for an unknown user, likes none of which is known, and ratings
        out of range.
        """
        n = _whole(n, "n")
        profile = self._profile(user, likes, strict=strict)
        barred, notes = [], list(profile.notes)
        for item in _listed(exclude):
            match = self._match(item, strict)
            notes += [match.note] if match.note else []
            if match.item is None:
                notes.append(f"{_named(item)}: {self._unknown(match)}: nothing is left out for it")
            else:
                barred.append(match.item)
        blocked = np.concatenate([profile.seen, np.array(barred, dtype=np.int64)])
        return self._chosen(profile, self.model.scores(profile.vector), blocked=blocked, n=n, notes=notes)

    def recommend_many(
        self, users: Iterable[object] | None = None, n: int = 10, *, batch_size: int | None = None, strict: bool = False
    ) -> Iterator[tuple[str, Recommendations | ConversionError]]:
        """The same for all known users, or for any number of `users`, in constant memory: pairs of a user's id and what to show
        them, in order. For a user that is unknown the pair holds the `ConversionError`; with `strict` it is raised."""
        n = _whole(n, "n")
        self._need_users()
        room = max(1, min(MOST_USERS, AT_ONCE // max(1, len(self.index.ids))))
        batch_size = room if batch_size is None else _whole(batch_size, "batch_size")
        stream = iter(self.users if users is None else [users] if isinstance(users, str) else users)
        while batch := list(islice(stream, batch_size)):
            found = [self._tried(user, strict) for user in batch]
            profiles = [each for each in found if isinstance(each, Profile)]
            scores = iter(self.model.scores(np.stack([each.vector for each in profiles])) if profiles else ())
            for user, each in zip(batch, found, strict=True):
                if isinstance(each, Profile):
                    yield each.name, self._chosen(each, next(scores), blocked=each.seen, n=n, notes=list(each.notes))
                else:
                    yield _text(user) or quoted(python_value(user)), each

    def similar(self, item: object, n: int = 10, *, strict: bool = False) -> Recommendations:
        """The `n` items whose factors point the way that those of `item` (a title or an id) do; the score is their cosine."""
        n = _whole(n, "n")
        code, notes = self._item(item, strict)
        vectors, lengths = self._directions
        own = vectors[code]
        if not lengths[code]:
            return Recommendations((), (*notes, f"nothing was learnt about {self.index.quoted(code)}: nothing is like it"))
        cosines = vectors @ own / np.maximum(lengths * lengths[code], np.finfo(np.float32).tiny)
        cosines[code] = -np.inf
        cosines[lengths == 0] = -np.inf  # of which nothing was learnt
        places = best(cosines, n, ties=self._stored.popularity)
        reason = "liked by the same people"
        notes += self._too_few(len(places), n)
        return Recommendations(tuple(self._made(place, cosines[place], reason=reason) for place in places.tolist()), tuple(notes))

    def predict(
        self, user: object = None, item: object = None, *, likes: Likes | None = None, strict: bool = False
    ) -> Estimate | Standing:
        """What a known `user`, or somebody who `likes` some titles, will think of `item`: the rating expected of them, or where
        the program only ranks, where the item stands among those that they have not seen. What they said of it themselves is in
        the notes. Errors as in `recommend`."""
        if item is None:
            raise ProgramError("predict: name an item: predict(user, item), or predict(likes=…, item=…)")
        profile = self._profile(user, likes, strict=strict)
        code, guessed = self._item(item, strict)
        notes = [*profile.notes, *guessed, *profile.said_of(code, self.index, rated=self.rated)]
        if self.rated:
            score = self.model.pairs(profile.vector[None], np.array([code]))
            return Estimate(float(self.model.ratings(score)[0]), tuple(notes))
        scores = self.model.scores(profile.vector)
        others = np.ones(len(scores), dtype=bool)
        others[profile.seen] = False
        others[code] = False
        rank = 1 + int((scores[others] > scores[code]).sum())
        return Standing(rank, int(others.sum()) + 1, float(scores[code]), tuple(notes))

    def run(self, items: np.ndarray, values: np.ndarray | None, *, wanted: np.ndarray) -> np.ndarray:
        """The bare model: the scores, float32 (m,), of `wanted` items (m,) for a user who chose `items` (n,), or gave them the
        ratings `values` (n,)."""
        user = self.model.solve(items, values)
        return self.model.pairs(np.tile(user, (len(wanted), 1)), wanted)

    @cached_property
    def _directions(self) -> tuple[np.ndarray, np.ndarray]:
        """The factors of items without what is the same for all, and their lengths."""
        vectors = self.model.vectors
        same = [column for column in np.flatnonzero(vectors[0] == 1) if (vectors[:, column] == 1).all()]
        factors = np.delete(vectors, same, axis=1) if same else vectors
        return factors, np.sqrt(np.einsum("id,id->i", factors, factors))

    def _chosen(self, profile: Profile, scores: np.ndarray, *, blocked: np.ndarray, n: int, notes: list[str]) -> Recommendations:
        popularity, n_users = self._stored.popularity, self.card["input"].get("people")
        order, ties = (scores, popularity) if profile.known else (popularity.astype(np.float64), scores)
        order[blocked] = -np.inf
        places = best(order, n, ties=ties)
        reasons = because(profile, places, model=self.model, index=self.index, popularity=popularity, n_users=n_users)
        found = zip(places.tolist(), self.model.ratings(scores[places]), reasons, strict=True)
        made = tuple(self._made(place, score, reason=reason) for place, score, reason in found)
        return Recommendations(made, (*notes, *self._too_few(len(places), n)))

    def _made(self, place: int, score: float, *, reason: str) -> Recommendation:
        return Recommendation(self.index.ids[place], self.index.titles[place], float(score), reason)

    def _too_few(self, found: int, n: int) -> list[str]:
        if found >= n:
            return []
        return [f"{n} were asked for, {found or 'none'} of the {len(self.index.ids)} items {'is' if found == 1 else 'are'} left"]

    def _profile(self, user: object, likes: object, *, strict: bool) -> Profile:
        if (user is None) == (likes is None):
            raise ProgramError("name either a user or likes: recommend(user=…), or recommend(likes=[…])")
        return self._known(user) if likes is None else self._newcomer(likes, strict)

    def _need_users(self) -> None:
        if not self.users:
            raise ConversionError(
                "users", "this program was made without anybody's history (--no-users) and knows no users: give likes instead"
            )

    def _known(self, user: object) -> Profile:
        self._need_users()
        name = _text(user)
        if name is None or name not in self.users:
            raise ConversionError(
                f"user {quoted(python_value(user))}",
                f"none of the {len(self.users)} users that are known here: give an id as in the table that was learnt from, or "
                "say what they like (likes)",
            )
        code, users = self.users[name], self._stored.users
        some = slice(users.starts[code], users.starts[code + 1])
        seen, values = users.items[some].astype(np.int64), users.values[some]
        notes = () if len(seen) else (f"nothing is known of user {quoted(name)}: what follows is what anyone would get",)
        liked, ratings = (seen, values) if self.rated else (seen[values > 0], None)
        return Profile(name, users.vectors[code], seen, values, liked, ratings, known=len(seen) > 0, notes=notes)

    def _newcomer(self, likes: object, strict: bool) -> Profile:
        if isinstance(likes, Mapping) and not self.rated:
            raise ConversionError(
                "likes", "this program learnt what people choose, not how they rate it: give a list, no ratings"
            )
        pairs = likes.items() if isinstance(likes, Mapping) else ((like, None) for like in _listed(likes))
        found: dict[int, float] = {}
        notes, unknown = [], []
        for like, rating in pairs:
            match = self._match(like, strict)
            notes += [match.note] if match.note else []
            if match.item is None:
                unknown.append(f"{_named(like)}: {self._unknown(match)}")
                continue
            value = self._rating(like, rating)
            if match.item in found:
                last = f", the last rating ({value:g}) stands" if value != found[match.item] else ""
                notes.append(f"{self.index.quoted(match.item)} is named more than once: it counts once{last}")
            found[match.item] = value
        if unknown and not found:
            raise ConversionError("likes", "; ".join(unknown))
        notes += [f"{each}: set aside" for each in unknown]
        items, values = np.array(list(found), dtype=np.int64), np.array(list(found.values()), dtype=np.float64)
        if not found:
            notes.append("no likes: what most people chose")
            return Profile("", self.model.centre, items, values, items, None, known=False, notes=tuple(notes))
        ratings = values if isinstance(likes, Mapping) else None
        return Profile("", self.model.solve(items, ratings), items, values, items, ratings, known=True, notes=tuple(notes))

    def _rating(self, like: object, rating: object) -> float:
        if rating is None or self.model.limits is None:
            return self.model.like
        cell = python_value(rating)
        value = number_of(cell) if isinstance(cell, str) else cell
        low, high = self.model.limits
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            named = f"likes: {quoted(python_value(like))}"
            raise ConversionError(named, f"rated {quoted(cell)}: expected a number, {low:g} to {high:g}")
        return float(value)

    def _match(self, item: object, strict: bool) -> Match:
        text = _text(item)
        if text is None:
            raise ConversionError(type(item).__name__, f"{quoted(item)}: expected the title or the id of an item")
        match = self.index.find(text, id_first=not isinstance(item, str))
        if strict and (match.item is None or match.guessed):
            meant = None if match.item is None else f"not surely one item (did you mean {self.index.quoted(match.item)}?)"
            raise ConversionError(_named(item), meant or self._unknown(match))
        return match

    def _item(self, item: object, strict: bool) -> tuple[int, list[str]]:
        """The position of an item that has to be known, and what was guessed. Raises `ConversionError`."""
        match = self._match(item, strict)
        if match.item is None:
            raise ConversionError(_named(item), self._unknown(match))
        return match.item, [match.note] if match.note else []

    def _unknown(self, match: Match) -> str:
        near = f" (did you mean {', '.join(match.suggestions)}?)" if match.suggestions else ""
        return f"none of the {len(self.index.ids)} titles and ids that are known{near}"

    def _tried(self, user: object, strict: bool) -> Profile | ConversionError:
        try:
            return self._known(user)
        except ConversionError as error:
            if strict:
                raise
            return error


def _listed(likes: object) -> Iterable[object]:
    """Titles or ids one by one; one by itself is a list of one."""
    if isinstance(likes, (str, int, float)):
        return [likes]
    if isinstance(likes, (bytes, bytearray)) or not isinstance(likes, Iterable):
        raise ConversionError(type(likes).__name__, "expected a list of titles or ids of items")
    return likes


def _text(cell: object) -> str | None:
    """An id or a title as the table that was learnt from has it: 1, 1.0 and "1" are one id. None for what is neither."""
    cell = python_value(cell)
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float)) or (not isinstance(cell, str) and is_missing(cell)):
        return None
    return text_of(cell).strip()


def _named(item: object) -> str:
    """A title or an id as a message quotes it."""
    return quoted(_text(item))


def _whole(number: object, name: str) -> int:
    if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
        raise ProgramError(f"{name} {quoted(python_value(number))}: expected a whole number from 1")
    return int(number)
