"""Training: found rate, best weights, checkpoints, resume to the same result, bfloat16 in training steps only."""

import csv
import json
import math
from dataclasses import replace
from functools import partial

import pytest
import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from helpers.image_samples import make_shapes

from recipes.image_classification import build_learner
from toolkit.errors import RunError, ToolkitError
from toolkit.learning.cpu import conv_gradients
from toolkit.learning.cpu.bfloat16 import BFloat16OnCPU, cpu_has_bfloat16
from toolkit.learning.fitting import ADAMW, find_rate, fit
from toolkit.learning.images.calibration import calibrate
from toolkit.learning.runs import Run, read_checkpoint
from toolkit.learning.temperature import best_temperature

needs_bfloat16 = pytest.mark.skipif(not cpu_has_bfloat16(), reason="this CPU does not multiply bfloat16 in hardware")


class Stop(Callback):
    """Stand in for a kill: raise in the middle of an epoch."""

    order = 90

    def __init__(self, epoch, batch=1):
        self.at = (epoch, batch)

    def after_batch(self):
        if self.training and (self.epoch, self.iter) == self.at:
            raise KeyboardInterrupt


def weights(learn):
    return {name: value.clone() for name, value in learn.model.state_dict().items()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def learner(folder, **options):
    return build_learner(folder, batch_size=16, **options)


@pytest.mark.parametrize("fine_tune", [False, True])
@pytest.mark.parametrize("stopped_in", [1, 2, 3])
def test_a_stopped_run_goes_on_to_the_same_result(shapes, tmp_path, fine_tune, stopped_in):
    options = {"epochs": 4, "lr": 3e-3, "fine_tune": fine_tune, "patience": 0}
    whole = learner(shapes)
    whole_log = fit(whole, run=Run.open("a", whole, settings={}, folder=tmp_path / "whole"), **options)

    killed = learner(shapes)
    killed.add_cb(Stop(stopped_in))
    run = Run.open("a", killed, settings={}, folder=tmp_path / "killed")
    with pytest.raises(KeyboardInterrupt):
        fit(killed, run=run, **options)

    resumed = learner(shapes)
    resumed_log = fit(
        resumed, run=Run.open("a", resumed, settings={}, folder=tmp_path / "killed", resume=True), resume=True, **options
    )
    assert same(weights(whole), weights(resumed))
    drop_time = [{name: value for name, value in row.items() if name != "seconds"} for row in resumed_log]
    assert drop_time == [{name: value for name, value in row.items() if name != "seconds"} for row in whole_log]


def test_a_finished_run_that_is_resumed_trains_no_more(shapes, tmp_path):
    first = learner(shapes)
    log = fit(first, epochs=2, lr=3e-3, run=Run.open("a", first, settings={}, folder=tmp_path / "run"))
    again = learner(shapes)
    assert (
        fit(again, epochs=2, lr=3e-3, run=Run.open("a", again, settings={}, folder=tmp_path / "run", resume=True), resume=True)
        == log
    )
    assert same(weights(first), weights(again))


def test_the_log_starts_with_the_untrained_network(shapes, tmp_path):
    learn = learner(shapes)
    rows = fit(learn, epochs=3, lr=3e-3, run=Run.open("a", learn, settings={}, folder=tmp_path / "run"))
    with open(tmp_path / "run" / "log.csv", encoding="utf-8") as stream:
        written = list(csv.DictReader(stream))
    assert [row["epoch"] for row in written] == ["0", "1", "2", "3"]
    assert written[0]["train_loss"] == ""
    assert float(written[3]["valid_loss"]) == rows[3]["valid_loss"]
    assert set(rows[0]) == {"epoch", "train_loss", "valid_loss", "accuracy", "seconds"}


def test_only_the_last_and_the_best_checkpoint_are_kept_and_hold_no_code(shapes, tmp_path):
    learn = learner(shapes)
    rows = fit(learn, epochs=4, lr=3e-3, run=Run.open("a", learn, settings={}, folder=tmp_path / "run"))
    assert {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()} == {"best.pth", "last.pth"}
    best = read_checkpoint(tmp_path / "run" / "checkpoints" / "best.pth")
    assert best["epoch"] == min(rows[1:], key=lambda row: row["valid_loss"])["epoch"]
    fitted = weights(learn)
    learn.model.load_state_dict(best["model"])
    calibrate(learn)
    assert same(fitted, weights(learn))


def test_training_stops_early_and_keeps_the_best_weights(shapes, tmp_path):
    learn = learner(shapes)
    run = Run.open("a", learn, settings={}, folder=tmp_path / "run")
    rows = fit(learn, epochs=30, lr=0.05, patience=2, run=run)
    best = min(rows[1:], key=lambda row: row["valid_loss"])
    assert len(rows) - 1 == best["epoch"] + 2 < 30
    learn.model.load_state_dict(read_checkpoint(run.best)["model"])
    loss, _ = learn.validate()
    assert loss == pytest.approx(best["valid_loss"], abs=1e-5)


def test_a_diverging_rate_is_a_clear_error(shapes):
    learn = learner(shapes)
    learn.model[1][-1].weight.data.fill_(float("nan"))
    with pytest.raises(RunError, match="lower --lr"):
        fit(learn, epochs=1, lr=1e-3)


class Point(torch.nn.Module):
    """A point whose place is learnt: the loss is the square of its distance."""

    def __init__(self, place):
        super().__init__()
        self.place = torch.nn.Parameter(torch.full((8,), place))

    def forward(self, x):
        return self.place + 0 * x


@pytest.mark.parametrize("distance", [0.001, 0.01])
def test_the_rate_that_is_found_is_of_the_size_of_the_way_to_go(distance):
    """A step of Adam is as long as its rate, whatever the gradient: from a rate of some distances on, the point is thrown past
    its goal."""
    found = []
    for seed in range(3):
        torch.manual_seed(seed)
        items = [(row, row) for row in 0.1 * distance * torch.randn(64, 8)]
        dls = DataLoaders(DataLoader(items, bs=8, shuffle=True), DataLoader(items, bs=8))
        found.append(find_rate(Learner(dls, Point(distance), loss_func=torch.nn.MSELoss(), opt_func=ADAMW)))
    assert all(distance < rate < 10 * distance for rate in found)
    assert max(found) < 3 * min(found)


def test_the_rate_is_found_and_the_search_leaves_the_network_as_it_was(shapes):
    learn = learner(shapes)
    before = weights(learn)
    find_rate(learn, batches=40)
    assert same(before, weights(learn))
    assert not (shapes.parent / "models").exists()


class MadeCurve(Callback):
    """A loss that is lowest at a thousandth, with one lucky batch, whatever the network says."""

    def __init__(self):
        self.rates, self.losses = [], []

    def after_batch(self):
        self.rates.append(self.opt.hypers[-1]["lr"])
        self.losses.append(-0.5 if len(self.rates) == 5 else (math.log10(self.rates[-1]) + 3) ** 2)


def test_the_rate_is_where_the_smoothed_loss_is_lowest_and_a_quarter_of_that_for_a_frozen_body(shapes, monkeypatch):
    monkeypatch.setattr("toolkit.learning.fitting._Curve", MadeCurve)
    assert find_rate(learner(shapes), batches=60) == pytest.approx(1e-3, rel=0.2)
    assert find_rate(learner(shapes), frozen=True, batches=60) == pytest.approx(2.5e-4, rel=0.2)


def test_two_runs_with_one_seed_are_one_result(shapes):
    results = []
    for _ in range(2):
        learn = learner(shapes, seed=3)
        fit(learn, epochs=2, lr=3e-3)
        results.append(weights(learn))
    assert same(*results)


def test_fewer_pictures_than_a_batch_still_train(tmp_path):
    learn = build_learner(make_shapes(tmp_path, 4), batch_size=64)
    before = weights(learn)
    fit(learn, epochs=1, lr=3e-3)
    assert not same(before, weights(learn))


def test_a_run_folder_is_not_used_twice_and_not_resumed_with_other_settings(shapes, tmp_path):
    learn = learner(shapes)
    Run.open("a", learn, settings={"epochs": 3}, folder=tmp_path / "run")
    with pytest.raises(RunError, match="--resume goes on with it"):
        Run.open("a", learn, settings={"epochs": 3}, folder=tmp_path / "run")
    with pytest.raises(RunError, match="epochs was 3, is 4"):
        Run.open("a", learn, settings={"epochs": 4}, folder=tmp_path / "run", resume=True)
    with pytest.raises(RunError, match="not a run to go on with"):
        Run.open("a", learn, settings={}, folder=tmp_path / "elsewhere", resume=True)
    (shapes / "disc" / "disc_000.png").unlink()
    with pytest.raises(RunError, match="items was"):
        Run.open("a", learner(shapes), settings={"epochs": 3}, folder=tmp_path / "run", resume=True)


class Dtypes(Callback):
    """Note what the network's first layer gives, in training and in validation."""

    def before_fit(self):
        self.seen = {True: set(), False: set()}
        layer = next(module for module in self.model.modules() if isinstance(module, torch.nn.Conv2d))
        self.hook = layer.register_forward_hook(lambda module, inputs, output: self.seen[self.training].add(output.dtype))

    def after_fit(self):
        self.hook.remove()


@needs_bfloat16
def test_training_steps_run_in_bfloat16_and_validation_in_float32(shapes):
    learn, dtypes = learner(shapes), Dtypes()
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, cbs=dtypes)
    assert dtypes.seen == {True: {torch.bfloat16}, False: {torch.float32}}
    assert all(value.dtype in (torch.float32, torch.int64) for value in learn.model.state_dict().values())
    assert "forward" not in vars(learn.model)


