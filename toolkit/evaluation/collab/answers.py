"""What a learner of ratings or choices answers for held-out rows, from what is known of people when these are asked.

It is a file of its own because training may know someone, may not know them but hear what they like, or know nothing of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from toolkit.data.collab.options import RANKING
from toolkit.program.collab.dot_model import Taste

if TYPE_CHECKING:
    from fastai.learner import Learner

    from toolkit.data.collab.labelled import LabelledRatings


def rating_answers(learn: Learner, rows: np.ndarray) -> np.ndarray:
    """The stars, float32 (n,), within their range, for rows (positions). Of an item that training did not meet a person gets what
    items give them on average; of a person of whom nothing is known, what everyone gets."""
    labelled: LabelledRatings = learn.dls.labelled
    taste = learn.taste()
    users, places = np.unique(labelled.user_codes[rows], return_inverse=True)
    people = people_of(learn, users)
    items = labelled.item_codes[rows]
    met = items < labelled.n_items
    found = np.zeros(len(rows), dtype=np.float32)
    found[met] = taste.pairs(people[places[met]], items[met])
    if isinstance(taste, Taste):  # the mean of scores is the score of the mean, however many items there are
        found[~met] = people[places[~met]] @ taste.vectors.mean(axis=0, dtype=np.float64) + taste.offset.mean(dtype=np.float64)
    else:
        for person in np.unique(places[~met]):
            found[~met & (places == person)] = taste.scores(people[person]).mean()
    return taste.ratings(found).astype(np.float32)


def ranking_answers(learn: Learner, users: np.ndarray) -> np.ndarray:
    """The scores, float32 (n, items), of all items that training met, for users (codes). Somebody of whom nothing is known is
    shown what most people chose."""
    labelled: LabelledRatings = learn.dls.labelled
    taste = learn.taste()
    scores = taste.scores(people_of(learn, users))
    if labelled.objective == RANKING:
        chosen = labelled.history("test", liked=True)
        unknown = np.diff(chosen.indptr)[users] == 0
        scores[unknown] = np.bincount(chosen.indices, minlength=len(labelled.items))[: labelled.n_items]
    return scores


def people_of(learn: Learner, users: np.ndarray) -> np.ndarray:
    """The vectors of users (codes), float64 (n, d), by what is known of them when the test is asked."""
    labelled: LabelledRatings = learn.dls.labelled
    return learn.people_knowing(users, labelled.history("test", liked=labelled.objective == RANKING))
