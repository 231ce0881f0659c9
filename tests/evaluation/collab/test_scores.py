"""Scores of ratings and of rankings: the network beside simple methods, by user, saved, shown and compared."""

import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from helpers import collab_learners
from helpers.collab_learners import ANSWERS, knowing_learner, labelled, made_ratings, of_rows

from toolkit.errors import DataError
from toolkit.evaluation import evaluate
from toolkit.evaluation.bootstrap import Interval
from toolkit.evaluation.collab import scores as collab_scores
from toolkit.evaluation.collab.baselines import BaselineData, Biases, Ease
from toolkit.evaluation.comparison import compare
from toolkit.evaluation.scores import Scores, verdict
from toolkit.program.about import _scores
from toolkit.program.collab.about import scored
from toolkit.reports.sections import score_section

RANKING = ["nDCG@10", "recall@10", "precision@10", "mean average precision", "catalogue coverage@10", "novelty@10"]


@pytest.fixture(scope="module", autouse=True)
def stand_in():
    """Networks here are functions: they are asked through the module that asks real ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, ANSWERS, collab_learners)
        yield


def learner_of(found, weight=1.0):
    known = BaselineData.of(found, "test")
    biases, ease = Biases.fit(known), Ease.fit(known.interactions, known.seen, ridge=50.0)
    return knowing_learner(found, biases.rates, biases.ranks if found.objective == "rating" else ease.ranks, weight)


@pytest.fixture(scope="module")
def rating():
    found = labelled(made_ratings())
    return found, evaluate(learner_of(found))


@pytest.fixture(scope="module")
def ranking():
    found = labelled(made_ratings(), "ranking")
    return found, evaluate(learner_of(found))


def test_ratings_are_scored_by_how_far_off_they_are(rating):
    found, scores = rating
    names = ["network", "untrained network", "global mean", "biases", "popularity", "item neighbours", "EASE", "ALS"]
    assert list(scores.table) == names
    assert scores.metrics == ["RMSE", "MAE", *RANKING]
    assert list(scores.table["global mean"]) == ["RMSE", "MAE"]
    assert list(scores.table["EASE"]) == RANKING
    rows = found.held_out("test")
    assert (scores.headline, scores.n_test, scores.resampled, scores.classes) == ("RMSE", len(rows), "users", ())
    off = scores.predictions.predicted - scores.predictions.label
    assert scores.table["network"]["RMSE"].value == pytest.approx((off**2).mean() ** 0.5, abs=1e-6)
    assert scores.table["network"]["MAE"].value == pytest.approx(off.abs().mean(), abs=1e-6)
    assert scores.predictions.label.tolist() == found.values[rows].tolist()
    assert scores.predictions.user.tolist() == found.table.user.iloc[rows].tolist()
    simple = {name: row["RMSE"].value for name, row in list(scores.table.items())[2:] if "RMSE" in row}
    assert scores.best_simple == min(simple, key=simple.get)
    assert scores.difference.value == pytest.approx(simple[scores.best_simple] - scores.table["network"]["RMSE"].value, abs=1e-6)
    assert scores.difference.low < scores.difference.value < scores.difference.high
    assert scores.verdict == verdict(scores.best_simple, scores.difference, of="RMSE", in_units=True)
    interval = scores.table["network"]["RMSE"]
    assert interval.low < interval.value < interval.high


def test_the_interval_draws_users_with_all_their_ratings(rating):
    _, scores = rating
    table, rng = scores.predictions, np.random.default_rng(5)
    each = [((rows.predicted - rows.label) ** 2).to_numpy() for _, rows in table.groupby("user")]
    drawn = [np.concatenate([each[i] for i in rng.integers(0, len(each), len(each))]).mean() ** 0.5 for _ in range(2000)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    found = scores.table["network"]["RMSE"]
    assert (found.low, found.high) == pytest.approx((low, high), abs=0.01)


def test_rankings_are_scored_by_what_is_found_first(ranking):
    found, scores = ranking
    assert list(scores.table) == ["network", "untrained network", "popularity", "item neighbours", "EASE", "ALS"]
    assert all(list(row) == RANKING for row in scores.table.values())
    users = np.unique(found.user_codes[found.held_out("test")])
    assert (scores.headline, scores.n_test, scores.ranking, scores.in_units) == ("nDCG@10", len(users), True, False)
    for name in ("nDCG@10", "recall@10", "mean average precision", "novelty@10"):
        assert scores.table["network"][name].value == pytest.approx(scores.predictions[name].mean(), abs=1e-6)
    assert scores.predictions.user.tolist() == [found.users[code] for code in users]
    assert scores.predictions.asked.sum() == len(found.held_out("test"))
    assert scores.predictions.known.sum() == found.seen("test", positive=True)[users].nnz
    best = max(list(scores.table)[2:], key=lambda name: scores.table[name]["nDCG@10"].value)
    assert scores.best_simple == best
    gap = scores.table["network"]["nDCG@10"].value - scores.table[best]["nDCG@10"].value
    assert scores.difference.value == pytest.approx(gap, abs=1e-6)
    assert scores.table["network"]["nDCG@10"].value > scores.table["untrained network"]["nDCG@10"].value
    assert "points of nDCG@10" in scores.verdict


def test_curves_begin_and_pass_where_the_metrics_are(ranking, rating):
    for _, scores in (ranking, rating):
        assert list(scores.curves) == [name for name, row in scores.table.items() if "nDCG@10" in row]
        for name, curves in scores.curves.items():
            assert len(curves["nDCG"]) == len(curves["recall"]) == 40  # items
            assert curves["nDCG"][9] == pytest.approx(scores.table[name]["nDCG@10"].value, abs=1e-5)
            assert curves["recall"] == sorted(curves["recall"])


@pytest.mark.parametrize("which", ["rating", "ranking"])
def test_scores_are_read_back_as_they_were_written(which, request, tmp_path):
    scores = request.getfixturevalue(which)[1]
    scores.save(tmp_path)
    again = Scores.load(tmp_path)
    pd.testing.assert_frame_equal(again.predictions, scores.predictions)
    assert again.to_json() == scores.to_json()
    assert str(again) == str(scores)
    assert "curves" not in scores.card()


def test_a_figure_that_does_not_apply_is_a_dash_wherever_scores_are_shown(rating):
    scores = rating[1]
    line = next(line for line in str(scores).splitlines() if line.startswith("EASE"))
    assert line.split()[1:3] == ["–", "–"]
    told = "\n".join(_scores(scores.card(), scored(scores.card())))
    assert f"scores on {scores.n_test} held-out ratings" in told
    assert "  EASE: nDCG@10" in told
    table = score_section(scores, given="as they are", noun="ratings").blocks[-1]
    row = next(row for row in table.rows if row[0] == "EASE")
    assert row[1:3] == ["–", "–"]
    assert len(row) == 9


def test_users_and_items_are_scored_by_what_is_known_of_them(rating, ranking):
    _, scores = rating
    assert scores.by_group["users"]["warm"]["n"] == scores.n_test
    assert sum(each["n"] for each in scores.by_group["known likes"].values()) == scores.n_test
    assert "RMSE by users: warm" in str(scores)
    _, scores = ranking
    assert sum(each["n"] for each in scores.by_group["known likes"].values()) == scores.n_test
    assert "users)" in str(scores)
    value = scores.by_group["users"]["warm"]["metrics"]["nDCG@10"].value
    assert value == pytest.approx(scores.table["network"]["nDCG@10"].value)


@pytest.mark.parametrize("objective", ["rating", "ranking"])
def test_cold_users_are_scored_apart(objective):
    rng = np.random.default_rng(0)
    rows = [
        (user, item, int(rng.integers(1, 6)), "train", False) for user in range(20) for item in range(15) if (user + item) % 3
    ]
    rows += [
        (user, item, 4, "valid" if item else "test", False) for user in range(20) for item in range(15) if not (user + item) % 3
    ]
    rows += [(30, 1, 5, "test", True), (30, 2, 4, "test", False), (31, 2, 3, "test", False), (31, 99, 2, "test", False)]
    scores = evaluate(learner_of(of_rows(rows, objective)))
    groups = scores.by_group["users"]
    assert list(groups) == ["warm", "cold, with likes", "cold"]
    assert [each["n"] for each in groups.values()] == ([7, 1, 2] if objective == "rating" else [7, 1, 1])
    if objective == "rating":
        assert {name: each["n"] for name, each in scores.by_group["items"].items()} == {"warm": 9, "cold": 1}
    else:
        assert scores.predictions.set_index("user").loc["31", "recall@10"] <= 0.5  # item 99 cannot be found


def test_that_another_ranks_better_than_a_network_of_ratings_is_said():
    found = labelled(made_ratings(300, 60))
    learn = knowing_learner(
        found, lambda users, items: np.full(len(users), 3.0), lambda users: np.zeros((len(users), found.n_items))
    )
    scores = evaluate(learn)
    assert "to choose what to show first, " in scores.notes[-1]
    assert f"note: {scores.notes[-1]}" in str(scores)
    assert scores.verdict.startswith(f"worse than {scores.best_simple} by ")


def test_large_tests_are_sampled_and_say_so(monkeypatch):
    found = labelled(made_ratings())
    monkeypatch.setattr(collab_scores, "MOST_ROWS", 50)
    monkeypatch.setattr(collab_scores, "MOST_CELLS", 1)
    monkeypatch.setattr(collab_scores, "FEWEST_USERS", 20)
    scores = evaluate(learner_of(found))
    assert scores.n_test == len(scores.predictions) == 50
    assert any("sample of 50 of" in note for note in scores.notes)
    assert any("sample of 20 of 60 test users" in note for note in scores.notes)


def test_verdicts_of_errors_are_in_their_unit():
    assert verdict("biases", Interval(0.021, 0.018, 0.025), of="RMSE", in_units=True) == (
        "better than the best simple method (biases) by 0.021 RMSE [0.018, 0.025]"
    )
    worse = verdict("biases", Interval(-0.021, -0.025, -0.018), of="RMSE", in_units=True)
    assert worse == "worse than biases by 0.021 RMSE: [-0.025, -0.018]"
    same = verdict("biases", Interval(0.001, -0.002, 0.004), of="RMSE", in_units=True)
    assert same == "not better than biases: [-0.002, 0.004] RMSE"


def test_runs_of_ratings_are_compared_pair_by_pair(rating, tmp_path):
    _, one = rating
    one.save(tmp_path)
    better = one.predictions.assign(predicted=(one.predictions.predicted + one.predictions.label) / 2)
    found = compare({"one": Scores.load(tmp_path), "better": replace(one, predictions=better)})
    assert found.n_common == one.n_test
    assert found.resampled == "users"
    assert list(found.table["one"]) == ["RMSE", "MAE"]
    value = one.table["network"]["RMSE"].value
    assert found.table["one"]["RMSE"].value == pytest.approx(value, abs=1e-5)
    assert found.differences["better"]["RMSE"].value == pytest.approx(-value / 2, abs=1e-5)
    assert found.verdicts[0].startswith("better is better than one by ")
    assert "RMSE" in found.verdicts[0]
    assert (
        compare({"better": replace(one, predictions=better), "one": one}).verdicts[0].startswith("one is worse than better by ")
    )
    assert "no difference" in compare({"one": one, "again": one}).verdicts[0]


def test_runs_of_rankings_are_compared_user_by_user(ranking, rating, tmp_path):
    found, one = ranking
    one.save(tmp_path)
    other = evaluate(learner_of(found, weight=-1.0))
    compared = compare({"one": Scores.load(tmp_path), "reversed": other})
    assert compared.n_common == one.n_test
    assert compared.resampled == "users"
    assert compared.table["one"]["nDCG@10"].value == pytest.approx(one.table["network"]["nDCG@10"].value, abs=1e-6)
    assert "points of nDCG@10" in compared.verdicts[0]
    assert compared.verdicts[0].startswith("reversed is worse than one")
    assert "a user with what was to be found" in compared.notes[0]
    with pytest.raises(DataError, match="ratings and rankings of items|rankings of items and ratings"):
        compare({"one": one, "stars": rating[1]})


def test_users_who_were_asked_something_else_are_not_the_same_items(ranking):
    found = labelled(made_ratings(seed=0).sample(frac=0.8, random_state=1), "ranking")
    with pytest.raises(DataError, match="no test item is in all"):
        compare({"one": ranking[1], "other": evaluate(learner_of(found))})


def test_nothing_to_rank_or_no_test_is_refused():
    rows = [(user, item, 5 if item else 1, "train", False) for user in range(8) for item in range(1, 6)]
    with pytest.raises(DataError, match="no test rows"):
        evaluate(learner_of(of_rows(rows)))
    with pytest.raises(DataError, match="smaller liked_from"):
        evaluate(learner_of(of_rows([*rows, (1, 7, 1, "test", False)], liked_from=4)))
    few = evaluate(learner_of(of_rows([*rows, (1, 7, 5, "test", False), (2, 7, 5, "test", False)])))
    assert "only 2 users: too few to rely on" in few.verdict


def test_the_same_seed_finds_the_same_scores(rating, ranking):
    for found, scores in (rating, ranking):
        assert evaluate(learner_of(found)).to_json() == scores.to_json()
