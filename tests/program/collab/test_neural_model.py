"""People and items through a small network: equal to fastai's, solved for step by step, and a program like any other."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from fastai.collab import EmbeddingNN
from fastai.layers import SigmoidRange
from helpers.collab_programs import SAMPLE
from helpers.collab_samples import IDS, TITLES, USERS, history, write_recommender
from torch import nn

from recipes.collaborative_filtering import build_learner
from toolkit.errors import ExportError, ProgramError
from toolkit.evaluation import evaluate
from toolkit.evaluation.collab.metrics import NDCG
from toolkit.learning.collab.linear_layers import bounds_of, linear_layers
from toolkit.program import load
from toolkit.program.collab import neural_model
from toolkit.program.collab.arrays import KnownUsers, members_of
from toolkit.program.collab.dot_model import DotModel
from toolkit.program.collab.neural_model import NeuralModel
from toolkit.program.collab.selftest import selftest

N_USERS, N_ITEMS, E_U, E_I = 30, 200, 6, 8
SHAPES = [{"layers": [16]}, {"layers": [16, 10]}]
VARIANTS = [
    *SHAPES,
    {"layers": []},
    {"layers": [16, 10], "y_range": (0.5, 5.5)},
    {"layers": [16], "y_range": (0, 6), "use_bn": False},
    {"layers": [16, 10], "ps": [0.3, 0.2], "embed_p": 0.4},
    {"layers": [16], "bn_final": True},
    {"layers": [16, 10], "lin_first": False, "bn_final": True, "ps": 0.1},
]


def made_network(seed=0, **settings):
    """A network as fastai makes it, its weights and running statistics drawn at random."""
    torch.manual_seed(seed)
    network = EmbeddingNN([(N_USERS + 1, E_U), (N_ITEMS + 1, E_I)], **settings)
    for module in network.modules():
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight)
        elif isinstance(module, nn.BatchNorm1d) and module.num_features:
            nn.init.uniform_(module.weight, -1.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return network.eval()


def fold_in_model_of(network, **settings):
    """A network as a fold-in model, and the vectors of its users."""
    users, items, layers = linear_layers(network)
    rated = {"like": 5.0, "low": 1.0, "high": 5.0, "bounds": bounds_of(network)} if bounds_of(network) else {}
    return NeuralModel(items, np.eye(E_U), users.mean(axis=0).astype(np.float64), layers, **(rated | settings)), users


def drawn(hidden, items=300, e_u=5, e_i=7, seed=0, prior=0.05, **settings):
    """A model whose numbers are drawn at random, as large as keeps the scores near one."""
    rng = np.random.default_rng(seed)
    layers = tuple(
        (
            (rng.standard_normal((out, into)) * np.sqrt(2 / into)).astype(np.float32),
            (0.1 * rng.standard_normal(out)).astype(np.float32),
        )
        for into, out in pairwise([e_u + e_i, *hidden, 1])
    )
    vectors = rng.standard_normal((items, e_i)).astype(np.float32)
    return NeuralModel(vectors, prior * np.eye(e_u), 0.1 * rng.standard_normal(e_u), layers, **settings)


def objective_of(model, items, targets, person):
    """What `solve` is to make small, worked out anew, layer by layer."""
    reached = np.hstack([np.tile(person, (len(items), 1)), model.vectors[items].astype(np.float64)])
    for number, (weight, bias) in enumerate(model.layers):
        reached = (np.maximum(reached, 0) if number else reached) @ weight.T.astype(np.float64) + bias
    away = person - model.centre
    return ((targets - reached[:, 0]) ** 2).sum() + away @ model.prior @ away


@pytest.mark.parametrize("settings", VARIANTS, ids=str)
def test_pairs_and_scores_are_those_of_fastais_network(settings):
    network = made_network(**settings)
    model, users = fold_in_model_of(network)
    user, item = (each.ravel() for each in np.meshgrid(np.arange(N_USERS), np.arange(N_ITEMS), indexing="ij"))
    with torch.no_grad():
        expected = network(torch.from_numpy(np.column_stack([user, item]) + 1))[:, 0].numpy().reshape(N_USERS, N_ITEMS)
    pairs, scores, one = model.pairs(users[user], item), model.scores(users), model.scores(users[3])
    assert (pairs.dtype, scores.dtype, one.dtype) == (np.float32,) * 3
    assert scores.shape == (N_USERS, N_ITEMS)
    assert one.shape == (N_ITEMS,)
    assert np.abs(one - scores[3]).max() < 1e-6
    least, most = settings.get("y_range", (None, None))
    for found in (pairs.reshape(N_USERS, N_ITEMS), scores):
        ratings = found if least is None else least + (most - least) / (1 + np.exp(-found))
        assert np.abs(ratings - expected).max() < 1e-5
    if least is not None:
        assert np.abs(model.ratings(scores) - expected.clip(1, 5)).max() < 1e-5


def test_a_network_is_unfolded_as_it_answers_outside_training():
    network = made_network(layers=[16], ps=[0.5])
    before = linear_layers(network)
    network.train()
    after = linear_layers(network)
    assert network.training
    assert all(np.array_equal(one, other) for one, other in zip(before[:2], after[:2], strict=True))
    users, items, layers = after
    assert (users.shape, items.shape) == ((N_USERS, E_U), (N_ITEMS, E_I))
    assert [(weight.shape, bias.shape) for weight, bias in layers] == [((16, E_U + E_I), (16,)), ((1, 16), (1,))]
    assert {part.dtype for part in (users, items, *layers[0], *layers[1])} == {np.dtype(np.float32)}
    assert np.array_equal(items, network.embeds[1].weight[1:].detach().numpy())


class Bent(EmbeddingNN):
    """A network with a way of its own."""

    def forward(self, x_cat, x_cont=None):
        return 2 * super().forward(x_cat)


def odd_networks():
    def changed(change, **settings):
        network = made_network(layers=[4], **settings)
        change(network)
        return network

    def forgetful(network):
        network.layers[0][2] = nn.BatchNorm1d(4, track_running_stats=False)

    def bounded(network):
        network.embeds[0] = nn.Embedding(N_USERS + 1, E_U, max_norm=1.0)

    return {
        "EmbeddingNN with|Bent": Bent([(3, 2), (3, 2)], [4]),
        "a Linear with a way of its own": nn.Linear(2, 1),
        "3 embeddings and 0 numbers": EmbeddingNN([(3, 2)] * 3, [4]),
        "a Sigmoid; expected linear layers": made_network(layers=[4], act_cls=nn.Sigmoid()),
        "a LeakyReLU; expected": made_network(layers=[4], act_cls=nn.LeakyReLU()),
        "a SigmoidRange; expected": changed(lambda network: network.layers.insert(0, SigmoidRange(0, 1))),
        "no running mean": changed(forgetful),
        "max_norm": changed(bounded),
        "ends with 4 numbers": changed(lambda network: network.layers.pop(-1)),
    }


@pytest.mark.parametrize("message", odd_networks())
def test_what_is_not_known_is_refused(message):
    with pytest.raises(ExportError, match=message):
        linear_layers(odd_networks()[message])


@pytest.mark.parametrize("hidden", [(), (20,), (20, 12), (9, 8, 7)])
def test_slopes_are_those_of_finite_differences(hidden):
    model, small = drawn(hidden), 1e-6
    fixed = model._fixed(np.arange(100))
    person = np.random.default_rng(1).standard_normal(5)
    scores, slopes = model._scored(fixed, person)
    assert np.abs(scores - model.scores(person)[:100]).max() < 1e-5
    for direction, step in enumerate(small * np.eye(5)):
        rise = (model._scored(fixed, person + step)[0] - model._scored(fixed, person - step)[0]) / (2 * small)
        assert np.abs(rise - slopes[:, direction]).max() < 1e-7


@pytest.mark.parametrize("settings", SHAPES, ids=str)
@pytest.mark.parametrize("bounds", [None, (0.5, 5.5)])
def test_a_person_of_the_model_is_found_from_their_ratings(settings, bounds):
    network = made_network(seed=3, **settings)
    users, vectors, layers = linear_layers(network)
    ranged = {"like": 5.0, "low": -50.0, "high": 50.0} | ({"low": 1.0, "high": 5.0, "bounds": bounds} if bounds else {})
    layers = (*layers[:-1], tuple(part / 4 for part in layers[-1]))
    model = NeuralModel(vectors, 1e-6 * np.eye(E_U), users.mean(axis=0).astype(np.float64), layers, **ranged)
    items, held_out = np.arange(100), np.arange(100, N_ITEMS)
    for user in users[:5]:
        ratings = model.ratings(model.scores(user))
        person = model.solve(items, ratings[items])
        start = np.abs(model.ratings(model.nobody) - ratings)[held_out].mean()
        assert np.abs(model.ratings(model.scores(person)) - ratings)[held_out].mean() < 0.05 * start


@pytest.mark.parametrize("hidden", [(20,), (20, 12)])
@pytest.mark.parametrize("count", [1, 4, 60])
def test_no_step_makes_it_worse(hidden, count, monkeypatch):
    rng = np.random.default_rng(count)
    for seed in range(10):
        model = drawn(hidden, seed=seed, like=2.0)
        items, values = rng.choice(300, count, replace=False), rng.normal(0, 3, count)
        worth = []
        for steps in range(25):
            monkeypatch.setattr(neural_model, "STEPS", steps)
            worth.append(objective_of(model, items, values, model.solve(items, values)))
        assert worth[0] == pytest.approx(objective_of(model, items, values, model.centre))
        assert worth[-1] < worth[0]
        assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(worth))  # rounding aside


def test_without_hidden_layers_it_is_the_plain_taste():
    model = drawn((), low=1.0, high=5.0, bounds=(0.5, 5.5), like=5.0)
    ((weight, bias),) = model.layers
    vectors = np.tile(weight[:, :5], (300, 1))
    plain = DotModel(vectors, model.vectors @ weight[0, 5:] + bias[0], model.prior, model.centre, 5.0, 1.0, 5.0, (0.5, 5.5))
    items, wanted = np.array([4, 8, 15]), np.array([1, 2])
    for values in (None, np.array([5.0, 2.0, 1.0])):
        person = model.solve(items, values)
        assert np.allclose(person, plain.solve(items, values), atol=1e-6)
        assert np.allclose(model.scores(person), plain.scores(person), atol=1e-5)
        assert np.allclose(model.shares(items, values, wanted=wanted), plain.shares(items, values, wanted=wanted), atol=1e-5)
    assert np.array_equal(model.nobody, model.scores(model.centre))


def test_each_like_moves_a_person_and_their_order_does_not_matter():
    model = drawn((20,), prior=1.0, like=3.0)
    items = np.argsort(model.nobody)[100:108]
    assert np.array_equal(model.solve(items[:0]), model.centre)
    people = [model.solve(items[:count]) for count in range(9)]
    assert all(np.abs(one - other).max() > 1e-3 for one, other in pairwise(people))
    reached = [np.abs(3.0 - model.scores(person)[items]).mean() for person in people]
    assert reached[8] < reached[4] < reached[0]
    assert np.allclose(model.scores(model.solve(items[::-1])), model.scores(people[8]), atol=1e-6)


def test_ratings_pull_where_they_point():
    model = drawn((20,), prior=1.0, like=5.0, low=1.0, high=5.0, bounds=(0.5, 5.5))
    items = np.array([5])
    low, high, liked = (model.scores(model.solve(items, values))[5] for values in (np.array([1.0]), np.array([5.0]), None))
    assert low < model.nobody[5] < high == liked


@pytest.mark.parametrize("hidden", [(20,), (20, 12)])
def test_shares_sum_to_what_sets_the_score_apart_to_first_order(hidden):
    model = drawn(hidden, prior=50.0, like=2.0)  # so strong that nobody is far from the mean
    items, wanted = np.array([3, 30, 99]), np.arange(0, 300, 7)
    shares = model.shares(items, None, wanted=wanted)
    assert shares.shape == (len(wanted), 3)
    apart = model.scores(model.solve(items))[wanted] - model.nobody[wanted]
    assert np.abs(shares.sum(axis=1) - apart).mean() < 0.15 * np.abs(apart).mean()
    person = model.solve(items)
    slopes = model._scored(model._fixed(wanted), person)[1]
    select_after = model.solve(items, 2.0 + 0 * items)
    assert np.allclose(shares.sum(axis=1), slopes @ (select_after - model.centre), atol=0.05 * np.abs(apart).max())


def test_scores_are_fresh_and_the_same_however_many_items_go_at_a_time(monkeypatch):
    people = np.random.default_rng(0).standard_normal((4, 5))
    for hidden in ((), (20,), (20, 12)):
        whole = drawn(hidden).scores(people)
        monkeypatch.setattr(neural_model, "AT_ONCE", 20 * 7)
        model = drawn(hidden)
        assert np.allclose(model.scores(people), whole, atol=1e-5)
        assert np.allclose(model.pairs(people[[0, 1, 2] * 20], np.arange(60)), whole[[0, 1, 2] * 20, np.arange(60)], atol=1e-5)
        monkeypatch.undo()
        first = model.scores(people[0])
        first[:] = -np.inf
        assert np.isfinite(model.scores(people[0])).all()
        assert model.scores(people[:0]).shape == (0, 300)
        assert model.pairs(people[:0], np.zeros(0, np.int64)).shape == (0,)


def test_threads_share_what_is_made_when_first_needed():
    people = np.random.default_rng(0).standard_normal((64, 5))
    alone = drawn((20,)).scores(people)
    fresh = drawn((20,))
    with ThreadPoolExecutor(8) as pool:
        assert np.allclose(np.stack(list(pool.map(fresh.scores, people))), alone, atol=1e-6)


def test_newcomers_are_shown_what_goes_with_their_likes_rather_than_what_everyone_likes():
    learn = build_learner(SAMPLE, objective="ranking", form="neural", split="user")
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(20, 5e-3)
    found = evaluate(learn).table
    assert found["network"][NDCG].value > found["popularity"][NDCG].value + 0.1


def grouped_model(rated):
    """The three groups of the samples: a person has a liking for each, which an item reaches through the unit of its group. How
    good an item is goes through a unit of its own."""
    rng = np.random.default_rng(0)
    group = np.eye(3)[np.repeat(np.arange(3), 5)] + 0.02 * rng.standard_normal((15, 3))
    vectors = np.column_stack([group, 0.2 - 0.02 * np.tile(np.arange(5), 3)]).astype(np.float32)
    first = np.zeros((4, 7), np.float32)
    first[:3, :3], first[:3, 3:6], first[3, 6] = np.eye(3), 4 * np.eye(3), 1
    layers = ((first, np.array([-4, -4, -4, 5], np.float32)), (np.ones((1, 4), np.float32), np.full(1, -5, np.float32)))
    model = NeuralModel(vectors, np.eye(3), np.full(3, 0.5), layers, like=2.0)
    return replace(model, like=5.0, low=1.0, high=5.0, bounds=(0.5, 5.5)) if rated else model


def write_neural(path, rated=False, change=None, **output):
    """The sample of `rating_samples`, as a program with a network inside."""
    model = grouped_model(rated)
    starts, seen, values = history(rated)
    vectors = np.stack([
        model.solve(*((seen[a:b], values[a:b]) if rated else (seen[a:b][values[a:b] > 0],))) for a, b in pairwise(starts)
    ])  # fmt: skip
    users = KnownUsers([f"u{number}" for number in range(USERS)], vectors, starts, seen, values)
    members = members_of(model, IDS, titles=TITLES, popularity=np.bincount(seen, minlength=15), users=users)
    if change:
        change(members)
    scores = model.pairs(np.tile(model.solve(np.array([0, 1])), (3, 1)), np.array([2, 6, 10])).tolist()
    golden = [{"likes": [0, 1], "values": None, "wanted": [2, 6, 10], "output": scores}]
    return write_recommender(
        path, model, members, users=USERS, objective="rating" if rated else "ranking", people=USERS, golden=golden,
        input={"form": "neural"}, output={"layers": 2, "bounds": model.bounds} | output,
    )  # fmt: skip


@pytest.fixture(scope="module", params=[False, True], ids=["ranker", "rater"])
def program(request, tmp_path_factory):
    return load(write_neural(tmp_path_factory.mktemp("neural") / "program.pyz", request.param))


def test_a_program_holds_the_network_and_answers_alike(program):
    model = grouped_model(program.rated)
    assert selftest(program) == []
    for likes in ([0, 1], [5], [14, 2]):
        person = model.solve(np.array(likes))
        assert np.array_equal(program.model.solve(np.array(likes)), person)
        assert np.array_equal(program.model.scores(person), model.scores(person))


def test_a_program_with_a_network_recommends(program):
    answer = program.recommend(likes=["Demon Slayer", "Chainsaw Man"], n=3)
    assert {each.title for each in answer} == {"Hell's Paradise", "Jujutsu Kaisen", "Dorohedoro"}
    assert {each.reason for each in answer} <= {
        "because you like Demon Slayer: Kimetsu no Yaiba and Chainsaw Man",
        "because you like Chainsaw Man and Demon Slayer: Kimetsu no Yaiba",
    }
    known = program.recommend(user="u0", n=2)
    assert {each.title for each in known} == {"Jujutsu Kaisen", "Dorohedoro"}
    everyone = dict(program.recommend_many(n=2, batch_size=7))
    assert len(everyone) == USERS
    assert everyone["u0"].chosen == known.chosen
    assert program.recommend(likes=[], n=1).notes == ("no likes: what most people chose",)
    assert {each.item for each in program.similar("Chainsaw Man", n=4)} == {"100", "102", "103", "104"}


def test_a_program_with_a_network_predicts(program):
    fond, cold = (program.predict("u0", item) for item in ("Jujutsu Kaisen", "K-On!"))
    if program.rated:
        model = program.model
        (first, start), (second, end) = model.layers
        person = model.solve(np.array([0, 1, 2, 9]), np.array([5.0, 4, 5, 1]))  # what u0 has rated
        for answer, item in ((fond, 3), (cold, 5)):
            score = second @ np.maximum(first @ np.concatenate([person, model.vectors[item]]) + start, 0) + end
            assert answer.value == pytest.approx(0.5 + 5 / (1 + np.exp(-score[0])), abs=1e-5)
        low, high = (program.predict(likes={"Chainsaw Man": stars}, item="Dorohedoro").value for stars in (1, 5))
        assert low < high
    else:
        assert fond.rank <= 2 < cold.rank


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("member", "array", "message"),
    [
        ("layer0_weight", np.zeros((4, 6), np.float32), r"layer0_weight.npy is float32 \(4, 6\), expected float32 n x 7"),
        ("layer0_weight", np.zeros((3, 7), np.float32), r"layer0_bias.npy is float32 \(4,\), expected float32 3"),
        ("layer1_weight", np.zeros((2, 4), np.float32), r"layer1_weight.npy is float32 \(2, 4\), expected float32 1 x 4"),
        ("layer1_weight", np.zeros((1, 4)), "layer1_weight.npy is float64"),
        ("layer1_bias", np.full(1, np.inf, np.float32), "layer1_bias.npy has numbers that are not finite"),
        ("centre", np.zeros(4), r"prior.npy is float64 \(3, 3\), expected float64 4 x 4"),
        ("prior", -np.eye(3), "prior.npy is no precision"),
        ("people", np.zeros((USERS, 4), np.float32), "people.npy is float32"),
    ],
)
def test_layers_that_do_not_fit_are_told(tmp_path, member, array, message):
    with pytest.raises(ProgramError, match=message):
        load(write_neural(tmp_path / "forged.pyz", change=lambda members: members.update({f"{member}.npy": npy(array)})))


@pytest.mark.parametrize("layers", [0, -1, 2.0, True, "2", None, 10**9])
def test_a_count_of_layers_that_is_none_is_told(tmp_path, layers):
    with pytest.raises(ProgramError, match="lacks or garbles layers"):
        load(write_neural(tmp_path / "forged.pyz", layers=layers))
