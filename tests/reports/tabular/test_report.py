"""The report of a model of tables: one file that opens offline, numbers from the scores, nothing unescaped, no table too odd."""

import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from helpers.read_page import Read
from matplotlib.backends.backend_agg import FigureCanvasAgg

from recipes.tabular import build_learner
from toolkit.evaluation import evaluate
from toolkit.evaluation.bootstrap import Interval
from toolkit.evaluation.scores import NETWORK, UNTRAINED
from toolkit.evaluation.tabular.baselines import BOOSTED
from toolkit.evaluation.tabular.metrics import R2
from toolkit.evaluation.tabular.scores import BLENDED
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.learning.tabular.learner import blend_trees
from toolkit.reports.charts import bars
from toolkit.reports.interval_marks import IntervalMark, IntervalMarks
from toolkit.reports.page import Page, Section, write_page
from toolkit.reports.tabular.charts import embedding, roc
from toolkit.reports.tabular.report import write_tabular_report

ODD = ("<script>alert(1)</script>", "$5 & $x^{2", "猫の数", "c", "a name that goes on and on " * 4)
SHARED = {
    "Scores", "How it learnt", "Which columns matter", "How the answer follows them", "Rows explained", "How the data was split",
    "What each column was taken for", "What it was run with",
}  # fmt: skip


def patients(count=500, seed=0):
    """A table in which age decides most, the town some, and the shoe nothing."""
    rng = np.random.default_rng(seed)
    towns = ["Rom", "Paris", "Kiel", "Bonn", "Genf", "Wien"]
    rows = pd.DataFrame(
        {"age": rng.integers(18, 80, count), "town": rng.choice(towns, count), "shoe": rng.normal(41, 2, count).round(1)}
    )
    rows["joined"] = pd.date_range("2015-01-01", periods=count, freq="3D").astype(str)
    rows["smokes"] = rng.choice(["yes", "no"], count)
    risk = (rows.age - 45) / 12 + rows.town.isin(["Rom", "Wien"]) + rng.normal(0, 0.7, count)
    return rows.assign(sick=np.where(risk > 1, "ill", "well"), cost=(1000 * risk + 5000).round(2))


def reported(rows, target, folder, epochs=2, blend=False, **options):
    learn = build_learner(rows, target, **options)
    with Run.open("x", learn, settings={"target": target, **options}, folder=folder) as run:
        log = fit(learn, epochs, run=run)
        if blend:
            blend_trees(learn)
        made = SimpleNamespace(learn=learn, run=run, log=log, scores=evaluate(learn))
        made.program = export(learn, run.program, scores=made.scores)
        made.path = write_tabular_report(learn, made.scores, log=log, run=run, program=made.program)
    made.page = Read(made.path.read_text(encoding="utf-8"))
    return made


