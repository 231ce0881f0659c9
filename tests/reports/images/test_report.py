"""The report: one file that opens offline, the verdict first, no number but from the scores and the log, nothing unescaped."""

import base64
import csv
import io
import json
import re
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from helpers.image_samples import make_shapes
from helpers.read_page import Read
from PIL import Image

from recipes.image_classification import build_learner
from toolkit.data.images.reading import read_items
from toolkit.errors import RunError
from toolkit.evaluation import evaluate
from toolkit.evaluation.bootstrap import Interval
from toolkit.evaluation.scores import Scores
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.reports import Gallery, Page, Picture, Section, Table, Text, write_page
from toolkit.reports.charts import confusion, drawable, overlay, sheet, signed
from toolkit.reports.images.report import write_image_report
from toolkit.reports.page import drawn
from toolkit.reports.sections import score_section


@pytest.fixture(scope="module")
def page(trained):
    return Read((trained[1] / "report.html").read_text(encoding="utf-8"))


def test_it_is_one_small_file_that_opens_offline(trained, page):
    assert (trained[1] / "report.html").stat().st_size < 3_000_000
    assert all(source.startswith("data:image/") for source, _ in page.images)
    assert all(link.startswith("#") for link in page.links)
    assert not {"script", "link", "iframe"} & set(page.tags)
    for source, _ in page.images:
        Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).load()


def test_the_verdict_comes_first(trained, page):
    verdict = trained[2].verdict
    assert page.text.index(verdict[0].upper() + verdict[1:]) < page.text.index("Scores")


@pytest.mark.parametrize(
    "title",
    [
        "Scores", "How it learnt", "What is taken for what", "Most wrong", "When it was right", "What its layers respond to",
        "Averages, and what was learnt instead", "How the data was split", "What it was run with",
    ],
)  # fmt: skip
def test_every_part_is_there(page, title):
    assert title in page.words


def test_every_score_stands_in_it_as_it_was_measured(trained, page):
    for metrics in trained[2].table.values():
        for interval in metrics.values():
            assert f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]" in page.text


def test_a_number_changes_only_with_the_scores(trained, tmp_path):
    scores = trained[2]
    table = {**scores.table, "network": {name: Interval(0.123, 0.111, 0.135) for name in scores.table["network"]}}
    write_page(tmp_path / "x.html", Page("t", "v", "a", [score_section(replace(scores, table=table))]))
    assert Read((tmp_path / "x.html").read_text()).text.count("0.123 [0.111, 0.135]") == 4


def test_the_wrong_ones_are_named_with_what_was_said_and_what_is_true(shapes, tmp_path):
    learn = build_learner(shapes)
    with Run.open("x", learn, settings={}, folder=tmp_path / "run") as run:
        log = fit(learn, 1, lr=1e-5, run=run)
        scores = evaluate(learn)
        page = Read(write_image_report(learn, scores, log=log, run=run).read_text(encoding="utf-8"))
    table = scores.predictions
    wrong = table[table.label != table.predicted].sort_values("probability_of_label", kind="stable")
    assert len(wrong), "a network that has hardly learnt should make a mistake to look at"
    for item in wrong.head(12).itertuples():
        assert f"said {item.predicted} {item.probability:.3f} is {item.label} {item.probability_of_label:.3f}" in page.text


def test_the_log_begins_with_the_untrained_network(trained, page):
    log = list(csv.DictReader(io.StringIO((trained[1] / "log.csv").read_text())))
    html = (trained[1] / "report.html").read_text(encoding="utf-8")
    said = re.search(r'alt="Validation loss from ([\d.]+) untrained to ([\d.]+)"', html)
    assert said.groups() == (f"{float(log[0]['valid_loss']):.3f}", f"{float(log[-1]['valid_loss']):.3f}")


