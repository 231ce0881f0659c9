"""What every evaluation asks of a learner: its network, also as it was before training, and the groups of its test items.

It is a file of its own because whole pictures and single pixels are scored in files of their own, and both ask this.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fastai.learner import Learner

    from toolkit.program.segmentation.inputs import Run


@contextmanager
def first_weights(learn: Learner):
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


def network_runner(learn: Learner) -> Run:
    """The learner's network, with the weights it has when it is called, from pixels, uint8 (n, height, width, 3), to
    probabilities, float32 (n, classes, height, width)."""
    import torch  # here, so that finished runs are compared without it

    model = learn.model
    mean, std = (torch.tensor(values, dtype=torch.float32).view(1, 3, 1, 1) for values in learn.about["stats"])

    @torch.inference_mode()
    def run(pixels: np.ndarray) -> np.ndarray:
        model.eval()
        scaled = torch.from_numpy(np.array(pixels)).permute(0, 3, 1, 2).float() / 255
        device = next(model.parameters()).device
        return torch.as_tensor(model(((scaled - mean) / std).to(device))).softmax(dim=1).float().cpu().numpy()

    return run
