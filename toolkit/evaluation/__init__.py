"""Scores on the held-out test set, beside the untrained network and simple methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from toolkit.errors import DataError
from toolkit.evaluation.bootstrap import Interval
from toolkit.evaluation.scores import Scores
from toolkit.tasks import task_of_learner

if TYPE_CHECKING:
    from fastai.learner import Learner

__all__ = ["Interval", "Scores", "evaluate"]


def evaluate(learn: Learner, seed: int = 0, **options: Any) -> Any:
    """Score `learn` on its test set, the third of its loaders, and nothing else: the `Scores` of its task, such as `ImageScores`.

    The simple methods are fitted on the train and valid parts. The untrained network is the one with the weights that
    `build_learner` returned. `seed` is that of the bootstrap and of samples. `options` are those of one task:
    `hand_crafted`, of pictures, is a method of experts on what they were made of, to be held against too.

    Raises `DataError` where the loaders hold no test part.
    """
    if len(learn.dls.loaders) < 3:
        raise DataError("this learner's loaders hold no test part: build it with a recipe")
    return task_of_learner(learn).part("evaluate")(learn, seed, **options)
