"""From long recordings and sessions to labelled windows, split by recording: what a converter with `windows` is learnt from.

It is a file of its own because here one item becomes many rows: all windows of a recording stand on one side of the
split, and those that are tested are exactly those that the program will look at.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from pathlib import Path
from threading import Lock

import numpy as np
import pandas as pd
from joblib import Parallel, delayed

from toolkit.converters import Windowed, promised_size
from toolkit.data.duplicates import beside_the_test, exact_duplicates
from toolkit.data.hashing import content_hash
from toolkit.data.images.cache import AUTO, cache_folder
from toolkit.data.images.labelled import LabelledImages, check_enough, labelled_images, untested
from toolkit.data.images.window_cache import KeptWindows, WindowCache
from toolkit.data.items import PARTS, Items
from toolkit.data.progress import track
from toolkit.data.reading import PIXEL_BUDGET
from toolkit.data.splitting import SplitOptions, split_items, units_of
from toolkit.errors import ConversionError, DataError
from toolkit.program.images.inputs import ImageInput


@dataclass(frozen=True)
class Window:
    """The window of number `number`, from 0, of the file `path`, from `start` to `stop` seconds; `training` where it is one of
    those, closer together, that are learnt from."""

    path: Path
    number: int
    start: float
    stop: float
    training: bool = False


def file_of(item: Path | Window) -> Path:
    """The file that an item is, or is a window of."""
    return item.path if isinstance(item, Window) else item


class WindowReader:
    """Reads the picture of any one window again, from the cache where it is there."""

    def __init__(self, caches: dict[bool, tuple[ImageInput, WindowCache | None]]) -> None:
        self.caches = caches
        self._kept = lru_cache(maxsize=256)(self._open)  # an entry's index is read once, not once a window

    def _open(self, path: Path, content: str, training: bool) -> KeptWindows | None:
        source, cache = self.caches[training]
        return cache.windows(content, lambda: source.windows(path))

    @property
    def training_input(self) -> ImageInput:
        """How the windows that are learnt from are read."""
        return self.caches[True][0]

    def __call__(self, window: Window, content: str) -> np.ndarray:
        """uint8 (height, width, 3). Raises `ConversionError`."""
        source, cache = self.caches[window.training]
        kept = self._kept(window.path, content, window.training) if cache else None
        try:
            if kept is not None:
                return kept.picture(window.number)
        except (OSError, ValueError):  # damaged since it was opened
            cache.forget(content)
            self._kept.cache_clear()
        return next(islice(source.windows(window.path), window.number, None))[2]


def labelled_pictures(
    items: Items,
    converter: Windowed,
    windowed: bool,
    overlap: int = 0,
    valid_pct: float = 0.1,
    test_pct: float = 0.2,
    seed: int = 42,
    strict: bool = False,
    cache: Path | str = AUTO,
) -> LabelledImages:
    """What `converter` makes of `items`, whole or, where `windowed`, window by window; split, and ready to learn from.

    With `overlap`, windows that are learnt from begin so many times as often as its `step` says.
    """
    size = promised_size(converter)
    if overlap < 0:
        raise DataError(f"overlap {overlap}: expected a whole number from 1")
    if not windowed:
        return labelled_images(items, converter, size[0], "squish", valid_pct, test_pct, seed, strict=strict, cache=cache)
    closer = replace(converter, step=type(converter.step)(converter.step / overlap)) if overlap > 1 else converter
    inputs = [ImageInput(size, converter=each, windowed=True) for each in (converter, closer)]
    return labelled_windows(items, *inputs, valid_pct, test_pct, seed, strict, cache)


def labelled_windows(
    items: Items,
    image_input: ImageInput,
    training_input: ImageInput | None = None,
    valid_pct: float = 0.1,
    test_pct: float = 0.2,
    seed: int = 42,
    strict: bool = False,
    cache: Path | str = AUTO,
    budget: int = PIXEL_BUDGET,
) -> LabelledImages:
    """Split `items`, whole recordings, and read each into its windows, as `image_input` does.

    `training_input` reads the recordings of the training part; its windows may stand closer together. A window's group is
    that of its recording, or else the recording itself. Recordings with the same content stay on one side. The table of
    what is returned has a row for each window, with `item` (a `Window`), `start` and `stop` in seconds.

    Raises `DataError` where too little is left to learn from.
    """
    if seed < 0:
        raise DataError(f"seed {seed}: expected a whole number from 0")
    if not image_input.windowed:
        raise DataError("these items are not looked at in windows: use labelled_images")
    training_input = training_input or image_input
    kept = cache_folder(cache)
    caches = {source: WindowCache(kept, source) if kept else None for source in (image_input, training_input)}
    contents, errors = _contents(items.table.path, image_input)
    items.keep(errors.isna(), errors)
    contents = contents[errors.isna()].reset_index(drop=True)
    check_enough(items, strict)
    items.table = items.table.assign(content=contents)
    apart = beside_the_test(items.table.split, units_of(len(contents), [exact_duplicates(contents.tolist())]))
    items.keep(~apart, "the same recording stands in the test or valid part")
    twins = [exact_duplicates(items.table.content.tolist())]
    items.table["split"] = split_items(
        items.table, SplitOptions(valid_pct=valid_pct, test_pct=test_pct, seed=seed), together=twins
    )
    inputs = [training_input if part == "train" else image_input for part in items.table.split]
    found, pixels, errors = _read_all(items.table, inputs, caches, budget)
    items.keep(errors.isna(), errors)
    check_enough(items, strict, parts=PARTS)
    learnable = set(items.table.label[items.table.split == "train"])
    wanted = found.label.isin(learnable)
    items.keep(items.table.label.isin(learnable), "its class has no training item")
    table = found[wanted].reset_index(drop=True)
    pixels = pixels[wanted.to_numpy()] if pixels is not None else None
    if pixels is None and not all(cache and not cache.trouble for cache in caches.values()):
        raise DataError(
            f"{len(table)} windows take more than {budget / 2**30:.0f} GiB: take longer steps, or allow a cache on disk (--cache)"
        )
    count = len(items.table)
    notes = [*items.notes, f"they are windows of {count} files; all windows of a file are on one side of the split"]
    notes += untested(table)
    trouble = [cache.trouble for cache in caches.values() if cache and cache.trouble]
    notes += [f"windows are not kept for the next run: {trouble[0]}"] if trouble else []
    classes = tuple(sorted(table.label.unique()))
    return LabelledImages(
        table,
        pixels,
        classes,
        items.rejected,
        notes,
        image_input,
        None,
        WindowReader({training: (source, caches[source]) for training, source in ((False, image_input), (True, training_input))}),
    )


def _contents(paths: Sequence[Path], source: ImageInput) -> tuple[pd.Series, pd.Series]:
    """The hash of each file's bytes, and the reason where not even its first window can be read, else None: what is known to
    be of no use must not be counted on when parts are filled."""

    def one(path: Path) -> tuple[str | None, str | None]:
        try:
            next(source.windows(path))
            return content_hash(path), None
        except ConversionError as error:
            return None, error.reason
        except OSError as error:
            return None, error.strerror or str(error)

    work = Parallel(n_jobs=os.cpu_count(), prefer="threads", return_as="generator")(delayed(one)(path) for path in paths)
    found = list(track(work, len(paths), what="looking"))
    return tuple(pd.Series(values, dtype=object) for values in zip(*found, strict=True))


def _read_all(
    table: pd.DataFrame, inputs: Sequence[ImageInput], caches: dict[ImageInput, WindowCache | None], budget: int
) -> tuple[pd.DataFrame, np.ndarray | None, pd.Series]:
    """The windows of every recording: their table, their pixels (None over `budget` bytes), and for each recording the reason
    why it cannot be read, or None."""
    room = _Room(budget)
    work = Parallel(n_jobs=os.cpu_count(), prefer="threads", return_as="generator")(
        delayed(_read_one)(path, content, source, caches[source], room)
        for path, content, source in zip(table.path, table.content, inputs, strict=True)
    )
    frames, pictures, errors = [], [], []
    for row, (spans, pixels, error) in enumerate(track(work, len(table), what="reading")):
        errors.append(error)
        if error is not None:
            continue
        recording = table.iloc[row]
        if room.full:
            pictures.clear()
        else:
            pictures.append(pixels)
        training = recording.split == "train"
        frames.append(
            pd.DataFrame(
                {
                    "item": [Window(recording.path, i, start, stop, training) for i, (start, stop) in enumerate(spans)],
                    "path": recording.path, "label": recording.label, "group": recording.group or str(recording.path),
                    "split": recording.split, "start": [start for start, _ in spans], "stop": [stop for _, stop in spans],
                    "width": inputs[row].size[1], "height": inputs[row].size[0], "grey": False, "content": recording.content,
                }
            )
        )  # fmt: skip
    found = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=["label", "split"])
    return found, None if room.full or not pictures else _joined(pictures), pd.Series(errors, dtype=object)


def _joined(pictures: list[np.ndarray]) -> np.ndarray:
    """One array of all, each let go of as it is copied: the memory is not needed twice."""
    whole, at = np.empty((sum(map(len, pictures)), *pictures[0].shape[1:]), np.uint8), 0
    while pictures:
        some = pictures.pop(0)
        whole[at : at + len(some)] = some
        at += len(some)
    return whole


class _Room:
    """How many bytes of pictures may still be held; `full` from the first time that they were not enough."""

    def __init__(self, left: int) -> None:
        self.left, self.full, self._alone = left, False, Lock()

    def take(self, amount: int) -> bool:
        """Take so many bytes, if they are there."""
        with self._alone:
            self.left -= amount
            self.full = self.full or self.left < 0
        return not self.full


def _read_one(
    path: Path, content: str, source: ImageInput, cache: WindowCache | None, room: _Room
) -> tuple[list, np.ndarray | None, str | None]:
    """(start, stop) of each window, its pictures while there is room, and the reason where it cannot be read."""
    size = int(np.prod(source.shape))
    try:
        kept = cache.windows(content, lambda: source.windows(path)) if cache else None
        if kept is not None:
            try:
                return kept.spans, kept.all() if room.take(len(kept.spans) * size) else None, None
            except (OSError, ValueError):  # damaged, though its index is whole
                cache.forget(content)
        windows = [(start, stop, picture if room.take(size) else None) for start, stop, picture in source.windows(path)]
    except ConversionError as error:
        return [], np.empty(0), error.reason
    except OSError as error:
        return [], np.empty(0), error.strerror or str(error)
    pictures = None if room.full else np.stack([window[2] for window in windows])
    return [window[:2] for window in windows], pictures, None
