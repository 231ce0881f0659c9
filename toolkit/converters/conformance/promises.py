"""What a converter promises, each promise with the function that looks for what breaks it.

It is the list to read, and to add to: a function takes a `Case` and yields problems, each a sentence that says what was found and
what to do.
"""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, is_dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

from PIL import Image

from toolkit.converters.base import promised_size
from toolkit.converters.conformance.cases import (
    Case,
    attempt,
    contents_below,
    print_of,
    told,
    wrong_answer,
    wrong_picture,
    wrong_refusal,
)
from toolkit.converters.conformance.elsewhere import in_another_process
from toolkit.errors import ConversionError, ToolkitError

THREADS, TIMES = 4, 3
MOST_ALIVE = 3  # pictures that an iterator of windows may hold at once
STATE = "keep nothing between calls, and seed what is random"
WINDOWS = "windows: (start, stop, picture) one by one, in order, at least one"

Windows = list[tuple[float, float, str | None]]  # the last: the picture's fingerprint


def frozen_dataclass(case: Case) -> Iterator[str]:
    converter = case.converter
    kind: Any = type(converter)
    if isinstance(converter, type):
        yield f"received the class {converter.__name__}: hand in an instance, {converter.__name__}()"
    elif not is_dataclass(converter):
        yield f"{kind.__name__} is no dataclass: write @dataclass(frozen=True) above it, its settings as fields"
    elif not kind.__dataclass_params__.frozen:
        yield f"{kind.__name__} is not frozen: write @dataclass(frozen=True), since many share one"


def settings(case: Case) -> Iterator[str]:
    converter, kind = case.converter, type(case.converter)
    values = {each.name: getattr(converter, each.name) for each in fields(kind)}
    for name, value in values.items():
        if value is not None and not isinstance(value, (str, int, float)):
            yield f"setting {name}={value!r} is a {type(value).__name__}: settings are numbers, strings, true, false or None"
    without = attempt(lambda none: kind(**none), {})
    if isinstance(without, TypeError):
        yield f"a setting has no default ({without}): give each field one, so that the converter is found by its name alone"
    rebuilt = attempt(lambda given: kind(**json.loads(json.dumps(given, allow_nan=False))), values)
    if isinstance(rebuilt, Exception):
        yield f"its settings do not survive JSON: {told(rebuilt)}: keep to finite numbers and strings, all taken by __init__"
    elif rebuilt != converter:
        yield f"rebuilt from its settings it is {rebuilt!r:.200}: let __post_init__ alter nothing, and keep eq=True"
    elif print_of(attempt(rebuilt, case.samples[0])) != print_of(attempt(converter, case.samples[0])):
        yield "rebuilt from its settings it gives another picture: let the fields say all that matters"
    size = promised_size(converter)
    if size is None or min(size) < 1:
        yield "no field says how large its pictures are: name it `size`, a whole number of pixels, or `width` and `height`"


def suffixes(case: Case) -> Iterator[str]:
    endings, needs = getattr(case.converter, "suffixes", None), getattr(case.converter, "needs", ())
    for name in {each.name for each in fields(type(case.converter))} & {"suffixes", "needs"}:
        yield f"`{name}` is a field, and so a setting: annotate it as ClassVar[tuple[str, ...]], or not at all"
    if not isinstance(needs, tuple) or not all(isinstance(package, str) for package in needs):
        yield f"`needs` is {needs!r}: expected a tuple of packages as pip calls them, such as ('scipy',)"
    if not isinstance(endings, tuple) or not endings or not all(isinstance(ending, str) for ending in endings):
        yield f"`suffixes` is {endings!r}: expected a tuple of strings, such as ('.wav', '.flac') or ('.txt',)"
        return
    for ending in endings:
        if len(ending) < 2 or ending[0] != "." or ending != "".join(ending.lower().split()):
            yield f"suffix {ending!r}: expected lower case with the dot, such as '.txt'"
    for sample in case.samples:
        if not sample.name.lower().endswith(endings):
            yield f"sample {sample.name}: ends in none of the suffixes {', '.join(endings)}: add its suffix, or take another"


def pictures(case: Case) -> Iterator[str]:
    for sample in case.samples:
        image = attempt(case.converter, sample)
        yield wrong_picture(case.converter, f"sample {sample.name}", image=image)
        if (found := print_of(image)) is not None:
            case.prints[sample] = found


def same_pixels(case: Case) -> Iterator[str]:
    for sample, first in case.prints.items():
        for when, source, todo in (
            ("when it is read again", sample, STATE),
            ("from its bytes", sample.read_bytes(), "a source is a path or the bytes of a file: read both alike"),
            ("from its path as a str", str(sample), "wrap it in Path, or refuse it with a ConversionError"),
            ("from a path with blanks and letters of other languages", case.renamed(sample), "a path is any text"),
        ):
            again = attempt(case.converter, source)
            refused = isinstance(source, str) and isinstance(again, ConversionError)
            if print_of(again) != first and not refused:
                what = f"raised {told(again)}" if isinstance(again, Exception) else "another picture"
                yield f"sample {sample.name}: {what} {when}: {todo}"
    for source in [*case.hopeless().values(), *case.doubtful().values()]:
        attempt(case.converter, source)
    for sample in reversed(case.prints):
        if print_of(attempt(case.converter, sample)) != case.prints[sample]:
            yield f"sample {sample.name}: another picture, or an error, after other items were read: {STATE}"