def test_hostile_names_do_nothing(tmp_path):
    names = ("<script>alert(1)</script>".replace("/", "∕"), "$x^{2$ & co", "猫" * 30)
    data = make_shapes(tmp_path / "data", 20, names=names)
    learn = build_learner(data)
    with Run.open("x", learn, settings={"note": "<b>bold</b>"}, folder=tmp_path / "run") as run:
        path = write_image_report(learn, evaluate(learn), log=fit(learn, 1, lr=1e-3, run=run), run=run)
    page = Read(path.read_text(encoding="utf-8"))
    assert "script" not in page.tags
    assert "b" not in page.tags
    assert names[0] in page.text
    assert names[2] in page.text


def test_a_report_on_more_pictures_than_memory_holds(shapes, tmp_path, monkeypatch):
    pages = []
    for budget in (2**30, 0):
        monkeypatch.setattr("toolkit.data.images.labelled.read_items", partial(read_items, budget=budget))
        learn = build_learner(shapes)
        assert (learn.dls.labelled.pixels is None) == (budget == 0)
        with Run.open("x", learn, settings={}, folder=tmp_path / str(budget) / "run") as run:
            path = write_image_report(learn, evaluate(learn), log=fit(learn, 1, lr=1e-3, run=run), run=run)
        pages.append(path.read_text(encoding="utf-8"))
    assert len(Read(pages[0]).images) == len(Read(pages[1]).images)


def test_tables_of_any_width_and_empty_galleries_are_pages(tmp_path):
    blocks = [Text("one & two"), Table(["a"], []), Table(list("abcdef"), [list("123456")]), Gallery([([], ["no picture"])])]
    write_page(tmp_path / "x.html", Page("t", "v", "a", [Section("All, of it", blocks)]))
    page = Read((tmp_path / "x.html").read_text())
    assert "one & two" in page.text
    assert page.links == ["#all-of-it"]


def test_a_place_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RunError, match="cannot write"):
        write_page(tmp_path / "file" / "x.html", Page("t", "v", "a", []))


@pytest.mark.parametrize("classes", [2, 10, 40])
def test_confusions_of_few_and_of_many_classes_are_drawn(classes):
    counts = np.random.default_rng(0).integers(0, 9, (classes, classes))
    picture = drawn(confusion(counts, [f"a class with a long name {i}" for i in range(classes)]), "confusions")
    assert isinstance(picture, Picture)


def test_labels_a_drawing_cannot_show_are_numbered():
    assert drawable(["cat", "猫", "a very long name indeed"]) == ["cat", "class 2", "a very l… indeed"]
    assert drawable(["Corn_(maize)_a_spotted", "Corn_(maize)_b_spotted"]) == ["class 1", "class 2"]
    assert drawable(["猫", "犬"], numbers=[7, 9]) == ["class 7", "class 9"]
    assert drawable(["猫", "b"], noun="run") == ["run 1", "b"]


def test_drawings_of_nothing_are_drawings():
    drawn(signed(np.zeros((8, 8), np.float32), ("a", "b"), numbers=(1, 2)), "no difference")
    assert overlay(np.zeros((20, 30, 3), np.uint8), np.zeros((4, 6))).shape == (140, 210, 3)
    assert sheet([np.zeros((5, 5, 3), np.uint8)] * 4, 3, side=10, gap=1).shape == (21, 32, 3)


def test_scores_come_back_from_disk_as_they_were(trained, tmp_path):
    scores = trained[2]
    again = Scores.load(trained[1])
    assert again.to_json() == scores.to_json()
    assert again.predictions.label.tolist() == scores.predictions.label.tolist()
    for damage in ({}, {"table": 3}, {**scores.to_json(), "of_another_version": 1}):
        (tmp_path / "scores.json").write_text(json.dumps(damage))
        with pytest.raises(RunError, match="another version, or damaged"):
            Scores.load(tmp_path)
    with pytest.raises(RunError, match="not a finished run"):
        Scores.load(tmp_path / "nowhere")
