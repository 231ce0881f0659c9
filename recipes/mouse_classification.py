"""Mouse classification: from a folder of pointer logs to a model that tells gestures, or hands, apart, and a program.

As a script: `python -m recipes.mouse_classification logs/`. From Python: `build_learner("logs/")`.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from toolkit.errors import report_plainly
from toolkit.needs import require

if __name__ == "__main__":
    sys.excepthook = report_plainly
require("torch", "fastai", "pandas", "scikit-learn", "joblib", "jinja2", why="to train", extra="train")

from toolkit.converters.mouse import Mouse
from toolkit.data.images.cache import AUTO
from toolkit.data.images.mouse_logs import rows_left_out
from toolkit.data.images.windows import labelled_converted
from toolkit.data.items import find_items
from toolkit.data.splitting import SplitOptions
from toolkit.evaluation import evaluate
from toolkit.evaluation.images.hand_crafted import kinematics_and_forest
from toolkit.export import export
from toolkit.learning.fitting import EPOCHS, fit
from toolkit.learning.images.learner import check_choices, image_learner
from toolkit.learning.runs import Run
from toolkit.reports.images.report import write_image_report

from fastai.learner import Learner
from fastcore.meta import delegates
from fastcore.script import call_parse

SETTLED = 0.7  # of the cycle: where the rate has come down


def build_learner(
    data: Path,  # a folder of logs, one folder below it for each class, or a CSV of file and label
    *,
    csv: str = "",  # a CSV of file and label, where `data` is the folder its files are in
    label_re: str = "",  # the label is what this regular expression matches in the file name (its first group)
    group_by: str = "",  # keep together, such as a user: a column of the CSV, or a regular expression on the path below `data`
    file_column: str = "",  # the CSV's column of files, if not named as usual
    label_column: str = "",  # the CSV's column of labels, if not named as usual
    window: float = 0.0,  # events (or seconds) of a window, for long sessions; 0: one picture a log
    step: float = 0.0,  # events (or seconds) from window to window; 0: a whole window
    unit: str = "events",  # of window and step: events or seconds
    overlap: int = 4,  # windows learnt from begin so many times as often as those that are tested
    channels: str = "rhythm",  # of the pictures: rhythm, speed, buttons or plain
    keep: str = "keep",  # keep the track's proportions, or fill the picture
    span: float = 0.0,  # screen pixels that fill the picture; 0: each track does
    size: int = 64,  # side of the square pictures learnt from, in pixels
    arch: str = "small",  # small, a torchvision or a timm name
    weights: str = "random",  # random, pretrained, a weight file or an earlier run's folder
    augment: str = "none",  # none, mirror (where left and right mean the same), scale (and turned a little), mirror-scale
    batch_size: int = 64,  # pictures a training step
    valid_pct: float = 0.1,  # share held out to choose the best epoch, where no valid/ folder is given
    test_pct: float = 0.2,  # share held out for the test, where no test/ folder is given
    seed: int = 42,  # of the split, the first weights and the training
    strict: bool = False,  # stop at the first log that cannot be used instead of setting it aside
    cache: Path = AUTO,  # where pictures are kept for the next run; auto: the user's cache folder; none: nowhere
) -> Learner:
    """Build a fastai Learner that recognises pointer movement by drawings of it; its loaders are train, valid and the held-out
    test.

    Raises `DataError` for data that cannot be learnt from and `WeightsError` for first weights that cannot be had.
    """
    check_choices(arch, augment, augmentations=("none", "mirror", "scale", "mirror-scale"))
    split = SplitOptions(valid_pct=valid_pct, test_pct=test_pct, seed=seed)
    items = find_items(
        data, Mouse.suffixes, csv=csv, label_re=label_re, group_by=group_by, file_column=file_column, label_column=label_column
    )
    mouse = Mouse(size=size, channels=channels, keep=keep, span=span, length=window, step=step or window, unit=unit)
    labelled = labelled_converted(items, mouse, windowed=bool(window), overlap=overlap, split=split, strict=strict, cache=cache)
    labelled = replace(labelled, notes=[*labelled.notes, *rows_left_out(labelled.table.path.unique(), mouse)])
    epochs = max(1, round(EPOCHS / max(1, overlap))) if window else EPOCHS
    select_after = SETTLED if window else 0  # a few sessions that validate are a noisy judge
    return image_learner(
        labelled,
        "mouse_classification",
        arch=arch,
        weights=weights,
        augment=augment,
        batch_size=batch_size,
        seed=seed,
        strict=strict,
        epochs=epochs,
        select_after=select_after,
    )


@call_parse
@delegates(build_learner)
def main(
    data: Path,  # a folder of logs, one folder below it for each class, or a CSV of file and label
    *,
    epochs: int = 0,  # passes over the training part; 0: 28, of overlapping windows as many fewer as there are more of them
    lr: float = 0.0,  # highest learning rate; 0: found
    patience: int = -1,  # stop after so many epochs without a lower validation loss; 0: never; -1: half of them, at least 5
    run: str = "",  # folder for all that comes out; empty: runs/ and the data's name
    resume: bool = False,  # go on with the run that was stopped
    golden: int = 3,  # test logs that travel inside the program for its self-test; 0 where they are private
    **kwargs: Any,
) -> None:
    """Train a recogniser of pointer movement, score it beside simple methods on held-out logs, write a program and a report."""
    learn = build_learner(data, **kwargs)
    print(learn.dls.labelled.describe())
    image_input = learn.dls.labelled.image_input
    print(image_input.converter)
    settings = {"data": str(data), "epochs": epochs, "lr": lr, "patience": patience, **kwargs}
    with Run.open(Path(data).resolve().stem, learn, settings=settings, folder=run, resume=resume) as place:
        log = fit(learn, epochs, lr=lr, patience=None if patience < 0 else patience, run=place, resume=resume)
        scores = evaluate(learn, hand_crafted=kinematics_and_forest(image_input.converter, image_input.windowed))
        scores.save(place.folder)
        export(learn, place.program, scores=scores, name=place.folder.name, golden=golden)
        write_image_report(learn, scores, log=log, run=place)
    print(f"{scores}\nwritten to {place.folder}: open report.html, try  python {place.program} --about")