@needs_bfloat16
def test_an_exception_in_a_step_leaves_no_autocast_behind(shapes):
    learn = learner(shapes)
    handle = learn.model[1].register_forward_hook(lambda *_: 1 / 0)
    with learn.no_bar(), learn.no_logging(), pytest.raises(ZeroDivisionError):
        learn.fit(1)
    handle.remove()
    assert not torch.is_autocast_enabled("cpu")
    assert torch.isfinite(learn.get_preds(ds_idx=1)[0]).all()
    learn.model.eval()
    assert learn.model(torch.zeros(1, 3, 32, 32)).dtype == torch.float32


def test_without_bfloat16_hardware_it_stands_aside(shapes, monkeypatch):
    monkeypatch.setattr("toolkit.learning.cpu.bfloat16.cpu_has_bfloat16", lambda: False)
    learn, dtypes = learner(shapes), Dtypes()
    assert any(isinstance(callback, BFloat16OnCPU) for callback in learn.cbs)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, cbs=dtypes)
    assert dtypes.seen == {True: {torch.float32}, False: {torch.float32}}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("size", "kernel", "padding"), [((2, 2), 3, 1), ((1, 1), 3, 1), ((5, 3), 3, 0), ((4, 6), 5, 2)])
def test_the_weight_gradient_on_small_maps_is_the_convolutions_own(stride, size, kernel, padding):
    torch.manual_seed(0)
    module = torch.nn.Conv2d(6, 8, kernel, stride, padding, bias=False).double()
    x = torch.randn(3, 6, *size, dtype=torch.float64, requires_grad=True)
    results = []
    for forward in (module.forward, partial(conv_gradients._forward, module)):
        y = forward(x)
        results.append((y, *torch.autograd.grad((y * torch.cos(y)).sum(), (x, module.weight))))
    for one, other in zip(*results, strict=True):
        assert torch.allclose(one, other, atol=1e-12)


