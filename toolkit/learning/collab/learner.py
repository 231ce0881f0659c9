"""A fastai Learner from labelled ratings or interactions: network, loss and metrics, the last steps of its `build_learner`.

All four kinds of network (ratings or interactions, dot product or neural) say the same three things: the score of a row, the
vectors of known users, and the model that a newcomer is folded into.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.collab import EmbeddingNN
from fastai.learner import Learner
from fastai.losses import BCEWithLogitsLossFlat, MSELossFlat
from fastai.metrics import mae, rmse
from fastai.tabular.model import emb_sz_rule
from fastai.torch_core import set_seed
from scipy.sparse import csr_array
from torch import nn

from toolkit.data.collab.labelled import LabelledCollab
from toolkit.data.collab.options import RANKING, RATING
from toolkit.errors import DataError, ToolkitError
from toolkit.learning.callbacks import FirstWeights
from toolkit.learning.collab.callbacks import FoldIn, ForgetFoldIn, FoundAtTen, NegativeSampling
from toolkit.learning.collab.fold_in import fold_in_model_of, fold_in_user, rating_bounds
from toolkit.learning.collab.linear_layers import linear_layers
from toolkit.learning.collab.loaders import CollabLoaders, InteractionSets, padded, row_loaders, user_loaders
from toolkit.learning.collab.networks import NEGATIVE_WEIGHT, EnsembleDotBias, EnsembleLoss, ImplicitLoss, ImplicitMF
from toolkit.learning.fitting import ADAMW
from toolkit.program.collab.dot_model import DotModel
from toolkit.program.collab.neural_model import NeuralModel
from toolkit.spec import Spec

DOT, NEURAL = FORMS = ("dot", "neural")
MEMBERS, FACTORS, MOST_MEMBERS_WEIGHTS = 8, 24, 20_000_000
IMPLICIT_FACTORS = 64
MOST_FACTORS = 1000
STEPS, FEWEST_EPOCHS = 1500, 6  # of training where the dot product ranks: very many users need fewer passes
CALM = 2e-4  # Adam's epsilon: an item that few chose, whose gradients are small and chance, moves in small steps
LAYERS = [100]
DROPOUT = {"embed_p": 0.3, "ps": 0.2}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a kind of network is trained unless told otherwise: epochs, the highest learning rate and the weight decay."""

    epochs: int
    lr: float
    wd: float


SETTINGS: dict[tuple[str, str], Settings] = {
    (RATING, DOT): Settings(epochs=7, lr=7e-3, wd=0.2),
    (RANKING, DOT): Settings(epochs=30, lr=0.02, wd=0.3),
    (RATING, NEURAL): Settings(epochs=5, lr=5e-3, wd=0.2),
    (RANKING, NEURAL): Settings(epochs=20, lr=5e-3, wd=0.01),
}