def again(made, folder, **changed):
    """The page of the same run with other scores."""
    (folder / "run.json").write_bytes((made.run.folder / "run.json").read_bytes())
    scores = replace(made.scores, **changed)
    path = write_tabular_report(made.learn, scores, log=made.log, run=SimpleNamespace(folder=folder), program=made.program)
    return Read(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def sick(tmp_path_factory):
    return reported(patients().drop(columns="cost"), "sick", tmp_path_factory.mktemp("sick"), 6, by="town,smokes")


@pytest.fixture(scope="module")
def cost(tmp_path_factory):
    return reported(patients().drop(columns="sick"), "cost", tmp_path_factory.mktemp("cost"), 4, by="town")


def test_it_is_one_small_file_that_opens_offline(sick):
    assert sick.path == sick.run.folder / "report.html"
    assert sick.path.stat().st_size < 1_500_000
    assert all(link.startswith("#") for link in sick.page.links)
    assert not {"script", "link", "iframe"} & set(sick.page.tags)
    assert "http" not in re.sub(r"data:image/[^\"]*|http-equiv", "", sick.page.html)


def test_the_verdict_comes_first_and_every_part_is_there(sick, cost):
    for made in (sick, cost):
        verdict = made.scores.verdict
        assert made.page.text.index(verdict[0].upper() + verdict[1:]) < made.page.text.index("Scores")
        assert SHARED | {"For whom it works", "Which categories are alike to it"} <= set(made.page.words)
    assert {"What is taken for what", "Can its probabilities be trusted"} <= set(sick.page.words)
    assert "Predicted against true" in cost.page.words
    assert "What is taken for what" not in cost.page.words


def test_every_score_stands_in_it_as_it_was_measured(sick, cost):
    for made in (sick, cost):
        for metrics in made.scores.table.values():
            for interval in metrics.values():
                assert str(interval) in made.page.section("Scores")


def test_a_number_changes_with_the_scores(sick, tmp_path):
    table = {**sick.scores.table, NETWORK: {**sick.scores.table[NETWORK], "ROC AUC": Interval(0.123, 0.111, 0.135)}}
    page = again(sick, tmp_path, table=table, verdict="it was a dream")
    assert "0.123 [0.111, 0.135]" in page.section("Scores")
    assert "0.123 [0.111, 0.135]" not in sick.page.text
    assert "It was a dream." in page.text


@pytest.mark.parametrize(
    ("difference", "said"),
    [
        (Interval(-0.1, -0.15, -0.05), "are the better choice, as they often are on tables: --blend averages some in"),
        (Interval(-0.01, -0.05, 0.03), "though by no more than chance explains"),
    ],
)
def test_it_says_where_boosted_trees_are_better(sick, tmp_path, difference, said):
    text = again(sick, tmp_path, best_simple=BOOSTED, difference=difference).section("Scores")
    reached = sick.scores.table[BOOSTED]["ROC AUC"].value
    assert f"On this table gradient-boosted trees alone reach {reached:.3f} ROC AUC" in text
    assert said in text


def test_groups_are_told_with_their_rows_and_whether_they_differ_by_chance(sick, tmp_path):
    told = sick.page.section("For whom it works")
    for groups in sick.scores.by_group.values():
        for value, each in groups.items():
            assert f"{value} {each['n']} rows {each['metrics']['ROC AUC']}" in told
    metrics = sick.scores.table[NETWORK]

    def group(low, high):
        return {"n": 40, "metrics": {**metrics, "ROC AUC": Interval((low + high) / 2, low, high)}}

    apart = again(sick, tmp_path, by_group={"sex": {"her": group(0.9, 0.95), "him": group(0.5, 0.6)}}).section(
        "For whom it works"
    )
    assert "Lowest is him" in apart
    assert "do not overlap" in apart
    overlapping = {"sex": {"her": group(0.7, 0.9), "him": group(0.6, 0.8), "one": {**group(0, 1), "n": 1}}}
    together = again(sick, tmp_path, by_group=overlapping).section("For whom it works")
    assert "The intervals of these two overlap" in together
    assert "one 1 row all alike: not known" in together


def test_of_errors_the_highest_are_the_worst(cost):
    told = cost.page.section("For whom it works")
    errors = {value: each["metrics"]["MAE"].value for value, each in cost.scores.by_group["town"].items()}
    assert f"Highest is {max(errors, key=errors.get)} with MAE" in told
    explained = {value: each["metrics"][R2].value for value, each in cost.scores.by_group["town"].items()}
    assert f"Lowest is {min(explained, key=explained.get)} with R²" in told


def test_the_columns_that_matter_stand_first(sick, cost):
    for made in (sick, cost):
        lines = re.findall(r'<span class="what">(\w+)</span>', made.page.html)
        assert set(lines[:2]) == {"age", "town"}
        assert any(alt.startswith("age: ") for alt in made.page.shown)
        assert "share their worth" in made.page.section("Which columns matter")


def test_rows_are_explained_with_their_cells_the_truth_and_the_answer(sick):
    told, table = sick.page.section("Rows explained"), sick.scores.predictions
    wrong = table[table.label != table.predicted].sort_values("probability", ascending=False).iloc[0]
    said = f"said {wrong.predicted} {wrong.probability:.3f}, is {wrong.label} {wrong.probability_of_label:.3f} row {wrong.row}"
    assert f"wrong, and sure: {said}" in told
    cells = patients().iloc[wrong.row - 1]
    card = told[told.index(said) :].partition("a typical row")[0]
    reasons = sick.program.why(cells.drop(["sick", "cost"]).to_dict())
    for reason in reasons:
        assert f"{reason.column} {cells[reason.column]} {reason.moved:+.3f}".replace("-0.000", "+0.000") in card.replace(
            "-0.000", "+0.000"
        )
    assert f"{wrong.predicted} {wrong.probability - sum(reason.moved for reason in reasons):.3f}" in told


def test_of_numbers_the_best_and_the_worst_rows_are_explained(cost):
    table, told = cost.scores.predictions, cost.page.section("Rows explained")
    worst = table.iloc[(table.predicted - table.label).abs().to_numpy().argmax()]
    assert f"worst: said {worst.predicted:.0f}, is {worst.label:.0f} row {worst.row}" in told
    off = (table.predicted - table.label).abs()
    assert f"Half of the answers are off by at most {off.median():.0f}" in cost.page.section("Predicted against true")


def test_columns_and_parts_of_the_data_are_told(sick, cost):
    labelled = sick.learn.dls.labelled
    for decision in labelled.decisions:
        assert f"{decision.column} {decision.kind}: {decision.why}" in sick.page.section("What each column was taken for")
    counts = labelled.table.groupby(["label", "split"]).size()
    for name in labelled.classes:
        assert f"{name} {counts[name, 'train']} {counts[name, 'valid']} {counts[name, 'test']}" in sick.page.section(
            "How the data was split"
        )
    assert f"train {len(cost.learn.dls.labelled.rows_of('train'))}" in cost.page.section("How the data was split")


def test_names_of_any_kind_are_shown_and_escaped(tmp_path):
    rng = np.random.default_rng(0)
    cells = [["<b>", "$a$ $b", "c"], None, ["猫", "犬", "鳥"], ["c", "d"], ["x" * 80, "y" * 80, "z"]]
    rows = pd.DataFrame(
        {name: rng.normal(size=200) if some is None else rng.choice(some, 200) for name, some in zip(ODD, cells, strict=True)}
    )
    rows["<td>"] = np.where(rows[ODD[1]] > 0, "<i>", "$5")
    made = reported(rows, "<td>", tmp_path, by=[ODD[0], ODD[2]])
    assert not {"script", "b", "i"} & set(
        Read(re.sub(r'<div class="marks".*?</section>', "", made.page.html, flags=re.DOTALL)).tags
    )
    assert "<script>alert" not in made.page.html
    assert all(name.strip() in made.page.text for name in ODD)


@pytest.mark.parametrize(
    ("columns", "target", "arch"),
    [("age,shoe", "sick", "tabm"), ("town,smokes", "cost", "plain"), ("joined", "sick", "plain"), ("town", "level", "tabm")],
)
def test_no_table_is_too_narrow(tmp_path, columns, target, arch):
    rows = patients(120).assign(level=lambda table: (table.age // 4).map("level {}".format))
    made = reported(rows[[*columns.split(","), target]], target, tmp_path, 1, by=columns.split(",")[0], arch=arch)
    assert set(made.page.words) >= SHARED
    assert ("Which categories are alike to it" in made.page.words) == ("town" in columns)


def test_a_blend_is_what_the_page_is_about(tmp_path):
    made = reported(patients().drop(columns="sick"), "cost", tmp_path, 1, blend=True)
    assert made.scores.answers == BLENDED
    assert "For whom it works" not in made.page.words
    said = f"Gradient-boosted trees were averaged in: {100 * made.program.trees:.0f} % of the answer is from these"
    assert said in made.page.section("Scores")
    assert f"R² {made.scores.table[BLENDED][R2].value:.3f}, from" in made.page.text


def test_figures_far_below_zero_run_off_the_drawing_and_are_named(cost, tmp_path):
    table = {**cost.scores.table, UNTRAINED: {**cost.scores.table[UNTRAINED], R2: Interval(-5000.0, -6000.0, -4000.0)}}
    told = again(cost, tmp_path, table=table).section("Scores")
    assert f"Off the drawing, far below zero: {UNTRAINED}." in told
    assert "-5000.0 [-6000.0, -4000.0]" in told
    drawing = bars({NETWORK: (0.5, 0.4, 0.6), UNTRAINED: (-5000.0, -6000.0, -4000.0)}, R2, highlighted=NETWORK)
    assert drawing.axes[0].get_xlim()[0] == pytest.approx(-0.525)


def test_a_scale_holds_all_its_lines():
    marks = IntervalMarks.of(
        [IntervalMark("a", 0.5, "0.5", low=0.25, high=1.0), IntervalMark("b", -1.0, "-1"), IntervalMark("c", None, "not known")]
    )
    assert (marks.low, marks.high) == (-1, 1)
    assert (marks.at(0), marks.at(1), marks.at(-9), marks.reach(0.5, 1.0)) == ("50.00", "100.00", "0.00", "25.00")
    dots = IntervalMarks.of([IntervalMark("a", 0.9, "0.9", low=0.8, high=1.0)], dots=True, line=0.7)
    assert 0.6 < dots.low < 0.7
    assert IntervalMarks.of([]).at(0.5) == "50.00"


def test_marks_without_a_value_are_written_too(tmp_path):
    marks = IntervalMarks.of([IntervalMark("a", None, "not known", "3 rows")], dots=True)
    write_page(tmp_path / "x.html", Page("t", "v", "a", [Section("s", [marks])]))
    assert "a 3 rows not known" in Read((tmp_path / "x.html").read_text(encoding="utf-8")).text


def test_names_of_categories_cover_neither_each_other_nor_leave_the_drawing():
    rng = np.random.default_rng(0)
    points, counts = rng.normal(size=(42, 2)), rng.integers(0, 500, 42)
    names = [f"category of name {number}" for number in range(42)]
    drawing, named = embedding(points, names, counts=counts, shades=None, others=np.arange(42) < 2, title="town")
    renderer = FigureCanvasAgg(drawing).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in drawing.axes[0].texts]
    assert [text.get_text() for text in drawing.axes[0].texts] == [names[number] for number in named]
    assert 5 < len(named) < 42
    assert not any(one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place])
    room = drawing.bbox
    assert all(room.x0 <= box.x0 and box.x1 <= room.x1 and room.y0 <= box.y0 and box.y1 <= room.y1 for box in boxes)
    same, named = embedding(
        np.zeros((3, 2)), ["a", "b", "c"], counts=np.zeros(3), shades=None, others=np.zeros(3, bool), title="none differ"
    )
    assert len(same.axes[0].texts) == len(named)


def test_the_roc_curve_goes_through_its_corners_and_rises_with_hits():
    drawing = roc(np.array([0.9, 0.8, 0.8, 0.1]), np.array([True, True, False, False]), area=0.875)
    wrong, found = drawing.axes[0].lines[1].get_data()
    assert list(zip(wrong, found, strict=True)) == [(0, 0), (0, 0.5), (0.5, 1), (1, 1)]
