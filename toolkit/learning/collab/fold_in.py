"""The fold-in model of a trained network: items as numbers, and what is known of users in general.

How much a user's own few likes weigh, beside what users are like in general, and how high a like stands are no weights of the
network: they are chosen on validation rows, once training has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np
import torch
from fastai.collab import EmbeddingNN
from scipy.sparse import csr_array

from toolkit.data.collab.labelled import LabelledCollab
from toolkit.data.collab.options import RANKING
from toolkit.learning.collab.linear_layers import bounds_of, linear_layers
from toolkit.learning.collab.networks import EnsembleDotBias, ImplicitMF, precision
from toolkit.program.collab.dot_model import DotModel, FoldInModel
from toolkit.program.collab.neural_model import NeuralModel

Model = TypeVar("Model", DotModel, NeuralModel)

STRENGTHS = 2.0 ** np.arange(-4, 7)  # of what is known of users in general, beside what one says
MOST_TRIED = 300  # users that these are tried on
WELL_LIKED = 0.9  # the quantile of training's ratings that a like without a rating stands for
MOST_SCORED = 20_000  # positive interactions
FARTHER = (
    4.0,
    0.0,
    1.0,
    2.0,
    8.0,
)  # spreads of positive interactions' scores that a like stands above their mean; untried, the first
MOST_RANKED = 5000  # items among which positive ones of validation are looked for


def fold_in_model_of(network: torch.nn.Module, labelled: LabelledCollab) -> DotModel | NeuralModel:
    """The fold-in model of a network: `ImplicitMF` learnt its own, of others the strength of the prior, and where nothing is
    rated what a like stands for, are what serves validation best."""
    if isinstance(network, ImplicitMF):
        return network.fold_in_model()
    if labelled.objective == RANKING:
        mean, spread = _positive_scores(network, labelled)
        likes = [mean + far * spread for far in FARTHER]
        return _best(_neural_model(network, likes[0]), labelled, likes=likes)
    like = float(np.quantile(labelled.values[labelled.rows_of("train")], WELL_LIKED))
    if isinstance(network, EnsembleDotBias):
        return _best(network.fold_in_model(labelled.rating_range, like=like), labelled)
    return _best(_neural_model(network, like, limits=labelled.rating_range, bounds=bounds_of(network)), labelled)


def rating_bounds(low: float, high: float) -> tuple[float, float]:
    """What ratings near without reaching it: a little beyond the lowest and the highest that there are, 0 and 5.5 of 1 to 5."""
    return low - (high - low) / 4, high + (high - low) / 8


def fold_in_user(model: FoldInModel, seen: csr_array, *, user: int) -> np.ndarray:
    """The vector, float64 (d,), of one user from their `seen` interactions, sparse (users, items); items that training did not
    meet say nothing."""
    part = slice(seen.indptr[user], seen.indptr[user + 1])
    items, values = seen.indices[part], seen.data[part]
    met = items < len(model.vectors)
    return model.solve(items[met], None if model.low is None else values[met])


def _positive_scores(network: EmbeddingNN, labelled: LabelledCollab) -> tuple[float, float]:
    """What positive interactions of training score: mean and standard deviation."""
    rows = labelled.rows_of("train")
    some = np.random.default_rng(0).permutation(rows[labelled.positive[rows]])[:MOST_SCORED]
    codes = torch.from_numpy(np.stack([labelled.user_codes[some] + 1, labelled.item_codes[some] + 1], axis=1))
    with torch.inference_mode():
        scores = network.eval()(codes.to(next(network.parameters()).device)).double()
    return float(scores.mean()), float(scores.std(correction=0))


def _neural_model(
    network: EmbeddingNN,
    like: float,
    *,
    limits: tuple[float, float] | None = None,
    bounds: tuple[float, float] | None = None,
) -> NeuralModel:
    users, items, layers = linear_layers(network)
    users = users.astype(np.float64)
    low, high = limits or (None, None)
    return NeuralModel(items, precision(users), users.mean(axis=0), layers, like=like, low=low, high=high, bounds=bounds)


def _best(usual: Model, labelled: LabelledCollab, *, likes: Sequence[float] = ()) -> Model:
    """The same with the prior, and of `likes` the score that a like stands for, by which users of validation, solved for from
    their training rows, are served best: the ratings they gave are met, or what they chose stands high among what they have not
    seen.

    A like has to stand far above what is chosen on average. At the average it says that a user likes what everyone likes."""
    ranking = labelled.objective == RANKING
    seen, rows = labelled.seen("valid", positive=ranking), labelled.held_out("valid")
    rows = rows[(labelled.item_codes[rows] < labelled.n_items) & (labelled.positive[rows] | (not ranking))]
    users = np.unique(labelled.user_codes[rows])
    users = users[np.diff(seen.indptr)[users] > 0]
    users = np.sort(np.random.default_rng(0).permutation(users)[:MOST_TRIED])
    rows = rows[np.isin(labelled.user_codes[rows], users)]
    if not len(rows):
        return usual
    places, items = np.searchsorted(users, labelled.user_codes[rows]), labelled.item_codes[rows]
    others = np.random.default_rng(0).permutation(labelled.n_items)[:MOST_RANKED]
    known = seen[users][:, others].toarray() > 0

    def met(model: Model, vectors: np.ndarray) -> float:
        return float(((model.ratings(model.pairs(vectors[places], items)) - labelled.values[rows]) ** 2).mean())

    def ranked(model: Model, vectors: np.ndarray) -> float:
        scores = replace(model, vectors=model.vectors[others]).scores(vectors)
        scores[known] = -np.inf
        found = model.pairs(vectors[places], items)
        above = np.array([(scores[place] > score).sum() for place, score in zip(places, found, strict=True)])
        return -float((1 / np.log2(above + 2)) @ (1 / np.bincount(places)[places]))  # as nDCG: what stands first counts most

    def loss(model: Model) -> float:
        vectors = np.stack([fold_in_user(model, seen, user=user) for user in users])
        return (ranked if ranking else met)(model, vectors)

    if ranking:
        usual = min((replace(usual, like=like) for like in likes), key=loss)
    return min((replace(usual, prior=strength * usual.prior) for strength in STRENGTHS), key=loss)
