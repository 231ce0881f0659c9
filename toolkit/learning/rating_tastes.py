"""What a trained network of ratings or choices is to a newcomer: items as numbers, and what is known of people in general.

It is a file of its own because how much a person's own few words weigh, beside what people are like in general, is no weight of
the network: it is chosen on validation rows, once training has ended.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from fastai.collab import EmbeddingNN
from scipy.sparse import csr_array

from toolkit.data.labelled_ratings import LabelledRatings
from toolkit.learning.rating_networks import Choices, ManyDots, precision
from toolkit.learning.unfolded import unfolded
from toolkit.program.neural_taste import NeuralTaste
from toolkit.program.taste import Taste

RATING, RANKING = "rating", "ranking"
STRENGTHS = 2.0 ** np.arange(-4, 7)  # of what is known of people in general, beside what one says
MOST_TRIED = 300  # people that these are tried on
WELL_LIKED = 0.9  # the quantile of training's ratings that a like without a rating stands for
MOST_SCORED = 20_000  # choices


def taste_of(model: torch.nn.Module, labelled: LabelledRatings) -> Taste | NeuralTaste:
    """The taste of a network: `Choices` learnt its own, of others the strength of the prior is what serves validation best."""
    if isinstance(model, Choices):
        return model.taste()
    if labelled.objective == RANKING:
        return _best_strength(_neural_taste(model, _score_of_choices(model, labelled)), labelled)
    like = float(np.quantile(labelled.values[labelled.rows_of("train")], WELL_LIKED))
    if isinstance(model, ManyDots):
        return _best_strength(model.taste(labelled.low, labelled.high, like), labelled)
    bounds = rating_bounds(labelled.low, labelled.high)
    return _best_strength(_neural_taste(model, like, labelled.low, labelled.high, bounds), labelled)


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


def _score_of_choices(model: EmbeddingNN, labelled: LabelledRatings) -> float:
    """What a choice of training scores on average."""
    rows = labelled.rows_of("train")
    some = np.random.default_rng(0).permutation(rows[labelled.chosen[rows]])[:MOST_SCORED]
    codes = torch.from_numpy(np.stack([labelled.user_codes[some] + 1, labelled.item_codes[some] + 1], axis=1))
    with torch.inference_mode():
        return float(model.eval()(codes.to(next(model.parameters()).device)).mean())


def _neural_taste(
    model: EmbeddingNN, like: float, low: float | None = None, high: float | None = None, bounds: tuple | None = None
) -> NeuralTaste:
    people, items, layers = unfolded(model)
    people = people.astype(np.float64)
    return NeuralTaste(items, precision(people), people.mean(axis=0), layers, like=like, low=low, high=high, bounds=bounds)


def _best_strength(usual: Taste | NeuralTaste, labelled: LabelledRatings) -> Taste | NeuralTaste:
    """The same with the prior by which people of validation, solved for from their training rows, are served best: the stars they
    gave are met, or what they chose scores higher than what they might have."""
    known, asked = labelled.history("valid", liked=labelled.objective == RANKING), labelled.asked("valid")
    asked = asked[labelled.item_codes[asked] < labelled.n_items]
    people = np.unique(labelled.user_codes[asked])
    people = people[np.diff(known.indptr)[people] > 0]
    people = np.sort(np.random.default_rng(0).permutation(people)[:MOST_TRIED])
    rows = asked[np.isin(labelled.user_codes[asked], people)]
    if not len(rows):
        return usual
    places = np.searchsorted(people, labelled.user_codes[rows])
    others = np.random.default_rng(0).integers(0, labelled.n_items, len(rows))

    def loss(taste: Taste | NeuralTaste) -> float:
        vectors = np.stack([solve_one(taste, known, person) for person in people])[places]
        found = taste.pairs(vectors, labelled.item_codes[rows])
        if labelled.objective == RATING:
            return float(((taste.ratings(found) - labelled.values[rows]) ** 2).mean())
        return -float((found > taste.pairs(vectors, others)).mean())

    return min((replace(usual, prior=strength * usual.prior) for strength in STRENGTHS), key=loss)
