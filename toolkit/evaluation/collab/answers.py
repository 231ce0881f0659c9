"""What a learner of ratings or interactions answers for held-out rows, from the interactions of users that are seen by then:
training may know a user, may not know them but be told what they like, or know nothing of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from toolkit.data.collab.options import RANKING
from toolkit.program.collab.dot_model import DotModel

if TYPE_CHECKING:
    from fastai.learner import Learner

    from toolkit.data.collab.labelled import LabelledCollab


def rating_answers(learn: Learner, rows: np.ndarray) -> np.ndarray:
    """The ratings, float32 (n,), within their range, for rows (positions). Of an item that training did not meet a user gets what
    items give them on average; of a user of whom nothing is known, what everyone gets."""
    labelled: LabelledCollab = learn.dls.labelled
    model = learn.fold_in_model()
    users, places = np.unique(labelled.user_codes[rows], return_inverse=True)
    vectors = user_vectors(learn, users)
    items = labelled.item_codes[rows]
    met = items < labelled.n_items
    found = np.zeros(len(rows), dtype=np.float32)
    found[met] = model.pairs(vectors[places[met]], items[met])
    if isinstance(model, DotModel):  # the mean of scores is the score of the mean, however many items there are
        found[~met] = vectors[places[~met]] @ model.vectors.mean(axis=0, dtype=np.float64) + model.offset.mean(dtype=np.float64)
    else:
        for place in np.unique(places[~met]):
            found[~met & (places == place)] = model.scores(vectors[place]).mean()
    return model.ratings(found).astype(np.float32)


def ranking_answers(learn: Learner, users: np.ndarray) -> np.ndarray:
    """The scores, float32 (n, items), of all items that training met, for users (codes). Somebody of whom nothing is known is
    shown what most users chose."""
    labelled: LabelledCollab = learn.dls.labelled
    model = learn.fold_in_model()
    scores = model.scores(user_vectors(learn, users))
    if labelled.objective == RANKING:
        seen = labelled.seen("test", positive=True)
        unknown = np.diff(seen.indptr)[users] == 0
        scores[unknown] = np.bincount(seen.indices, minlength=len(labelled.items))[: labelled.n_items]
    return scores


def user_vectors(learn: Learner, users: np.ndarray) -> np.ndarray:
    """The vectors of users (codes), float64 (n, d), by their interactions that are seen when the test is predicted."""
    labelled: LabelledCollab = learn.dls.labelled
    return learn.fold_in_users(users, labelled.seen("test", positive=labelled.objective == RANKING))
