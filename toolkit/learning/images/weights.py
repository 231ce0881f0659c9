"""First weights: random, published, from a local file, or the body of an earlier run of ours.

A network that silently starts from something else than it was told to is the kind of fault nobody finds: each way either gives
exactly those weights or is an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

import pandas as pd

from toolkit.data.labelled import Labelled
from toolkit.errors import DataError, RunError, ToolkitError, WeightsError
from toolkit.files import read_json
from toolkit.learning.images.networks import SMALL_RESNET, Network, State, create_network, stats_of
from toolkit.learning.tensors import load_tensors
from toolkit.spec import RANDOM


class Reducible(Labelled, Protocol):
    """Labelled data, a dataclass, of which rows can be set aside."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def without(self, unwanted: pd.Series, reason: str) -> Self: ...


T = TypeVar("T", bound=Reducible)
PRETRAINED = "pretrained"
SMALL_UP_TO = 64  # pixels


def network_with_weights(name: str, classes: int, *, weights: str = RANDOM) -> Network:
    """The architecture `name` for `classes` classes with its first weights; the head is always new.

    `weights` is "random", "pretrained" (published, downloaded), the path of a local file (.pth or .safetensors: a
    state dict of the same architecture), or the folder of an earlier run, whose body is taken over.

    Raises `WeightsError` where those weights cannot be had: nothing else is used in their stead.
    """
    if weights == RANDOM:
        return create_network(name, classes)
    if weights == PRETRAINED:
        return published_or_told(name, lambda: create_network(name, classes, published=True))
    path = Path(weights)
    if path.is_dir():
        return _from_run(path, name, classes=classes)
    state = load_state(path)
    try:
        return create_network(name, classes, state=state)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}; name their architecture with --arch") from error


def choose_architecture(arch: str, weights: str, *, size: tuple[int, int]) -> tuple[str, str]:
    """What "auto" stands for: (architecture, weights) for pictures of `size`.

    Up to 64 pixels the small network from random weights; above, resnet18 with published weights. Any other architecture
    that is named starts from published weights; an earlier run's body brings its own architecture.
    """
    return settle(arch, weights, own=SMALL_RESNET, fits=max(size) <= SMALL_UP_TO)


def settle(arch: str, weights: str, *, own: str, fits: bool = True) -> tuple[str, str]:
    """(architecture, weights) with "auto" replaced: the network of our `own`, where it `fits`, from random weights; any other
    from published ones; an earlier run, whose folder `weights` is, brings its own architecture."""
    if arch == "auto" and weights not in ("auto", RANDOM, PRETRAINED) and Path(weights).is_dir():
        arch = str(load_tensors(best_of(Path(weights))).get("arch"))
    if arch == "auto":
        arch = own if fits and weights in ("auto", RANDOM) else "resnet18"
    if weights == "auto":
        weights = RANDOM if arch == own else PRETRAINED
    elif weights not in (RANDOM, PRETRAINED):
        weights = str(Path(weights).absolute())  # a run writes it down, to be found from anywhere
    return arch, weights


def published_or_told(name: str, create: Callable[[], Network]) -> Network:
    """What `create` makes with published weights. Raises `WeightsError`, which says what to do, where they cannot be had."""
    try:
        return create()
    except ToolkitError:
        raise
    except Exception as error:  # urllib, ssl, requests and huggingface_hub each fail in their own class
        raise WeightsError(
            f"the published weights of {name} could not be downloaded ({type(error).__name__}: {error}). "
            "Check the connection; or download the file elsewhere and name it (--weights path/to/file.pth); "
            "or start from nothing (--weights random)"
        ) from error


def load_state(path: Path) -> State:
    """The state dict in a weight file. Raises `WeightsError`, also where there is no such file."""
    if not path.is_file():
        raise WeightsError(
            f"weights {str(path)!r}: no such file or folder; "
            f"expected {RANDOM!r}, {PRETRAINED!r}, a weight file or an earlier run's folder"
        )
    state = load_tensors(path)
    for key in ("state_dict", "model"):
        state = state[key] if isinstance(state, dict) and isinstance(state.get(key), dict) else state
    return state


def _from_run(folder: Path, name: str, *, classes: int) -> Network:
    saved = load_tensors(best_of(folder))
    if saved.get("arch") != name:
        raise WeightsError(f"{folder}: that run used {saved.get('arch')!r}, not {name!r}; name it with --arch")
    network = create_network(name, classes)
    body = {key.removeprefix("0."): value for key, value in saved["model"].items() if key.startswith("0.")}
    try:
        network.model[0].load_state_dict(body)
    except RuntimeError as error:
        raise WeightsError(f"{folder}: its body does not fit {name} here ({error})") from error
    network.stats = stats_of(saved["stats"])
    return network


def best_of(folder: Path) -> Path:
    """The best checkpoint of a run. Raises `WeightsError` where the folder holds none."""
    best = folder / "checkpoints" / "best.pth"
    if not best.is_file():
        raise WeightsError(f"{folder}: not a run of ours (no checkpoints/best.pth)")
    return best


def without_learnt_from(labelled: T, weights: str, *, strict: bool = False) -> T:
    """`labelled` without the test files that the body of the run `weights`, or of the run that one started from, learnt from.

    They are set aside and named; where a run did not record what it learnt from, a note says so. A file is known by its
    content. Raises `DataError` where they are more than a tenth of the test part: then the test is no test of this body;
    with `strict`, where there is one.
    """
    if weights in (RANDOM, PRETRAINED) or not Path(weights).is_dir():
        return labelled
    contents, unknown = _learnt_from(Path(weights))
    if unknown:
        told = f"whether {unknown} learnt from a test picture is not known (it kept no record): the scores may be too good"
        labelled = replace(labelled, notes=[*labelled.notes, told])
    test = labelled.table.split == "test"
    seen = test & labelled.table.content.isin(contents)
    if seen.sum() > (0 if strict else test.sum() / 10):
        raise DataError(
            f"{weights} learnt from {seen.sum()} of the {test.sum()} test pictures, so they cannot test its body: split as that "
            "run did (the same --seed and data), or test on other pictures"
        )
    return (
        labelled.without(seen, f"a test picture that the body taken over from {weights} learnt from") if seen.any() else labelled
    )


def _learnt_from(run: Path) -> tuple[set[str], str]:
    """The content hashes of what a run, and the runs its first weights came from, learnt from and chose epochs by; and the
    first of those runs that kept no record, or ""."""
    contents: set[str] = set()
    done: set[Path] = set()
    while True:
        done.add(run.resolve())
        try:
            items = pd.read_csv(run / "items.csv", dtype=str, keep_default_na=False)
            contents |= set(items.content[items.split != "test"])
            earlier = read_json(run / "run.json", "a run")["about"]["weights"]
        except (OSError, ValueError, AttributeError, KeyError, RunError):
            return contents, str(run)
        if earlier in (RANDOM, PRETRAINED) or Path(earlier).is_file() or Path(earlier).resolve() in done:
            return contents, ""
        run = Path(earlier)
