"""Metrics of recommendations equal those of a plain program, whatever the batches; ties are broken by lot."""

from math import log2

import numpy as np
import pytest
from helpers.collab_learners import of_rows
from scipy.sparse import csr_array

from toolkit.evaluation.bootstrap import Bootstrap
from toolkit.evaluation.collab import metrics
from toolkit.evaluation.collab.baselines import held_out_interactions
from toolkit.evaluation.collab.metrics import HeldOut, coverage, ranking_intervals, rankings


def made_case(users=40, items=30, seed=0):
    """Scores, and for each user the items seen and those to be found; items 30 to 33 are unknown to training."""
    rng = np.random.default_rng(seed)
    cells = rng.random((users, items + 4))
    seen, relevant = cells < 0.2, cells > 0.85
    seen[:, items:] = False
    seen[0], relevant[0] = False, False
    seen[0, : items - 4], relevant[0, [items - 2, items + 1]] = True, True  # four candidates
    relevant[1] = False  # nothing to find: does not count
    scores = rng.normal(size=(users, items)).astype(np.float32)
    counts = rng.integers(0, 20, items)
    asked = np.flatnonzero(relevant.any(axis=1))
    choices = HeldOut.of(asked, np.nonzero(relevant), seen=csr_array(seen.astype(np.float32)), popularity=counts, n_users=50)
    return scores, seen, relevant, counts, choices


def plainly(scores, seen, relevant, counts, people, length=10):
    """The metrics of one user, as one would tell them: loops and sets."""
    items = [item for item in range(len(scores)) if not seen[item]]
    items.sort(key=lambda item: -scores[item])
    wanted = {item for item in range(len(relevant)) if relevant[item]}
    gain = sum(1 / log2(place + 2) for place, item in enumerate(items[:length]) if item in wanted)
    ideal = sum(1 / log2(place + 2) for place in range(min(length, len(wanted))))
    found, precisions = 0, 0.0
    for place, item in enumerate(items):
        if item in wanted:
            found += 1
            precisions += found / (place + 1)
    hits = len(wanted & set(items[:length]))
    new = [-log2(max(counts[item], 1) / people) for item in items[:length]]
    return {
        "nDCG@10": gain / ideal, "recall@10": hits / len(wanted), "precision@10": hits / length,
        "mean average precision": precisions / len(wanted), "novelty@10": sum(new) / len(new), "shown": set(items[:length]),
    }  # fmt: skip


@pytest.mark.parametrize("at_once", [1, 100, 10**6])
def test_metrics_equal_those_of_a_plain_program(at_once, monkeypatch):
    monkeypatch.setattr(metrics, "AT_ONCE", at_once)
    scores, seen, relevant, counts, choices = made_case()
    found = rankings(lambda users: scores[users], choices)
    assert 1 not in choices.users
    everything = [plainly(scores[user], seen[user], relevant[user], counts, 50) for user in choices.users]
    for name, values in found.users.items():
        assert values == pytest.approx([each[name] for each in everything], abs=1e-9)
    for shown, each in zip(found.shown, everything, strict=True):
        assert set(shown[shown >= 0].tolist()) == each["shown"]
    for length in (1, 7, 10, 25):
        each = [plainly(scores[user], seen[user], relevant[user], counts, 50, length) for user in choices.users]
        assert found.curves["nDCG"][length - 1] == pytest.approx(np.mean([one["nDCG@10"] for one in each]), abs=1e-5)
        assert found.curves["recall"][length - 1] == pytest.approx(np.mean([one["recall@10"] for one in each]), abs=1e-5)
    assert len(found.curves["nDCG"]) == 30  # there are no more items
    users = np.arange(len(choices.users))
    told = ranking_intervals(found, choices, bootstrap=Bootstrap.draw(len(users)), counted=users)
    assert told["catalogue coverage@10"].value == len(set.union(*(each["shown"] for each in everything))) / 30
    assert told["nDCG@10"].value == pytest.approx(np.mean([each["nDCG@10"] for each in everything]), abs=1e-9)


def test_metrics_equal_those_of_ranx():
    """An oracle of its own: ranx is compiled and knows nothing of ours; it is told what a user may be shown, and what is held
    out."""
    ranx = pytest.importorskip("ranx", reason="the oracle of rankings, ranx, is not installed")
    scores, seen, relevant, _, held_out = made_case(users=60, items=80, seed=1)
    found = rankings(lambda users: scores[users], held_out)
    wanted = ranx.Qrels({f"{user:02d}": {f"{item}": 1 for item in np.flatnonzero(relevant[user])} for user in held_out.users})
    shown = ranx.Run(
        {
            f"{user:02d}": {f"{item}": float(scores[user, item]) for item in np.flatnonzero(~seen[user, :80])}
            for user in held_out.users
        }
    )
    names = {"nDCG@10": "ndcg@10", "recall@10": "recall@10", "precision@10": "precision@10", "mean average precision": "map"}
    expected = ranx.evaluate(wanted, shown, list(names.values()), return_mean=False, make_comparable=True)
    for name, theirs in names.items():
        assert found.users[name] == pytest.approx(expected[theirs], abs=1e-9), name
    for length in (1, 5, 25, 50):
        each = ranx.evaluate(wanted, shown, [f"ndcg@{length}", f"recall@{length}"])
        for name in ("nDCG", "recall"):
            assert found.curves[name][length - 1] == pytest.approx(each[f"{name.lower()}@{length}"], abs=1e-5)


