"""fastai DataLoaders over pictures and masks that were read once: train, valid and the held-out test, in that order.

Pictures keep their proportions here, so a batch is cut, or filled up, to one size as it is made.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastai.data.core import DataLoaders, Datasets, TfmdDL
from fastai.data.transforms import IntToFloatTensor, Normalize
from fastai.vision.core import AddMaskCodes, TensorImage, TensorMask
from fastcore.basics import chunked
from fasttransform import Transform
from PIL import Image

from toolkit.data.items import PARTS
from toolkit.data.segmentation.class_mapping import IGNORED
from toolkit.data.segmentation.labelled import LabelledSegmentation, Pair
from toolkit.errors import DataError
from toolkit.learning.images.networks import Stats
from toolkit.learning.segmentation.augment import segmentation_augmentations

Batch = tuple[TensorImage] | tuple[TensorImage, TensorMask]  # of pictures; with masks, where those are known


class ReadPicture(Transform):
    """An item (path, bytes, PIL image, array) -> uint8 TensorImage (3, height, width), at the scale it is learnt at."""

    input_types = (Path, str, bytes, Image.Image, np.ndarray)

    def __init__(self, labelled: LabelledSegmentation) -> None:
        super().__init__()
        self.segmentation_input, self.pair, self.rows = labelled.segmentation_input, labelled.pair, _row_of_each(labelled)

    def encodes(self, item: Any) -> TensorImage:
        known = isinstance(item, Path) and item in self.rows
        pixels = (
            self.pair(self.rows[item])[0]
            if known
            else np.asarray(self.segmentation_input.scaled(self.segmentation_input.read(item)))
        )
        return TensorImage(torch.from_numpy(pixels.copy()).permute(2, 0, 1))


class ReadMask(Transform):
    """The class numbers of a picture's mask, uint8 TensorMask (height, width), at the scale they are learnt at."""

    def __init__(self, labelled: LabelledSegmentation) -> None:
        super().__init__()
        self.pair, self.rows = labelled.pair, _row_of_each(labelled)

    def encodes(self, item: Any) -> TensorMask:
        if item not in self.rows:
            raise DataError(f"{item}: no mask is known for it")
        return TensorMask(torch.from_numpy(self.pair(self.rows[item])[1].copy()))