def threads(case: Case) -> Iterator[str]:
    sources: dict[Path | bytes, str] = dict(case.prints.items())
    sources |= {sample.read_bytes(): first for sample, first in case.prints.items()}
    work = [*sources] * THREADS * TIMES
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(partial(attempt, case.converter), work))
    wrong = [answer for source, answer in zip(work, answers, strict=True) if print_of(answer) != sources[source]]
    if wrong:
        errors = [f", such as {told(answer)}" for answer in wrong if isinstance(answer, Exception)]
        yield (
            f"when {THREADS} threads read at once, {len(wrong)} of {len(work)} answers differ{''.join(errors[:1])}: "
            "keep nothing between calls on the instance, its class or its module, or hold a lock"
        )


def refusals(case: Case) -> Iterator[str]:
    for what, source in case.hopeless().items():
        answer = attempt(case.converter, source)
        if isinstance(answer, Exception):
            yield wrong_refusal(what, source, error=answer)
        else:
            todo = "`check_source` of toolkit.converters.sources raises it"
            yield f"{what}: returned {type(answer).__name__}, expected a ConversionError: {todo}"
    for what, source in case.doubtful().items():
        yield wrong_answer(case.converter, what, source=source, answer=attempt(case.converter, source))


def windows(case: Case) -> Iterator[str]:
    if not hasattr(case.converter, "windows"):
        case.left_out[WINDOWS] = ""
        return
    for sample in case.prints:
        found = attempt(partial(_windows, case), sample)
        if isinstance(found, ToolkitError) and not isinstance(found, ConversionError):
            case.left_out[WINDOWS] = f"none with these settings ({found})"
            return
        case.windowed = True
        if isinstance(found, str):
            yield f"windows of {sample.name}: {found}"
        elif isinstance(found, Exception):
            yield f"windows of {sample.name}: raised {told(found)}; expected windows, since the converter gives a picture of it"
        elif found != attempt(partial(_windows, case), sample.read_bytes()):
            yield f"windows of {sample.name}: others when read again, from its bytes: {STATE}"
    for what, source in case.hopeless().items():
        answer = attempt(partial(_windows, case), source)
        if not isinstance(answer, ConversionError):
            yield f"windows of {what}: expected a ConversionError, as from the converter itself: check the source there too"
    for what, source in case.doubtful().items():
        answer = attempt(partial(_windows, case), source)
        if isinstance(answer, Exception):
            yield wrong_refusal(f"windows of {what}", source, error=answer)
        elif isinstance(answer, str) and isinstance(attempt(case.converter, source), Image.Image):
            yield f"windows of {what}: {answer}"


def untouched(case: Case) -> Iterator[str]:
    before, after = case.contents, contents_below(case.folder / "samples")
    for path in before:
        if after.get(path) != before[path]:
            yield f"sample {path.name}: altered or removed: open sources for reading only"
    for path in after.keys() - before.keys():
        yield f"wrote {path.name} beside a sample: write nothing, or into tempfile.TemporaryDirectory()"


def _windows(case: Case, source: object) -> Windows | str:
    """The windows of a source, or what is wrong with them. Raises what `windows` raises."""
    given: object = case.converter.windows(source)
    if not isinstance(given, Iterator):
        return f"returned a {type(given).__name__}, expected an iterator: `yield` each window when it is asked for"
    found: Windows = []
    before = _pictures_alive()
    for window in given:
        if not isinstance(window, tuple) or len(window) != 3:
            return f"gave {window!r:.80}, expected (start, stop, picture)"
        start, stop, image = window
        if not found and (alive := _pictures_alive() - before) > MOST_ALIVE:
            return f"{alive} pictures are there when the first is given: make each when it is asked for"
        if wrong := wrong_picture(case.converter, f"window {len(found) + 1}", image=image):
            return wrong
        if not all(isinstance(time, (int, float)) and math.isfinite(time) for time in (start, stop)) or start >= stop:
            return f"window {len(found) + 1}: from {start!r} to {stop!r}, expected seconds, the start before the stop"
        found.append((start, stop, print_of(image)))
    if any(earlier[0] >= later[0] for earlier, later in pairwise(found)):
        return f"they start at {[start for start, _, _ in found][:8]}, expected ascending starts"
    return found or "there is none: an input shorter than a window has one, which is as long as the input"


def _pictures_alive() -> int:
    return sum(issubclass(type(thing), Image.Image) for thing in gc.get_objects())


PROMISES: dict[str, Callable[[Case], Iterator[str]]] = {
    "a frozen dataclass": frozen_dataclass,
    "settings are plain, have defaults, survive JSON and say the size": settings,
    "suffixes are well-formed, and the samples have them": suffixes,
    "an RGB picture of the promised size": pictures,
    "same input, same pixels: again, from bytes, after other items": same_pixels,
    "same pixels in threads": threads,
    "what cannot be read is refused with a ConversionError that names it": refusals,
    WINDOWS: windows,
    "the same in another process, no files left behind, gigabytes refused or read in bounded memory": in_another_process,
    "samples are left as they are": untouched,
}