class CollabLearner(Learner):
    """A Learner of ratings or interactions: fastai's, with a `predict` that takes a row of user and item, and what evaluation and
    export ask."""

    dls: CollabLoaders

    def predict(self, row: dict[str, Any]) -> tuple[dict[str, Any], float, torch.Tensor]:
        """Predict one row, a mapping with user and item: the row, its ratings (or score), and the same as a tensor (1,). Raises
        `DataError` for a user or an item that training did not meet."""
        with self.no_bar(), self.no_logging():
            answers, _ = self.get_preds(dl=self.dls.test_dl([dict(row)]))
        return row, float(answers[0, 0]), answers[0]

    @property
    def labelled(self) -> LabelledCollab:
        """The data that the loaders carry. Raises `ToolkitError` in a learner that was exported, which carries none."""
        if self.dls.labelled is None:
            raise ToolkitError("this learner was exported, without its data: build it with a recipe")
        return self.dls.labelled

    def user_vectors(self) -> np.ndarray:
        """The vectors of the users that training met, float64 (users, d), as in `fold_in_model`: those that the network learnt,
        or for `ImplicitMF`, which learns none, those that follow from what users chose before the test."""
        if isinstance(self.model, EnsembleDotBias):
            return self.model.user_vectors()
        if isinstance(self.model, ImplicitMF):
            return self.fold_in_interactions(self.labelled.seen("test", positive=True)[: self.labelled.n_users])
        return linear_layers(self.model)[0].astype(np.float64)

    def fold_in_users(self, users: np.ndarray, seen: csr_array) -> np.ndarray:
        """The vectors, float64 (n, d), of users (codes) by their `seen` interactions, sparse (users, items), perhaps more than
        training had. Those that the network learnt are moved as far as the additional rows move somebody who is folded in,
        others are folded in; of whom nothing is known stands where users are on average."""
        labelled = self.labelled
        if isinstance(self.model, ImplicitMF):
            return self.fold_in_interactions(seen[users])
        train = labelled.seen("train", positive=labelled.objective == RANKING)
        before, now = (np.diff(rows.indptr)[users] for rows in (train, seen))
        found, warm = np.tile(self.fold_in_model().centre, (len(users), 1)), users < labelled.n_users
        found[warm] = self.user_vectors()[users[warm]]
        for place in np.flatnonzero((now > before) & warm):
            found[place] += self.fold_in_user(seen, users[place]) - self.fold_in_user(train, users[place])
        for place in np.flatnonzero((now > 0) & ~warm):
            found[place] = self.fold_in_user(seen, users[place])
        return found

    def fold_in_model(self) -> DotModel | NeuralModel:
        """Items as numbers, with which any user is solved for, for the weights as they are. How much a user's own likes weigh is
        what serves validation best, but for `ImplicitMF`, which learns it."""
        now = tuple(parameter._version for parameter in self.model.parameters())  # counts what was written into each
        if getattr(self, "_fold_in_model", (None,))[0] != now:
            self._fold_in_model = now, fold_in_model_of(self.model, self.labelled)
        return self._fold_in_model[1]

    def forget_fold_in_model(self) -> None:
        """Make it anew when it is next asked for."""
        self.__dict__.pop("_fold_in_model", None)

    def fold_in_user(self, seen: csr_array, user: int) -> np.ndarray:
        """The vector, float64 (d,), of one user from their `seen` interactions, sparse (users, items)."""
        return fold_in_user(self.fold_in_model(), seen, user=user)

    def fold_in_interactions(self, interactions: csr_array) -> np.ndarray:
        """The vectors, float64 (users, d), of users by their positive `interactions`, sparse (users, items); for `ImplicitMF`."""
        interactions = interactions[:, : self.labelled.n_items]  # of others nothing was learnt
        order = np.argsort(np.diff(interactions.indptr), kind="stable")
        found = np.zeros((interactions.shape[0], self.model.i_weight.weight.shape[1]))
        for start in range(0, len(order), 256):
            some = order[start : start + 256]
            found[some] = self.model.fold_in(padded(interactions, some))
        return found


@dataclass(frozen=True, kw_only=True)
class CollabSpec(Spec):
    """As `Spec`, with what is predicted ("rating" or "ranking"), in which form, of how many factors (of users and of items, in
    the neural form) and members side by side, rows or users a training step, and how many rows there are to learn from."""

    objective: str
    form: str
    factors: int | list[int]
    members: int | None
    batch_size: int
    rows: dict[str, int]


def check_collab_choices(form: str) -> None:
    """Refuse an unknown form before any row is read. Raises `ToolkitError`."""
    if form not in FORMS:
        raise ToolkitError(f"form {form!r}; choose from {', '.join(FORMS)}")


def build_collab_learner(
    labelled: LabelledCollab, form: str = DOT, *, factors: int = 0, batch_size: int = 0, seed: int = 42
) -> CollabLearner:
    """A Learner whose loaders are train, valid and the held-out test of `labelled`.

    The parameters are as in the recipe. Its `spec` says what was chosen, for the run's record. Raises `DataError` for numbers
    that it cannot be built with.
    """
    set_seed(seed)
    if not 0 <= factors <= MOST_FACTORS or batch_size < 0:
        raise DataError(
            f"factors {factors}, batch_size {batch_size}: expected whole numbers from 0, of factors to {MOST_FACTORS}"
        )
    if (labelled.objective, form, batch_size) == (RATING, NEURAL, 1):
        raise DataError(
            "batch_size 1: the neural form has batch norms, which cannot learn from one row: 2 or more, or 0 for auto"
        )
    if (labelled.objective, form) == (RANKING, DOT):
        parts = _of_users(labelled, factors, batch_size=batch_size)
    else:
        parts = (_dot_of_rows if form == DOT else _neural_of_rows)(labelled, factors, batch_size=batch_size)
    dls, usual = parts.dls, SETTINGS[labelled.objective, form]
    callbacks = [FirstWeights(), ForgetFoldIn(), *parts.callbacks]
    metrics = [rmse, mae] if labelled.objective == RATING else parts.metrics
    learn = CollabLearner(dls, parts.model, loss_func=parts.loss, opt_func=parts.opt, metrics=metrics, wd=usual.wd, cbs=callbacks)
    learn.spec = CollabSpec(
        task="collaborative_filtering", objective=labelled.objective, form=form, factors=parts.factors, members=parts.members,
        arch=form, select_after=parts.select_after, batch_size=dls.train.bs, epochs=parts.epochs or usual.epochs, lr=usual.lr,
        seed=seed, rows={"train": len(labelled.rows_of("train"))},
    )  # fmt: skip
    return learn


