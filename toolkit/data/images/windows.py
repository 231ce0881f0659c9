"""From long recordings and sessions to labelled windows, split by recording: what a converter with `windows` is learnt from.

Here one item becomes many rows: all windows of a recording stand on one side of the split, and those that are tested are exactly
those that the program will look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pandas as pd

from toolkit.converters import Windowed, promised_size
from toolkit.data.duplicates import apart_from_test
from toolkit.data.hashing import content_hash
from toolkit.data.images.cache import AUTO, cache_folder
from toolkit.data.images.labelled import LabelledImages, check_enough, labelled_images, of_learnt_classes, untested
from toolkit.data.images.window_cache import WindowCache
from toolkit.data.images.window_reader import Window, WindowReader
from toolkit.data.items import PARTS, Items, picked
from toolkit.data.reading import PIXEL_BUDGET, in_threads
from toolkit.data.splitting import USUAL_SPLIT, SplitOptions, split_items
from toolkit.errors import ConversionError, DataError
from toolkit.program.images.inputs import ImageInput

COLUMNS = ["item", "path", "label", "group", "split", "start", "stop", "width", "height", "grey", "content"]
Caches = dict[ImageInput, WindowCache | None]


def labelled_converted(
    items: Items,
    converter: Windowed,
    *,
    windowed: bool,
    overlap: int = 0,
    split: SplitOptions = USUAL_SPLIT,
    strict: bool = False,
    cache: Path | str = AUTO,
) -> LabelledImages:
    """What `converter` makes of `items`, whole or, where `windowed`, window by window; split, and ready to learn from.

    With `overlap`, windows that are learnt from begin so many times as often as its `step` says. The rest is as in
    `labelled_images` and `labelled_windows`. Raises `DataError` where too little is left to learn from.
    """
    size = promised_size(converter)
    if size is None:
        raise DataError(f"{converter!r}: its settings do not say how large its pictures are (size, or width and height)")
    if overlap < 0:
        raise DataError(f"overlap {overlap}: expected a whole number from 1")
    if not windowed:
        return labelled_images(items, converter, size=size[0], split=split, strict=strict, cache=cache)
    closer = _with_shorter_steps(converter, overlap) if overlap > 1 else converter
    tested, learnt = (ImageInput(size, converter=each, windowed=True) for each in (converter, closer))
    return labelled_windows(items, tested, training_input=learnt, split=split, strict=strict, cache=cache)


def labelled_windows(
    items: Items,
    image_input: ImageInput,
    *,
    training_input: ImageInput | None = None,
    split: SplitOptions = USUAL_SPLIT,
    strict: bool = False,
    cache: Path | str = AUTO,
    budget: int = PIXEL_BUDGET,
) -> LabelledImages:
    """Split `items`, whole recordings, and read each into its windows, as `image_input` does.

    `training_input` reads the recordings of the training part; its windows may stand closer together. A window's group is
    that of its recording, or else the recording itself. Recordings with the same content stay on one side. The table of
    what is returned has a row for each window, with `item` (a `Window`), `start` and `stop` in seconds. At most `budget` bytes
    of their pictures are kept in memory; beyond it they are read again from the cache.

    Raises `DataError` where too little is left to learn from.
    """
    if not image_input.windowed:
        raise DataError("these items are not looked at in windows: use labelled_images")
    training_input = training_input or image_input
    folder = cache_folder(cache)
    caches: Caches = {source: WindowCache(folder, source) if folder else None for source in (image_input, training_input)}
    items = items.joined(_contents(items.table.path.tolist(), image_input))
    items = items.keep(items.table.error.isna(), items.table.error)
    check_enough(items, strict)
    items, duplicates = apart_from_test(items, what="recording", exact="content")
    items = items.assign(split=split_items(items.table, split, together=duplicates.together))
    inputs = [training_input if part == "train" else image_input for part in items.table.split]
    read = _read_all(items.table, inputs, caches=caches, budget=budget)
    items = items.keep(read.errors.isna(), read.errors)
    check_enough(items, strict, parts=PARTS)
    items = of_learnt_classes(items)
    windows = read.windows[read.windows.recording.isin(items.table.index)]
    if read.pixels is None and not all(kept and not kept.trouble for kept in caches.values()):
        raise DataError(
            f"{len(windows)} windows take more than {budget / 2**30:.0f} GiB: take longer steps, or allow a cache on disk "
            "(--cache)"
        )
    count = len(items.table)
    items = items.noted(
        f"they are windows of {count} files; all windows of a file are on one side of the split",
        *untested(windows),
        *[f"windows are not kept for the next run: {kept.trouble}" for kept in caches.values() if kept and kept.trouble][:1],
    )
    return LabelledImages(
        table=windows[COLUMNS].reset_index(drop=True),
        pixels=None if read.pixels is None else picked(read.pixels, windows),
        classes=tuple(sorted(windows.label.unique())),
        rejected=items.rejected,
        notes=items.notes,
        image_input=image_input,
        read_window=WindowReader({False: (image_input, caches[image_input]), True: (training_input, caches[training_input])}),
    )


def _with_shorter_steps(converter: Any, overlap: int) -> Windowed:
    """The converter whose windows begin so many times as often."""
    closer: Windowed = replace(converter, step=type(converter.step)(converter.step / overlap))
    return closer


def _contents(paths: Sequence[Path], source: ImageInput) -> pd.DataFrame:
    """`content`, the hash of each file's bytes, and `error`, the reason where not even its first window can be read, else None:
    what is known to be of no use must not be counted on when parts are filled."""

    def one(path: Path) -> tuple[str | None, str | None]:
        try:
            next(source.windows(path))
            return content_hash(path), None
        except ConversionError as error:
            return None, error.reason
        except OSError as error:
            return None, error.strerror or str(error)

    return pd.DataFrame(list(in_threads(one, paths, what="looking")), columns=["content", "error"], dtype=object)


@dataclass(frozen=True)
class _Read:
    """What the pass over the recordings found.

    `windows` has one row a window; its index is the place in `pixels`, uint8 (windows, height, width, 3) or None where they were
    too many to keep, and `recording` the row of its recording. `errors`: for each recording the reason why it cannot be read, or
    None.
    """

    windows: pd.DataFrame
    pixels: np.ndarray | None
    errors: pd.Series


def _read_all(table: pd.DataFrame, inputs: Sequence[ImageInput], *, caches: Caches, budget: int) -> _Read:
    """The windows of every recording in `table`, each read as its own of `inputs` does; pictures up to `budget` bytes."""
    room = _Room(budget)

    def one(place: int) -> _Recording:
        recording, source = table.iloc[place], inputs[place]
        return _read_one(recording.path, recording.content, source=source, cache=caches[source], room=room)

    frames: list[pd.DataFrame] = []
    images: list[np.ndarray] = []
    errors: list[str | None] = []
    for place, found in enumerate(in_threads(one, range(len(table)), what="reading")):
        errors.append(found.error)
        if found.error is not None:
            continue
        recording, size = table.iloc[place], inputs[place].size
        if room.full:
            images.clear()
        elif found.images is not None:
            images.append(found.images)
        training = recording.split == "train"
        items = [Window(recording.path, number, *span, training) for number, span in enumerate(found.spans)]
        frames.append(
            pd.DataFrame(
                {
                    "item": items, "path": recording.path, "label": recording.label,
                    "group": recording.group or str(recording.path), "split": recording.split,
                    "start": [item.start for item in items], "stop": [item.stop for item in items],
                    "width": size[1], "height": size[0], "grey": False, "content": recording.content,
                    "recording": table.index[place],
                }
            )
        )  # fmt: skip
    windows = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[*COLUMNS, "recording"])
    pixels = None if room.full or not images else _joined(images)
    return _Read(windows, pixels, pd.Series(errors, table.index, dtype=object))


def _joined(images: list[np.ndarray]) -> np.ndarray:
    """One array of all, each let go of as it is copied: the memory is not needed twice."""
    whole, at = np.empty((sum(map(len, images)), *images[0].shape[1:]), np.uint8), 0
    while images:
        some = images.pop(0)
        whole[at : at + len(some)] = some
        at += len(some)
    return whole


@dataclass
class _Room:
    """How many bytes of pictures may still be held; `full` from the first time that they were not enough."""

    left: int
    full: bool = False
    alone: Lock = field(default_factory=Lock)

    def take(self, amount: int) -> bool:
        """Take so many bytes, if they are there."""
        with self.alone:
            self.left -= amount
            self.full = self.full or self.left < 0
        return not self.full


@dataclass(frozen=True)
class _Recording:
    """(start, stop) of each window, its pictures while there is room, and the reason where it cannot be read."""

    spans: list[tuple[float, float]]
    images: np.ndarray | None = None
    error: str | None = None


def _read_one(path: Path, content: str, *, source: ImageInput, cache: WindowCache | None, room: _Room) -> _Recording:
    size = int(np.prod(source.shape))
    try:
        kept = cache.windows(content, lambda: source.windows(path)) if cache else None
        if cache and kept:
            try:
                return _Recording(kept.spans, kept.all() if room.take(len(kept.spans) * size) else None)
            except (OSError, ValueError):  # damaged, though its index is whole
                cache.forget(content)
        windows = [(start, stop, image if room.take(size) else None) for start, stop, image in source.windows(path)]
    except ConversionError as error:
        return _Recording([], error=error.reason)
    except OSError as error:
        return _Recording([], error=error.strerror or str(error))
    images = [image for _, _, image in windows if image is not None]
    return _Recording([(start, stop) for start, stop, _ in windows], None if room.full else np.stack(images))
