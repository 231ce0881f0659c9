"""Networks for tables: forms of answers, losses, hidden cells, and deployment."""

import copy
import pickle

import numpy as np
import onnxruntime
import pytest
import torch
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner

from toolkit.export.onnx import onnx_bytes
from toolkit.learning.fitting import ADAMW
from toolkit.learning.tabular.deployed import deployed
from toolkit.learning.tabular.networks import (
    ClassLoss,
    PlainNetwork,
    TabMNetwork,
    TargetScaler,
    ValueDropout,
    ValueLoss,
    schedule_for,
)

SHAPES = [((5, 12), 3, 2), ((), 3, 2), ((5, 12), 0, 0), ((5, 12), 3, 0), ((4,), 0, 1), ((), 1, 0), ((3000, 3, 3, 3), 2, 2)]


def made(cardinalities, n_values, n_flags, rows=300, seed=0):
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(0, size, rows) for size in cardinalities], axis=1) if cardinalities else np.zeros((rows, 0))
    values, flags = rng.normal(size=(rows, n_values)), rng.random((rows, n_flags)) < 0.1
    return torch.from_numpy(codes.astype(np.int64)), torch.from_numpy(np.hstack([values, flags]).astype(np.float32))


def network(kind, cardinalities, n_values, n_flags, n_out, scaler=None):
    torch.manual_seed(0)
    if kind == "plain":
        return PlainNetwork(cardinalities, n_values + n_flags, n_out=n_out, scaler=scaler)
    return TabMNetwork(
        cardinalities, made(cardinalities, n_values, n_flags)[1][:, :n_values], n_flags=n_flags, n_out=n_out, scaler=scaler
    )


def loaders(*columns, size=64):
    rows = list(zip(*columns, strict=True))
    return DataLoaders(DataLoader(rows, bs=size, shuffle=True, drop_last=True), DataLoader(rows, bs=size))


def fitted(net, loss, dls, lr=0.01, epochs=8, cbs=()):
    learn = Learner(dls, net, loss_func=loss, opt_func=ADAMW, cbs=list(cbs))
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs, lr)
    return learn


@pytest.mark.parametrize("kind", ["plain", "tabm"])
@pytest.mark.parametrize(
    ("shape", "target"), [*((shape, "classes") for shape in SHAPES), (SHAPES[0], "value"), (SHAPES[0], "range")]
)
def test_a_deployed_network_answers_as_it_did_in_torch_and_as_onnx(kind, shape, target):
    scaler = {"classes": None, "value": TargetScaler(50.0, 10.0), "range": TargetScaler(50.0, 10.0, span=(0.0, 100.0))}[target]
    net = network(kind, *shape, 3 if target == "classes" else 1, scaler)
    codes, numbers = made(*shape)
    net.train()
    for _ in range(3):  # gives batch norms something to fold
        net(codes, numbers)
    net.eval()
    if target == "classes":
        net.temperature.value.fill_(1.7)
    with torch.no_grad():
        assert net(codes, numbers).shape == (300, 3 if target == "classes" else 1)
        probabilities = Softened(net) if target == "classes" else net
        expected = probabilities(codes, numbers).numpy()
    exported = Softened(deployed(net)) if target == "classes" else deployed(net)
    example = {"codes": codes[:2], "numbers": numbers[:2]}
    graph = onnx_bytes(exported, example, dynamic={0: torch.export.Dim("batch", min=1)})
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == ["codes", "numbers"]
    for rows in (1, 2, 300):
        found = session.run(None, {"codes": codes[:rows].numpy(), "numbers": numbers[:rows].numpy()})[0]
        assert np.abs(found - expected[:rows]).max() < 1e-5 * (10 if target == "value" else 100 if target == "range" else 1)


class Softened(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, codes, numbers):
        return self.model(codes, numbers).softmax(1)


def test_tabm_trains_each_member_and_answers_with_the_mean_of_their_probabilities():
    net = network("tabm", (5, 12), 3, 2, 3)
    codes, numbers = made((5, 12), 3, 2)
    for layer in net.modules():
        if isinstance(layer, torch.nn.Dropout):
            layer.p = 0.0
    members = net.train()(codes, numbers)
    assert members.shape == (300, 16, 3)
    assert not torch.allclose(members[:, 0], members[:, 1])
    assert torch.allclose(net.eval()(codes, numbers).exp(), members.softmax(2).mean(1), atol=1e-6)


def test_a_value_beyond_the_training_rows_is_read_as_the_nearest_known_even_infinity():
    net = network("tabm", (), 2, 0, 2).eval()
    highest = net.high[None]
    for beyond in (highest + 1, highest * 1e30, torch.full((1, 2), torch.inf)):
        assert torch.equal(net(torch.zeros(1, 0, dtype=torch.int64), beyond), net(torch.zeros(1, 0, dtype=torch.int64), highest))


def test_a_constant_column_and_a_category_that_no_row_has_are_no_trouble():
    codes, numbers = torch.full((64, 1), 2), torch.zeros(64, 2)
    net = TabMNetwork([9], numbers[:, :1], n_flags=1, n_out=2)
    targets = torch.arange(64) % 2
    learn = fitted(net, ClassLoss(), loaders(codes, numbers, targets, size=16), epochs=1)
    with torch.no_grad():
        assert torch.isfinite(learn.model.eval()(torch.arange(9)[:, None], torch.ones(9, 2))).all()