@dataclass(frozen=True, kw_only=True)
class _Parts:
    """What a Learner of one kind is made of."""

    dls: CollabLoaders
    model: nn.Module
    loss: Callable[..., torch.Tensor]
    factors: int | list[int]
    members: int | None = None
    opt: Callable[..., Any] = ADAMW
    callbacks: list[Callback] = field(default_factory=list)
    metrics: list[Any] = field(default_factory=list)
    epochs: int | None = None
    select_after: float | None = None


def _of_users(labelled: LabelledCollab, factors: int, *, batch_size: int) -> _Parts:
    """The dot product that ranks: learnt user by user."""
    dls = user_loaders(labelled, batch_size or _users_at_once(labelled.n_users))
    users: InteractionSets = dls.train.dataset
    sizes = users.lengths().astype(float)
    weight = NEGATIVE_WEIGHT * sizes.mean() / labelled.n_items
    factors = factors or IMPLICIT_FACTORS
    return _Parts(
        dls=dls, model=ImplicitMF(factors, dls.classes, negative_weight=weight), loss=ImplicitLoss(sizes, weight),
        factors=factors, opt=partial(ADAMW, eps=CALM), callbacks=[FoldIn()], metrics=[FoundAtTen()],
        epochs=int(np.clip(STEPS // len(dls.train), FEWEST_EPOCHS, SETTINGS[RANKING, DOT].epochs)),
    )  # fmt: skip


def _dot_of_rows(labelled: LabelledCollab, factors: int, *, batch_size: int) -> _Parts:
    """The dot product that estimates ratings."""
    dls, factors = _row_loaders(labelled, batch_size), factors or FACTORS
    members = _members(labelled, factors)
    seen = labelled.seen("train")[: labelled.n_users]
    model = EnsembleDotBias(
        factors,
        members,
        classes=dls.classes,
        bounds=rating_bounds(*labelled.rating_range),
        mean=float(labelled.values[labelled.rows_of("train")].mean()),
        starts=np.concatenate([[0], seen.indptr]).astype(np.int64),  # code 0 has seen nothing
        seen=seen.indices.astype(np.int64) + 1,
    )
    return _Parts(
        dls=dls, model=model, loss=EnsembleLoss(), factors=factors, members=members, opt=partial(ADAMW, eps=1e-5 / members)
    )


def _neural_of_rows(labelled: LabelledCollab, factors: int, *, batch_size: int) -> _Parts:
    """fastai's network on embeddings: estimates ratings, or tells positive interactions from items drawn at random."""
    dls, bounds = _row_loaders(labelled, batch_size), _bounds(labelled)
    sizes = [(len(ids), factors or emb_sz_rule(len(ids))) for ids in dls.classes.values()]
    model = EmbeddingNN(sizes, LAYERS, y_range=bounds, **DROPOUT)
    widths = [size for _, size in sizes]
    if bounds:
        return _Parts(dls=dls, model=model, loss=MSELossFlat(), factors=widths)
    # items are told apart last, when the loss, mostly of items drawn, has long been at its lowest
    sampling = [NegativeSampling(labelled.n_items)]
    return _Parts(dls=dls, model=model, loss=BCEWithLogitsLossFlat(), factors=widths, callbacks=sampling, select_after=1.0)


def _row_loaders(labelled: LabelledCollab, batch_size: int) -> CollabLoaders:
    targets = labelled.positive.astype(np.float32) if labelled.objective == RANKING else None
    return row_loaders(labelled, batch_size or _rows_at_once(len(labelled.rows_of("train"))), targets=targets)


def _bounds(labelled: LabelledCollab) -> tuple[float, float] | None:
    """What ratings near; None where none are estimated."""
    return None if labelled.objective == RANKING else rating_bounds(*labelled.rating_range)


def _members(labelled: LabelledCollab, factors: int) -> int:
    weights = factors * (labelled.n_users + 2 * labelled.n_items)
    return int(np.clip(MOST_MEMBERS_WEIGHTS // max(1, weights), 1, MEMBERS))


def _rows_at_once(rows: int) -> int:
    return int(2 ** np.clip(np.round(np.log2(max(1, rows) / 160)), 5, 13))


def _users_at_once(users: int) -> int:
    return int(2 ** np.clip(np.round(np.log2(max(1, users) / 16)), 4, 9))
