"""Who moved the mouse? Pictures beside a random forest on kinematic features: `python -m benchmarks.mouse`.

Needs `mouse_balabit/{user}/session_*.csv` below --data: pointer logs of ten users, the first 8,000 events of each of 65
sessions of the Balabit Mouse Dynamics Challenge (https://github.com/balabit/Mouse-Dynamics-Challenge). Windows of 256 events.
Full protocol: every session left out in turn, by seven folds of sessions; quick: each user's last session is the test.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from benchmarks import plain_fastai
from benchmarks.harness import Figure, options, report
from recipes.mouse_classification import build_learner
from toolkit.evaluation.bootstrap import Bootstrap, paired_interval
from toolkit.evaluation.images.hand_crafted import hand_crafted_probabilities, kinematics_and_forest
from toolkit.evaluation.images.scores import predictions
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.program.outputs import aggregate

WINDOW, FOLDS = 256, 7


def main() -> int:
    """Measure everything, print the table, return the exit status."""
    chosen = options(__doc__)
    figures: list[Figure] = []
    data = chosen.data / "mouse_balabit"
    if data.is_dir():
        table = sessions(data)
        with tempfile.TemporaryDirectory() as folder:
            quick(figures, table, Path(folder), chosen.short)
            if not chosen.short:
                full(figures, table, Path(folder))
    else:
        print(f"left out: no {data} (see --help)")
    return report(figures, chosen)


def sessions(data: Path) -> pd.DataFrame:
    """One row a session: file, label (the user), and the fold it is left out in."""
    files = sorted(data.glob("*/*.csv"))
    table = pd.DataFrame({"file": [str(file) for file in files], "label": [file.parent.name for file in files]})
    return table.assign(fold=table.groupby("label").cumcount(ascending=False) % FOLDS)


def answers(table: pd.DataFrame, test: pd.Series, folder: Path, short: bool) -> tuple[pd.DataFrame, float]:
    """A row for each test window: session, and whether picture and forest know the user; with columns of whole sessions.

    Also the seconds from logs to a trained network."""
    # three sessions choose the epoch; the recipe's own choice, one of each user, would take a fifth of what is learnt from
    valid = table[~test].groupby("label").tail(1).file[::4]
    table = table.assign(split=np.where(test, "test", np.where(table.file.isin(valid), "valid", "train")))
    table.to_csv(folder / "sessions.csv", index=False)
    began = time.perf_counter()
    learn = build_learner(folder / "sessions.csv", window=WINDOW, augment="mirror", seed=0, cache="none")
    fit(learn, epochs=1 if short else 0)
    seconds = time.perf_counter() - began
    probabilities, targets = predictions(learn, learn.dls[2])
    labelled, classes = learn.dls.labelled, tuple(learn.dls.vocab)
    forest, _ = hand_crafted_probabilities(
        kinematics_and_forest(labelled.image_input.converter, windowed=True), labelled, classes=classes, gap=False
    )
    session = labelled.table.path[labelled.table.split == "test"].astype(str).to_numpy()
    found = pd.DataFrame({"session": session})
    for name, answer in (("picture", probabilities), ("forest", forest)):
        found[name] = answer.argmax(axis=1) == targets
        pooled = {one: aggregate(answer[session == one]).argmax() for one in np.unique(session)}
        found[f"{name}, whole"] = [pooled[one] == target for one, target in zip(session, targets, strict=True)]
    export(learn, folder / "mouse.pyz")  # through the parity gate, session by session
    return found, seconds


def quick(figures: list[Figure], table: pd.DataFrame, folder: Path, short: bool) -> None:
    """Each user's last session is the test; plain fastai on a drawing in black lines and red circles beside it."""
    test = table.fold == 0
    last = test & ~table[test].duplicated("label", keep="last").reindex(table.index, fill_value=True)
    found, seconds = answers(table, last, folder, short)
    plain, plain_seconds = plain_drawings(table, last, folder / "plain", 1 if short else 5)
    figures += [
        Figure("last sessions: windows recognised", [found.picture.mean()], [found.forest.mean()],
               note=f"peer: random forest; {len(found)} windows"),
        Figure("last sessions: windows recognised", [found.picture.mean()], [plain],
               note="peer: plain fastai, resnet18, 5 epochs, one-coloured drawings"),
        Figure("last sessions: seconds, from logs to a trained network", [seconds], [plain_seconds], "s", True,
               note="peer: plain fastai's training alone"),
    ]  # fmt: skip


def full(figures: list[Figure], table: pd.DataFrame, folder: Path) -> None:
    """Every session left out once, by folds that leave out one of each user."""
    parts, seconds = [], []
    for fold in range(FOLDS):
        part, took = answers(table, table.fold == fold, folder, False)
        parts.append(part)
        seconds.append(took)
        figures.append(
            Figure(f"fold {fold}: windows recognised", [part.picture.mean()], [part.forest.mean()], note="peer: random forest")
        )
    found = pd.concat(parts, ignore_index=True)
    whole = found.drop_duplicates("session")
    bootstrap = Bootstrap.draw(len(found), found.session.to_numpy(dtype=str))
    difference = paired_interval(found.picture.astype(float).to_numpy() - found.forest, bootstrap)
    figures += [
        Figure("every session left out: windows recognised", [found.picture.mean()], [found.forest.mean()],
               target="not more than 0.03 below (aim above)", reached=difference.low >= -0.03,
               note=f"peer: random forest; 95 % interval of the difference [{difference.low:.3f}, {difference.high:.3f}], over "
                    f"{len(whole)} sessions"),
        Figure("every session left out: whole sessions recognised",
               [whole["picture, whole"].mean()], [whole["forest, whole"].mean()],
               target="at least 0.95", reached=whole["picture, whole"].mean() >= 0.95,
               note=f"{len(whole)} sessions; {statistics.median(seconds):.0f} s a fold"),
    ]  # fmt: skip


def plain_drawings(table: pd.DataFrame, test: pd.Series, folder: Path, epochs: int) -> tuple[float, float]:
    """Plain fastai on what one draws first, black lines and red circles: test accuracy and seconds of training."""
    for file, label, held_out in zip(table.file, table.label, test, strict=True):
        events = pd.read_csv(file)
        target = folder / ("test" if held_out else "train") / label
        target.mkdir(parents=True, exist_ok=True)
        for start in range(0, len(events) - WINDOW + 1, WINDOW):
            window = events.iloc[start : start + WINDOW]
            image = Image.new("RGB", (64, 64), "white")
            draw = ImageDraw.Draw(image)
            x, y = window.x.clip(0, 4000), window.y.clip(0, 4000)
            scale = 60 / max(x.max() - x.min(), y.max() - y.min(), 1)
            points = list(zip((x - x.min()) * scale + 2, (y - y.min()) * scale + 2, strict=True))
            draw.line(points, fill="black")
            for (across, down), state in zip(points, window.state, strict=True):
                if state == "Pressed":
                    draw.ellipse([across - 2, down - 2, across + 2, down + 2], outline="red")
            image.save(target / f"{Path(file).stem}_{start}.png")
    learn = plain_fastai.build(folder / "train", augment=False)
    seconds = plain_fastai.train(learn, epochs)
    return float(plain_fastai.test_hits(learn, folder / "test").mean()), seconds


if __name__ == "__main__":
    raise SystemExit(main())
