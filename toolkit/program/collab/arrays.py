"""What a recommender carries in its file: factors, titles, and perhaps people with what they have seen; written and read here.

It is a file of its own because export and program must mean the same by each array, and nothing in a file that somebody was
handed is believed before it is checked.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from toolkit.errors import ProgramError
from toolkit.program.archive import Archive
from toolkit.program.collab.dot_model import MEMBERS, TOLD, Taste
from toolkit.program.collab.neural_model import NeuralTaste
from toolkit.program.collab.title_index import MEMBERS as INDEXED
from toolkit.program.collab.title_index import TitleIndex

ITEMS, USERS = "items.json", "users.json"
SEEN = {"seen_starts": "<i8", "seen_items": "<i4", "seen_values": "<f4"}
TASTE = {"vectors": "<f4", "offset": "<f4", "prior": "<f8", "centre": "<f8"}
NEURAL = ("vectors", "prior", "centre")  # of those, what a network has
LAYER = ("layer{}_weight", "layer{}_bias")
MOST_LAYERS = 100
HUGE = 1e30  # no rating
HEAD = re.compile(  # of an array in numpy's format 1.0; numpy's own reader evaluates what stands there
    rb"\x93NUMPY\x01\x00(?P<length>..)\{'descr': '(?P<dtype>[<|][iuf][1248])', 'fortran_order': False, "
    rb"'shape': \((?P<shape>\d{1,12},|\d{1,12}(?:, \d{1,12})+)\), \} *\n",
    re.DOTALL,
)


@dataclass(frozen=True)
class Stored:
    """All that a recommender knows. `popularity`, int64 (items,): how many people of training chose each. `users` are the ids of
    known people, `people`, float32 (users, d), their vectors. Person u has seen the items `seen[starts[u] : starts[u + 1]]`, with
    the ratings `values` there, or, in a program that ranks, 1 for what they chose and 0 for what they only saw."""

    taste: Taste | NeuralTaste
    index: TitleIndex
    popularity: np.ndarray
    users: dict[str, int]
    people: np.ndarray
    starts: np.ndarray
    seen: np.ndarray
    values: np.ndarray


def members_of(
    taste: Taste | NeuralTaste,
    ids: Sequence[str],
    titles: Sequence[str] | None,
    popularity: np.ndarray,
    users: Sequence[str] | None = None,
    people: np.ndarray | None = None,
    seen: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> dict[str, bytes]:
    """The members of a program file, name -> bytes; each argument as in `Stored`. `titles` is None where items have but ids.
    `users`, `people` and `seen` (starts, items, values) go together, and are left out where nobody's history is to travel.

    The card's `input` goes with them: kind "ratings", `items` and `users` (how many; 0 without), `titles` (whether there are),
    `objective`, `form` (one of `FORMS`), and `people`, how many there were in training. Its `output` has `low`, `high`, `like`
    and `bounds` of the taste; `told`, whether it has that; and `layers`, how many there are of a network."""
    ids = list(ids)
    listed = {"ids": ids, "titles": None if titles is None else list(titles)}
    index = TitleIndex.build(ids if titles is None else list(titles), ids, popularity)
    arrays = {**_arrays_of(taste), "popularity": np.asarray(popularity, dtype="<i8"), **index.arrays}
    members = {ITEMS: json.dumps(listed, ensure_ascii=False).encode("utf-8", "surrogatepass")}
    if users is not None:
        members[USERS] = json.dumps({"ids": list(users)}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        arrays["people"] = np.asarray(people, dtype="<f4")
        arrays |= {name: np.asarray(each, dtype=kind) for (name, kind), each in zip(SEEN.items(), seen, strict=True)}
    return members | {f"{name}.npy": _bytes_of(array) for name, array in arrays.items()}


def stored_in(archive: Archive) -> Stored:
    """What a program file holds, checked. Raises `ProgramError` for what an export does not write."""
    card, output = archive.card["input"], archive.card["output"]

    def array(name: str, kind: str, *shape: int | None) -> np.ndarray:
        return _array(archive, f"{name}.npy", kind, shape)

    ids, titles = _texts(archive, ITEMS, "ids", card["items"]), _texts(archive, ITEMS, "titles", card["items"])
    popularity = array("popularity", "<i8", len(ids))
    index = TitleIndex(titles or ids, ids, popularity, {name: array(name, kind, None) for name, kind in INDEXED.items()})
    if problem := index.problem():
        raise _wrong(archive, f"its titles cannot be searched ({problem})")
    if len(index.codes) != len(ids):
        raise _wrong(archive, f"{ITEMS}: two items have one id")
    taste = FORMS[card["form"]](array, len(ids), output)
    _check_taste(archive, taste)
    known = _texts(archive, USERS, "ids", card["users"]) if card["users"] else []
    users = {name: code for code, name in enumerate(known)}
    if len(users) != len(known):
        raise _wrong(archive, f"{USERS}: two users have one id")
    if known:
        people = array("people", "<f4", len(known), len(taste.centre))
        starts, seen, values = (array(name, kind, None) for name, kind in SEEN.items())
        _check_seen(archive, len(known), len(ids), starts, seen, values)
    else:
        people = np.zeros((0, len(taste.centre)), dtype=np.float32)
        starts, seen, values = np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32)
    return Stored(taste, index, popularity, users, people, starts, seen, values)


def _dot(array: Callable[..., np.ndarray], items: int, output: dict) -> Taste:
    """The factors of items; people are vectors."""
    vectors = array("vectors", TASTE["vectors"], items, None)
    d = vectors.shape[1]
    arrays = (array("offset", TASTE["offset"], items), array("prior", TASTE["prior"], d, d), array("centre", TASTE["centre"], d))
    low, high = _range(output)
    told = array(TOLD, "<f4", items, d) if output.get("told") else None
    return Taste(vectors, *arrays, float(output["like"]), low, high, _bounds(output), told)


def _neural(array: Callable[..., np.ndarray], items: int, output: dict) -> NeuralTaste:
    """The embeddings of items, and layers of which each takes what the one before gives; the last gives the score."""
    vectors, centre = array("vectors", TASTE["vectors"], items, None), array("centre", TASTE["centre"], None)
    prior = array("prior", TASTE["prior"], len(centre), len(centre))
    count, width, layers = output["layers"], len(centre) + vectors.shape[1], []
    if type(count) is not int or not 1 <= count <= MOST_LAYERS:
        raise ValueError(f"layers, {count!r}")
    for number in range(count):
        named_weight, named_bias = (name.format(number) for name in LAYER)
        weight = array(named_weight, "<f4", 1 if number == count - 1 else None, width)
        width = len(weight)
        layers.append((weight, array(named_bias, "<f4", width)))
    low, high = _range(output)
    return NeuralTaste(vectors, prior, centre, tuple(layers), float(output["like"]), low, high, _bounds(output))


def _arrays_of(taste: Taste | NeuralTaste) -> dict[str, np.ndarray]:
    """The arrays of a taste by the names that they travel under."""
    if isinstance(taste, Taste):
        arrays = {name: np.asarray(getattr(taste, name), dtype=TASTE[name]) for name in MEMBERS}
        return arrays if taste.told is None else {**arrays, TOLD: np.asarray(taste.told, dtype="<f4")}
    arrays = {name: np.asarray(getattr(taste, name), dtype=TASTE[name]) for name in NEURAL}
    for number, layer in enumerate(taste.layers):
        arrays |= {name.format(number): np.asarray(part, dtype="<f4") for name, part in zip(LAYER, layer, strict=True)}
    return arrays


def _range(output: dict) -> tuple[float | None, float | None]:
    low, high = (None if output[end] is None else float(output[end]) for end in ("low", "high"))
    return low, high


def _bounds(output: dict) -> tuple[float, float] | None:
    return None if output.get("bounds") is None else tuple(map(float, output["bounds"]))


def _check_taste(archive: Archive, taste: Taste | NeuralTaste) -> None:
    if not math.isfinite(taste.like):
        raise _wrong(archive, f"what a like stands for is {taste.like}")
    if (taste.low is None) != (taste.high is None) or (taste.low is not None and not -HUGE < taste.low < taste.high < HUGE):
        raise _wrong(archive, f"the range of ratings is {taste.low} to {taste.high}")
    if taste.bounds is not None:
        least, most = taste.bounds
        if taste.low is None or not -HUGE < least < taste.low < taste.high < most < HUGE:
            raise _wrong(archive, f"ratings near {least} and {most}, which do not enclose their range")
    try:
        np.linalg.cholesky(taste.prior)
    except np.linalg.LinAlgError as error:
        raise _wrong(archive, "prior.npy is no precision: not positive definite") from error


FORMS = {"dot": _dot, "neural": _neural}


def _bytes_of(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _array(archive: Archive, member: str, kind: str, shape: tuple[int | None, ...]) -> np.ndarray:
    """A member as an array without a copy, read-only; `shape` has None for what may be of any length. What its head says is
    compared with what is there before anything is made of it."""
    data = archive.read(member)
    head = HEAD.match(data)
    if not head or head.end() != 10 + int.from_bytes(head["length"], "little"):
        raise _wrong(archive, f"{member} is no array as an export writes it")
    dtype, found = np.dtype(head["dtype"].decode()), tuple(map(int, head["shape"].decode().strip(",").split(", ")))
    wanted = tuple(there if here is None else here for here, there in zip(shape, found, strict=False))
    size = math.prod(found) * dtype.itemsize
    if dtype != np.dtype(kind) or found != wanted or len(found) != len(shape) or len(data) != head.end() + size:
        expected = " x ".join("n" if length is None else str(length) for length in shape)
        raise _wrong(archive, f"{member} is {dtype} {found}, expected {np.dtype(kind)} {expected}")
    array = np.frombuffer(data, dtype=dtype, offset=head.end()).reshape(found)
    if dtype.kind == "f" and not _finite(array):
        raise _wrong(archive, f"{member} has numbers that are not finite")
    return array


def _finite(array: np.ndarray) -> bool:
    flat = array.reshape(-1)
    return all(np.isfinite(flat[start : start + 2**20]).all() for start in range(0, len(flat), 2**20))


def _texts(archive: Archive, member: str, key: str, count: int) -> list[str]:
    try:
        found = json.loads(archive.read(member))[key]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _wrong(archive, f"{member} cannot be read ({error})") from error
    if found is None and key == "titles":
        return []
    if not isinstance(found, list) or len(found) != count or set(map(type, found)) != {str}:
        raise _wrong(archive, f"{member}: its {key} are not the {count} texts that program.json tells of")
    return found


def _check_seen(archive: Archive, users: int, items: int, starts: np.ndarray, seen: np.ndarray, values: np.ndarray) -> None:
    fits = len(starts) == users + 1 and starts[0] == 0 and starts[-1] == len(seen) == len(values)
    if not fits or (np.diff(starts) < 0).any():
        raise _wrong(archive, "what users have seen does not fit their number")
    if len(seen) and not 0 <= int(seen.min()) <= int(seen.max()) < items:
        raise _wrong(archive, "users have seen items that are not there")


def _wrong(archive: Archive, what: str) -> ProgramError:
    return ProgramError(f"{archive.path}: {what}: export it again")