def test_a_faultless_ranking_has_all_and_the_reverse_has_nothing():
    _, _, relevant, _, choices = made_case()
    perfect = relevant[:, :30].astype(float)
    found = rankings(lambda users: perfect[users], choices)
    known = relevant[:, 30:][choices.users].sum(axis=1) == 0
    assert found.users["mean average precision"][known] == pytest.approx(1)
    assert found.users["nDCG@10"][known] == pytest.approx(1)
    assert (found.users["mean average precision"][~known] < 1).all()  # what training never met cannot be found
    assert rankings(lambda users: -perfect[users], choices).users["mean average precision"].mean() < 0.3


def test_equal_scores_are_ranked_by_lot_and_never_as_the_catalogue_is():
    items, users = 200, 3000
    relevant = csr_array((np.ones(users, bool), (np.arange(users), np.zeros(users, int))), shape=(users, items))
    nothing = csr_array((users, items), dtype=bool)
    choices = HeldOut(np.arange(users), relevant, np.ones(users), nothing, np.zeros(items))
    found = rankings(lambda users: np.zeros((len(users), items)), choices)
    assert found.users["recall@10"].mean() == pytest.approx(10 / items, abs=0.015)  # of item 0, the first
    shown = np.bincount(found.shown.ravel(), minlength=items)
    assert shown.min() > 0.5 * 10 * users / items
    again = rankings(lambda users: np.zeros((len(users), items)), choices)
    assert np.array_equal(found.shown, again.shown)
    assert not np.array_equal(found.shown, rankings(lambda users: np.zeros((len(users), items)), choices, seed=1).shown)


def test_signs_zeros_and_what_is_no_number_are_sorted_as_numbers_are():
    values = np.array([[-np.inf, -3.5, -1e-30, -0.0, 0.0, 1e-30, 2.0, np.inf, np.nan, -2.0]])
    choices = HeldOut(np.arange(1), csr_array((1, 10), dtype=bool), np.ones(1), csr_array((1, 10), dtype=bool), np.zeros(10))
    shown = rankings(lambda users: values, choices).shown[0].tolist()
    assert shown[:3] == [7, 6, 5]
    assert set(shown[3:5]) == {3, 4}
    assert shown[5:8] == [2, 9, 1]
    assert set(shown[8:]) == {0, 8}


def test_coverage_counts_distinct_items_and_its_interval_holds_it():
    shown = np.array([[0, 1], [0, 2], [0, -1], [3, 1]] * 10)
    found = coverage(shown, 8, bootstrap=Bootstrap.draw(40), counted=np.arange(40))
    assert found.value == 0.5
    alone = np.arange(40)[:, None]  # everybody is shown something else: a resample leaves out what it does not draw
    found = coverage(alone, 80, bootstrap=Bootstrap.draw(40), counted=np.arange(40))
    spread = (40 * (np.exp(-1) - 2 * np.exp(-2))) ** 0.5 / 80  # of how many are drawn at all
    assert (found.low, found.value, found.high) == pytest.approx((0.5 - 1.96 * spread, 0.5, 0.5 + 1.96 * spread), abs=0.01)


def test_what_is_asked_is_what_was_chosen_of_known_and_unknown_items():
    rows = [
        (1, 1, 5, "train", False), (1, 2, 1, "train", False), (1, 3, 0, "valid", False), (2, 1, 4, "train", False),
        (2, 3, 5, "train", False), (1, 9, 5, "test", False), (2, 2, 2, "test", False), (3, 1, 5, "test", True),
        (3, 2, 5, "test", False), (3, 3, 2, "test", False), (3, 8, 5, "test", False),
    ]  # fmt: skip
    choices = held_out_interactions(of_rows(rows, liked_from=4), "test", most=100)
    assert choices.users.tolist() == [0, 2]  # user 2 chose nothing in the test
    assert choices.counts.tolist() == [1, 2]
    assert choices.relevant.toarray().tolist() == [[False] * 3, [False, True, False]]
    assert choices.seen.toarray().tolist() == [[True, True, True], [True, False, False]]  # a rating of 0 is seen too
    assert choices.surprise.tolist() == [0, 1, 1]  # both of 2 chose item 1, nobody item 2, which counts as one
