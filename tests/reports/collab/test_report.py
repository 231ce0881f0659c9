"""The report of a model of ratings or choices: numbers from the scores, titles of any kind, nobody's history unasked."""

import re
from dataclasses import replace
from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers.collab_samples import made_model, write_sample
from helpers.read_page import Read

from toolkit.data.collab.labelled import labelled_collab
from toolkit.data.collab.options import as_collab_options
from toolkit.errors import RunError
from toolkit.evaluation import evaluate
from toolkit.evaluation.bootstrap import Interval
from toolkit.evaluation.collab.answers import ranking_answers
from toolkit.evaluation.collab.metrics import NDCG
from toolkit.evaluation.scores import NETWORK, NONE
from toolkit.evaluation.tabular.metrics import RMSE
from toolkit.export import export
from toolkit.learning.collab.learner import build_collab_learner
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.program import load
from toolkit.reports.collab.charts import error_bars, ranking_curves
from toolkit.reports.collab.insight import apart, asked_as
from toolkit.reports.collab.item_map import boxes_meet, directions, drawing, places, shortened, text_width
from toolkit.reports.collab.report import write_collab_report
from toolkit.reports.images.explain import Explainer

SHARED = {
    "Scores", "Ranking curves", "For whom it works", "How it learnt", "The item map", "What is liked in general",
    "What goes with what", "Newcomers", "How the data was split", "What it was run with",
}  # fmt: skip
ODD = ["<script>alert(1)</script>", "$5 & $x^{2", "夏目友人帳 第一期", "a title that goes on and on " * 5, "שלום", "tab\there"]


def watched(users=80, items=36, share=0.4, seed=0):
    """Ratings from 1 to 5 of two tastes, by people u0, u1, …; the first items have odd titles."""
    rng = np.random.default_rng(seed)
    people, things = rng.integers(0, 2, users), np.arange(items) % 2
    there = rng.random((users, items)) < share * np.where(people[:, None] == things, 1.4, 0.5) * np.linspace(1.3, 0.5, items)
    user, item = np.nonzero(there)
    stars = 3 + (people[user] == things[item]) + rng.normal(0, 0.6, len(user))
    titles = np.array([*ODD, *(f"Film {number} ({1950 + number})" for number in range(len(ODD), items))], dtype=object)[:items]
    return pd.DataFrame(
        {"user": [f"u{code}" for code in user], "item": item, "rating": stars.round().clip(1, 5), "title": titles[item]}
    )


def reported(rows, folder, epochs=2, users=True, form="dot", **options):
    options = {"objective": "auto", "split": "random", **options}
    learn = build_collab_learner(labelled_collab(rows, as_collab_options(**options)), form)
    with Run.open("x", learn, settings={"no_users": not users, **options}, folder=folder) as run:
        log = fit(learn, epochs, run=run)
        made = SimpleNamespace(learn=learn, run=run, log=log, scores=evaluate(learn))
        made.program = export(learn, run.program, scores=made.scores, users=users)
        made.path = write_collab_report(learn, made.scores, log=log, run=run, program=made.program)
    made.page = Read(made.path.read_text(encoding="utf-8"))
    made.labelled = learn.dls.labelled
    return made


