"""Segmentation: from photos and masks to a program that says for each pixel what it belongs to, with its honest score.

As a script: `python -m recipes.segmentation roads/`. From Python: `build_learner("roads/")`.
"""

import sys
from pathlib import Path
from typing import Any

from toolkit.errors import report_plainly
from toolkit.needs import require

if __name__ == "__main__":
    sys.excepthook = report_plainly
require("torch", "fastai", "pandas", "scikit-learn", "joblib", "imagehash", "jinja2", why="to train", extra="train")

from toolkit.data.segmentation.class_mapping import read_class_mapping
from toolkit.data.segmentation.labelled import labelled_segmentation
from toolkit.data.segmentation.mask_doctor import check_masks
from toolkit.data.segmentation.pairs import find_pairs
from toolkit.data.splitting import SplitOptions
from toolkit.evaluation import evaluate
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.learning.segmentation.learner import check_segmentation_choices, segmentation_learner
from toolkit.learning.segmentation.networks import choose_segmentation_network, stride_of
from toolkit.reports.segmentation.report import write_segmentation_report

from fastai.learner import Learner
from fastcore.meta import delegates
from fastcore.script import call_parse


def build_learner(
    data: Path,  # a folder of pictures and masks, or a CSV of image and mask
    *,
    images: str = "",  # the folder of pictures below `data`, if not named as usual (images, …)
    masks: str = "",  # the folder of masks below `data`, if not named as usual (masks, labels, …)
    mask_suffix: str = "",  # what a mask's name adds to its picture's, as in _mask
    csv: str = "",  # a CSV of image and mask, where `data` is the folder its files are in
    image_column: str = "",  # the CSV's column of pictures, if not named as usual
    mask_column: str = "",  # the CSV's column of masks, if not named as usual
    classes: str = "",  # a .txt or .json of class names; empty: codes.txt or classes.json beside the masks, else their values
    ignore: str = "auto",  # classes or mask values that do not count; auto: void, unlabelled and 255, if there; none
    group_by: str = "",  # keep together (frames of a drive): a column of the CSV, or a regular expression on the path
    arch: str = "auto",  # light, a torchvision name (a U-Net on it), or as in fpn-resnet34; auto: light
    weights: str = "auto",  # random, pretrained, a weight file or an earlier run's folder; auto: pretrained, light: random
    size: int = 0,  # pixels the shorter side of pictures is brought to; 0: the pictures' own, from 160 to 192
    scale: str = "fit",  # fit: bring pictures to `size`; own: leave them, and learn from squares of `size` cut out of them
    augment: str = "photo",  # photo, turned (no side is up: aerial pictures, microscopes) or none
    class_weights: str = "auto",  # how much more pixels of rare classes count: none, root or balanced; auto: root
    batch_size: int = 4,  # pictures a training step
    valid_pct: float = 0.1,  # share held out to choose the best epoch, where no valid/ folder is given
    test_pct: float = 0.2,  # share held out for the test, where no test/ folder is given
    group_near: bool = False,  # keep near twins on one side of the split
    seed: int = 42,  # of the split, the first weights and the training
    strict: bool = False,  # stop at the first picture or mask that cannot be used instead of setting it aside
) -> Learner:
    """Build a fastai Learner that names each pixel; its loaders are train, valid and the held-out test.

    Raises `DataError` for data that cannot be learnt from, masks that are wrong throughout among them, and `WeightsError` for
    first weights that cannot be had.
    """
    check_segmentation_choices(arch, augment, weighing=class_weights)
    split = SplitOptions(valid_pct=valid_pct, test_pct=test_pct, seed=seed)
    items = find_pairs(
        data,
        images=images,
        masks=masks,
        mask_suffix=mask_suffix,
        csv=csv,
        group_by=group_by,
        image_column=image_column,
        mask_column=mask_column,
    )
    class_mapping = read_class_mapping(items.table["mask"].tolist(), classes, ignore=ignore, root=items.root)
    check_masks(items, class_mapping)
    arch, weights = choose_segmentation_network(arch, str(weights))
    labelled = labelled_segmentation(
        items,
        class_mapping,
        size=size,
        scale=scale,
        multiple=stride_of(arch),
        split=split,
        group_near=group_near,
        strict=strict,
    )
    return segmentation_learner(
        labelled,
        arch,
        weights=weights,
        augment=augment,
        weighing=class_weights,
        batch_size=batch_size,
        seed=seed,
        strict=strict,
    )


@call_parse
@delegates(build_learner)
def main(
    data: Path,  # a folder of pictures and masks, or a CSV of image and mask
    *,
    epochs: int = 0,  # passes over the training part; 0: 20 to 80 from random weights, 14 from a run's light one, 5 to fine-tune
    lr: float = 0.0,  # highest learning rate; 0: found, for the light network 0.003
    patience: int = -1,  # stop after so many epochs without a lower validation loss; 0: never; -1: half of them, at least 5
    run: str = "",  # folder for all that comes out; empty: runs/ and the data's name
    resume: bool = False,  # go on with the run that was stopped
    golden: int = 3,  # test items that travel inside the program for its self-test; 0 where pictures are private
    **kwargs: Any,
) -> None:
    """Train a segmentation, score it beside simple methods on held-out pictures, write program.pyz and report.html."""
    learn = build_learner(data, **kwargs)
    print(learn.dls.labelled.describe())
    print(learn.spec.line("arch", "weights", "augment", "class_weights", "size"))
    settings = {"data": str(data), "epochs": epochs, "lr": lr, "patience": patience, **kwargs}
    with Run.open(Path(data).resolve().stem, learn, settings=settings, folder=run, resume=resume) as place:
        log = fit(learn, epochs, lr=lr, patience=None if patience < 0 else patience, run=place, resume=resume)
        scores = evaluate(learn)
        scores.save(place.folder)
        export(learn, place.program, scores=scores, name=place.folder.name, golden=golden)
        write_segmentation_report(learn, scores, log=log, run=place)
    print(f"{scores}\nwritten to {place.folder}: open report.html, try  python {place.program} --about")
