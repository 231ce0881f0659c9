"""What happens around training on ratings and choices: who people are by now, items drawn beside those chosen, what was found.

It is a file of its own because each is a plain fastai callback or metric, put beside one kind of network or another.
"""

from __future__ import annotations

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.collab import TabularCollab
from fastai.learner import Learner, Metric

DRAWN = 4  # items beside each that was chosen
AT_ONCE = 20_000_000  # scores
MOST_SOLVED = 20_000  # people, after each epoch
MOST_COUNTED = 2_000  # people in whose lists is looked for what was hidden


class SolvePeople(Callback):
    """Who people are by now, of what they chose in training: what pairs of user and item are scored with. Before each validation
    all of them, unless they are very many; where rows are asked about, those that are in them."""

    def before_validate(self) -> None:
        labelled = self.dls.labelled
        if labelled is None:  # a learner that was exported keeps them as they were
            return
        asked, rows = hasattr(self.learn, "gather_preds"), getattr(self.dl, "dataset", None)
        if asked and not isinstance(rows, TabularCollab):  # people come with what they chose
            return
        if not asked and labelled.n_users > MOST_SOLVED:
            return
        users = np.arange(labelled.n_users)
        if asked:
            codes = np.unique(rows.items["user"].to_numpy(dtype=np.int64))
            users = codes[codes > 0] - 1
        people = self.learn.solve(labelled.history("train", liked=True)[users])
        self.model.u_weight.weight.data[users + 1] = torch.from_numpy(people).to(self.model.u_weight.weight)


class ForgetTaste(Callback):
    """Training changes the weights, so what was made of them is made anew; a fused optimizer does not count its changes."""

    def before_train(self) -> None:
        vars(self.learn).pop("_taste", None)

    def after_train(self) -> None:
        vars(self.learn).pop("_taste", None)


class DrawUnchosen(Callback):
    """Beside each row that was chosen, items drawn at random, as not chosen; in validation the same ones each time."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items

    def before_validate(self) -> None:
        self.fixed = torch.Generator().manual_seed(0)

    def before_batch(self) -> None:
        if not self.yb or hasattr(self.learn, "gather_preds"):  # the rows themselves are asked about
            return
        x, y = self.xb[0], self.yb[0]
        fixed = None if self.training else getattr(self, "fixed", None)
        drawn = torch.randint(1, self.n_items + 1, (DRAWN * len(x),), generator=fixed).to(x)
        others = torch.stack([x[:, 0].repeat(DRAWN), drawn], dim=1)
        self.learn.xb = (torch.cat([x, others]),)
        self.learn.yb = (torch.cat([y, torch.zeros_like(y).repeat(DRAWN, 1)]),)


class Found(Metric):
    """How much of what was hidden stands among the ten highest items that were not shown: nDCG@10, the mean over people."""

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
        """Add a batch of validation, until people are enough."""
        if self.count >= MOST_COUNTED:
            return
        shown, (wanted,) = learn.xb[0], learn.yb
        every = learn.xb[1]
        vectors = learn.model.i_weight.weight
        for rows in torch.arange(len(shown)).split(max(1, AT_ONCE // len(vectors))):
            people = learn.model.solved(shown[rows])
            scores = people @ vectors.T
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