@pytest.mark.parametrize("kind", ["plain", "tabm"])
def test_classes_are_learnt_and_predictions_are_probabilities(kind):
    codes, numbers = made((5, 12), 3, 2, rows=600)
    targets = ((numbers[:, 0] > 0) ^ (codes[:, 0] > 2)).long()
    learn = fitted(network(kind, (5, 12), 3, 2, 2), ClassLoss(), loaders(codes, numbers, targets))
    with learn.no_bar():
        found, same, decoded = learn.get_preds(with_decoded=True)
        *_, losses = learn.get_preds(with_loss=True)
    assert torch.allclose(found.sum(1), torch.ones(600), atol=1e-5)
    assert losses.shape == (600,)
    assert (decoded == same).float().mean() > 0.9


@pytest.mark.parametrize("kind", ["plain", "tabm"])
@pytest.mark.parametrize("span", [None, (9000.0, 11000.0)])
def test_values_are_learnt_and_predicted_in_their_own_unit(kind, span):
    codes, numbers = made((5,), 3, 1, rows=600)
    targets = 10_000 + 100 * numbers[:, 0] * (codes[:, 0] - 2)
    std = float(targets.std())
    scaler = TargetScaler(float(targets.mean()), std, span=span)
    learn = fitted(network(kind, (5,), 3, 1, 1, scaler), ValueLoss(std), loaders(codes, numbers, targets), epochs=20)
    with learn.no_bar():
        found, same = learn.get_preds()
    assert found.shape == (600, 1)
    assert ((found[:, 0] - same) ** 2).mean() < 0.2 * std**2


def test_outputs_become_values_by_mean_and_standard_deviation_or_between_two_ends():
    outputs = torch.tensor([-100.0, -1.0, 0.0, 1.0, 100.0])
    assert TargetScaler(7.0, 2.0)(outputs).tolist() == [-193, 5, 7, 9, 207]
    within = TargetScaler(7.0, 2.0, span=(-10.0, 30.0))(outputs)
    assert within.tolist() == pytest.approx([-10, -10 + 40 / (1 + np.e), 10, 30 - 40 / (1 + np.e), 30])
    assert TargetScaler(7.0, 0.0)(outputs).tolist() == [-93, 6, 7, 8, 107]  # values that are all the same


def test_the_loss_of_members_is_the_mean_of_their_losses():
    scores, targets = torch.randn(6, 4, 3), torch.arange(6) % 3
    weights = torch.tensor([1.0, 2.0, 5.0])
    each = torch.stack([ClassLoss(weight=weights)(scores[:, i], targets) for i in range(4)])
    assert torch.allclose(ClassLoss(weight=weights)(scores, targets), each.mean())
    values, wanted = torch.randn(6, 4, 1), torch.randn(6)
    assert torch.allclose(ValueLoss(2.0)(values, wanted), ((values[..., 0] - wanted[:, None]) ** 2).mean() / 4)


@pytest.mark.parametrize("loss", [ClassLoss(weight=torch.ones(3)), ValueLoss(3.0)])
def test_losses_can_be_copied_and_pickled(loss):
    output, target = (
        (torch.randn(5, 3), torch.arange(5) % 3) if isinstance(loss, ClassLoss) else (torch.randn(5, 1), torch.ones(5))
    )
    for same in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert torch.equal(same(output, target), loss(output, target))


def hide(share, training=True):
    """Cells as a network sees them: a date of two parts and a number. The date and the first category had missing values."""
    hiding = ValueDropout([0.5, 0.6, 0.7], [0, 0, 1], flags_missing=[True, False], codes_missing=[True, False], share=share)
    codes, numbers = torch.full((4000, 2), 3), torch.cat([torch.ones(4000, 3), torch.zeros(4000, 2)], 1)
    seen = []

    class Look(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def forward(self, codes, numbers):
            seen.append((codes, numbers))
            return self.weight * numbers[:, :1]

    dls = loaders(codes, numbers, torch.zeros(4000), size=4000)
    torch.manual_seed(0)
    learn = Learner(dls, Look(), loss_func=ValueLoss(1.0), cbs=[hiding])
    with learn.no_bar(), learn.no_logging():
        learn.fit(1)
    return seen[0 if training else 1]


def test_hiding_shows_the_network_what_no_training_row_has():
    codes, numbers = hide(0.2)
    assert set(codes[:, 0].tolist()) == {1, 3}
    assert set(codes[:, 1].tolist()) == {0, 1, 3}
    assert abs((codes[:, 1] != 3).float().mean() - 0.2) < 0.03
    assert (numbers[:, [0, 1]] == 1).all()  # what has missing values of its own is left alone
    assert (numbers[:, 3] == 0).all()
    hidden = numbers[:, 4] == 1
    assert abs(hidden.float().mean() - 0.2) < 0.03
    assert torch.equal(numbers[:, 2], torch.where(hidden, 0.7, 1.0))


def test_hiding_leaves_validation_as_it_is():
    codes, numbers = hide(0.2, training=False)
    assert (codes == 3).all()
    assert (numbers[:, :3] == 1).all()
    assert (numbers[:, 3:] == 0).all()


def test_schedules_leave_batches_to_small_tables_and_minutes_to_large_ones():
    found = {rows: schedule_for(rows) for rows in (1, 100, 500, 3000, 29_304, 100_000, 1_000_000)}
    batches = {1: 16, 100: 16, 500: 32, 3000: 256, 29_304: 256, 100_000: 256, 1_000_000: 1024}
    assert {rows: schedule.batch for rows, schedule in found.items()} == batches
    epochs = {1: 30, 100: 30, 500: 30, 3000: 30, 29_304: 10, 100_000: 4, 1_000_000: 4}
    assert {rows: schedule.epochs for rows, schedule in found.items()} == epochs
