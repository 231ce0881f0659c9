"""A fastai Learner from labelled ratings: network, loss and metrics, the last steps of its `build_learner`.

It is a file of its own because four kinds of network (stars or choices, dot product or neural) are asked the same three things:
the score of a row, who a known person is, and the taste that a newcomer is solved for in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from fastai.collab import EmbeddingNN
from fastai.learner import Learner
from fastai.losses import BCEWithLogitsLossFlat, MSELossFlat
from fastai.metrics import mae, rmse
from fastai.tabular.model import emb_sz_rule
from fastai.torch_core import set_seed
from scipy.sparse import csr_array

from toolkit.data.collab.labelled import LabelledRatings
from toolkit.data.collab.options import RANKING, RATING
from toolkit.errors import DataError, ToolkitError
from toolkit.learning.callbacks import FirstWeights
from toolkit.learning.collab.callbacks import DrawUnchosen, ForgetTaste, Found, SolvePeople
from toolkit.learning.collab.fold_in import rating_bounds, solve_one, taste_of
from toolkit.learning.collab.folded_layers import unfolded
from toolkit.learning.collab.loaders import People, RatingLoaders, listed, people_loaders, row_loaders
from toolkit.learning.collab.networks import UNCHOSEN, ChoiceLoss, Choices, ManyDots, MembersLoss
from toolkit.learning.fitting import ADAMW
from toolkit.program.collab.dot_model import Taste
from toolkit.program.collab.neural_model import NeuralTaste
from toolkit.spec import Spec

DOT, NEURAL = FORMS = ("dot", "neural")
MEMBERS, FACTORS, MOST_MEMBERS_WEIGHTS = 8, 24, 20_000_000
CHOICE_FACTORS = 64
MOST_FACTORS = 1000
STEPS, FEWEST_EPOCHS = 1500, 6  # of training where the dot product ranks: very many people need fewer passes
CALM = 2e-4  # Adam's epsilon: an item that few chose, whose gradients are small and chance, moves in small steps
LAYERS = [100]
DROPOUT = {"embed_p": 0.3, "ps": 0.2}
SETTINGS = {
    (RATING, DOT): {"epochs": 7, "lr": 7e-3, "wd": 0.2},
    (RANKING, DOT): {"epochs": 30, "lr": 0.02, "wd": 0.3},
    (RATING, NEURAL): {"epochs": 5, "lr": 5e-3, "wd": 0.2},
    (RANKING, NEURAL): {"epochs": 20, "lr": 5e-3, "wd": 0.01},
}


class RatingLearner(Learner):
    """A Learner of ratings or choices: fastai's, with a `predict` that takes a row of user and item, and what evaluation and
    export ask."""

    dls: RatingLoaders

    def predict(self, row: dict) -> tuple:
        """Predict one row, a mapping with user and item: the row, its stars (or score), and the same as a tensor (1,). Raises
        `DataError` for a user or an item that training did not meet."""
        with self.no_bar(), self.no_logging():
            answers, _ = self.get_preds(dl=self.dls.test_dl([dict(row)]))
        return row, float(answers[0, 0]), answers[0]

    def people(self) -> np.ndarray:
        """The vectors of the people that training met, float64 (users, d), as `taste` has them: those that the network learnt, or
        for `Choices`, which learns none, those that follow from what people chose before the test."""
        labelled = self.dls.labelled
        if isinstance(self.model, ManyDots):
            return self.model.people()
        if isinstance(self.model, Choices):
            return self.solve(labelled.history("test", liked=True)[: labelled.n_users])
        return unfolded(self.model)[0].astype(np.float64)

    def people_knowing(self, users: np.ndarray, known: csr_array) -> np.ndarray:
        """The vectors, float64 (n, d), of users (codes) of whom there is `known`, sparse (users, items), perhaps more than
        training was told. Those that the network learnt are moved as far as the additional rows move somebody who is solved for,
        others are solved for; of whom nothing is known stands where people are on average."""
        labelled = self.dls.labelled
        if isinstance(self.model, Choices):
            return self.solve(known[users])
        train = labelled.history("train", liked=labelled.objective == RANKING)
        before, now = (np.diff(rows.indptr)[users] for rows in (train, known))
        found, warm = np.tile(self.taste().centre, (len(users), 1)), users < labelled.n_users
        found[warm] = self.people()[users[warm]]
        for place in np.flatnonzero((now > before) & warm):
            found[place] += self.solve_one(known, users[place]) - self.solve_one(train, users[place])
        for place in np.flatnonzero((now > 0) & ~warm):
            found[place] = self.solve_one(known, users[place])
        return found

    def taste(self) -> Taste | NeuralTaste:
        """Items as numbers, with which anybody is solved for, for the weights as they are. How much a person's own words weigh is
        what serves validation best, but for `Choices`, which learns it."""
        now = tuple(parameter._version for parameter in self.model.parameters())  # counts what was written into each
        if getattr(self, "_taste", (None,))[0] != now:
            self._taste = now, taste_of(self.model, self.dls.labelled)
        return self._taste[1]

    def solve_one(self, known: csr_array, person: int) -> np.ndarray:
        """The vector, float64 (d,), of one person from what is known of them, sparse (people, items)."""
        return solve_one(self.taste(), known, person)

    def solve(self, chosen: csr_array) -> np.ndarray:
        """The vectors, float64 (people, d), of people who chose these items, sparse (people, items); for `Choices`."""
        chosen = chosen[:, : self.dls.labelled.n_items]  # of others nothing was learnt
        order = np.argsort(np.diff(chosen.indptr), kind="stable")
        found = np.zeros((chosen.shape[0], self.model.i_weight.weight.shape[1]))
        for start in range(0, len(order), 256):
            some = order[start : start + 256]
            found[some] = self.model.solve(listed(chosen, some))
        return found


@dataclass(frozen=True, kw_only=True)
class CollabSpec(Spec):
    """As `Spec`, with what is predicted ("rating" or "ranking"), in which form, of how many factors (of users and of items, in
    the neural form) and members side by side, rows or people a training step, and how many rows there are to learn from."""

    objective: str
    form: str
    factors: int | list[int]
    members: int | None
    batch_size: int
    rows: dict[str, int]


def check_rating_choices(form: str) -> None:
    """Refuse an unknown form before any row is read. Raises `ToolkitError`."""
    if form not in FORMS:
        raise ToolkitError(f"form {form!r}; choose from {', '.join(FORMS)}")


def rating_learner(
    labelled: LabelledRatings, form: str = DOT, factors: int = 0, batch_size: int = 0, seed: int = 42
) -> RatingLearner:
    """A Learner whose loaders are train, valid and the held-out test of `labelled`.

    The parameters are as in the recipe. Its `spec` says what was chosen, for the run's record.
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
    kind = (labelled.objective, form)
    chosen, callbacks, metrics, select_after = SETTINGS[kind], [FirstWeights(), ForgetTaste()], [], None
    members = None
    opt = ADAMW
    if kind == (RANKING, DOT):
        dls = people_loaders(labelled, batch_size or _people_at_once(labelled.n_users))
        known: People = dls.train.dataset
        sizes = known.lengths().astype(float)
        unchosen = UNCHOSEN * sizes.mean() / labelled.n_items
        model, loss = Choices(factors or CHOICE_FACTORS, dls.classes, unchosen), ChoiceLoss(sizes, unchosen)
        opt = partial(ADAMW, eps=CALM)
        callbacks.append(SolvePeople())
        metrics = [Found()]
        factors = factors or CHOICE_FACTORS
    else:
        targets = labelled.chosen.astype(np.float32) if labelled.objective == RANKING else None
        dls = row_loaders(labelled, batch_size or _rows_at_once(len(labelled.rows_of("train"))), targets)
        bounds = None if labelled.objective == RANKING else rating_bounds(labelled.low, labelled.high)
        if form == DOT:
            factors = factors or FACTORS
            members = _members(labelled, factors)
            model = _many_dots(labelled, dls, bounds, factors, members)
            loss, opt = MembersLoss(), partial(ADAMW, eps=1e-5 / members)
        else:
            sizes = [(len(ids), factors or emb_sz_rule(len(ids))) for ids in dls.classes.values()]
            model = EmbeddingNN(sizes, LAYERS, y_range=bounds, **DROPOUT)
            factors = [size for _, size in sizes]
            loss = MSELossFlat() if bounds else BCEWithLogitsLossFlat()
        if labelled.objective == RANKING:
            callbacks.append(DrawUnchosen(labelled.n_items))
            select_after = 1.0  # items are told apart last, when the loss, mostly of items drawn, has long been at its lowest
        else:
            metrics = [rmse, mae]
    learn = RatingLearner(dls, model, loss_func=loss, opt_func=opt, metrics=metrics, wd=chosen["wd"], cbs=callbacks)
    epochs = chosen["epochs"]
    if kind == (RANKING, DOT):
        epochs = int(np.clip(STEPS // len(dls.train), FEWEST_EPOCHS, epochs))
    learn.spec = CollabSpec(
        task="collaborative_filtering", objective=labelled.objective, form=form, factors=factors, members=members, arch=form,
        select_after=select_after, batch_size=dls.train.bs, epochs=epochs, lr=chosen["lr"], seed=seed,
        rows={"train": len(labelled.rows_of("train"))},
    )  # fmt: skip
    return learn


def _members(labelled: LabelledRatings, factors: int) -> int:
    weights = factors * (labelled.n_users + 2 * labelled.n_items)
    return int(np.clip(MOST_MEMBERS_WEIGHTS // max(1, weights), 1, MEMBERS))


def _rows_at_once(rows: int) -> int:
    return int(2 ** np.clip(np.round(np.log2(max(1, rows) / 160)), 5, 13))


def _people_at_once(people: int) -> int:
    return int(2 ** np.clip(np.round(np.log2(max(1, people) / 16)), 4, 9))


def _many_dots(
    labelled: LabelledRatings, dls: RatingLoaders, bounds: tuple[float, float], factors: int, members: int
) -> ManyDots:
    seen = labelled.history("train")[: labelled.n_users]
    starts = np.concatenate([[0], seen.indptr]).astype(np.int64)  # code 0 has seen nothing
    mean = float(labelled.values[labelled.rows_of("train")].mean())
    return ManyDots(factors, members, dls.classes, bounds, mean, starts, seen.indices.astype(np.int64) + 1)
