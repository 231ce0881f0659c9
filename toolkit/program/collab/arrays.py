"""What a recommender carries in its file: factors, titles, and perhaps users with what they have seen; written and read here.

Export and program mean the same by each array, and nothing in a file that somebody was handed is believed before it is checked.
"""

from __future__ import annotations

import io
import json
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from toolkit.errors import ProgramError
from toolkit.program.archive import Archive
from toolkit.program.collab.dot_model import IMPLICIT, MEMBERS, DotModel, FoldInModel
from toolkit.program.collab.neural_model import NeuralModel
from toolkit.program.collab.title_index import MEMBERS as INDEXED
from toolkit.program.collab.title_index import TitleIndex

ITEMS, USERS = "items.json", "users.json"
VECTORS = "people"  # of users
SEEN = {"seen_starts": "<i8", "seen_items": "<i4", "seen_values": "<f4"}
PARAMETERS = {"vectors": "<f4", "offset": "<f4", "prior": "<f8", "centre": "<f8"}
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
class KnownUsers:
    """Users that travel with a model: their `ids` and `vectors`, float32 (users, d). User u has seen the items
    `items[starts[u] : starts[u + 1]]`, with the ratings `values` there, or, in a program that ranks, 1 for what they chose and 0
    for what they only saw."""

    ids: Sequence[str]
    vectors: np.ndarray
    starts: np.ndarray
    items: np.ndarray
    values: np.ndarray

    @property
    def positions(self) -> dict[str, int]:
        """Where each id stands."""
        return {name: place for place, name in enumerate(self.ids)}


@dataclass(frozen=True)
class Stored:
    """All that a recommender knows. `popularity`, int64 (items,): how many users of training chose each."""

    model: FoldInModel
    index: TitleIndex
    popularity: np.ndarray
    users: KnownUsers


def members_of(
    model: DotModel | NeuralModel,
    ids: Sequence[str],
    *,
    titles: Sequence[str] | None,
    popularity: np.ndarray,
    users: KnownUsers | None = None,
) -> dict[str, bytes]:
    """The members of a program file, name -> bytes; `popularity` as in `Stored`. `titles` is None where items have but ids.
    `users` are left out where nobody's history is to travel.

    The card's `input` goes with them: kind "ratings", `items` and `users` (how many; 0 without), `titles` (whether there are),
    `objective`, `form` (one of `FORMS`), and `people`, how many users there were in training. Its `output` has `low`, `high`,
    `like` and `bounds` of the model; `told`, whether it has implicit factors; and `layers`, how many there are of a network."""
    ids = list(ids)
    catalogue = {"ids": ids, "titles": None if titles is None else list(titles)}
    index = TitleIndex.build(ids if titles is None else list(titles), ids, popularity=popularity)
    arrays = {**_arrays_of(model), "popularity": np.asarray(popularity, dtype="<i8"), **index.arrays}
    members = {ITEMS: json.dumps(catalogue, ensure_ascii=False).encode("utf-8", "surrogatepass")}
    if users is not None:
        members[USERS] = json.dumps({"ids": list(users.ids)}, ensure_ascii=False).encode("utf-8", "surrogatepass")
        arrays[VECTORS] = np.asarray(users.vectors, dtype="<f4")
        seen = users.starts, users.items, users.values
        arrays |= {name: np.asarray(each, dtype=kind) for (name, kind), each in zip(SEEN.items(), seen, strict=True)}
    return members | {f"{name}.npy": _bytes_of(array) for name, array in arrays.items()}


def stored_in(archive: Archive) -> Stored:
    """What a program file holds, checked. Raises `ProgramError` for what an export does not write."""
    card, output = archive.card["input"], archive.card["output"]

    def array(name: str, kind: str, *shape: int | None) -> np.ndarray:
        return _array(archive, f"{name}.npy", kind=kind, shape=shape)

    ids, titles = (
        _texts(archive, ITEMS, key="ids", count=card["items"]),
        _texts(archive, ITEMS, key="titles", count=card["items"]),
    )
    popularity = array("popularity", "<i8", len(ids))
    index = TitleIndex(
        titles or ids, ids, popularity=popularity, arrays={name: array(name, kind, None) for name, kind in INDEXED.items()}
    )
    if problem := index.problem():
        raise _wrong(archive, f"its titles cannot be searched ({problem})")
    if len(index.codes) != len(ids):
        raise _wrong(archive, f"{ITEMS}: two items have one id")
    model = FORMS[card["form"]](array, len(ids), output=output)
    _check_model(archive, model)
    if not card["users"]:
        return Stored(model, index, popularity, _nobody(len(model.centre)))
    known = _texts(archive, USERS, key="ids", count=card["users"])
    if len(set(known)) != len(known):
        raise _wrong(archive, f"{USERS}: two users have one id")
    vectors = array(VECTORS, "<f4", len(known), len(model.centre))
    users = KnownUsers(known, vectors, *(array(name, kind, None) for name, kind in SEEN.items()))
    _check_seen(archive, users, items=len(ids))
    return Stored(model, index, popularity, users)


