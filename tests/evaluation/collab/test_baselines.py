"""Simple methods for ratings and choices equal their plain formulas, and know of people what they may know."""

import numpy as np
import pytest
from helpers.collab_learners import labelled, made_ratings, of_rows
from scipy.sparse import csr_array

from toolkit.evaluation.collab import baselines, neighbours
from toolkit.evaluation.collab.baselines import (
    BaselineData,
    Biases,
    OrPopular,
    Popularity,
    Tuner,
    _rated_neighbours,
)
from toolkit.evaluation.collab.baselines import collab_baselines as fitted
from toolkit.evaluation.collab.factors import Ease, Factors, solved
from toolkit.evaluation.collab.neighbours import RatedNeighbours, similarities, too_many


@pytest.fixture(scope="module")
def ratings():
    return labelled(made_ratings())


@pytest.fixture(scope="module")
def choices():
    return labelled(made_ratings(), "ranking")


def random_choices(users=30, items=12, seed=0):
    rng = np.random.default_rng(seed)
    return csr_array((rng.random((users, items)) < 0.4).astype(np.float32))


def test_all_methods_are_there_and_answer_for_users_and_items(ratings, choices):
    methods, notes = fitted(ratings)
    assert list(methods) == ["global mean", "biases", "popularity", "item neighbours", "EASE", "ALS"]
    assert notes == []
    rows = ratings.held_out("test")
    users, items, truth = ratings.user_codes[rows], ratings.item_codes[rows], ratings.values[rows]
    off = {
        name: float(((method.rates(users, items) - truth) ** 2).mean())
        for name, method in methods.items()
        if hasattr(method, "rates")
    }
    assert list(off) == ["global mean", "biases", "item neighbours"]
    assert off["item neighbours"] < off["biases"] < off["global mean"]
    for method in list(methods.values())[1:]:
        scores = method.ranks(np.arange(5))
        assert scores.shape == (5, ratings.n_items)
        assert np.isfinite(scores).all()
    assert list(fitted(choices)[0]) == ["popularity", "item neighbours", "EASE", "ALS"]


def test_a_method_rates_a_pair_as_it_ranks_it(ratings):
    methods = fitted(ratings)[0]
    for name in ("biases", "item neighbours"):
        users, items = np.repeat(np.arange(6), ratings.n_items), np.tile(np.arange(ratings.n_items), 6)
        assert methods[name].ranks(np.arange(6)).ravel() == pytest.approx(methods[name].rates(users, items), abs=1e-5)


def test_biases_are_damped_means(ratings):
    known = BaselineData.of(ratings, "test")
    found = Biases.fit(known, (3.0, 7.0))
    left = known.values - known.values.mean()
    for _ in range(3):  # where they have settled, each is the damped mean of what the other leaves
        for code in range(5):
            own = known.users == code
            assert found.users[code] == pytest.approx(
                (left[own] - found.items[known.items[own]]).sum() / (own.sum() + 3), abs=1e-3
            )
            own = known.items == code
            assert found.items[code] == pytest.approx(
                (left[own] - found.users[known.users[own]]).sum() / (own.sum() + 7), abs=1e-3
            )
    enormous = Biases.fit(known, (1e9, 1e9))
    assert enormous.rates(known.users[:5], known.items[:5]) == pytest.approx(known.values.mean(), abs=1e-3)


def test_neighbours_equal_a_plain_loop():
    table = random_choices()
    full, found = table.toarray(), similarities(table, 5.0, kept=4).toarray()
    for item in range(12):
        norms = np.linalg.norm(full, axis=0)
        cosines = full.T @ full[:, item] / (norms * norms[item] + 5.0)
        cosines[item] = 0
        nearest = np.sort(cosines)[-4:]
        assert np.sort(found[item][found[item] > 0]) == pytest.approx(nearest, abs=1e-6)
        there = found[item] > 0
        assert found[item][there] == pytest.approx(cosines[there], abs=1e-6)


def test_neighbours_are_the_same_in_blocks(monkeypatch):
    table = random_choices()
    whole = similarities(table, 5.0).toarray()
    monkeypatch.setattr(neighbours, "PAIRS_AT_ONCE", 50)
    assert similarities(table, 5.0).toarray() == pytest.approx(whole)


def test_neighbours_of_ratings_add_the_average_of_what_biases_leave(ratings):
    method = _rated_neighbours(BaselineData.of(ratings, "test"), 30.0)
    assert isinstance(method, RatedNeighbours)
    near, own = method.near.toarray()[3], method.seen.toarray()[7]
    there = method.seen.toarray()[7] != 0
    expected = (near * own).sum() / (near[there].sum() + 0.3)
    found = method.rates(np.array([7]), np.array([3])) - method.biases.rates(np.array([7]), np.array([3]))
    assert found[0] == pytest.approx(expected, abs=1e-5)


def test_ease_regresses_each_item_on_the_others():
    table = random_choices(60, 8)
    found, full = Ease.fit(table, table, ridge=20.0), table.toarray().astype(float)
    for item in range(8):
        others = np.delete(np.arange(8), item)
        gram = full[:, others].T @ full[:, others] + 20 * np.eye(7)
        expected = np.linalg.solve(gram, full[:, others].T @ full[:, item])
        assert found.weights[others, item] == pytest.approx(expected, abs=1e-5)
        assert found.weights[item, item] == 0
    assert found.ranks(np.arange(3)) == pytest.approx(full[:3] @ found.weights, abs=1e-5)


