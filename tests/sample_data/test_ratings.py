"""The sample ratings are what their rules make, to the byte, and hold what they are said to hold: a taste that can be learnt."""

import csv
import importlib.util
import subprocess
import sys
from datetime import date

import numpy as np
import pytest
from helpers import ROOT

SAMPLES = ROOT / "sample_data"
NAMED, WANTED = ("Demon Slayer", "Chainsaw Man"), "Hell's Paradise"


def load():
    spec = importlib.util.spec_from_file_location("make_ratings", SAMPLES / "make_ratings.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up there
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rules():
    return load()


@pytest.fixture(scope="module")
def floor(rules):
    return rules.best_possible()


@pytest.fixture(scope="module")
def rows():
    with (SAMPLES / "ratings.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def grid(drawn, kept=slice(None)):
    """The stars of the kept rows as people × titles, 0 where there are none."""
    stars = np.zeros(drawn.mean.shape)
    stars[drawn.person[kept], drawn.title[kept]] = drawn.stars[kept]
    return stars


def ease(stars, weight):
    """The weights, titles × titles, of EASE (Steck 2019) on who has seen what."""
    seen = (stars > 0).astype(float)
    inverse = np.linalg.inv(seen.T @ seen + weight * np.eye(seen.shape[1]))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def cosines(stars):
    seen = (stars > 0).astype(float)
    lengths = np.linalg.norm(seen, axis=0)
    return seen.T @ seen / np.outer(lengths, lengths)


def biases(stars):
    """Mean, what each person gives more, what each title gets more; damped."""
    rated = stars > 0
    mean, people, titles = stars.sum() / rated.sum(), np.zeros((len(stars), 1)), np.zeros(stars.shape[1])
    for _ in range(10):
        titles = np.where(rated, stars - mean - people, 0).sum(axis=0) / (rated.sum(axis=0) + 3)
        people = np.where(rated, stars - mean - titles, 0).sum(axis=1, keepdims=True) / (rated.sum(axis=1, keepdims=True) + 5)
    return mean, people, titles


def factors(stars, size=16, weight=5.0):
    """Alternating least squares on what the mean of a title leaves: (mean of each title, vectors of people, of titles)."""
    rated, rng = stars > 0, np.random.default_rng(0)
    mean, _, titles = biases(stars)
    left = np.where(rated, stars - mean - titles, 0)
    of_titles = np.column_stack([0.1 * rng.standard_normal((stars.shape[1], size)), np.ones(stars.shape[1])])
    damp = weight * np.eye(size + 1)
    for _ in range(15):
        of_people = solved(of_titles, left, rated, damp)
        of_titles[:, :-1] = solved(
            of_people[:, :-1], (left - np.where(rated, of_people[:, -1:], 0)).T, rated.T, damp[:size, :size]
        )
    return mean + titles, of_people, of_titles


def solved(vectors, left, rated, damp):
    pairs = zip(left, rated, strict=True)
    return np.array([np.linalg.solve(vectors[k].T @ vectors[k] + damp, vectors[k].T @ row[k]) for row, k in pairs])


def answer(rules, scores):
    """The best title for who named the two, and how far it is ahead of the next, in standard deviations of the scores."""
    others = np.array([title not in NAMED for title in rules.TITLES])
    first, second = np.argsort(-np.where(others, scores, -np.inf))[:2]
    return rules.TITLES[first], (scores[first] - scores[second]) / scores[others].std()


def named(rules):
    return [rules.TITLES.index(title) for title in NAMED]


def test_making_the_ratings_again_gives_the_committed_file(tmp_path):
    subprocess.run([sys.executable, str(SAMPLES / "make_ratings.py"), str(tmp_path)], check=True, capture_output=True)
    assert [path.name for path in tmp_path.iterdir()] == ["ratings.csv"]
    assert (tmp_path / "ratings.csv").read_bytes() == (SAMPLES / "ratings.csv").read_bytes()


def test_the_file_is_small_plain_and_names_each_pair_once(rules, rows):
    data = (SAMPLES / "ratings.csv").read_bytes()
    assert len(data) < 700_000
    assert b"\r" not in data
    assert list(rows[0]) == ["user", "title", "rating", "time"]
    assert {row["user"] for row in rows} == {f"u{number:03d}" for number in range(1, 521)}
    assert {row["title"] for row in rows} == set(rules.TITLES)
    assert len({(row["user"], row["title"]) for row in rows}) == len(rows) == 14_482
    assert {row["rating"] for row in rows} <= {f"{stars / 2:g}" for stars in range(2, 11)}
    days = [date.fromisoformat(row["time"]) for row in rows]
    assert days == sorted(days)
    assert days[0] == rules.FIRST_DAY


def test_every_title_stands_once_and_the_three_are_a_sub_group_of_dark_action_anime(rules):
    assert len(set(rules.TITLES)) == len(rules.TITLES) == 97
    assert set(rules.WEIGHTS) == set(rules.SHOWS)
    assert rules.SHOWS["dark action anime"]["blades and demons"] == (*NAMED, WANTED)


def test_people_have_seen_what_the_rules_say(rules):
    drawn = rules.ratings()
    seen = np.bincount(drawn.person)
    assert (seen.min(), seen.max()) == (8, 60)
    assert np.median(seen) == pytest.approx(25, abs=1.5)
    assert len(drawn.stars) / drawn.mean.size == pytest.approx(0.29, abs=0.005)
    assert np.bincount(drawn.title).min() > 50


def test_each_person_sees_what_they_like_best_first(rules):
    drawn = rules.ratings()
    order = np.argsort(drawn.person, kind="stable")  # rows are sorted by time
    stars = np.split(drawn.stars[order], np.cumsum(np.bincount(drawn.person))[:-1])
    assert np.mean([row[: len(row) // 2].mean() - row[len(row) // 2 :].mean() for row in stars]) > 0.3


def test_the_floors_are_those_that_are_documented(floor):
    told = (SAMPLES / "SOURCE.md").read_text(encoding="utf-8")
    assert floor["RMSE"] == pytest.approx(0.377, abs=0.001)
    assert floor["nDCG@10"] == pytest.approx(0.632, abs=0.004)
    assert "RMSE 0.377" in told
    assert "nDCG@10 0.632" in told


def test_the_rules_score_their_floor_on_the_committed_rows(rules, floor):
    drawn = rules.ratings()
    error = drawn.stars - rules.expected_stars(drawn.mean[drawn.person, drawn.title])
    assert np.sqrt(np.mean(error**2)) == pytest.approx(floor["RMSE"], abs=0.01)
    assert error.mean() == pytest.approx(0, abs=0.01)


def test_the_stars_to_expect_are_the_mean_of_many_draws(rules):
    means = np.array([0.8, 2.1, 3.75, 5.1])
    noisy = means + rules.NOISE * np.random.default_rng(0).standard_normal((200_000, 4))
    drawn = np.clip(np.round(2 * noisy) / 2, 1, 5).mean(axis=0)
    assert rules.expected_stars(means) == pytest.approx(drawn, abs=0.005)


def test_factors_beat_biases_clearly_and_stay_above_the_floor(rules, floor):
    drawn = rules.ratings()
    asked = np.random.default_rng(0).random(len(drawn.stars)) < 0.2
    stars, person, title = grid(drawn, ~asked), drawn.person[asked], drawn.title[asked]

    def rmse(predicted):
        return np.sqrt(np.mean((np.clip(predicted[person, title], 1, 5) - drawn.stars[asked]) ** 2))

    mean, people, titles = biases(stars)
    offset, of_people, of_titles = factors(stars)
    learnt = rmse(offset + of_people @ of_titles.T)
    assert floor["RMSE"] + 0.05 < learnt < rmse(mean + people + titles) - 0.12


def test_methods_that_learn_beat_popularity_and_stay_below_the_floor(rules, floor):
    drawn = rules.ratings()
    hidden = np.random.default_rng(0).random(len(drawn.stars)) < 0.2
    stars, asked = grid(drawn, ~hidden), grid(drawn, hidden) > 0
    seen = stars > 0

    def gain(scores):
        return rules.gain(asked, np.where(seen, -np.inf, scores))

    popularity, neighbours, best = gain(seen.sum(axis=0)), gain(seen @ cosines(stars)), gain(seen @ ease(stars, 100))
    assert popularity + 0.1 < neighbours < best - 0.05
    assert best < floor["nDCG@10"] - 0.1


@pytest.mark.parametrize("share", [1.0, 0.7])
@pytest.mark.parametrize("weight", [10, 30, 100, 300])
def test_ease_answers_the_two_with_the_third(rules, weight, share):
    drawn = rules.ratings()
    kept = np.random.default_rng(1).random(len(drawn.stars)) < share
    title, margin = answer(rules, ease(grid(drawn, kept), weight)[named(rules)].sum(axis=0))
    assert title == WANTED
    assert margin > 1


def test_neighbours_and_factors_of_stars_answer_with_the_third_too(rules):
    stars = grid(rules.ratings())
    title, margin = answer(rules, cosines(stars)[named(rules)].sum(axis=0))
    assert title == WANTED
    assert margin > 0.5
    offset, _, vectors = factors(stars)
    given = vectors[named(rules)]
    person = np.linalg.solve(given.T @ given + 5 * np.eye(given.shape[1]), given.T @ (5 - offset[named(rules)]))
    title, margin = answer(rules, offset + vectors @ person)
    assert title == WANTED
    assert margin > 0.5


def test_popularity_and_mean_stars_do_not_give_the_answer(rules):
    stars = grid(rules.ratings())
    place = rules.TITLES.index(WANTED)
    for simple in ((stars > 0).sum(axis=0), stars.sum(axis=0) / (stars > 0).sum(axis=0)):
        assert (np.delete(simple, named(rules)) > simple[place]).sum() >= 5
    people = np.delete((stars > 0).sum(axis=0), named(rules))
    assert (people > (stars[:, place] > 0).sum()).sum() == 14, "as SOURCE.md says"


@pytest.mark.parametrize("seed", range(5))
def test_the_answer_lies_in_the_rules_and_not_in_the_luck_of_a_seed(rules, seed):
    weights = ease(grid(rules.ratings(seed=seed)), 100)
    assert answer(rules, weights[named(rules)].sum(axis=0))[0] == WANTED
