"""Callbacks and a metric of training on interactions: users folded in, negatives drawn beside positives, and what was found."""

from __future__ import annotations

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.collab import TabularCollab
from fastai.learner import Learner, Metric

NEGATIVES = 4  # items beside each positive one
AT_ONCE = 20_000_000  # scores
MOST_FOLDED_IN = 20_000  # users, after each epoch
MOST_COUNTED = 2_000  # users in whose lists is looked for what was hidden


class FoldIn(Callback):
    """Fold users in, from their positive interactions of training, so that pairs of user and item can be scored. Before each
    validation all of them, unless they are very many; where rows are predicted, those that are in them."""

    def before_validate(self) -> None:
        labelled = self.dls.labelled
        if labelled is None:  # a learner that was exported keeps them as they were
            return
        predicted, rows = hasattr(self.learn, "gather_preds"), getattr(self.dl, "dataset", None)
        if predicted and not isinstance(rows, TabularCollab):  # users come with their interactions
            return
        if not predicted and labelled.n_users > MOST_FOLDED_IN:
            return
        users = np.arange(labelled.n_users)
        if predicted and rows is not None:
            codes = np.unique(rows.items["user"].to_numpy(dtype=np.int64))
            users = codes[codes > 0] - 1
        vectors = self.learn.fold_in_interactions(labelled.seen("train", positive=True)[users])
        self.model.u_weight.weight.data[users + 1] = torch.from_numpy(vectors).to(self.model.u_weight.weight)


class ForgetFoldIn(Callback):
    """Training changes the weights, so the model that users are folded into is made anew; a fused optimizer does not count its
    changes."""

    def before_train(self) -> None:
        self.learn.forget_fold_in_model()

    def after_train(self) -> None:
        self.learn.forget_fold_in_model()


class NegativeSampling(Callback):
    """Beside each positive row, items drawn at random, as negative ones; in validation the same ones each time."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items

    def before_validate(self) -> None:
        self.fixed = torch.Generator().manual_seed(0)

    def before_batch(self) -> None:
        if not self.yb or hasattr(self.learn, "gather_preds"):  # the rows themselves are predicted
            return
        x, y = self.xb[0], self.yb[0]
        fixed = None if self.training else getattr(self, "fixed", None)
        drawn = torch.randint(1, self.n_items + 1, (NEGATIVES * len(x),), generator=fixed).to(x)
        others = torch.stack([x[:, 0].repeat(NEGATIVES), drawn], dim=1)
        self.learn.xb = (torch.cat([x, others]),)
        self.learn.yb = (torch.cat([y, torch.zeros_like(y).repeat(NEGATIVES, 1)]),)


class FoundAtTen(Metric):
    """How much of what was hidden stands among the ten highest items that were not shown: nDCG@10, between 0 and 1, the mean over
    users."""

    def __init__(self) -> None:
        self.reset()

    @property
    def name(self) -> str:
        """What the log calls it."""
        return "ndcg_10"

    def reset(self) -> None:
        """Begin anew."""
        self.total, self.count = 0.0, 0

    def accumulate(self, learn: Learner) -> None:
        """Add a batch of validation, until users are enough."""
        if self.count >= MOST_COUNTED:
            return
        shown, (wanted,) = learn.xb[0], learn.yb
        every = learn.xb[1]
        vectors = learn.model.i_weight.weight
        for rows in torch.arange(len(shown)).split(max(1, AT_ONCE // len(vectors))):
            users = learn.model.folded_in(shown[rows])
            scores = users @ vectors.T
            scores[:, 0] = -torch.inf
            scores.scatter_(1, shown[rows], -torch.inf)
            top = scores.topk(min(10, scores.shape[1]), dim=1).indices
            right = torch.zeros_like(scores)
            right.scatter_(1, every[rows], (wanted[rows] > 0).to(scores))
            right[:, 0] = 0
            gains = 1 / torch.log2(torch.arange(2, top.shape[1] + 2, device=top.device))
            counts = right.sum(1).long()
            best = gains.cumsum(0)[counts.clamp(1, top.shape[1]) - 1]
            self.total += float(((right.gather(1, top) * gains).sum(1) / best).sum())
            self.count += len(rows)

    @property
    def value(self) -> float | None:
        """The mean so far."""
        return self.total / self.count if self.count else None
