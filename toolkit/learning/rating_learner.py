"""A fastai Learner from labelled ratings: network, loss and metrics, the last steps of its `build_learner`.

It is a file of its own because four kinds of network (stars or choices, dot product or neural) are asked the same three things:
the score of a row, who a known person is, and the taste that a newcomer is solved for in.
"""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from fastai.collab import EmbeddingNN
from fastai.learner import Learner
from fastai.losses import BCEWithLogitsLossFlat, MSELossFlat
from fastai.metrics import mae, rmse
from fastai.tabular.model import emb_sz_rule
from fastai.torch_core import set_seed
from scipy.sparse import csr_array

from toolkit.data.labelled_ratings import LabelledRatings
from toolkit.errors import DataError, ToolkitError
from toolkit.learning.callbacks import FirstWeights
from toolkit.learning.fitting import ADAMW
from toolkit.learning.rating_callbacks import DrawUnchosen, Found, SolvePeople
from toolkit.learning.rating_loaders import People, RatingLoaders, listed, people_loaders, row_loaders
from toolkit.learning.rating_networks import UNCHOSEN, ChoiceLoss, Choices, ManyDots, MembersLoss, precision
from toolkit.learning.unfolded import unfolded
from toolkit.learning.weights import RANDOM
from toolkit.program.neural_taste import NeuralTaste
from toolkit.program.taste import Taste

