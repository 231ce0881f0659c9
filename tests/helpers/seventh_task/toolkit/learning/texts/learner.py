"""A fastai Learner from labelled texts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastai.losses import CrossEntropyLossFlat
from fastai.metrics import accuracy
from fastai.torch_core import set_seed
from torch import nn

from toolkit.data.texts.labelled import LabelledTexts
from toolkit.learning.callbacks import FirstWeights
from toolkit.learning.fitting import ADAMW
from toolkit.spec import Spec


@dataclass(frozen=True, kw_only=True)
class TextSpec(Spec):
    """As `Spec`, with how many letters are counted."""

    letters: int


def text_learner(labelled: LabelledTexts, seed: int) -> Learner:
    """A Learner whose loaders are train, valid and the held-out test of `labelled`."""
    set_seed(seed)
    places = {name: number for number, name in enumerate(labelled.classes)}
    targets = [places[label] for label in labelled.table.label]
    loaders = []
    for part in ("train", "valid", "test"):
        pairs = [(torch.from_numpy(labelled.shares[row]), torch.tensor(targets[row])) for row in labelled.rows_of(part)]
        loaders.append(DataLoader(pairs, bs=16, shuffle=part == "train"))
    dls = DataLoaders(*loaders)
    dls.vocab, dls.labelled = list(labelled.classes), labelled
    letters = labelled.shares.shape[1]
    model = nn.Sequential(nn.Linear(letters, 16), nn.ReLU(), nn.Linear(16, len(labelled.classes)))
    learn = Learner(dls, model, CrossEntropyLossFlat(), ADAMW, metrics=accuracy, cbs=[FirstWeights()])
    learn.spec = TextSpec(task="text_classification", arch="linear", seed=seed, letters=letters, epochs=15, lr=0.03)
    return learn
