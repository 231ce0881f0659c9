"""Scores on the held-out test set, beside the untrained network and simple methods."""

from toolkit.evaluation.images.scores import evaluate
from toolkit.evaluation.scores import Interval, Scores

__all__ = ["Interval", "Scores", "evaluate"]
