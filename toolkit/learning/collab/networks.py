"""Networks that learn what people like: fastai's dot product with biases and its neural form, for stars and for choices.

It is a file of its own because each kind also has to say, in numbers that need no torch, who a newcomer is: its `taste`.
"""

from __future__ import annotations

import numpy as np
import torch
from fastai.collab import EmbeddingDotBias
from fastai.layers import Embedding, sigmoid_range
from torch import nn
from torch.nn.functional import dropout, embedding_bag

from toolkit.program.collab.dot_model import Taste

SPREAD = 0.06  # of first factors
DROPPED = 0.2  # of the products of factors
PRIOR = 3.0  # at first: how much it takes to move a person
UNCHOSEN = 18.0  # what all items that a person did not choose count in sum, where one that they chose counts 1
LIGHTER = 0.15  # of that, at first, where a person is solved for
BALANCE = 0.8  # 1: people count alike, 0: by how many items they chose


class ManyDots(EmbeddingDotBias):
    """Stars as the dot product of a person's and an item's factors, with biases: several such members side by side, each learning
    by itself, their mean (before the sigmoid) the answer. What a person has rated at all, whatever the stars, is part of who they
    are (SVD++; Koren 2008).

    `classes` maps "user" and "item" to their ids, "#na#" first. `bounds` are what the sigmoid nears, `mean` is the mean rating.
    `starts`, int64 (users + 1,), and `seen`, int64, are the codes of items in each user's training rows, by user code.
    Takes codes, int64 (rows, 2); answers stars, (rows, members) in training and (rows, 1) else.
    """

    def __init__(
        self, factors: int, members: int, classes: dict[str, list], bounds: tuple[float, float], mean: float,
        starts: np.ndarray, seen: np.ndarray,
    ) -> None:  # fmt: skip
        n_users, n_items = (len(classes[name]) for name in ("user", "item"))
        super().__init__(factors * members, n_users, n_items, y_range=bounds)
        self.u_bias, self.i_bias = Embedding(n_users, members), Embedding(n_items, members)
        self.told = nn.Embedding(n_items, factors * members)
        self.members, self.classes, self.user, self.item = members, classes, "user", "item"
        share = (mean - bounds[0]) / (bounds[1] - bounds[0])
        self.mean = float(np.log(share / (1 - share)))
        for layer in (self.u_weight, self.i_weight):
            nn.init.normal_(layer.weight, std=SPREAD)
        nn.init.zeros_(self.told.weight)
        for layer in (self.u_weight, self.i_weight, self.u_bias, self.i_bias):  # nobody, and no item, in particular
            nn.init.zeros_(layer.weight[:1])
        self.register_buffer("starts", torch.from_numpy(starts), persistent=False)
        self.register_buffer("seen", torch.from_numpy(seen), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Stars for rows of codes."""
        users, items = x[:, 0], x[:, 1]
        products = (self.u_weight(users) + self._of_seen(users)) * self.i_weight(items)
        dots = dropout(products, DROPPED, self.training).view(len(x), self.members, -1).sum(2)
        scores = dots + self.u_bias(users) + self.i_bias(items) + self.mean
        return sigmoid_range(scores if self.training else scores.mean(1, keepdim=True), *self.y_range)

    def bias(self, arr: list, is_item: bool = True) -> torch.Tensor:
        """Bias of each item (or user) in `arr`, the members' mean."""
        return super().bias(arr, is_item).reshape(-1, self.members).mean(1)

    @torch.no_grad()
    def people(self) -> np.ndarray:
        """The vector of each known person, float64 (users, d): what `taste` multiplies with the vectors of items."""
        users = torch.arange(1, len(self.u_weight.weight), device=self.u_weight.weight.device)
        parts = [self.u_weight(some) + self._of_seen(some) for some in users.split(4096)]
        return _array(torch.cat([torch.cat(parts), self.u_bias(users).mean(1, keepdim=True)], dim=1))

    @torch.no_grad()
    def taste(self, low: float, high: float, like: float) -> Taste:
        """Items as numbers. People vary about their mean as those of training do."""
        factors = _array(self.i_weight.weight[1:]) / self.members
        own = np.hstack([_array(self.u_weight.weight[1:]), _array(self.u_bias.weight[1:]).mean(1, keepdims=True)])
        ones = np.ones((len(factors), 1))
        told = np.hstack([_array(self.told.weight[1:]), 0 * ones])
        vectors = np.hstack([factors, ones])
        offset = self.mean + _array(self.i_bias.weight[1:]).mean(1)
        return Taste(
            vectors.astype(np.float32), offset.astype(np.float32), precision(own), own.mean(axis=0), like, low, high,
            tuple(map(float, self.y_range)), told.astype(np.float32),
        )  # fmt: skip

    def _of_seen(self, users: torch.Tensor) -> torch.Tensor:
        """What having rated their items says of users, (users, factors)."""
        starts = self.starts[users]
        counts = self.starts[users + 1] - starts
        first = counts.cumsum(0) - counts
        places = torch.arange(int(counts.sum()), device=users.device) + (starts - first).repeat_interleave(counts)
        summed = embedding_bag(self.seen[places], self.told.weight, first, mode="sum")
        return summed / counts.clamp(min=1).sqrt()[:, None]


class Choices(EmbeddingDotBias):
    """What to show first, as a dot product in which nobody's factors are learnt: a person is solved for from the items they
    chose, in training as in the program, so that factors of items are learnt by which a stranger's other choices are found. Items
    that were not chosen are to score 0, all of them, without drawing some (the loss of Hu, Koren and Volinsky 2008).

    Called with pairs of codes, int64 (rows, 2), it answers their scores, (rows, 1). Called with codes of items `x`, int64
    (people, n), that people chose, and of `items`, (people, m), both 0 where a list has ended, it answers the scores of `items`,
    and behind them the sum of the squared scores of all items: (people, m + 1).
    """

    def __init__(self, factors: int, classes: dict[str, list], unchosen: float) -> None:
        n_users, n_items = (len(classes[name]) for name in ("user", "item"))
        super().__init__(factors, n_users, n_items)
        self.unchosen = LIGHTER * unchosen
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
        people = self.solved(x, gram)
        scores = (self.i_weight(items) @ people[:, :, None])[:, :, 0]
        return torch.cat([scores, ((people @ gram) * people).sum(1, keepdim=True)], dim=1)

    @torch.no_grad()
    def solve(self, chosen: torch.Tensor) -> np.ndarray:
        """The vectors, float64 (people, factors), of people who chose the items with these codes, int64 (people, n)."""
        return _array(self.solved(chosen.to(self.i_weight.weight.device)))

    def solved(self, chosen: torch.Tensor, gram: torch.Tensor | None = None) -> torch.Tensor:
        """As `solve`, float32, as a tensor that a loss reaches the factors through. `gram` is that of the factors of items."""
        shown = self.i_weight(chosen) * (chosen > 0)[:, :, None]
        prior = self._prior(self._gram() if gram is None else gram)
        return torch.linalg.solve(shown.transpose(1, 2) @ shown + prior, shown.sum(1))

    @torch.no_grad()
    def taste(self) -> Taste:
        """Items as numbers."""
        vectors = _array(self.i_weight.weight[1:])
        prior = self._prior(self._gram())
        return Taste(vectors.astype(np.float32), np.zeros(len(vectors), np.float32), _array(prior), np.zeros(len(prior)))

    def _gram(self) -> torch.Tensor:
        known = self.i_weight.weight[1:]
        return known.T @ known

    def _prior(self, gram: torch.Tensor) -> torch.Tensor:
        return self.unchosen * self.every.exp() * gram + PRIOR * self.prior.exp() * torch.eye(len(gram), device=gram.device)


class ChoiceLoss:
    """How far people's hidden choices are from 1 and what they did not choose is from 0, squared and summed.

    `answers` are those of `Choices`, `wanted`, float32 (people, m), is what an item that was hidden counts, 0 for one that was
    shown, and -1 where a list has ended. A person counts by the number n of their items to the power of -`BALANCE`. `sizes` are
    these numbers, float64 (people,), `unchosen` is what an item counts that was not chosen.
    """

    def __init__(self, sizes: np.ndarray, unchosen: float) -> None:
        self.weight, self.size, self.unchosen = float((sizes**-BALANCE).mean()), float(sizes.mean()), unchosen

    def __call__(self, answers: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        scores, everything = answers[:, :-1], answers[:, -1]
        there = wanted >= 0
        missed = (wanted.clamp(min=0) * (1 - scores) ** 2).sum(1)
        raised = everything - (there * scores**2).sum(1)
        weights = there.sum(1).float() ** -BALANCE / self.weight
        return (weights * (missed + self.unchosen * raised)).mean() / self.size


class MembersLoss:
    """The mean squared error of stars, (rows, members) or (rows, 1), each member by itself."""

    def __call__(self, stars: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return ((stars - targets.view(-1, 1)) ** 2).mean()


def precision(vectors: np.ndarray) -> np.ndarray:
    """The inverse covariance, float64 (d, d), of vectors (n, d), drawn towards a round one where they are few (Ledoit and Wolf
    2004)."""
    from sklearn.covariance import ledoit_wolf

    covariance = ledoit_wolf(vectors)[0]
    d = len(covariance)
    return np.linalg.inv(covariance + max(1e-6, 1e-3 * np.trace(covariance) / d) * np.eye(d))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().double().numpy()
