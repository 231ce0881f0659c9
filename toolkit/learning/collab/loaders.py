"""fastai DataLoaders over ratings and interactions: train, valid and the held-out test, in that order.

fastai's own draw training rows with replacement and take an id that they never met for a user; and what to show first is learnt
user by user, not row by row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd
import torch
from fastai.collab import TabularCollab
from fastai.data.block import TransformBlock
from fastai.data.core import DataLoaders, TfmdDL
from fastai.tabular.core import ReadTabBatch, TabularProc
from fastai.torch_core import display_df
from fastcore.basics import chunked
from scipy.sparse import csr_array

from toolkit.data.collab.labelled import LabelledCollab
from toolkit.data.items import PARTS
from toolkit.errors import DataError
from toolkit.learning.tabular.loaders import TabularLoader
from toolkit.program.cells import python_value, quoted, text_of

VALID_ROWS, VALID_USERS = 8192, 256  # at a time where nothing is learnt
LEAST_SHOWN = 0.3  # of a user's interactions in training; the share is drawn anew each time
SORTED = 8  # batches among which users stand by how much they chose, so that lists in a batch are alike in length
HIDDEN, SHOWN, PADDING = 1.0, 0.0, -1.0  # what a hidden item counts, in training
NAMES = ("user", "item")
NOBODY = "#na#"

Batch = tuple[torch.Tensor, ...]


class KnownIds(TabularProc):
    """Ids as they come -> codes, by those of training: what `dls.test_dl` and `learn.predict` use. `classes` maps "user" and
    "item" to what codes stand for; 0 is nobody, and nothing, that training met."""

    def __init__(self, labelled: LabelledCollab) -> None:
        super().__init__()
        known = labelled.users[: labelled.n_users], labelled.items[: labelled.n_items]
        self.classes = {name: [NOBODY, *ids] for name, ids in zip(NAMES, known, strict=True)}
        self.codes = {name: {text: code for code, text in enumerate(ids)} for name, ids in self.classes.items()}

    def encodes(self, to: TabularCollab) -> None:
        frame = to.items.copy()
        for name in NAMES:
            if name not in frame.columns:
                raise DataError(
                    f"no column {name!r}: expected rows of user and item, received {', '.join(map(str, frame.columns))}"
                )
            frame[name] = [self._code(name, cell) for cell in frame[name]]
        to.items = frame

    def decodes(self, to: TabularCollab) -> None:
        frame = to.items.copy()
        for name in NAMES:
            frame[name] = [self.classes[name][int(code)] for code in frame[name]]
        to.items = frame

    def _code(self, name: str, cell: object) -> int:
        text = text_of(python_value(cell)).strip()
        if text == NOBODY or text not in self.codes[name]:
            raise DataError(
                f"{name} {quoted(text)} is none of the {len(self.classes[name]) - 1} that training met: nothing is known of its "
                "taste; the program solves for a newcomer's from what they like"
            )
        return self.codes[name][text]


class ReadPairs(ReadTabBatch):
    """Rows -> tensors; those that were held as tensors are so already."""

    def encodes(self, to: TabularCollab | list) -> tuple:  # types that fasttransform reads
        if isinstance(to, list):  # fasttransform makes one of a tuple
            return tuple(to)
        found = [(to.cats, np.int64)] + ([(to.ys, np.float32)] if to.y_names[0] in to.items.columns else [])
        return tuple(torch.from_numpy(frame.to_numpy(dtype=kind, copy=True)) for frame, kind in found)


class PairLoader(TabularLoader):
    """Each training row once an epoch: one that would be a batch by itself, which a batch norm cannot learn from, stands in the
    batch before."""

    def create_batches(self, samples: Iterable[int]) -> Iterator[Batch]:
        held = vars(self.dataset).get("held")
        if held is None:
            yield from super().create_batches(samples)
            return
        batches = list(chunked(samples, self.bs))
        if self.shuffle and self.bs > 1 and len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [batches[-2] + batches[-1]]
        for rows in map(torch.as_tensor, batches):
            yield tuple(tensor[rows] for tensor in held)

    def show_results(self, b: Batch, out: torch.Tensor, *, max_n: int = 9, **kwargs: object) -> None:
        """Show rows by the ids of users and items, with what is predicted of them."""
        codes, classes = b[0][:max_n].tolist(), self.dataset.procs.classes
        ids = [[classes[name][code] for name, code in zip(NAMES, row, strict=True)] for row in codes]
        told = {"rating": b[1][:max_n].flatten().tolist(), "predicted": out[:max_n].flatten().tolist()}
        display_df(pd.DataFrame(ids, columns=list(NAMES)).assign(**told))


class InteractionSets:
    """A data set of users with their positive interactions: `seen` are known, `held_out` are to be found (None: some of the seen
    are hidden, other ones each time); both sparse (users, items), of codes without a 0 for nothing. `titles` are those of items.
    Users without any are left out."""

    n_inp = 2

    def __init__(self, seen: csr_array, held_out: csr_array | None, *, titles: Sequence[str]) -> None:
        counts = np.diff((seen if held_out is None else held_out).indptr)
        self.users = np.flatnonzero(counts)
        self.seen, self.held_out, self.titles = seen, held_out, titles

    def new_empty(self) -> InteractionSets:
        """The same of nobody."""
        return InteractionSets(self.seen[:0], None, titles=self.titles)

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, place: int) -> tuple[torch.Tensor, ...]:
        return tuple(part[0] for part in self.batch([place]))

    def lengths(self) -> np.ndarray:
        """How many items are seen of each user, int64 (users,)."""
        lengths: np.ndarray = np.diff(self.seen.indptr)[self.users]
        return lengths

    def batch(self, places: Iterable[int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """What is shown of users and all their items, int64 (users, n), and which of these were hidden, float32; see
        `ImplicitMF`, `ImplicitLoss`. What is held out counts in sum as much as what training hides, be it few or many items: were
        it less, those who did not choose an item would weigh more than in training."""
        users = self.users[np.asarray(places)]
        items = padded(self.seen, users)
        wanted = torch.where(items > 0, SHOWN, PADDING)
        if self.held_out is not None:
            held_out = padded(self.held_out, users)
            every = torch.cat([items, held_out], dim=1)
            there = (every > 0).sum(1, keepdim=True) / (held_out > 0).sum(1, keepdim=True)
            counted = torch.where(held_out > 0, (1 - LEAST_SHOWN) / 2 * there, PADDING)
            return items, every, torch.cat([wanted, counted], dim=1)
        share = LEAST_SHOWN + (1 - LEAST_SHOWN) * torch.rand(len(items), 1)
        hidden = (torch.rand(items.shape) >= share) & (items > 0)
        return items.masked_fill(hidden, 0), items, wanted.masked_fill(hidden, HIDDEN)


def padded(interactions: csr_array, users: np.ndarray) -> torch.Tensor:
    """The items of users, sparse (users, items), as lists of codes from 1, int64 (users, n), 0 where a list has ended."""
    counts = np.diff(interactions.indptr)[users]
    found = np.zeros((len(users), int(counts.max(initial=0))), dtype=np.int64)
    there = np.arange(found.shape[1]) < counts[:, None]
    firsts = np.repeat(interactions.indptr[users] - np.concatenate([[0], np.cumsum(counts)[:-1]]), counts)
    found[there] = interactions.indices[firsts + np.arange(counts.sum())] + 1
    return torch.from_numpy(found)


class UserLoader(TfmdDL):
    """Batches of `InteractionSets`, each user once an epoch, with all their items, shown or hidden. Of several batches in a row
    those who chose much stand together."""

    def create_batches(self, samples: Iterable[int]) -> Iterator[Batch]:
        samples = list(samples)
        if self.shuffle:
            lengths = self.dataset.lengths()
            samples = list(chain.from_iterable(self._in_order(part, lengths) for part in chunked(samples, SORTED * self.bs)))
        for places in chunked(samples, self.bs):
            yield self.dataset.batch(places)

    def show_batch(self, b: Batch | None = None, max_n: int = 9, **kwargs: object) -> None:
        """Show users: what is shown of their interactions, and what is to be found."""
        self._show(self.one_batch() if b is None else b, max_n)

    def show_results(self, b: Batch, out: torch.Tensor, *, max_n: int = 9, **kwargs: object) -> None:
        """The same with the score of each item that is to be found."""
        self._show(b, max_n, scores=out)

    def _show(self, batch: Batch, most: int, *, scores: torch.Tensor | None = None) -> None:
        rows = []
        for user, (seen, every, wanted) in enumerate(zip(*(part.tolist() for part in batch[:3]), strict=True)):
            hidden = [place for place, counted in enumerate(wanted) if counted > 0]
            names = [self.dataset.titles[every[place] - 1] for place in hidden]
            if scores is not None:
                names = [f"{name} ({scores[user, place]:.3f})" for name, place in zip(names, hidden, strict=True)]
            rows.append((", ".join(self.dataset.titles[code - 1] for code in seen if code), ", ".join(names)))
        display_df(pd.DataFrame(rows[:most], columns=["shown", "to be found"]))

    def _in_order(self, places: list[int], lengths: np.ndarray) -> list[int]:
        batches = list(chunked(sorted(places, key=lengths.__getitem__), self.bs))
        last = batches.pop() if len(batches[-1]) < self.bs else []  # the one that is not full stays the last
        self.rng.shuffle(batches)
        return [*chain.from_iterable(batches), *last]


class CollabLoaders(DataLoaders):
    """Loaders that carry `labelled`, the LabelledCollab, and `classes`, the ids that codes stand for; `test_dl` takes rows of
    user and item as they come, whatever the loaders are of."""

    def __init__(self, *loaders: TfmdDL, labelled: LabelledCollab | None, rows: TabularLoader, **settings: object) -> None:
        super().__init__(*loaders, **settings)
        self.labelled, self.rows = labelled, rows
        self.vocab: list[str] = []
        self.classes = rows.dataset.procs.classes

    def new_empty(self) -> CollabLoaders:
        """The same without a row, and without `labelled`: what `learn.export` keeps."""
        *loaders, rows = (loader.new(loader.dataset.new_empty()) for loader in (*self.loaders, self.rows))
        return CollabLoaders(*loaders, labelled=None, rows=rows, path=self.path, device=self.device)

    def test_dl(self, rows: pd.DataFrame | list[Any], **kwargs: object) -> TabularLoader:
        """A loader of rows with columns user and item. Raises `DataError` for ids that training did not meet."""
        frame = pd.DataFrame(rows).reset_index(drop=True)
        if isinstance(self.train, UserLoader):  # its network takes two things, so a rating would be the second
            frame = frame.drop(columns=self.rows.dataset.y_names, errors="ignore")
        dataset = self.rows.dataset.new(frame)
        dataset.process()
        return self.rows.new(dataset, shuffle=False, bs=VALID_ROWS, after_batch=ReadPairs(dataset))


def row_loaders(labelled: LabelledCollab, batch_size: int, *, targets: np.ndarray | None = None) -> CollabLoaders:
    """Loaders of (codes, target), int64 (n, 2) and float32 (n, 1): each training row once an epoch. `targets` are those of all
    rows, ratings if None; rows of held-out parts that are seen are in none."""
    targets = labelled.values if targets is None else targets
    procs = KnownIds(labelled)
    codes = coded(labelled)
    loaders = []
    for part in PARTS:
        rows = labelled.held_out(part)
        frame = pd.DataFrame(codes[rows], columns=list(NAMES)).assign(rating=targets[rows])
        dataset = TabularCollab(
            frame, [procs], list(NAMES), y_names="rating", y_block=TransformBlock(), do_setup=False, reduce_memory=False
        )
        dataset.held = torch.from_numpy(codes[rows]), torch.from_numpy(targets[rows].astype(np.float32))[:, None]
        size = min(batch_size, len(rows)) if part == "train" else VALID_ROWS
        loaders.append(PairLoader(dataset, bs=size, shuffle=part == "train", drop_last=False, after_batch=ReadPairs(dataset)))
    return CollabLoaders(*loaders, labelled=labelled, rows=loaders[1])


def user_loaders(labelled: LabelledCollab, batch_size: int) -> CollabLoaders:
    """Loaders of users with their positive interactions (see `InteractionSets`): a user is one item of an epoch. Which of them
    are seen in validation and test is in `labelled`."""
    met = labelled.n_items
    sets = [InteractionSets(labelled.seen("train", positive=True)[:, :met], None, titles=labelled.titles)]
    for part in PARTS[1:]:
        held_out = held_out_items(labelled, part)[:, :met]
        sets.append(InteractionSets(labelled.seen(part, positive=True)[:, :met], held_out, titles=labelled.titles))
    for part, users in zip(PARTS, sets, strict=True):
        if not len(users):
            raise DataError(f"{part} holds nobody who chose an item that training met: give it a larger share")
    train = UserLoader(sets[0], bs=min(batch_size, len(sets[0])), shuffle=True, drop_last=False)
    others = [UserLoader(users, bs=VALID_USERS, shuffle=False, drop_last=False) for users in sets[1:]]
    return CollabLoaders(train, *others, labelled=labelled, rows=row_loaders(labelled, batch_size).rows)


def held_out_items(labelled: LabelledCollab, part: str) -> csr_array:
    """The positive items that a part holds out, float32 ones (users, items)."""
    rows = labelled.held_out(part)
    rows = rows[labelled.positive[rows]]
    shape = (len(labelled.users), len(labelled.items))
    return csr_array((np.ones(len(rows), np.float32), (labelled.user_codes[rows], labelled.item_codes[rows])), shape=shape)


def coded(labelled: LabelledCollab) -> np.ndarray:
    """Users and items of all rows as the networks number them, int64 (rows, 2): from 1, 0 where training did not meet them."""
    users = np.where(labelled.user_codes < labelled.n_users, labelled.user_codes + 1, 0)
    items = np.where(labelled.item_codes < labelled.n_items, labelled.item_codes + 1, 0)
    return np.stack([users, items], axis=1).astype(np.int64)
