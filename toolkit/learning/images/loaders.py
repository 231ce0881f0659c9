"""fastai DataLoaders over pictures that were read once: train, valid and the held-out test, in that order.

A batch here is one indexing of a tensor; fastai's own pipeline (an open, a resize and a collate for every picture in every
epoch) costs more than a small network's training step.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.data.core import DataLoaders, Datasets, TfmdDL
from fastai.data.transforms import Categorize, IntToFloatTensor, Normalize
from fastai.torch_core import TensorCategory
from fastai.vision.core import TensorImage
from fastcore.basics import chunked
from fasttransform import Transform
from PIL import Image

from toolkit.data.images.labelled import LabelledImages
from toolkit.data.images.window_reader import Window
from toolkit.data.items import PARTS
from toolkit.errors import DataError
from toolkit.learning.images.augment import batch_augmentations
from toolkit.learning.images.networks import Stats
from toolkit.program.images.inputs import ImageInput, Item

Batch = tuple[TensorImage, TensorCategory]


class ReadImage(Transform):
    """An item (path, bytes, PIL image, array) -> uint8 TensorImage (3, height, width), as the program reads it."""

    input_types = (Path, Window, str, bytes, Image.Image, np.ndarray)

    def __init__(self, labelled: LabelledImages) -> None:
        super().__init__()
        self.image_input, self.cache = labelled.image_input, labelled.cache
        self.read_window = labelled.read_window
        self.contents = dict(zip(labelled.table.path, labelled.table.content, strict=True))

    def encodes(self, item: Any) -> TensorImage:
        return TensorImage(torch.from_numpy(self.prepared(item).copy()).permute(2, 0, 1))

    def prepared(self, item: Item | Window) -> np.ndarray:
        """The item as it is learnt from, uint8 (height, width, 3): from the cache, where it is there."""
        if isinstance(item, Window):
            if self.read_window is None:
                raise DataError(f"{item}: a window, and this learner does not look at windows")
            return self.read_window(item, self.contents[item.path])
        if self.image_input.windowed and isinstance(item, (Path, str, bytes)):
            raise DataError("this learner looks at windows: export it, and Program.predict goes over the whole file")
        content = self.contents.get(item) if isinstance(item, Path) else None
        kept = self.cache.load(content) if self.cache and content else None
        return kept[0] if kept else self.image_input.prepare(item)


class LabelOf(Transform):
    """The label an item was found with."""

    def __init__(self, labels: dict[Path | Window, str]) -> None:
        super().__init__()
        self.labels = labels

    def encodes(self, item: Any) -> str:
        if item not in self.labels:
            raise DataError(f"{item}: no label is known for it")
        return self.labels[item]


class ImageLoader(TfmdDL):
    """A fastai loader that indexes pixels held in memory where its dataset holds some, and otherwise reads in threads.

    `hold` gives a dataset its pixels; loaders made from it by `new` share them.
    """

    def create_batches(self, samples: Iterable[int]) -> Iterator[Batch]:
        held = vars(self.dataset).get("held")
        if held is None:
            yield from self._read_batches(samples)
            return
        pixels, targets = held
        for rows in chunked(samples, self.bs, self.drop_last):
            rows = torch.as_tensor(rows)
            yield TensorImage(pixels[rows].permute(0, 3, 1, 2)), TensorCategory(targets[rows])

    def _read_batches(self, samples: Iterable[int], ahead: int = 2) -> Iterator[Batch]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            waiting: deque[list[Future[Any]]] = deque()
            for rows in chunked(samples, self.bs, self.drop_last):
                waiting.append([pool.submit(self.do_item, row) for row in rows])
                if len(waiting) > ahead:
                    yield self._batch(waiting.popleft())
            while waiting:
                yield self._batch(waiting.popleft())

    def _batch(self, futures: list[Future[Any]]) -> Batch:
        batch: Batch = self.do_batch([future.result() for future in futures])
        return batch


def hold(dataset: Datasets, pixels: np.ndarray, *, targets: np.ndarray) -> None:
    """Give `dataset` its pixels, uint8 (items, height, width, 3), and class numbers, in its own order."""
    dataset.held = torch.from_numpy(pixels), torch.from_numpy(targets.astype(np.int64))


def image_loaders(labelled: LabelledImages, stats: Stats, *, batch_size: int = 64, augment: str = "photo") -> DataLoaders:
    """Train, valid and test loaders of normalised pictures, float32 (batch, 3, height, width).

    `stats` is (mean, standard deviation) of the channels, on a scale of 0 to 1. `augment` names what training pictures go
    through; see `batch_augmentations`. The batch is never larger than the training part. The loaders carry `labelled`. Raises
    `DataError` for a batch of none.
    """
    if batch_size < 1:
        raise DataError(f"batch_size {batch_size}: expected a whole number from 1")
    table = labelled.table
    labels = dict(zip(labelled.items, table.label, strict=True))
    rows = [np.flatnonzero(table.split == part) for part in PARTS]
    datasets = Datasets(
        labelled.items,
        [[ReadImage(labelled)], [LabelOf(labels), Categorize(vocab=list(labelled.classes), sort=False)]],
        splits=[part.tolist() for part in rows],
    )
    mean, std = stats
    dls = datasets.dataloaders(
        bs=min(batch_size, len(rows[0])),
        val_bs=256,
        num_workers=0,
        dl_type=ImageLoader,
        after_batch=[IntToFloatTensor(), *batch_augmentations(augment, labelled.size), Normalize.from_stats(mean, std)],
    )
    if labelled.pixels is not None:
        targets = np.searchsorted(labelled.classes, table.label.to_numpy(dtype=str))
        for loader, part in zip(dls.loaders, rows, strict=True):
            hold(loader.dataset, labelled.pixels[part], targets=targets[part])
    dls.labelled = labelled
    return dls


def training_stats(labelled: LabelledImages, sample: int = 1000) -> Stats:
    """Mean and standard deviation of the channels over (a sample of) the training pictures, on a scale of 0 to 1."""
    rows = np.flatnonzero(labelled.table.split == "train")
    rows = rows[:: max(1, len(rows) // sample)]
    if labelled.pixels is not None:
        pixels = labelled.pixels[rows]
    else:
        read, items = ReadImage(labelled), labelled.items
        pixels = np.stack([read.prepared(items[row]) for row in rows])
    scaled = pixels.reshape(-1, 3) / np.float32(255)
    std = np.maximum(scaled.std(axis=0, dtype=np.float64), 1e-2)
    return tuple(scaled.mean(axis=0, dtype=np.float64).tolist()), tuple(std.tolist())


def image_input_of(dls: DataLoaders) -> ImageInput:
    """The `ImageInput` that these loaders read their items with. Raises `DataError` for loaders made elsewhere."""
    transforms = getattr(dls.valid.dataset, "tls", [[]])[0]
    found = [tfm.image_input for tfm in getattr(transforms, "fs", []) if isinstance(tfm, ReadImage)]
    if not found:
        raise DataError("these loaders were not made by toolkit.learning.images.loaders: build the learner with a recipe")
    return found[0]


def normalization_of(dls: DataLoaders) -> Stats:
    """(mean, standard deviation) of the `Normalize` in these loaders."""
    tfm = next(tfm for tfm in dls.valid.after_batch.fs if isinstance(tfm, Normalize))
    return tuple(tfm.mean.flatten().tolist()), tuple(tfm.std.flatten().tolist())
