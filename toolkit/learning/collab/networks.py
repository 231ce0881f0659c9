"""Networks that learn what users like, made of fastai's dot product with biases: for ratings and for interactions.

Each also says, in numbers that need no torch, what a newcomer is folded into: its `fold_in_model`.
"""

from __future__ import annotations

import numpy as np
import torch
from fastai.collab import EmbeddingDotBias
from fastai.layers import Embedding, sigmoid_range
from torch import nn
from torch.nn.functional import dropout, embedding_bag

from toolkit.learning.tensors import double_array
from toolkit.program.collab.dot_model import DotModel

SPREAD = 0.06  # of first factors
DROPPED = 0.2  # of the products of factors
PRIOR = 3.0  # at first: how much it takes to move a user
NEGATIVE_WEIGHT = 18.0  # what all items that a user did not choose count in sum, where one that they chose counts 1
FOLD_IN_SCALE = 0.15  # of that, at first, where a user is folded in
USER_WEIGHT_POWER = 0.8  # 1: users count alike, 0: by how many items they chose


class EnsembleDotBias(EmbeddingDotBias):
    """Ratings as the dot product of a user's and an item's factors, with biases: several such `members` side by side, each
    learning by itself, their mean (before the sigmoid) the answer. What a user has rated at all, whatever the ratings, is part of
    who they are (SVD++; Koren 2008).

    `factors` is how many each member has. `classes` maps "user" and "item" to their ids, "#na#" first. `bounds` are what the
    sigmoid nears, `mean` is the mean rating. `starts`, int64 (users + 1,), and `seen`, int64, are the codes of items in each
    user's training rows, by user code. Takes codes, int64 (rows, 2); answers ratings, (rows, members) in training and (rows, 1)
    else.
    """

    starts: torch.Tensor
    seen: torch.Tensor

    def __init__(
        self, factors: int, members: int, *, classes: dict[str, list[str]], bounds: tuple[float, float], mean: float,
        starts: np.ndarray, seen: np.ndarray,
    ) -> None:  # fmt: skip
        n_users, n_items = (len(classes[name]) for name in ("user", "item"))
        super().__init__(factors * members, n_users, n_items, y_range=bounds)
        self.u_bias, self.i_bias = Embedding(n_users, members), Embedding(n_items, members)
        self.implicit_factors = nn.Embedding(n_items, factors * members)
        self.members, self.classes, self.user, self.item = members, classes, "user", "item"
        share = (mean - bounds[0]) / (bounds[1] - bounds[0])
        self.mean = float(np.log(share / (1 - share)))
        for layer in (self.u_weight, self.i_weight):
            nn.init.normal_(layer.weight, std=SPREAD)
        nn.init.zeros_(self.implicit_factors.weight)
        for layer in (self.u_weight, self.i_weight, self.u_bias, self.i_bias):  # nobody, and no item, in particular
            nn.init.zeros_(layer.weight[:1])
        self.register_buffer("starts", torch.from_numpy(starts), persistent=False)
        self.register_buffer("seen", torch.from_numpy(seen), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Ratings for rows of codes."""
        users, items = x[:, 0], x[:, 1]
        products = (self.u_weight(users) + self._of_seen(users)) * self.i_weight(items)
        dots = dropout(products, DROPPED, self.training).view(len(x), self.members, -1).sum(2)
        scores = dots + self.u_bias(users) + self.i_bias(items) + self.mean
        return sigmoid_range(scores if self.training else scores.mean(1, keepdim=True), *self.y_range)

    def bias(self, arr: list[str], is_item: bool = True) -> torch.Tensor:
        """Bias of each item (or user) in `arr`, the members' mean."""
        return super().bias(arr, is_item).reshape(-1, self.members).mean(1)

    @torch.no_grad()
    def user_vectors(self) -> np.ndarray:
        """The vector of each known user, float64 (users, d): what `fold_in_model` multiplies with the vectors of items."""
        users = torch.arange(1, len(self.u_weight.weight), device=self.u_weight.weight.device)
        parts = [self.u_weight(some) + self._of_seen(some) for some in users.split(4096)]
        return double_array(torch.cat([torch.cat(parts), self.u_bias(users).mean(1, keepdim=True)], dim=1))

    @torch.no_grad()
    def fold_in_model(self, limits: tuple[float, float], *, like: float) -> DotModel:
        """Items as numbers. Users vary about their mean as those of training do. `limits` are the lowest and the highest rating,
        `like` is the rating that a like without one stands for."""
        factors = double_array(self.i_weight.weight[1:]) / self.members
        own = np.hstack([double_array(self.u_weight.weight[1:]), double_array(self.u_bias.weight[1:]).mean(1, keepdims=True)])
        ones = np.ones((len(factors), 1))
        implicit = np.hstack([double_array(self.implicit_factors.weight[1:]), 0 * ones])
        vectors = np.hstack([factors, ones])
        offset = self.mean + double_array(self.i_bias.weight[1:]).mean(1)
        low, high = limits
        least, most = map(float, self.y_range)
        return DotModel(
            vectors.astype(np.float32), offset.astype(np.float32), precision(own), own.mean(axis=0), like=like, low=low,
            high=high, bounds=(least, most), implicit_factors=implicit.astype(np.float32),
        )  # fmt: skip

    def _of_seen(self, users: torch.Tensor) -> torch.Tensor:
        """What having rated their items says of users, (users, factors)."""
        starts = self.starts[users]
        counts = self.starts[users + 1] - starts
        first = counts.cumsum(0) - counts
        places = torch.arange(int(counts.sum()), device=users.device) + (starts - first).repeat_interleave(counts)
        summed = embedding_bag(self.seen[places], self.implicit_factors.weight, first, mode="sum")
        return summed / counts.clamp(min=1).sqrt()[:, None]


class ImplicitMF(EmbeddingDotBias):
    """Matrix factorization of implicit feedback: what to show first, as a dot product in which nobody's factors are learnt. A
    user is folded in, solved for from the items they chose, in training as in the program, so that factors of items are learnt by
    which a stranger's other interactions are found. Items that were not chosen are to score 0, all of them, without drawing some
    (the loss of Hu, Koren and Volinsky 2008). `negative_weight` is what all of them count in sum.

    Called with pairs of codes, int64 (rows, 2), it answers their scores, (rows, 1). Called with codes of items `x`, int64
    (users, n), that users chose, and of `items`, (users, m), both 0 where a list has ended, it answers the scores of `items`,
    and behind them the sum of the squared scores of all items: (users, m + 1).
    """

    def __init__(self, factors: int, classes: dict[str, list[str]], *, negative_weight: float) -> None:
        n_users, n_items = (len(classes[name]) for name in ("user", "item"))
        super().__init__(factors, n_users, n_items)
        self.negative_weight = FOLD_IN_SCALE * negative_weight
        self.classes, self.user, self.item = classes, "user", "item"
        nn.init.normal_(self.i_weight.weight, std=SPREAD / 2)
        for layer in (self.u_weight, self.u_bias, self.i_bias):
            nn.init.zeros_(layer.weight).requires_grad_(False)
        nn.init.zeros_(self.i_weight.weight[:1])
        self.every, self.prior = (nn.Parameter(torch.zeros(())) for _ in range(2))  # as factors, so that decay ends at the start

    def forward(self, x: torch.Tensor, items: torch.Tensor | None = None) -> torch.Tensor:
        """Scores; see the class."""
        if items is None:
            return (self.u_weight(x[:, 0]) * self.i_weight(x[:, 1])).sum(1, keepdim=True)
        gram = self._gram()
        users = self.folded_in(x, gram)
        scores = (self.i_weight(items) @ users[:, :, None])[:, :, 0]
        return torch.cat([scores, ((users @ gram) * users).sum(1, keepdim=True)], dim=1)

    @torch.no_grad()
    def fold_in(self, items: torch.Tensor) -> np.ndarray:
        """The vectors, float64 (users, factors), of users who chose the items with these codes, int64 (users, n)."""
        return double_array(self.folded_in(items.to(self.i_weight.weight.device)))

    def folded_in(self, items: torch.Tensor, gram: torch.Tensor | None = None) -> torch.Tensor:
        """As `fold_in`, float32, as a tensor that a loss reaches the factors through. `gram` is that of the factors of items."""
        shown = self.i_weight(items) * (items > 0)[:, :, None]
        prior = self._prior(self._gram() if gram is None else gram)
        return torch.linalg.solve(shown.transpose(1, 2) @ shown + prior, shown.sum(1))

    @torch.no_grad()
    def fold_in_model(self) -> DotModel:
        """Items as numbers."""
        vectors = double_array(self.i_weight.weight[1:])
        prior = self._prior(self._gram())
        return DotModel(vectors.astype(np.float32), np.zeros(len(vectors), np.float32), double_array(prior), np.zeros(len(prior)))

    def _gram(self) -> torch.Tensor:
        known = self.i_weight.weight[1:]
        return known.T @ known

    def _prior(self, gram: torch.Tensor) -> torch.Tensor:
        return self.negative_weight * self.every.exp() * gram + PRIOR * self.prior.exp() * torch.eye(
            len(gram), device=gram.device
        )


class ImplicitLoss:
    """How far users' hidden interactions are from 1 and what they did not choose is from 0, squared and summed.

    `answers` are those of `ImplicitMF`, `wanted`, float32 (users, m), is what an item that was hidden counts, 0 for one that was
    shown, and -1 where a list has ended. A user counts by the number n of their items to the power of -`USER_WEIGHT_POWER`.
    `sizes` are these numbers, float64 (users,), `negative_weight` is what an item counts that was not chosen.
    """

    def __init__(self, sizes: np.ndarray, negative_weight: float) -> None:
        self.weight, self.size = float((sizes**-USER_WEIGHT_POWER).mean()), float(sizes.mean())
        self.negative_weight = negative_weight

    def __call__(self, answers: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        scores, everything = answers[:, :-1], answers[:, -1]
        there = wanted >= 0
        missed = (wanted.clamp(min=0) * (1 - scores) ** 2).sum(1)
        raised = everything - (there * scores**2).sum(1)
        weights = there.sum(1).float() ** -USER_WEIGHT_POWER / self.weight
        return (weights * (missed + self.negative_weight * raised)).mean() / self.size


class EnsembleLoss:
    """The mean squared error of ratings, (rows, members) or (rows, 1), each member by itself."""

    def __call__(self, ratings: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return ((ratings - targets.view(-1, 1)) ** 2).mean()


def precision(vectors: np.ndarray) -> np.ndarray:
    """The inverse covariance, float64 (d, d), of vectors (n, d), drawn towards a round one where they are few (Ledoit and Wolf
    2004)."""
    from sklearn.covariance import ledoit_wolf

    covariance = ledoit_wolf(vectors)[0]
    d = len(covariance)
    return np.linalg.inv(covariance + max(1e-6, 1e-3 * np.trace(covariance) / d) * np.eye(d))