def test_a_fit_leaves_no_forward_of_ours_on_the_network(shapes):
    learn = build_learner(shapes, arch="resnet18", weights="random", batch_size=16)
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    assert not any("forward" in vars(module) for module in learn.model.modules())


def test_fit_calibrates_which_changes_how_sure_the_network_is_and_no_answer(shapes, tmp_path):
    learn = learner(shapes)
    run = Run.open("a", learn, settings={}, folder=tmp_path / "run")
    fit(learn, epochs=3, lr=3e-3, run=run)
    fitted, _ = learn.get_preds(dl=learn.dls.valid)
    learn.model.load_state_dict(read_checkpoint(run.best)["model"])
    before, _ = learn.get_preds(dl=learn.dls.valid)
    temperature = calibrate(learn)
    after, _ = learn.get_preds(dl=learn.dls.valid)
    assert temperature != 1.0
    assert torch.equal(before.argmax(1), after.argmax(1))
    assert torch.equal(after, fitted)
    assert calibrate(learn) == pytest.approx(1, abs=1e-3)  # a calibrated network stays as it is


def test_the_temperature_undoes_a_scale():
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(5000, 4, generator=generator).double() * 2
    targets = torch.multinomial(scores.softmax(1), 1, generator=generator)[:, 0]
    assert best_temperature(scores.numpy() * 3, targets.numpy()) == pytest.approx(3, rel=0.1)


@pytest.mark.parametrize("options", [{"epochs": -1}, {"lr": -1.0}, {"patience": -2}])
def test_numbers_out_of_range_are_clear_errors(shapes, options):
    with pytest.raises(ToolkitError, match="numbers from 0"):
        fit(learner(shapes), **options)


def test_resume_takes_no_other_datas_run(shapes, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    learn = learner(shapes)
    mine = Run.open("ph", learn, settings={})
    Run.open("ph-old", learn, settings={"epochs": 7})
    assert Run.open("ph", learn, settings={}, resume=True).folder == mine.folder


def test_where_asked_the_best_epoch_is_looked_for_at_the_end_of_the_cycle(shapes, tmp_path):
    learn = build_learner(shapes, batch_size=16)
    learn.spec = replace(learn.spec, select_after=0.7)
    with Run.open("shapes", learn, settings={}, folder=tmp_path / "run") as run:
        log = fit(learn, epochs=4, lr=0.3, patience=0, run=run)  # so high a rate that the first epochs may well be the best
    late = min(log[3:], key=lambda row: row["valid_loss"])["epoch"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["best_epoch"] == late
