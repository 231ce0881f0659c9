"""What users like, as a small network: a user's and an item's numbers side by side, and layers that make a score of them.

A user cannot be solved for here in one step, and all items must still be scored at once.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from toolkit.program.collab.dot_model import FoldInModel

Layer = tuple[np.ndarray, np.ndarray]  # weight (out, in), bias (out,)

AT_ONCE = 2**17  # numbers of a layer that are held at a time: they stay in the processor's cache
STEPS = 20  # towards a user, at most
SETTLED = 1e-10  # a step that gains less, as a share of what is left, is the last
EASED, HELD = 1 / 4, 4.0  # how much the damping falls after a step that gained, and rises after one that did not
ONE_BY_ONE = threading.Lock()


@dataclass(frozen=True, eq=False)
class NeuralModel(FoldInModel):
    """A fixed model of items in which a user is a vector, and their score of item i is what `layers` make of the user's and
    the item's numbers, in this order: linear layers with ReLU between them (the neural form of fastai's collaborative filter).

    `vectors`, float32 (items, e_i), are the embeddings of the items; users have e_u numbers. `layers`, one or more pairs of
    weight, float32 (out, in), and bias, float32 (out,), take e_u + e_i numbers and end with one, the score; batch norms are
    multiplied into them. Everything else is as in `FoldInModel`; where nothing is rated, `like` is the score itself that a like
    stands for.
    """

    vectors: np.ndarray
    prior: np.ndarray
    centre: np.ndarray
    layers: tuple[Layer, ...]
    like: float = 1.0
    low: float | None = None
    high: float | None = None
    bounds: tuple[float, float] | None = None

    def solve(self, items: np.ndarray, values: np.ndarray | None = None) -> np.ndarray:
        """The vector (e_u,), float64, of a user who chose `items` (n,) or gave them the ratings `values` (n,): regularised
        non-linear least squares on the fixed items, in a few steps from the mean of all users, none of which makes it worse
        (Levenberg 1944 and Marquardt 1963, damped by the prior)."""
        if not len(items):
            return self.centre.copy()
        fixed, targets = self._fixed(items), self._targets(len(items), values)
        user = self.centre
        scores, slopes = self._scored(fixed, user)
        worth, damping = self._objective(targets - scores, user), 0.0
        for _ in range(STEPS):
            away = (user - self.centre) / (1 + damping)
            step = self._weights(slopes, 1 + damping) @ (targets - scores + slopes @ away) - away
            tried = user + step
            tried_scores, tried_slopes = self._scored(fixed, tried)
            reached = self._objective(targets - tried_scores, tried)
            if not reached < worth:
                damping = max(1.0, HELD * damping)
                continue
            gained = worth - reached
            user, scores, slopes, worth = tried, tried_scores, tried_slopes, reached
            damping = EASED * damping if damping > 1 else 0.0
            if gained <= SETTLED * worth:
                break
        return user

    def scores(self, users: np.ndarray) -> np.ndarray:
        """The scores of all items for one user (e_u,) or several (n, e_u): float32 (items,) or (n, items).

        What the first layer makes of all items is worked out when first needed, and kept: items times its width."""
        users = np.asarray(users, dtype=np.float32)
        (user_weight, _), *after = self._split
        parts = np.atleast_2d(users) @ user_weight.T
        found = np.empty((len(parts), len(self.vectors)), dtype=np.float32)
        for part, scores in zip(parts, found, strict=True):
            self._score_all(part, after, scores=scores)
        return found.reshape(*users.shape[:-1], len(self.vectors))

    def pairs(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """The score of one item for each user: `users` (n, e_u) and `items` (n,) -> float32 (n,)."""
        users, items = np.asarray(users, dtype=np.float32), np.asarray(items)
        (user_weight, item_weight), *after = self._split
        found = np.empty(len(items), dtype=np.float32)
        for start in range(0, len(items), self._batch):
            some = slice(start, start + self._batch)
            hidden = users[some] @ user_weight.T + self.vectors[items[some]] @ item_weight.T + self.layers[0][1]
            for weight, bias in after:
                hidden = np.maximum(hidden, 0, out=hidden) @ weight.T + bias
            found[some] = hidden[:, 0]
        return found

    def shares(self, items: np.ndarray, values: np.ndarray | None, *, wanted: np.ndarray) -> np.ndarray:
        """What each of the n likes adds to the score of each of the m `wanted` items, for the user that `solve` finds: float64
        (m, n).

        The layers taken as straight lines about that user, it is what `DotModel.shares` gives: to first order, and together with
        what a user who has said nothing gets, they sum to the score. Beyond first order a score has no parts.
        """
        user = self.solve(items, values)
        scores, slopes = self._scored(self._fixed(items), user)
        residuals = self._targets(len(items), values) - scores + slopes @ (user - self.centre)
        return (self._scored(self._fixed(wanted), user)[1] @ self._weights(slopes)) * residuals

    @cached_property
    def _split(self) -> tuple[Layer, ...]:
        """The layers, but instead of the first what it does to a user (out, e_u) and to an item (out, e_i)."""
        (weight, _), *after = self.layers
        user, item = np.split(weight, [len(self.centre)], axis=1)
        return (np.ascontiguousarray(user), np.ascontiguousarray(item)), *after

    @cached_property
    def _exact(self) -> tuple[Layer, ...]:
        """As `_split`, in float64."""
        return tuple((one.astype(np.float64), other.astype(np.float64)) for one, other in self._split)

    @cached_property
    def _batch(self) -> int:
        """How many items go through the layers at a time."""
        return max(1, AT_ONCE // max(1, *(len(bias) for _, bias in self.layers)))

    @property
    def _first(self) -> np.ndarray:
        """What the first layer makes of each item, and its bias: float32 (items, out)."""
        with ONE_BY_ONE:  # it may be large: threads that meet here do not each make one
            if "_of_items" not in self.__dict__:
                made = self.vectors @ self._split[0][1].T
                made += self.layers[0][1]
                self.__dict__["_of_items"] = made
            return self.__dict__["_of_items"]

    def _score_all(self, part: np.ndarray, after: list[Layer], *, scores: np.ndarray) -> None:
        """Fill `scores` (items,) for a user of whom the first layer makes `part` (out,).

        max(item + part, 0) is max(item, -part) + part, of which the last is the same for all items: it goes into the bias of the
        next layer, and one pass over the items is saved.
        """
        first, batch = self._first, self._batch
        if not after:
            np.add(first[:, 0], part[0], out=scores)
            return
        floor, hidden = np.tile(-part, (batch, 1)), np.empty((batch, len(part)), dtype=np.float32)
        (weight, bias), *rest = after
        raised = (weight.astype(np.float64) @ part + bias).astype(np.float32)
        for start in range(0, len(first), batch):
            some = first[start : start + batch]
            reached = np.maximum(some, floor[: len(some)], out=hidden[: len(some)])
            reached = reached @ weight.T + raised
            for deeper, bias in rest:
                reached = np.maximum(reached, 0, out=reached) @ deeper.T + bias
            scores[start : start + batch] = reached[:, 0]

    def _fixed(self, items: np.ndarray) -> np.ndarray:
        """What the first layer makes of some items, float64 (n, out)."""
        return self.vectors[items].astype(np.float64) @ self._exact[0][1].T + self.layers[0][1]

    def _scored(self, fixed: np.ndarray, user: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The scores (n,) of items of which the first layer makes `fixed` (n, out), and how they change with the user,
        (n, e_u)."""
        (user_weight, _), *after = self._exact
        reached, on = fixed + user_weight @ user, []
        for weight, bias in after:
            on.append(reached > 0)
            reached = np.where(on[-1], reached, 0) @ weight.T + bias
        slopes = np.ones((len(fixed), 1))
        for (weight, _), open_ in zip(reversed(after), reversed(on), strict=True):
            slopes = (slopes @ weight) * open_
        return reached[:, 0], slopes @ user_weight

    def _objective(self, residuals: np.ndarray, user: np.ndarray) -> float:
        """What `solve` makes small: squared residuals, and how unlike others the user is."""
        away = user - self.centre
        return float(residuals @ residuals + away @ self.prior @ away)
