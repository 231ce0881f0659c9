"""What several test files share: made pictures, a trained run, and the real data where it is there."""

import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
from helpers import ROOT
from helpers.image_samples import draw_photo, make_shapes
from helpers.sound_samples import SOUND_RATE, write_recording


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two folders of four big JPEG files."""
    for number in range(8):
        folder = tmp_path / "photos" / ("left", "right")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        draw_photo(number).save(folder / f"{number}.jpg", quality=95)
    return tmp_path / "photos"


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """A fresh folder of 3 x 20 pictures."""
    return make_shapes(tmp_path / "shapes")


@pytest.fixture(scope="session")
def trained(tmp_path_factory):
    """A finished run on 3 x 60 shapes, in this process: (learner, run folder, scores)."""
    from recipes.image_classification import build_learner
    from toolkit.evaluation import evaluate
    from toolkit.export import export
    from toolkit.learning.fitting import fit
    from toolkit.learning.runs import Run
    from toolkit.reports.images.report import write_image_report

    home = tmp_path_factory.mktemp("trained")
    learn = build_learner(make_shapes(home / "shapes", 60), batch_size=32)
    with Run.open("shapes", learn, settings={}, folder=home / "run") as run:
        log = fit(learn, epochs=6, lr=3e-3, run=run)
        scores = evaluate(learn)
        scores.save(run.folder)
        export(learn, run.program, scores=scores)
        write_image_report(learn, scores, log=log, run=run)
    return learn, run.folder, scores


@pytest.fixture(scope="session")
def recordings(tmp_path_factory):
    folder = tmp_path_factory.mktemp("recordings") / "long"
    for number in range(8):
        for label, hertz in (("high", 1500), ("low", 400)):
            write_recording(folder / label / f"{label}_{number}.wav", hertz, 2 + number / 4, number)
    (folder / "low" / "text.wav").write_text("no sound")
    soundfile.write(folder / "high" / "one.wav", np.zeros(1), SOUND_RATE)
    return folder


@pytest.fixture(scope="session")
def listener(recordings, tmp_path_factory):
    """A finished run on windows of a second every half second: (learner, run folder, scores)."""
    from recipes.sound_classification import build_learner
    from toolkit.evaluation import evaluate
    from toolkit.evaluation.images.hand_crafted import mfcc_and_svm
    from toolkit.export import export
    from toolkit.learning.fitting import fit
    from toolkit.learning.runs import Run
    from toolkit.reports.images.report import write_image_report

    learn = build_learner(recordings, window=1.0, step=0.5, size=32, batch_size=16, cache="none")
    with Run.open("long", learn, settings={}, folder=tmp_path_factory.mktemp("run") / "run") as run:
        log = fit(learn, epochs=5, lr=3e-3, run=run)
        image_input = learn.dls.labelled.image_input
        scores = evaluate(learn, hand_crafted=mfcc_and_svm(image_input.converter, image_input.windowed))
        scores.save(run.folder)
        export(learn, run.program, scores=scores)
        write_image_report(learn, scores, log=log, run=run)
    return learn, run.folder, scores


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data sets: $TOOLKIT_DATA, or shared/data beside the checkout."""
    folder = Path(os.environ.get("TOOLKIT_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data is not here: {folder} (set TOOLKIT_DATA to where it is)")
    return folder
