"""Small programs that recommend, made by hand: what people like is known, so what they should be shown is too."""

import hashlib
import io
from itertools import pairwise
from types import SimpleNamespace

import numpy as np

from toolkit.export.archive import write_program
from toolkit.program.archive import FORMAT, card_digest
from toolkit.program.collab.arrays import KnownUsers, members_of
from toolkit.program.collab.dot_model import DotModel

GROUPS = {
    "dark": ["Demon Slayer: Kimetsu no Yaiba", "Chainsaw Man", "Hell's Paradise", "Jujutsu Kaisen", "Dorohedoro"],
    "gentle": ["K-On!", "Laid-Back Camp", "Non Non Biyori", "Barakamon", "夏目友人帳"],
    "film": ["Godfather, The (1972)", "Godfather: Part II, The (1974)", "Sabrina (1954)", "Sabrina (1995)", "Amélie (2001)"],
}
TITLES = [title for group in GROUPS.values() for title in group]
IDS = [str(100 + number) for number in range(len(TITLES))]
USERS = 30  # ten of each group; user "u0" of the first, "u1" of the second, …


def made_model(rated, seed=0):
    """Factors in which each group points its own way, and an item's bias falls with its place in the group."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(3), 5)
    factors = np.eye(4)[group] + 0.05 * rng.standard_normal((15, 4))
    bias = 0.2 - 0.02 * np.tile(np.arange(5), 3)
    if rated:
        vectors = np.column_stack([factors, np.ones(15)]).astype(np.float32)
        return DotModel(vectors, (3.5 + bias).astype(np.float32), np.eye(5), np.zeros(5), like=5.0, low=1.0, high=5.0)
    return DotModel(factors.astype(np.float32), bias.astype(np.float32), np.eye(4), np.full(4, 0.1), like=1.0)


def history(rated):
    """What each user has seen: the first three of the group, one of another, which they do not care for."""
    starts, seen, values = [0], [], []
    for user in range(USERS):
        group = user % 3
        seen += [5 * group, 5 * group + 1, 5 * group + 2, 5 * ((group + 1) % 3) + 4]
        values += [5, 4, 5, 1] if rated else [1, 1, 1, 0]
        starts.append(len(seen))
    return np.array(starts), np.array(seen), np.array(values, dtype=np.float32)


def write_recommender(path, model, members, users=0, objective="ranking", titles=True, people=None, golden=(), **changed):
    """A program file with these members, and a card that says what is in them."""
    items = len(model.vectors)
    card = {
        "format": FORMAT,
        "task": "collaborative_filtering",
        "name": path.stem,
        "created": "2026-01-01T00:00:00+00:00",
        "input": {
            "kind": "ratings", "items": items, "users": users, "titles": titles, "objective": objective, "form": "dot",
            "d": model.vectors.shape[1], "people": people,
        },
        "output": {"kind": "recommendations", "low": model.low, "high": model.high, "like": model.like},
        "needs": ["numpy"],
        "scores": None,
        "versions": {},
        "golden": list(golden),
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in members.items()},
    }  # fmt: skip
    for room, entries in changed.items():
        card[room].update(entries)
    card["digest"] = card_digest(card)
    write_program(path, card, members=members)
    return path


def write_sample(path, rated=False, with_users=True, with_titles=True, change=None, **changed):
    """The sample as a program: `rated` expects stars, else it ranks. `change` may alter its members."""
    model = made_model(rated)
    starts, seen, values = history(rated)
    popularity = np.bincount(seen, minlength=15)
    vectors = np.stack([model.solve(seen[a:b], values[a:b] if rated else None) for a, b in pairwise(starts)])
    known = KnownUsers([f"u{number}" for number in range(USERS)], vectors, starts, seen, values)
    titles = TITLES if with_titles else None
    members = members_of(model, IDS, titles=titles, popularity=popularity, users=known if with_users else None)
    if change:
        change(members)
    golden = []
    for likes in ([0, 1], [5, 7, 9]):
        given = [5.0, 4.0, 2.0][: len(likes)] if rated else None
        scores = model.pairs(np.tile(model.solve(np.array(likes), given), (3, 1)), np.array([2, 6, 10]))
        golden.append({"likes": likes, "values": given, "wanted": [2, 6, 10], "output": scores.tolist()})
    return write_recommender(
        path, model, members, users=USERS if with_users else 0, objective="rating" if rated else "ranking",
        titles=with_titles, people=USERS, golden=golden, **changed,
    )  # fmt: skip


def samples(folder):
    """The paths of four sample programs."""
    return SimpleNamespace(
        ranker=write_sample(folder / "ranker.pyz"),
        rater=write_sample(folder / "rater.pyz", rated=True),
        private=write_sample(folder / "private.pyz", with_users=False),
        bare=write_sample(folder / "bare.pyz", with_titles=False),
    )


def npy(array):
    """An array as the bytes of a file."""
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=True)
    return stream.getvalue()
