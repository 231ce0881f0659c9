"""Image classification beside plain fastai and simple methods: `python -m benchmarks.images`.

Needs `images_cifar10/{train,test}/<class>/*.jpg` below --data: 500 and 100 pictures a class of CIFAR-10
(https://www.cs.toronto.edu/~kriz/cifar.html). Without it only the figures of the digits are measured.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from benchmarks import plain_fastai
from benchmarks.harness import Figure, in_turn, options, report
from recipes.image_classification import build_learner
from toolkit.evaluation import evaluate
from toolkit.evaluation.images.scores import predictions
from toolkit.export import export
from toolkit.export.images import NEEDS
from toolkit.learning.fitting import EPOCHS, fit
from toolkit.learning.runs import Run
from toolkit.program import Program
from toolkit.reports.images.report import write_image_report

DIGITS = Path(__file__).resolve().parent.parent / "sample_data" / "digits"
QUICK = "too short to judge"


def main() -> int:
    """Measure everything, print the table, return the exit status."""
    chosen = options(__doc__)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        digits(figures, Path(folder), chosen.short)
        cifar = chosen.data / "images_cifar10"
        if cifar.is_dir():
            photos(figures, cifar, Path(folder), chosen.short)
            transfer(figures, cifar, Path(folder), chosen.short)
        else:
            print(f"left out: no {cifar} (see --help)")
        size(figures, Path(folder))
    return report(figures, chosen)


def digits(figures: list[Figure], folder: Path, short: bool) -> None:
    """sample_data/digits, three seeds: accuracy beside k-nearest neighbours, seconds of training, agreement."""
    ours, neighbours, seconds = [], [], []
    for seed in [0] if short else [0, 1, 2]:
        learn = build_learner(DIGITS, seed=seed)
        began = time.perf_counter()
        fit(learn, epochs=2 if short else 0)
        seconds.append(time.perf_counter() - began)
        scores = evaluate(learn)
        ours.append(scores.table["network"]["accuracy"].value)
        neighbours.append(scores.table["k-nearest neighbours"]["accuracy"].value)
    mean = statistics.mean(ours)
    figures += [
        Figure(
            "digits: test accuracy, mean of seeds 0, 1, 2", [mean], [statistics.mean(neighbours)],
            target="at least 0.990", reached=None if short else mean >= 0.990,
            note=f"peer: k-nearest neighbours; each: {', '.join(f'{value:.4f}' for value in ours)}",
        ),
        Figure("digits: seconds of training", seconds, unit="s", target="under 60 each", reached=max(seconds) < 60),
    ]  # fmt: skip
    agreement(figures, "digits", learn, export(learn, folder / "digits.pyz"))


def photos(figures: list[Figure], data: Path, folder: Path, short: bool) -> None:
    """CIFAR-10: the recipe as it comes, and the same resnet18, each beside plain fastai."""
    plain = plain_fastai.build(data / "train")
    plain_seconds = plain_fastai.train(plain, 1 if short else 10)
    plain_hits = plain_fastai.test_hits(plain, data / "test")

    began = time.perf_counter()  # before the pictures are decoded: plain fastai decodes them while it trains
    small = build_learner(data)
    with Run.open("photos", small, settings={}, folder=folder / "photos") as run:
        log = fit(small, epochs=1 if short else 0, run=run)
        seconds = time.perf_counter() - began
        page = write_image_report(small, evaluate(small), log=log, run=run)
    weight = page.stat().st_size / 1e6
    figures.append(Figure("photos: report.html", [weight], unit="MB", target="under 3 MB", reached=weight < 3))
    gain = hits(small).mean() - plain_hits.mean()
    figures += [
        Figure(
            "photos: test accuracy, the recipe as it comes", [hits(small).mean()], [plain_hits.mean()],
            target="0.14 above", reached=None if short else gain >= 0.14, note="peer: plain fastai, resnet18, 10 epochs",
        ),
        Figure(
            "photos: seconds of training, decoding and rate search included", [seconds], [plain_seconds], "s", True,
            target="no more than the peer", reached=None if short else seconds <= plain_seconds,
        ),
    ]  # fmt: skip
    agreement(figures, "photos", small, export(small, folder / "photos.pyz"))
    same_network(figures, data, folder, plain, plain_hits, short)


def same_network(figures: list[Figure], data: Path, folder: Path, plain, plain_hits: np.ndarray, short: bool) -> None:
    """The same resnet18 in both: an epoch, the score, one prediction, a fresh process."""
    learn = build_learner(data, arch="resnet18", weights="random")
    if not short:
        fit(learn, epochs=10, lr=3e-3)
    delta = hits(learn).astype(float) - plain_hits
    drawn = np.random.default_rng(0).integers(0, len(delta), (2000, len(delta)))
    low, high = np.percentile(delta[drawn].mean(axis=1), [2.5, 97.5])
    figures.append(
        Figure(
            "resnet18: test accuracy after 10 epochs",
            [hits(learn).mean()],
            [plain_hits.mean()],
            target="within noise",
            reached=None if short else high >= 0,
            note=QUICK if short else f"95 % interval of the difference [{low:.3f}, {high:.3f}]",
        )
    )
    program = export(learn, folder / "resnet18.pyz")
    agreement(figures, "resnet18", learn, program)

    def epoch(learner):
        with learner.no_bar(), learner.no_logging():
            learner.fit_one_cycle(1, 1e-3)

    timed = in_turn(lambda: epoch(learn), lambda: epoch(plain), rounds=1 if short else 3)
    compared(figures, "resnet18: one training epoch, validation included", timed, 1.5, short)

    photo = next((data / "test").glob("*/*.jpg"))
    with plain.no_bar():
        timed = in_turn(lambda: program.predict(photo), lambda: plain.predict(photo), rounds=5 if short else 100)
    compared(figures, "resnet18: one prediction from a file", timed, 5, short)

    plain.path = folder
    plain.export("plain.pkl")
    by_hand = f"from fastai.vision.all import load_learner; load_learner({str(folder / 'plain.pkl')!r}).predict({str(photo)!r})"
    ours = [sys.executable, str(folder / "resnet18.pyz"), str(photo)]
    timed = in_turn(lambda: silent(ours), lambda: silent([sys.executable, "-c", by_hand]), rounds=2 if short else 7)
    compared(figures, "resnet18: fresh process to first prediction", timed, 12, short)


def transfer(figures: list[Figure], data: Path, folder: Path, short: bool) -> None:
    """CIFAR-10 in halves of five classes: each from random weights, and in half the epochs from the other half's body.

    Each sample is the mean of both halves under one seed; the seeds are none that the schedule was chosen with.
    """
    classes = sorted(path.name for path in (data / "train").iterdir())
    halves = [half(data, folder / "half" / name, chosen) for name, chosen in (("a", classes[:5]), ("b", classes[5:]))]
    ours, peer, both = [], [], 4 if short else EPOCHS
    for seed in [11] if short else [11, 12, 13, 14, 15]:
        runs = [folder / "half" / f"run_{name}_{seed}" for name in "ab"]
        found: tuple[list, list] = ([], [])
        for place, run in zip(halves, runs, strict=True):
            learn = build_learner(place, seed=seed)
            with Run.open("half", learn, settings={}, folder=run) as kept:
                fit(learn, both, run=kept)
            found[1].append(hits(learn).mean())
        for place, other in zip(halves, reversed(runs), strict=True):
            learn = build_learner(place, seed=seed, weights=str(other))
            fit(learn, both // 2)
            found[0].append(hits(learn).mean())
        ours.append(statistics.mean(found[0]))
        peer.append(statistics.mean(found[1]))
    gain = statistics.mean(ours) - statistics.mean(peer)
    figures.append(
        Figure(
            f"five classes from the other five's body, {both // 2} epochs: test accuracy", ours, peer,
            target="at least the peer", reached=None if short else gain >= 0,
            note=f"peer: from random weights, {both} epochs; means {statistics.mean(ours):.4f} and {statistics.mean(peer):.4f}",
        )
    )  # fmt: skip


def half(data: Path, place: Path, classes: list[str]) -> Path:
    """A folder with the train and test pictures of some classes, linked."""
    for part in ("train", "test"):
        (place / part).mkdir(parents=True)
        for name in classes:
            (place / part / name).symlink_to((data / part / name).resolve())
    return place


def compared(figures: list[Figure], name: str, timed: tuple[list[float], list[float]], times: float, short: bool) -> None:
    """A figure of time with its target: at least so many times as fast as the peer."""
    figure = Figure(name, *timed, unit="s", lower_is_better=True, target=f"{times:g} times as fast")
    figure.reached = None if short else figure.ratio >= times
    figures.append(figure)


def agreement(figures: list[Figure], name: str, learn, program: Program) -> None:
    """Program and learner on every test item: the largest difference of a probability, and labels that differ."""
    expected, _ = predictions(learn, learn.dls[2])
    answers = program.predict_many(learn.dls[2].dataset.items)
    found = np.array([[answer.probabilities[label] for label in program.output.classes] for answer in answers])
    top = np.sort(expected, axis=1)
    clear = top[:, -1] - top[:, -2] > 1e-4
    torn = int(((found.argmax(1) != expected.argmax(1)) & clear).sum())
    apart = float(np.abs(found - expected).max())
    note = f"{torn} of {len(found)} labels differ"
    reached = apart <= 1e-4 and torn == 0
    figures.append(Figure(f"{name}: program and learner apart", [apart], target="1e-4, same labels", reached=reached, note=note))


def size(figures: list[Figure], folder: Path) -> None:
    """What a program needs installed, beside the ordinary install for training: `fastai-toolkit[train]` and all it needs."""
    needed = folder / "needed"
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--target", str(needed), *NEEDS], check=True, capture_output=True
    )
    ours, peer = megabytes(needed), installed("fastai-toolkit", "train") / 1e6
    figure = Figure("installed size", [ours], [peer], "MB", True, "1/30 of the training install")
    figure.reached = figure.ratio >= 30
    figures.append(figure)


def installed(name: str, extra: str = "", seen: set[str] | None = None) -> int:
    """Bytes of a distribution that is installed here and of all that it requires."""
    seen = set() if seen is None else seen
    if f"{name}[{extra}]" in seen:
        return 0
    total = 0
    try:
        package = distribution(name)
    except PackageNotFoundError:
        return 0
    if name not in seen:
        total = sum(path.stat().st_size for file in package.files or () if (path := Path(file.locate())).is_file())
    seen |= {name, f"{name}[{extra}]"}
    for wanted in map(Requirement, package.requires or ()):
        if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
            for part in wanted.extras or {""}:
                total += installed(canonicalize_name(wanted.name), part, seen)
    return total


def megabytes(folder: Path) -> float:
    """The size of all files below a folder."""
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def hits(learn) -> np.ndarray:
    """For each test item, in sorted order of its file, whether it is recognised: bool array."""
    probabilities, targets = predictions(learn, learn.dls[2])
    return probabilities.argmax(axis=1) == targets


def silent(command: list[str]) -> None:
    """Run a command to its end without its output."""
    subprocess.run(command, check=True, capture_output=True)


if __name__ == "__main__":
    sys.exit(main())