def _nobody(d: int) -> KnownUsers:
    starts, items, values = (np.zeros(length, dtype=kind) for length, kind in zip((1, 0, 0), SEEN.values(), strict=True))
    return KnownUsers((), np.zeros((0, d), dtype=np.float32), starts, items, values)


def _dot(array: Callable[..., np.ndarray], items: int, *, output: dict[str, Any]) -> DotModel:
    """The factors of items."""
    vectors = array("vectors", PARAMETERS["vectors"], items, None)
    d = vectors.shape[1]
    arrays = (
        array("offset", PARAMETERS["offset"], items),
        array("prior", PARAMETERS["prior"], d, d),
        array("centre", PARAMETERS["centre"], d),
    )
    low, high = _range(output)
    implicit = array(IMPLICIT, "<f4", items, d) if output.get("told") else None
    return DotModel(vectors, *arrays, float(output["like"]), low, high, _bounds(output), implicit)


def _neural(array: Callable[..., np.ndarray], items: int, *, output: dict[str, Any]) -> NeuralModel:
    """The embeddings of items, and layers of which each takes what the one before gives; the last gives the score."""
    vectors, centre = array("vectors", PARAMETERS["vectors"], items, None), array("centre", PARAMETERS["centre"], None)
    prior = array("prior", PARAMETERS["prior"], len(centre), len(centre))
    count, width, layers = output["layers"], len(centre) + vectors.shape[1], []
    if type(count) is not int or not 1 <= count <= MOST_LAYERS:
        raise ValueError(f"layers, {count!r}")
    for number in range(count):
        named_weight, named_bias = (name.format(number) for name in LAYER)
        weight = array(named_weight, "<f4", 1 if number == count - 1 else None, width)
        width = len(weight)
        layers.append((weight, array(named_bias, "<f4", width)))
    low, high = _range(output)
    return NeuralModel(vectors, prior, centre, tuple(layers), float(output["like"]), low, high, _bounds(output))


def _arrays_of(model: DotModel | NeuralModel) -> dict[str, np.ndarray]:
    """The arrays of a model by the names that they travel under."""
    if isinstance(model, DotModel):
        arrays = {name: np.asarray(getattr(model, name), dtype=PARAMETERS[name]) for name in MEMBERS}
        implicit = model.implicit_factors
        return arrays if implicit is None else {**arrays, IMPLICIT: np.asarray(implicit, dtype="<f4")}
    arrays = {name: np.asarray(getattr(model, name), dtype=PARAMETERS[name]) for name in NEURAL}
    for number, layer in enumerate(model.layers):
        arrays |= {name.format(number): np.asarray(part, dtype="<f4") for name, part in zip(LAYER, layer, strict=True)}
    return arrays


def _range(output: dict[str, Any]) -> tuple[float | None, float | None]:
    low, high = (None if output[end] is None else float(output[end]) for end in ("low", "high"))
    return low, high


def _bounds(output: dict[str, Any]) -> tuple[float, float] | None:
    if output.get("bounds") is None:
        return None
    least, most = map(float, output["bounds"])
    return least, most


def _check_model(archive: Archive, model: FoldInModel) -> None:
    if not math.isfinite(model.like):
        raise _wrong(archive, f"what a like stands for is {model.like}")
    low, high = model.limits or (0.0, 1.0)
    if (model.low is None) != (model.high is None) or not -HUGE < low < high < HUGE:
        raise _wrong(archive, f"the range of ratings is {model.low} to {model.high}")
    if model.bounds is not None:
        least, most = model.bounds
        if model.limits is None or not -HUGE < least < low < high < most < HUGE:
            raise _wrong(archive, f"ratings near {least} and {most}, which do not enclose their range")
    try:
        np.linalg.cholesky(model.prior)
    except np.linalg.LinAlgError as error:
        raise _wrong(archive, "prior.npy is no precision: not positive definite") from error


FORMS = {"dot": _dot, "neural": _neural}


def _bytes_of(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _array(archive: Archive, member: str, *, kind: str, shape: tuple[int | None, ...]) -> np.ndarray:
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


def _texts(archive: Archive, member: str, *, key: str, count: int) -> list[str]:
    try:
        found = json.loads(archive.read(member))[key]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise _wrong(archive, f"{member} cannot be read ({error})") from error
    if found is None and key == "titles":
        return []
    if not isinstance(found, list) or len(found) != count or set(map(type, found)) != {str}:
        raise _wrong(archive, f"{member}: its {key} are not the {count} texts that program.json tells of")
    return found


def _check_seen(archive: Archive, users: KnownUsers, *, items: int) -> None:
    starts, seen = users.starts, users.items
    fits = len(starts) == len(users.ids) + 1 and starts[0] == 0 and starts[-1] == len(seen) == len(users.values)
    if not fits or (np.diff(starts) < 0).any():
        raise _wrong(archive, "what users have seen does not fit their number")
    if len(seen) and not 0 <= int(seen.min()) <= int(seen.max()) < items:
        raise _wrong(archive, "users have seen items that are not there")


def _wrong(archive: Archive, what: str) -> ProgramError:
    return ProgramError(f"{archive.path}: {what}: export it again")