def again(made, folder, **changed):
    """The page of the same run with other scores."""
    (folder / "run.json").write_bytes((made.run.folder / "run.json").read_bytes())
    scores = replace(made.scores, **changed)
    path = write_collab_report(made.learn, scores, log=made.log, run=SimpleNamespace(folder=folder), program=made.program)
    return Read(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rating(tmp_path_factory):
    return reported(watched(), tmp_path_factory.mktemp("rating"), 4)


@pytest.fixture(scope="module")
def ranking(tmp_path_factory):
    return reported(watched(), tmp_path_factory.mktemp("ranking"), 4, objective="ranking")


@pytest.fixture(scope="module")
def private(tmp_path_factory):
    return reported(watched(), tmp_path_factory.mktemp("private"), users=False, objective="ranking", split="user")


def test_it_is_one_small_file_that_opens_offline(rating):
    assert rating.path == rating.run.folder / "report.html"
    assert rating.path.stat().st_size < 1_000_000
    assert all(link.startswith("#") for link in rating.page.links)
    assert not {"script", "link", "iframe"} & set(rating.page.tags)
    assert "http" not in re.sub(r"data:image/[^\"]*|http-equiv", "", rating.page.html)


def test_the_verdict_comes_first_and_every_part_is_there(rating, ranking, private):
    for made in (rating, ranking, private):
        verdict = made.scores.verdict
        assert made.page.text.index(verdict[0].upper() + verdict[1:]) < made.page.text.index("Scores")
        assert set(made.page.words) >= SHARED
        assert ("Example people" in made.page.words) == (made is not private)


def test_every_score_stands_in_it_as_it_was_measured(rating, ranking):
    for made in (rating, ranking):
        told = made.page.section("Scores")
        for metrics in made.scores.table.values():
            assert all(str(interval) in told for interval in metrics.values())
        for groups in made.scores.by_group.values():
            for value, each in groups.items():
                assert f"{value} {each['n']} " in made.page.section("For whom it works")
                assert str(each["metrics"][made.scores.headline]) in made.page.section("For whom it works")
    assert f"global mean {rating.scores.table['global mean'][RMSE]}" in rating.page.section("Scores")
    assert f"popularity {NONE}" not in rating.page.section("Scores")  # it has no stars: it stands in the other table only


def test_a_number_changes_with_the_scores(rating, tmp_path):
    table = {**rating.scores.table, NETWORK: {**rating.scores.table[NETWORK], RMSE: Interval(0.123, 0.111, 0.135)}}
    page = again(rating, tmp_path, table=table, verdict="it was a dream", notes=["EASE is left out: too many items"])
    assert "0.123 [0.111, 0.135]" in page.section("Scores")
    assert "0.123 [0.111, 0.135]" not in rating.page.text
    assert "It was a dream." in page.text
    assert "EASE is left out: too many items." in page.section("Scores")


def test_the_ranking_curves_say_where_they_end(ranking, tmp_path):
    for name in ("recall", "nDCG"):
        last = ranking.scores.curves[NETWORK][name]
        assert any(alt.startswith(f"{name} of the first {len(last)} items: network {last[-1]:.3f}") for alt in ranking.page.shown)
    assert "Ranking curves" not in again(ranking, tmp_path, curves={}).words


def test_what_is_said_of_the_split_is_what_it_was(rating, private):
    for made in (rating, private):
        for part in ("train", "valid", "test"):
            rows, asked = made.labelled.rows_of(part), made.labelled.held_out(part)
            users = len(np.unique(made.labelled.user_codes[rows]))
            assert f"{part} {len(rows)} {len(asked)} {users} " in made.page.section("How the data was split")
    assert "Whole people are held out" in private.page.section("How the data was split")


def test_the_bias_of_an_item_is_what_somebody_who_has_said_nothing_is_expected_to_give(rating):
    told, model, labelled = rating.page.section("What is liked in general"), rating.program.model, rating.labelled
    expected = model.ratings(model.nobody)
    train = labelled.rows_of("train")
    counts = np.bincount(labelled.item_codes[train], minlength=labelled.n_items)
    enough = np.flatnonzero(counts >= min(20, int(np.median(counts))))
    for code in (enough[expected[enough].argmax()], enough[expected[enough].argmin()]):
        beyond = expected[code] - labelled.values[train].mean()
        title = " ".join(labelled.titles[code].split())[:60]
        assert title in told
        assert f"{counts[code]} ratings {beyond:+.2f} stars: {expected[code]:.2f}" in told


def test_the_average_person_is_shown_first_what_scores_highest_for_the_mean_of_all(ranking):
    people = ranking.learn.fold_in_interactions(ranking.labelled.seen("test", positive=True)[:, : ranking.labelled.n_items])
    first = ranking.program.model.scores(people[: ranking.labelled.n_users].mean(axis=0)).argmax()
    popular = np.asarray(ranking.program.index.popularity)
    titles = [" ".join(ranking.labelled.titles[code].split())[:60] for code in (first, popular.argmax())]
    told = ranking.page.section("What is liked in general")
    assert re.search(rf"\b1 {re.escape(titles[0])}.*chosen by {popular[first]} {re.escape(titles[1])}", told)


def test_examples_are_shown_what_was_scored_and_what_they_really_chose_is_marked(ranking):
    labelled, told = ranking.labelled, ranking.page.section("Example people")
    table = ranking.scores.predictions
    shown = re.findall(r"user (u\d+): nDCG@10 (\d\.\d\d)", told)
    assert len(shown) == 4
    assert [float(value) for _, value in shown] == sorted((float(value) for _, value in shown), reverse=True)
    parts = re.split(r"user u\d+: nDCG", told)[1:]
    for (user, value), part in zip(shown, parts, strict=True):
        assert value == f"{table[table.user == user][NDCG].iloc[0]:.2f}"
        code = labelled.users.index(user)
        known = labelled.seen("test")[[code]].indices
        assert f"{len(known)} known" in part
        scores = ranking_answers(ranking.learn, np.array([code]))[0]
        scores[known[known < labelled.n_items]] = -np.inf
        suggested = np.argsort(-scores)[:6]
        rows = labelled.held_out("test")
        really = set(labelled.item_codes[rows[labelled.user_codes[rows] == code]])
        assert part.count("✓") == len(really & set(suggested.tolist()))
        assert " ".join(labelled.titles[suggested[0]].split())[:60] in part


def test_of_stars_it_is_told_what_was_expected_and_what_was_given(rating):
    told, table = rating.page.section("Example people"), rating.scores.predictions
    user = re.findall(r"user (u\d+)", told)[0]
    row = table[table.user == user].iloc[0]
    assert f"expected {row.predicted:.1f}, gave {row.label:g}" in told


def test_newcomers_get_what_the_program_answers(rating, ranking):
    for made in (rating, ranking):
        told = made.page.section("Newcomers")
        pairs = apart(made.program, 3)
        assert len(pairs) == 3
        assert len({code for pair in pairs for code in pair}) == 6
        for pair in pairs:
            likes = [asked_as(made.program.index, code) for code in pair]
            for each in made.program.recommend(likes=likes, n=6):
                assert " ".join(each.title.split())[:60] in told


def test_without_users_nobody_real_is_in_it(private):
    assert not re.search(r"\bu\d+\b", private.page.text)
    told = private.page.section("Newcomers")
    assert "--no-users" in told
    assert len(re.findall(r"\blikes ", re.sub(r"because you like[^✓]*?(?=likes )", "", told))) >= 3
    assert private.page.html.count('<div class="line">likes ') == 5


def test_titles_of_any_kind_are_shown_and_escaped(ranking):
    page = ranking.page.html
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    told = ranking.page.section("The item map")
    assert all(" ".join(title.split())[:60] in told for title in ODD)  # each dot has its own


def test_what_is_most_alike_is_what_the_program_says(ranking):
    told = ranking.page.section("What goes with what")
    code = int(np.argsort(-np.asarray(ranking.program.index.popularity), kind="stable")[0])
    for each in ranking.program.similar(asked_as(ranking.program.index, code), 5):
        assert f"{each.score:.2f} {' '.join(each.title.split())[:60]}" in told


@pytest.mark.parametrize(("objective", "users"), [("rating", True), ("ranking", False)])
def test_the_neural_form_has_a_report_too(tmp_path, objective, users):
    made = reported(watched(40, 20), tmp_path, 1, users, "neural", objective=objective)
    assert set(made.page.words) >= SHARED


@pytest.mark.parametrize("objective", ["rating", "ranking"])
@pytest.mark.parametrize("users", [True, False])
def test_no_data_are_too_few(tmp_path, objective, users):
    rows = pd.DataFrame({"user": list("aaabbbccc"), "item": [1, 2, 3] * 3, "rating": [1, 5, 3, 2, 4, 5, 1, 1, 2]})
    made = reported(rows, tmp_path, 1, users, objective=objective, test=_few(tmp_path))
    assert {"Scores", "The item map", "Newcomers"} <= set(made.page.words)


@pytest.mark.parametrize("form", ["dot", "neural"])
def test_a_catalogue_of_two_and_a_test_of_one_person_are_told_as_well(tmp_path, form):
    rows = pd.DataFrame({"user": ["a", "a", "b"], "item": ["x", "y", "x"], "rating": [1, 5, 4]})
    test = pd.DataFrame({"user": ["b"], "item": ["y"], "rating": [5]})
    made = reported(rows, tmp_path, 1, objective="ranking", test=test, form=form)
    assert "the test has only 1 user: too few" in made.page.text
    assert made.page.html.count('<div class="line">likes ') == 1
    assert made.page.section("Newcomers").count("because") <= 1


def _few(folder):
    """A test of two rows: one of somebody known, one of nobody known."""
    pd.DataFrame({"user": ["a", "z"], "item": [4, 1], "rating": [4, 2]}).to_csv(folder / "test.csv", index=False)
    return str(folder / "test.csv")


def test_choices_without_ratings_and_titles(tmp_path):
    made = reported(watched(40, 20)[["user", "item"]], tmp_path, 1)
    assert set(made.page.words) >= SHARED | {"Example people"}
    assert "mean rating" not in made.page.text


def test_users_of_whom_nothing_is_known_can_be_examples(tmp_path):
    rows = watched(40, 20).assign(time=lambda table: np.argsort(np.argsort(table.user.str[1:].astype(int), kind="stable")))
    made = reported(rows, tmp_path, 1, objective="ranking", split="time", time="time")
    assert "nothing was known of them" in made.page.section("Example people")


def test_a_map_puts_what_is_alike_together_the_same_way_each_time(tmp_path):
    program = load(write_sample(tmp_path / "x.pyz"))
    found = places(program.model, program.index.popularity)
    groups = found.codes // 5
    middles = np.array([found.points[groups == group].mean(axis=0) for group in range(3)])
    nearest = np.linalg.norm(found.points[:, None] - middles, axis=2).argmin(axis=1)
    assert (nearest == groups).all()
    assert sum(found.held) > 0.9
    turned = replace(program.model, vectors=-program.model.vectors)
    assert np.allclose(np.abs(places(turned, program.index.popularity).points), np.abs(found.points), atol=1e-5)


def test_the_column_that_all_items_share_says_nothing_of_directions():
    model = made_model(rated=True)
    found = directions(model)
    assert found.shape == (15, 4)
    assert np.allclose(np.linalg.norm(found, axis=1), 1)
    flat = replace(model, vectors=np.zeros_like(model.vectors))
    assert len(places(flat, np.ones(15)).codes) == 0
    assert len(places(flat, np.ones(15)).points) == 0


@pytest.mark.parametrize("count", [1, 2, 40, 300])
@pytest.mark.parametrize("width", [358, 920])
def test_titles_on_the_map_cover_neither_each_other_nor_leave_it(count, width):
    rng = np.random.default_rng(count)
    titles = [f"{ODD[number % len(ODD)]} {number}" for number in range(count)]
    made = drawing(rng.normal(size=(count, 2)), titles, counts=np.arange(count)[::-1], width=width, longest=20)
    assert len(made.names) == len(made.boxes)
    assert len(made.names) >= min(count, 3)
    for one, other in combinations(made.boxes, 2):
        assert not boxes_meet(one, other[None]).any()
    assert (made.boxes[:, :2] >= 0).all()
    assert (made.boxes[:, 2:] <= (made.width, made.height)).all()
    assert len(made.dots) == count
    assert all(radius <= x <= made.width - radius and radius <= y <= made.height - radius for x, y, radius, _ in made.dots)


def test_items_in_one_place_make_a_map_too():
    made = drawing(np.zeros((3, 2)), ["a", "b", "c"], counts=np.zeros(3), width=358, longest=20)
    assert {(x, y) for x, y, *_ in made.dots} == {(made.width / 2, made.height / 2)}


def test_long_titles_are_cut_and_measured_as_widely_as_they_may_be():
    assert shortened("Sense and Sensibility (1995)", 26) == "Sense and Sensibility"
    assert shortened("short", 26) == "short"
    assert shortened("x" * 40, 10) == "x" * 9 + "…"
    assert len(shortened("夏" * 30, 10)) <= 6
    assert shortened("two\n lines", 26) == "two lines"
    assert text_width("W", 10) > text_width("i", 10)
    assert text_width("夏夏", 10) == pytest.approx(20)


def test_bars_of_errors_hold_all_of_them():
    axes = error_bars({NETWORK: (4.0, 3.5, 4.5), "global mean": (21.0, 20.0, 25.0)}, RMSE, highlighted=NETWORK).axes[0]
    assert axes.get_xlim()[0] == 0
    assert axes.get_xlim()[1] >= 25
    assert error_bars({NETWORK: (0.0, 0.0, 0.0)}, RMSE, highlighted=NETWORK).axes[0].get_xlim() == (0, 1)


def test_a_curve_has_a_point_for_each_length():
    lines = ranking_curves({NETWORK: [0.1, 0.3, 0.4], "popularity": [0.1]}, "recall").axes[0].lines
    assert [len(line.get_xdata()) for line in lines] == [3, 1]
    assert lines[0].get_xdata()[0] == 1


def test_a_run_on_ratings_is_not_explained_picture_by_picture(rating):
    with pytest.raises(RunError, match="a run on ratings or choices: .* --likes TITLE gives its reason"):
        Explainer(rating.run.folder)
