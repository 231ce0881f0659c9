"""What every evaluation asks of a learner: its network as it was before training, what it was built as, the groups of its
test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastai.learner import Learner


@contextmanager
def first_weights(learn: Learner) -> Iterator[bool]:
    """Put back, for the time of the block, the weights the learner was built with; yields False where it kept none."""
    first = getattr(getattr(learn, "first_weights", None), "weights", None)
    if first is None:
        yield False
        return
    trained = {name: value.clone() for name, value in learn.model.state_dict().items()}
    learn.model.load_state_dict(first)
    try:
        yield True
    finally:
        learn.model.load_state_dict(trained)


def test_groups(learn: Learner) -> np.ndarray | None:
    """The group of each test item, or None where the data has none."""
    labelled = getattr(learn.dls, "labelled", None)
    groups = None if labelled is None else labelled.table.group[labelled.table.split == "test"]
    return None if groups is None or groups.isna().any() else groups.to_numpy(dtype=str)
