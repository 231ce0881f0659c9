"""A network of tables is calibrated at the end of fitting: as sure as it is right, with the same labels."""

import numpy as np
import pytest
import torch
from helpers.tabular_people import made

from recipes.tabular import build_learner
from toolkit.evaluation.tabular.scores import tabular_answers
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.tabular.calibration import FEWEST_ROWS, calibrate


def log_loss(answers, targets):
    return float(-np.log(answers[np.arange(len(targets)), targets].astype(float)).mean())


def uncalibrated(learn, part):
    """What the network would answer at a temperature of 1."""
    kept = float(learn.model.temperature.value)
    learn.model.temperature.value.fill_(1.0)
    answers = tabular_answers(learn, part)["network"]
    learn.model.temperature.value.fill_(kept)
    return answers


@pytest.mark.parametrize("arch", ["tabm", "plain"])
def test_fitting_ends_calibrated_with_the_same_labels_and_the_program_has_it(arch, tmp_path):
    frame = made(600, seed=1)
    wrong = np.random.default_rng(0).random(600) < 0.15  # of which nothing can be known
    frame["bought"] = np.where(wrong, np.where(frame.bought == "yes", "no", "yes"), frame.bought)
    frame["split"] = np.resize(np.repeat(["train", "valid", "test"], [1, 1, 2]), 600)
    learn = build_learner(frame, "bought", leave_out="paid", arch=arch)
    fit(learn, epochs=6)
    temperature = float(learn.model.temperature.value)
    assert temperature > 1.1
    targets = learn.dls.labelled.targets
    rows = learn.dls.labelled.rows_of("valid")
    before, after = uncalibrated(learn, "valid"), tabular_answers(learn, "valid")["network"]
    assert (before.argmax(axis=1) == after.argmax(axis=1)).all()
    assert log_loss(after, targets[rows]) <= log_loss(before, targets[rows])
    tested, order = uncalibrated(learn, "test")[:, 1], tabular_answers(learn, "test")["network"][:, 1]
    assert (np.diff(order[np.argsort(tested)]) > -1e-6).all()
    program = export(learn, tmp_path / "program.pyz")  # which refuses a probability off by more than 1e-4
    test = learn.dls.labelled.rows_of("test")
    answers = program.run(learn.dls.labelled.codes[test], learn.dls.labelled.numbers[test])
    assert np.abs(answers - tabular_answers(learn)["network"]).max() < 1e-5
    assert calibrate(learn) == pytest.approx(temperature)  # however often


@pytest.mark.parametrize("target", ["bought", "paid"])
def test_few_validation_rows_and_numbers_leave_a_network_as_it_is(target):
    learn = build_learner(made(), target)
    assert len(learn.dls.valid_ds) < FEWEST_ROWS
    assert calibrate(learn) == 1.0


def test_weights_from_before_there_were_temperatures_are_those_of_1():
    learn = build_learner(made(), "bought")
    state = {name: value for name, value in learn.model.state_dict().items() if not name.startswith("temperature")}
    learn.model.temperature.value.fill_(3.0)
    learn.model.load_state_dict(state)
    assert torch.equal(learn.model.temperature.value, torch.tensor(1.0))
