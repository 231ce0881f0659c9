"""Image classification: from a folder of photos to a trained recogniser, its honest score and a program.

As a script: `python -m recipes.image_classification photos/`. From Python: `build_learner("photos/")`.
"""

import sys
from pathlib import Path
from typing import Any

from toolkit.errors import report_plainly
from toolkit.needs import require

if __name__ == "__main__":
    sys.excepthook = report_plainly
require("torch", "fastai", "pandas", "scikit-learn", "joblib", "imagehash", "jinja2", why="to train", extra="train")

from toolkit.converters import IMAGE_SUFFIXES, find_converter
from toolkit.converters.base import Converter
from toolkit.data.images.cache import AUTO
from toolkit.data.images.labelled import labelled_images
from toolkit.data.items import find_items
from toolkit.data.splitting import SplitOptions
from toolkit.evaluation import evaluate
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.images.learner import check_choices, image_learner
from toolkit.learning.runs import Run
from toolkit.reports.images.report import write_image_report

from fastai.learner import Learner
from fastcore.meta import delegates
from fastcore.script import call_parse


def build_learner(
    data: Path,  # a folder of pictures, one folder below it for each class, or a CSV of file and label
    *,
    csv: str = "",  # a CSV of file and label, where `data` is the folder its files are in
    label_re: str = "",  # the label is what this regular expression matches in the file name (its first group)
    group_by: str = "",  # keep together: a column of the CSV, or a regular expression on the path below `data`
    file_column: str = "",  # the CSV's column of files, if not named as usual
    label_column: str = "",  # the CSV's column of labels, if not named as usual
    converter: str = "",  # what makes pictures of other items: a registered name, or from Python an instance
    arch: str = "auto",  # small, a torchvision or a timm name; auto: small up to 64 pixels, else resnet18
    weights: str = "auto",  # random, pretrained, a weight file or an earlier run's folder; auto: pretrained, small: random
    size: int = 0,  # side of the square pictures learnt from, in pixels; 0: the pictures' own, from 32 to 128
    resize: str = "squish",  # how pictures become square: squish, crop or pad
    augment: str = "auto",  # photo, symbol (never mirrored) or none; auto: photo for colour, symbol for grey
    batch_size: int = 64,  # pictures a training step
    valid_pct: float = 0.1,  # share held out to choose the best epoch, where no valid/ folder is given
    test_pct: float = 0.2,  # share held out for the test, where no test/ folder is given
    group_near: bool = False,  # keep near twins on one side of the split
    seed: int = 42,  # of the split, the first weights and the training
    strict: bool = False,  # stop at the first item that cannot be used instead of setting it aside
    cache: Path = AUTO,  # where large pictures are kept shrunk for the next run; auto: the user's cache folder; none: nowhere
) -> Learner:
    """Build a fastai Learner that recognises pictures; its loaders are train, valid and the held-out test.

    Raises `DataError` for data that cannot be learnt from and `WeightsError` for first weights that cannot be had.
    """
    check_choices(arch, augment, augmentations=("auto", "photo", "symbol", "none"))
    made_by: Converter | None = converter if not isinstance(converter, str) else find_converter(converter) if converter else None
    suffixes = made_by.suffixes if made_by else IMAGE_SUFFIXES
    split = SplitOptions(valid_pct=valid_pct, test_pct=test_pct, seed=seed)
    items = find_items(
        data, suffixes, csv=csv, label_re=label_re, group_by=group_by, file_column=file_column, label_column=label_column
    )
    labelled = labelled_images(
        items, made_by, size=size, resize=resize, split=split, group_near=group_near, strict=strict, cache=cache
    )
    return image_learner(
        labelled,
        "image_classification",
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
    data: Path,  # a folder of pictures, one folder below it for each class, or a CSV of file and label
    *,
    epochs: int = 0,  # passes over the training part; 0: 28 from random weights, 14 from a run's small one, 5 to fine-tune
    lr: float = 0.0,  # highest learning rate; 0: found
    patience: int = -1,  # stop after so many epochs without a lower validation loss; 0: never; -1: half of them, at least 5
    run: str = "",  # folder for all that comes out; empty: runs/ and the data's name
    resume: bool = False,  # go on with the run that was stopped
    golden: int = 3,  # test items that travel inside the program for its self-test; 0 where pictures are private
    **kwargs: Any,
) -> None:
    """Train an image recogniser, score it beside simple methods on held-out pictures, write program.pyz and report.html."""
    learn = build_learner(data, **kwargs)
    print(learn.dls.labelled.describe())
    print(learn.spec.line("arch", "weights", "augment", "size"))
    settings = {"data": str(data), "epochs": epochs, "lr": lr, "patience": patience, **kwargs}
    with Run.open(Path(data).resolve().stem, learn, settings=settings, folder=run, resume=resume) as place:
        log = fit(learn, epochs, lr=lr, patience=None if patience < 0 else patience, run=place, resume=resume)
        scores = evaluate(learn)
        scores.save(place.folder)
        export(learn, place.program, scores=scores, name=place.folder.name, golden=golden)
        write_image_report(learn, scores, log=log, run=place)
    print(f"{scores}\nwritten to {place.folder}: open report.html, try  python {place.program} --about")