def test_alternating_least_squares_solves_for_each_person():
    table, rng = random_choices(), np.random.default_rng(1)
    others = rng.normal(size=(12, 6)).astype(np.float32)
    found = solved(table, others, start=np.zeros((30, 6), np.float32), weight=3.0, ridge=2.0, steps=30)
    for person, chosen in enumerate(table.toarray()):
        weights = 1 + 2 * chosen
        gram = (others * weights[:, None]).T @ others + 2 * np.eye(6)
        assert found[person] == pytest.approx(np.linalg.solve(gram, others.T @ (weights * chosen)), abs=1e-4)


def test_factors_find_two_tastes():
    rng = np.random.default_rng(0)
    sides = np.repeat([0, 1], 50)
    table = csr_array(((sides[:, None] == np.repeat([0, 1], 10)) & (rng.random((100, 20)) < 0.5)).astype(np.float32))
    found = Factors.fit(table, table, factors=4, weight=2.0, ridge=1.0)
    scores = found.ranks(np.array([0, 99]))
    assert scores[0, :10].min() > scores[0, 10:].max()
    assert scores[1, 10:].min() > scores[1, :10].max()


def test_people_without_training_rows_are_folded_in():
    found = labelled(made_ratings(120), split="user")
    known = BaselineData.of(found, "test")
    test = np.unique(found.user_codes[found.rows_of("test")])
    assert (test >= found.n_users).all()
    assert known.interactions[test].nnz == 0  # nothing is fitted on them
    assert known.seen[test].nnz > 0  # but something known of them
    assert np.abs(Biases.fit(known).users[test]).max() > 0
    rows = found.held_out("test")
    users, items, truth = found.user_codes[rows], found.item_codes[rows], found.values[rows]
    methods = fitted(found)[0]
    off = {name: float(((methods[name].rates(users, items) - truth) ** 2).mean()) for name in ("global mean", "item neighbours")}
    assert off["item neighbours"] < off["global mean"]
    asked = set(zip(users.tolist(), items.tolist(), strict=True))
    assert not asked & set(zip(*known.seen_ratings.nonzero(), strict=True))  # no answer is known beforehand


def test_popularity_breaks_ties_and_serves_those_of_whom_nothing_is_known():
    rows = [(1, 1, 5, "train", False), (2, 1, 5, "train", False), (2, 2, 5, "train", False), (3, 3, 5, "test", False)]
    popular = Popularity.fit(BaselineData.of(of_rows(rows), "test"))
    assert popular.shares == pytest.approx([2 / 3, 1 / 3])

    class Silent:
        def ranks(self, users):
            return np.float32([[0, 0], [4, 4]])[users]

    found = OrPopular(Silent(), popular.shares).ranks(np.array([0, 1]))
    assert found[0] == pytest.approx(popular.shares)
    assert found[1, 0] > found[1, 1]
    assert found[1] == pytest.approx(4, abs=1e-5)


def test_what_would_take_too_long_or_not_fit_is_left_out_with_a_reason(choices, monkeypatch):
    monkeypatch.setattr(baselines, "MOST_ITEMS", 10)
    monkeypatch.setattr(baselines, "MOST_INTERACTIONS", 10)
    monkeypatch.setattr(neighbours, "MOST_PAIRS", 10)
    methods, notes = fitted(choices)
    assert list(methods) == ["popularity"]
    assert [note.partition(" was left out: ")[0] for note in notes] == ["item neighbours", "EASE", "ALS"]
    monkeypatch.setattr(neighbours, "MOST_PAIRS", 10**9)
    monkeypatch.setattr(neighbours, "MOST_STORED", 10)
    assert "there is room for 10" in too_many(random_choices())


def test_a_setting_is_taken_where_valid_rows_say_that_it_is_better(ratings):
    tuner = Tuner.of(BaselineData.of(ratings, "test"), 0)
    fits = []

    class Off:
        def __init__(self, known, by):
            fits.append((known is tuner.data, by))
            self.by = by

        def rates(self, users, items):
            return 3.0 + np.full(len(users), self.by)

    assert tuner.best(Off, (10.0, 0.0, 5.0)).by == 0
    assert fits == [(False, 10.0), (False, 0.0), (False, 5.0), (True, 0.0)]
    hurried = Tuner(tuner.data, tuner.before, few=False, seed=0)
    assert hurried.best(Off, (10.0, 0.0)).by == 10
    assert hurried.best(Off, (10.0, 0.0), cheap=True).by == 0


@pytest.mark.parametrize(("gain", "taken"), [(0.5, "usual"), (1.5, "other")])
def test_a_setting_has_to_be_better_by_a_standard_error(ratings, monkeypatch, gain, taken):
    noise = np.array([-1.0, 1.0] * 50)
    losses = {"usual": noise + gain * noise.std() / 10, "other": np.zeros(100)}
    monkeypatch.setattr(Tuner, "_losses", lambda self, method: losses[method])
    assert Tuner.of(BaselineData.of(ratings, "test"), 0).best(lambda known, setting: setting, ("usual", "other")) == taken
