"""Sound classification: from a folder of recordings to a trained listener, its honest score and a program.

As a script: `python -m recipes.sound_classification clips/`. From Python: `build_learner("clips/")`.
"""

import sys
from pathlib import Path
from typing import Any

from toolkit.errors import DataError, report_plainly
from toolkit.needs import require

if __name__ == "__main__":
    sys.excepthook = report_plainly
require("torch", "fastai", "pandas", "scikit-learn", "joblib", "jinja2", "librosa", "soundfile", why="to train", extra="train")

from toolkit.converters.sound import Sound
from toolkit.data.images.cache import AUTO
from toolkit.data.images.sounds import usual_sound
from toolkit.data.images.windows import labelled_converted
from toolkit.data.items import find_items
from toolkit.data.splitting import SplitOptions
from toolkit.evaluation import evaluate
from toolkit.evaluation.images.hand_crafted import mfcc_and_svm
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.images.learner import check_choices, image_learner
from toolkit.learning.runs import Run
from toolkit.reports.images.report import write_image_report

from fastai.learner import Learner
from fastcore.meta import delegates
from fastcore.script import call_parse


def build_learner(
    data: Path,  # a folder of recordings, one folder below it for each class, or a CSV of file and label
    *,
    csv: str = "",  # a CSV of file and label, where `data` is the folder its files are in
    label_re: str = "",  # the label is what this regular expression matches in the file name (its first group)
    group_by: str = "",  # keep together, such as a speaker: a column of the CSV, or a regular expression on the path below `data`
    file_column: str = "",  # the CSV's column of files, if not named as usual
    label_column: str = "",  # the CSV's column of labels, if not named as usual
    window: float = 0.0,  # seconds of a window, for long recordings; 0: one picture a recording
    step: float = 0.0,  # seconds from window to window; 0: half a window
    duration: float = 0.0,  # seconds of a recording that are seen; 0: all of it, stretched to the picture
    part: str = "centre",  # of a recording longer than that: its centre, start, or loudest part
    trim: float = 30.0,  # decibels below the loudest part that count as silence at the ends; 0: nothing is cut off
    rate: int = 0,  # samples a second; 0: the recordings' own, at most 16000
    channels: str = "plain",  # of the pictures: plain, deltas (with slope and curvature) or resolutions (three frame lengths)
    mels: int = 32,  # frequency bands; more show the voice's own harmonics
    fmin: float = 50.0,  # lowest frequency, in hertz
    fmax: float = 0.0,  # highest frequency, in hertz; 0: half the rate
    level: str = "relative",  # white is the loudest point of the picture (relative), or full scale (absolute)
    size: int = 48,  # side of the square pictures learnt from, in pixels
    arch: str = "small",  # small, a torchvision or a timm name
    weights: str = "random",  # random, pretrained, a weight file or an earlier run's folder
    augment: str = "spectrogram",  # spectrogram (speed, pitch, time shifts, masks; never mirrored) or none
    batch_size: int = 64,  # pictures a training step
    valid_pct: float = 0.1,  # share held out to choose the best epoch, where no valid/ folder is given
    test_pct: float = 0.2,  # share held out for the test, where no test/ folder is given
    seed: int = 42,  # of the split, the first weights and the training
    strict: bool = False,  # stop at the first recording that cannot be used instead of setting it aside
    cache: Path = AUTO,  # where pictures are kept for the next run; auto: the user's cache folder; none: nowhere
) -> Learner:
    """Build a fastai Learner that recognises sounds by their spectrograms; its loaders are train, valid and the held-out test.

    Raises `DataError` for data that cannot be learnt from and `WeightsError` for first weights that cannot be had.
    """
    check_choices(arch, augment, augmentations=("spectrogram", "none"))
    if window and duration:
        raise DataError(f"window {window} and duration {duration} both say how many seconds are seen at once: give one of them")
    split = SplitOptions(valid_pct=valid_pct, test_pct=test_pct, seed=seed)
    items = find_items(
        data, Sound.suffixes, csv=csv, label_re=label_re, group_by=group_by, file_column=file_column, label_column=label_column
    )
    usual = usual_sound(items.table.path, rate)
    sound = Sound(
        size=size, duration=window or duration, part=part, trim=trim, step=step or window / 2, channels=channels, mels=mels,
        fmin=fmin, fmax=fmax, level=level, **usual,
    )  # fmt: skip
    labelled = labelled_converted(items, sound, windowed=bool(window), split=split, strict=strict, cache=cache)
    augment += "-deltas" if augment == "spectrogram" and channels == "deltas" else ""
    return image_learner(
        labelled,
        "sound_classification",
        arch=arch,
        weights=weights,
        augment=augment,
        batch_size=batch_size,
        seed=seed,
        strict=strict,
    )


@call_parse
@delegates(build_learner)
def main(
    data: Path,  # a folder of recordings, one folder below it for each class, or a CSV of file and label
    *,
    epochs: int = 0,  # passes over the training part; 0: 28
    lr: float = 0.0,  # highest learning rate; 0: found
    patience: int = -1,  # stop after so many epochs without a lower validation loss; 0: never; -1: half of them, at least 5
    run: str = "",  # folder for all that comes out; empty: runs/ and the data's name
    resume: bool = False,  # go on with the run that was stopped
    golden: int = 3,  # test recordings that travel inside the program for its self-test; 0 where they are private
    **kwargs: Any,
) -> None:
    """Train a listener, score it beside simple methods on held-out recordings, write program.pyz and report.html."""
    learn = build_learner(data, **kwargs)
    print(learn.dls.labelled.describe())
    image_input = learn.dls.labelled.image_input
    print(image_input.converter)
    settings = {"data": str(data), "epochs": epochs, "lr": lr, "patience": patience, **kwargs}
    with Run.open(Path(data).resolve().stem, learn, settings=settings, folder=run, resume=resume) as place:
        log = fit(learn, epochs, lr=lr, patience=None if patience < 0 else patience, run=place, resume=resume)
        scores = evaluate(learn, hand_crafted=mfcc_and_svm(image_input.converter, image_input.windowed))
        scores.save(place.folder)
        export(learn, place.program, scores=scores, name=place.folder.name, golden=golden)
        write_image_report(learn, scores, log=log, run=place)
    print(f"{scores}\nwritten to {place.folder}: open report.html, try  python {place.program} --about")
