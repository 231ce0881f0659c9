"""What a trained network of ratings or choices is to a newcomer: items as numbers, and what is known of people in general.

It is a file of its own because how much a person's own few words weigh, beside what people are like in general, and how high a
like stands are no weights of the network: they are chosen on validation rows, once training has ended.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from fastai.collab import EmbeddingNN
from scipy.sparse import csr_array

from toolkit.data.collab.labelled import LabelledRatings
from toolkit.data.collab.options import RANKING
from toolkit.learning.collab.folded_layers import bounds_of, unfolded
from toolkit.learning.collab.networks import Choices, ManyDots, precision
from toolkit.program.collab.dot_model import Taste
from toolkit.program.collab.neural_model import NeuralTaste

STRENGTHS = 2.0 ** np.arange(-4, 7)  # of what is known of people in general, beside what one says
MOST_TRIED = 300  # people that these are tried on
WELL_LIKED = 0.9  # the quantile of training's ratings that a like without a rating stands for
MOST_SCORED = 20_000  # choices
FARTHER = (4.0, 0.0, 1.0, 2.0, 8.0)  # spreads of choices' scores that a like stands above their mean; untried, the first
MOST_RANKED = 5000  # items among which choices of validation are looked for


def taste_of(model: torch.nn.Module, labelled: LabelledRatings) -> Taste | NeuralTaste:
    """The taste of a network: `Choices` learnt its own, of others the strength of the prior, and where nothing is
    rated what a like stands for, are what serves validation best."""
    if isinstance(model, Choices):
        return model.taste()
    if labelled.objective == RANKING:
        mean, spread = _scores_of_choices(model, labelled)
        likes = [mean + far * spread for far in FARTHER]
        return _best(_neural_taste(model, likes[0]), labelled, likes)
    like = float(np.quantile(labelled.values[labelled.rows_of("train")], WELL_LIKED))
    if isinstance(model, ManyDots):
        return _best(model.taste(labelled.low, labelled.high, like), labelled)
    return _best(_neural_taste(model, like, labelled.low, labelled.high, bounds_of(model)), labelled)


def rating_bounds(low: float, high: float) -> tuple[float, float]:
    """What stars near without reaching it: a little beyond the lowest and the highest that there are, 0 and 5.5 of 1 to 5."""
    return low - (high - low) / 4, high + (high - low) / 8


def solve_one(taste: Taste | NeuralTaste, known: csr_array, person: int) -> np.ndarray:
    """The vector of one person from what is known of them, sparse (people, items); items that training did not meet say
    nothing."""
    part = slice(known.indptr[person], known.indptr[person + 1])
    items, values = known.indices[part], known.data[part]
    met = items < len(taste.vectors)
    return taste.solve(items[met], None if taste.low is None else values[met])


def _scores_of_choices(model: EmbeddingNN, labelled: LabelledRatings) -> tuple[float, float]:
    """What choices of training score: mean and standard deviation."""
    rows = labelled.rows_of("train")
    some = np.random.default_rng(0).permutation(rows[labelled.chosen[rows]])[:MOST_SCORED]
    codes = torch.from_numpy(np.stack([labelled.user_codes[some] + 1, labelled.item_codes[some] + 1], axis=1))
    with torch.inference_mode():
        scores = model.eval()(codes.to(next(model.parameters()).device)).double()
    return float(scores.mean()), float(scores.std(correction=0))


def _neural_taste(
    model: EmbeddingNN, like: float, low: float | None = None, high: float | None = None, bounds: tuple | None = None
) -> NeuralTaste:
    people, items, layers = unfolded(model)
    people = people.astype(np.float64)
    return NeuralTaste(items, precision(people), people.mean(axis=0), layers, like=like, low=low, high=high, bounds=bounds)


def _best(usual: Taste | NeuralTaste, labelled: LabelledRatings, likes: Sequence[float] = ()) -> Taste | NeuralTaste:
    """The same with the prior, and of `likes` the score that a like stands for, by which people of validation, solved for from
    their training rows, are served best: the stars they gave are met, or what they chose stands high among what they do not know.

    A like has to stand far above what is chosen on average. At the average it says that a person likes what everyone likes."""
    ranking = labelled.objective == RANKING
    known, asked = labelled.history("valid", liked=ranking), labelled.asked("valid")
    asked = asked[(labelled.item_codes[asked] < labelled.n_items) & (labelled.chosen[asked] | (not ranking))]
    people = np.unique(labelled.user_codes[asked])
    people = people[np.diff(known.indptr)[people] > 0]
    people = np.sort(np.random.default_rng(0).permutation(people)[:MOST_TRIED])
    rows = asked[np.isin(labelled.user_codes[asked], people)]
    if not len(rows):
        return usual
    places, items = np.searchsorted(people, labelled.user_codes[rows]), labelled.item_codes[rows]
    others = np.random.default_rng(0).permutation(labelled.n_items)[:MOST_RANKED]

    def met(taste: Taste | NeuralTaste, vectors: np.ndarray) -> float:
        return float(((taste.ratings(taste.pairs(vectors[places], items)) - labelled.values[rows]) ** 2).mean())

    def ranked(taste: NeuralTaste, vectors: np.ndarray) -> float:
        scores = replace(taste, vectors=taste.vectors[others]).scores(vectors)
        scores[shown] = -np.inf
        found = taste.pairs(vectors[places], items)
        above = np.array([(scores[place] > score).sum() for place, score in zip(places, found, strict=True)])
        return -float((1 / np.log2(above + 2)) @ (1 / np.bincount(places)[places]))  # as nDCG: what stands first counts most

    def loss(taste: Taste | NeuralTaste) -> float:
        return (ranked if ranking else met)(taste, np.stack([solve_one(taste, known, person) for person in people]))

    if ranking:
        shown = known[people][:, others].toarray() > 0
        usual = min((replace(usual, like=like) for like in likes), key=loss)
    return min((replace(usual, prior=strength * usual.prior) for strength in STRENGTHS), key=loss)