DOT, NEURAL = FORMS = ("dot", "neural")
RATING, RANKING = "rating", "ranking"
MEMBERS, FACTORS, MOST_MEMBERS_WEIGHTS = 8, 24, 20_000_000
CHOICE_FACTORS = 64
CALM = 2e-4  # Adam's epsilon: an item that few chose, whose gradients are small and chance, moves in small steps
LAYERS = [100]
STRENGTHS = 2.0 ** np.arange(-4, 7)  # of what is known of people in general, beside what one says
MOST_TRIED = 300  # people that these are tried on
SETTINGS = {
    (RATING, DOT): {"epochs": 7, "lr": 7e-3, "wd": 0.2},
    (RANKING, DOT): {"epochs": 30, "lr": 0.02, "wd": 0.3},
    (RATING, NEURAL): {"epochs": 5, "lr": 5e-3, "wd": 0.1},
    (RANKING, NEURAL): {"epochs": 8, "lr": 5e-3, "wd": 0.1},
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
        """The vectors of the people that training met, float64 (users, d), as `taste` has them."""
        labelled = self.dls.labelled
        if isinstance(self.model, ManyDots):
            return self.model.people()
        if isinstance(self.model, Choices):
            return self.solve(labelled.history("test", liked=True)[: labelled.n_users])
        return unfolded(self.model)[0].astype(np.float64)

    def taste(self) -> Taste | NeuralTaste:
        """Items as numbers, with which anybody is solved for, for the weights as they are. How much a person's own words weigh is
        what serves validation best, but for `Choices`, which learns it."""
        now = tuple(parameter._version for parameter in self.model.parameters())  # counts what was written into each
        if getattr(self, "_taste", (None,))[0] != now:
            self._taste = now, self._made_taste()
        return self._taste[1]

    def solve_one(self, known: csr_array, person: int) -> np.ndarray:
        """The vector, float64 (d,), of one person from what is known of them, sparse (people, items)."""
        return solve_one(self.taste(), known, person)

    def _made_taste(self) -> Taste | NeuralTaste:
        labelled = self.dls.labelled
        if isinstance(self.model, Choices):
            return self.model.taste()
        train = labelled.rows_of("train")
        low, high, bounds, like = labelled.low, labelled.high, None, float(_like(self.model, labelled))
        if labelled.objective == RANKING:
            low = high = None
        else:
            bounds = bounds_of(low, high)
            like = float(np.quantile(labelled.values[train], 0.9))
        if isinstance(self.model, ManyDots):
            make = partial(self.model.taste, low, high, like)
        else:
            make = partial(_neural_taste, self.model, low, high, like, bounds)
        return _best_strength(make, labelled)

    def solve(self, chosen: csr_array) -> np.ndarray:
        """The vectors, float64 (people, d), of people who chose these items, sparse (people, items); for `Choices`."""
        order = np.argsort(np.diff(chosen.indptr), kind="stable")
        found = np.zeros((chosen.shape[0], self.model.i_weight.weight.shape[1]))
        for start in range(0, len(order), 256):
            some = order[start : start + 256]
            found[some] = self.model.solve(listed(chosen, some))
        return found


def check_rating_choices(form: str) -> None:
    """Refuse an unknown form before any row is read. Raises `ToolkitError`."""
    if form not in FORMS:
        raise ToolkitError(f"form {form!r}; choose from {', '.join(FORMS)}")


def rating_learner(
    labelled: LabelledRatings, form: str = DOT, factors: int = 0, batch_size: int = 0, seed: int = 42
) -> RatingLearner:
    """A Learner whose loaders are train, valid and the held-out test of `labelled`.

    The parameters are as in the recipe. Its `about` says what was chosen, for the run's record.
    """
    set_seed(seed)
    if factors < 0 or batch_size < 0:
        raise DataError(f"factors {factors}, batch_size {batch_size}: expected whole numbers from 0")
    kind = (labelled.objective, form)
    chosen, callbacks, metrics, about = SETTINGS[kind], [FirstWeights()], [], {}
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
        about["factors"] = factors or CHOICE_FACTORS
    else:
        targets = np.ones_like(labelled.values) if labelled.objective == RANKING else None
        dls = row_loaders(labelled, batch_size or _rows_at_once(len(labelled.rows_of("train"))), targets)
        bounds = None if labelled.objective == RANKING else bounds_of(labelled.low, labelled.high)
        if form == DOT:
            about["factors"] = factors or FACTORS
            about["members"] = _members(labelled, about["factors"])
            model = _many_dots(labelled, dls, bounds, about["factors"], about["members"])
            loss, opt = MembersLoss(), partial(ADAMW, eps=1e-5 / about["members"])
        else:
            sizes = [(len(ids), factors or emb_sz_rule(len(ids))) for ids in dls.classes.values()]
            model = EmbeddingNN(sizes, LAYERS, y_range=bounds)
            about["factors"] = [size for _, size in sizes]
            loss = MSELossFlat() if bounds else BCEWithLogitsLossFlat()
        if labelled.objective == RANKING:
            callbacks.append(DrawUnchosen(labelled.n_items))
        else:
            metrics = [rmse, mae]
    learn = RatingLearner(dls, model, loss_func=loss, opt_func=opt, metrics=metrics, wd=chosen["wd"], cbs=callbacks)
    learn.about = {
        "task": "collaborative_filtering", "objective": labelled.objective, "form": form, **about, "arch": form,
        "weights": RANDOM, "batch_size": dls.train.bs, "epochs": chosen["epochs"], "lr": chosen["lr"], "seed": seed,
        "rows": {"train": len(labelled.rows_of("train"))},
    }  # fmt: skip
    return learn


def bounds_of(low: float, high: float) -> tuple[float, float]:
    """What stars near without reaching it: a little beyond the lowest and the highest that there are, 0 and 5.5 of 1 to 5."""
    return low - (high - low) / 4, high + (high - low) / 8


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


def _like(model: torch.nn.Module, labelled: LabelledRatings) -> float:
    """What a choice of training scores on average, where nothing is rated."""
    if labelled.objective == RATING:
        return 1.0
    rows = labelled.rows_of("train")
    some = np.random.default_rng(0).permutation(rows)[:20_000]
    codes = torch.from_numpy(np.stack([labelled.user_codes[some] + 1, labelled.item_codes[some] + 1], axis=1))
    with torch.inference_mode():
        return float(model.eval()(codes.to(next(model.parameters()).device)).mean())


def _neural_taste(
    model: EmbeddingNN, low: float | None, high: float | None, like: float, bounds: tuple | None, noise: float = 1.0
) -> NeuralTaste:
    people, items, layers = unfolded(model)
    people = people.astype(np.float64)
    return NeuralTaste(
        items, noise * precision(people), people.mean(axis=0), layers, like=like, low=low, high=high, bounds=bounds
    )


def _best_strength(make: partial, labelled: LabelledRatings) -> Taste | NeuralTaste:
    """The taste that finds what people of validation rated or chose best, when they are solved for from their training rows."""
    known, asked = labelled.history("valid", liked=labelled.objective == RANKING), labelled.asked("valid")
    asked = asked[labelled.item_codes[asked] < labelled.n_items]
    people = np.unique(labelled.user_codes[asked])
    people = people[np.diff(known.indptr)[people] > 0]
    people = np.random.default_rng(0).permutation(people)[:MOST_TRIED]
    rows = asked[np.isin(labelled.user_codes[asked], people)]
    if not len(rows):
        return make(noise=1.0)
    places = np.searchsorted(np.sort(people), labelled.user_codes[rows])

    def loss(taste: Taste | NeuralTaste) -> float:
        vectors = np.stack([solve_one(taste, known, person) for person in np.sort(people)])
        found = taste.pairs(vectors[places], labelled.item_codes[rows])
        if labelled.objective == RATING:
            return float(((taste.ratings(found) - labelled.values[rows]) ** 2).mean())
        others = np.random.default_rng(0).integers(0, labelled.n_items, len(rows))
        return -float((found > taste.pairs(vectors[places], others)).mean())

    return min((make(noise=strength) for strength in STRENGTHS), key=loss)


def solve_one(taste: Taste | NeuralTaste, known: csr_array, person: int) -> np.ndarray:
    """The vector of one person from what is known of them, sparse (people, items); items that training did not meet say
    nothing."""
    part = slice(known.indptr[person], known.indptr[person + 1])
    items, values = known.indices[part], known.data[part]
    met = items < len(taste.vectors)
    return taste.solve(items[met], None if taste.low is None else values[met])