class SegmentationLoader(TfmdDL):
    """A fastai loader of pictures of any size, with their masks.

    `cut_to` is the (height, width) that each is cut to, at a random place or with `centred` in the middle, or filled up to; None
    fills up the pictures of a batch to one size, in multiples of `multiple`.

    What is filled up repeats the last row and column; its mask is IGNORED.
    """

    cut_to: tuple[int, int] | None = None
    centred: bool = False
    multiple: int = 1

    def create_batches(self, samples: Iterable[int]) -> Iterator[Batch]:
        pairs = vars(self.dataset).get("pairs")
        if pairs is not None:
            yield from (self._batch([pairs[row] for row in rows]) for rows in chunked(samples, self.bs, self.drop_last))
            return
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            waiting: list[list[Future[tuple[np.ndarray, ...]]]] = []
            for rows in chunked(samples, self.bs, self.drop_last):
                waiting.append([pool.submit(self._read, row) for row in rows])
                if len(waiting) > 2:
                    yield self._batch([future.result() for future in waiting.pop(0)])
            for futures in waiting:
                yield self._batch([future.result() for future in futures])

    def new(self, dataset: Datasets | None = None, *args: Any, **kwargs: Any) -> SegmentationLoader:
        loader: SegmentationLoader = super().new(dataset, *args, **kwargs)
        loader.multiple = self.multiple
        if dataset is None or dataset is self.dataset:
            loader.cut_to, loader.centred = self.cut_to, self.centred
        return loader

    def _read(self, row: int) -> tuple[np.ndarray, ...]:
        """A picture (height, width, 3) and, where it has one, its mask."""
        picture, *mask = self.do_item(row)
        return picture.permute(1, 2, 0).numpy(), *(numbers.numpy() for numbers in mask)

    def _batch(self, samples: list[tuple[np.ndarray, ...]]) -> Batch:
        shapes = np.array([sample[0].shape[:2] for sample in samples])
        height, width = self.cut_to or (-(-shapes.max(axis=0) // self.multiple) * self.multiple)
        pictures = np.empty((len(samples), height, width, 3), dtype=np.uint8)
        masks = np.full((len(samples), height, width), IGNORED, dtype=np.uint8)
        for number, sample in enumerate(samples):
            top, left = (self._offset(side, wanted) for side, wanted in zip(sample[0].shape[:2], (height, width), strict=True))
            picture, *mask = (part[top : top + height, left : left + width] for part in sample)
            beyond = ((0, height - picture.shape[0]), (0, width - picture.shape[1]), (0, 0))
            pictures[number] = np.pad(picture, beyond, mode="edge")
            for numbers in mask:
                masks[number, : numbers.shape[0], : numbers.shape[1]] = numbers
        batch = TensorImage(torch.from_numpy(pictures).permute(0, 3, 1, 2))
        return (batch, TensorMask(torch.from_numpy(masks))) if len(samples[0]) > 1 else (batch,)

    def _offset(self, side: int, wanted: int) -> int:
        if side <= wanted:
            return 0
        return (side - wanted) // 2 if self.centred else int(self.rng.randint(0, side - wanted))


def segmentation_loaders(
    labelled: LabelledSegmentation, stats: Stats, *, batch_size: int = 4, augment: str = "photo"
) -> DataLoaders:
    """Train, valid and test loaders of normalised pictures, float32 (batch, 3, height, width), and class numbers, int64
    (batch, height, width), `IGNORED` where none counts.

    `stats` is (mean, standard deviation) of the channels, on a scale of 0 to 1, `batch_size` how many pictures a step takes; see
    `segmentation_augmentations` for `augment`. The loaders carry `labelled`. Raises `DataError` for a `batch_size` below 1.
    """
    if batch_size < 1:
        raise DataError(f"batch_size {batch_size}: expected a whole number from 1")
    rows = [labelled.rows(part) for part in PARTS]
    datasets = Datasets(
        labelled.items,
        [[ReadPicture(labelled)], [ReadMask(labelled), AddMaskCodes(codes=list(labelled.classes))]],
        splits=rows,
    )
    mean, std = stats
    dls = datasets.dataloaders(
        bs=min(batch_size, len(rows[0])),
        val_bs=batch_size,
        num_workers=0,
        dl_type=SegmentationLoader,
        after_batch=[
            IntToFloatTensor(),
            *segmentation_augmentations(augment, crop=labelled.crop, crop_from=labelled.crop_from),
            Normalize.from_stats(mean, std),
        ],
    )
    for loader, part in zip(dls.loaders, rows, strict=True):
        loader.multiple = labelled.segmentation_input.multiple
        if labelled.pairs is not None:
            loader.dataset.pairs = [labelled.pairs[row] for row in part]
        if loader is not dls.train:
            loader.cut_to, loader.centred = _whole(labelled, part), True
    dls.train.cut_to = labelled.crop if augment == "none" else labelled.crop_from
    dls.labelled, dls.vocab = labelled, list(labelled.classes)
    return dls


def segmentation_stats(labelled: LabelledSegmentation, sample: int = 200) -> Stats:
    """Mean and standard deviation of the channels over (a sample of) the training pictures, on a scale of 0 to 1."""
    rows = labelled.rows("train")
    found = [_moments(labelled.pair(row)) for row in rows[:: max(1, len(rows) // sample)]]
    count, total, squares = (sum(parts[1:], parts[0]) for parts in zip(*found, strict=True))
    mean = np.asarray(total / count)
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-4))
    return tuple(mean.tolist()), tuple(std.tolist())


def _whole(labelled: LabelledSegmentation, rows: list[int]) -> tuple[int, int]:
    """What holds the pictures of `rows` whole, as far as they are no larger than a tile: (height, width) in whole multiples."""
    segmentation_input, table = labelled.segmentation_input, labelled.table.iloc[rows]
    sizes = np.array([segmentation_input.scaled_size(*size) for size in zip(table.width, table.height, strict=True)])
    multiple = segmentation_input.multiple
    width, height = (-(-np.minimum(sizes.max(axis=0), segmentation_input.tile) // multiple) * multiple).tolist()
    return height, width


def _row_of_each(labelled: LabelledSegmentation) -> dict[Path, int]:
    return {path: row for row, path in enumerate(labelled.items)}


def _moments(pair: Pair) -> tuple[int, np.ndarray, np.ndarray]:
    scaled = pair[0].reshape(-1, 3) / 255.0
    return len(scaled), scaled.sum(axis=0), (scaled**2).sum(axis=0)
