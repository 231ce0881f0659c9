"""The report of a segmentation: one file that opens offline, masks to look at, numbers from the scores, nothing unescaped."""

import base64
import io
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from helpers.read_page import Read
from PIL import Image, ImageDraw

from recipes.segmentation import build_learner
from toolkit.data.segmentation.class_mapping import IGNORED
from toolkit.evaluation import evaluate
from toolkit.evaluation.bootstrap import Interval
from toolkit.evaluation.scores import NETWORK
from toolkit.files import read_json
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.program.segmentation.inputs import SegmentationInput, segment
from toolkit.reports.charts import OUTLINE, coloured, lit
from toolkit.reports.segmentation.report import _of_several_groups, write_segmentation_report
from toolkit.reports.segmentation.uncertainty import TENTHS, percent, uncertainty

ODD = ("<script>alert(1)</script>", "猫", "fifty letters " + "x" * 36, "$x^{2$ & co")


def make_labelled(folder, count=24, classes=("sky", "ground", "box"), size=(64, 48), seed=0):
    """Pictures of sky above ground, with boxes of the further classes, and masks whose last rows do not count."""
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True)
    (folder / "masks").mkdir()
    width, height = size
    for number in range(count):
        picture, mask = Image.new("RGB", size, (120, 180, 240)), Image.new("L", size, 0)
        horizon = int(rng.integers(height // 3, 2 * height // 3))
        drawings = [ImageDraw.Draw(picture), ImageDraw.Draw(mask)]
        boxes = [(1, (0, horizon, width, height), (110, 100, 80))]
        for _ in range(3 * (len(classes) > 2)):
            what = int(rng.integers(2, len(classes)))
            left, top = int(rng.integers(0, width * 3 // 4)), int(rng.integers(0, height * 3 // 4))
            colour = tuple(int(level) for level in np.random.default_rng(what).integers(0, 256, 3))
            boxes.append((what, (left, top, left + width // 5, top + height // 4), colour))
        for what, box, colour in boxes:
            drawings[0].rectangle(box, fill=colour)
            drawings[1].rectangle(box, fill=what)
        drawings[1].rectangle((0, height - 3, width, height), fill=IGNORED)
        noisy = np.asarray(picture).astype(int) + rng.integers(-25, 25, (height, width, 3))
        Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(folder / "images" / f"scene{number:02d}.png")
        mask.save(folder / "masks" / f"scene{number:02d}.png")
    (folder / "codes.txt").write_text("".join(f"{name}\n" for name in classes), encoding="utf-8")
    return folder


def reported(data, folder, epochs=1):
    learn = build_learner(data)
    run = Run.open("x", learn, settings={"data": str(data)}, folder=folder)
    with run:
        log = fit(learn, epochs, lr=3e-3, run=run)
        scores = evaluate(learn)
        path = write_segmentation_report(learn, scores, log=log, run=run)
    return SimpleNamespace(learn=learn, run=run, log=log, scores=scores, path=path, page=Read(path.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scenes")
    return reported(make_labelled(folder / "data", 36), folder / "run", 2)


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    return reported(make_labelled(folder / "data", 24, ("sky", *ODD)), folder / "run")


def test_it_is_one_small_file_that_opens_offline(made):
    assert made.path == made.run.folder / "report.html"
    assert made.path.stat().st_size < 1_500_000
    assert all(link.startswith("#") for link in made.page.links)
    assert not {"script", "link", "iframe"} & set(made.page.tags)
    assert "http" not in re.sub(r"data:image/[^\"]*|http-equiv", "", made.path.read_text(encoding="utf-8"))
    for source, _ in made.page.images:
        assert source.startswith("data:image/")
        Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))).load()


def test_the_verdict_comes_first_and_every_part_is_there(made):
    verdict = made.scores.verdict
    assert made.page.text.index(verdict[0].upper() + verdict[1:]) < made.page.text.index("Scores")
    titles = {"Scores", "Class by class", "How it learnt", "Worst pictures", "How unsure it is", "How the data was split"}
    assert titles <= set(made.page.words)


def test_every_score_stands_in_it_as_it_was_measured(made):
    scores = made.scores
    intervals = [interval for metrics in scores.table.values() for interval in metrics.values()]
    intervals += [iou for method in (NETWORK, scores.best_simple) for iou in scores.per_class[method].values()]
    for interval in intervals:
        assert f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]" in made.page.text
    pixels = np.array(scores.confusion[NETWORK]["counts"]).sum(axis=1)
    for share in pixels / pixels.sum():
        assert percent(share) in made.page.words


def test_a_number_changes_with_the_scores(made, tmp_path):
    iou = {**made.scores.per_class[NETWORK], "box": Interval(0.123, 0.111, 0.135)}
    changed = replace(made.scores, per_class={**made.scores.per_class, NETWORK: iou}, verdict="it was a dream")
    folder = SimpleNamespace(folder=tmp_path)
    (tmp_path / "run.json").write_bytes((made.run.folder / "run.json").read_bytes())
    page = Read(write_segmentation_report(made.learn, changed, log=made.log, run=folder).read_text(encoding="utf-8"))
    assert "0.123 [0.111, 0.135]" in page.text
    assert "0.123 [0.111, 0.135]" not in made.page.text
    assert "It was a dream." in page.text


def test_the_worst_and_the_best_pictures_are_named_in_their_order(made):
    table = made.scores.predictions.sort_values("mean IoU", kind="stable")
    said = [
        f"mean IoU {item['mean IoU']:.3f}, worst class {item['worst class']} {item['path'].rpartition('/')[2]}"
        for item in table.to_dict("records")
    ]
    worst, best = said[:6], said[6:][::-1]
    assert best, "there should be pictures left for the best"
    text = made.page.text[made.page.text.index("Worst pictures", made.page.text.index("Scores", 999)) :]
    places = [text.index(line) for line in (*worst, *best)]
    assert places == sorted(places)
    assert text.index("The test pictures of the highest mean IoU") < places[6]


def test_frames_of_one_drive_do_not_fill_the_worst_pictures(made):
    names = [f"drive {number}" for number in (*[0] * (len(made.scores.predictions) - 4), 1, 2, 3, 3)]
    table = made.scores.predictions.sort_values("mean IoU").assign(group=names)
    chosen = _of_several_groups(table)
    assert table.group[chosen].tolist() == ["drive 0", "drive 0", "drive 1", "drive 2", "drive 3", "drive 3"]
    assert _of_several_groups(table.assign(group="")) == table.index[:6].tolist()
    assert _of_several_groups(table.assign(group="all")) == table.index[:6].tolist()


def test_each_card_shows_picture_truth_answer_and_doubt(made):
    worst = made.scores.predictions.sort_values("mean IoU", kind="stable").iloc[0]
    name = worst.path.rpartition("/")[2]
    shown = {alt: Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) for source, alt in made.page.images}
    about = [alt for alt in shown if alt.startswith(name)]
    assert len(about) == 4
    assert {picture.size for alt, picture in shown.items() if alt in about} == {(64, 48)}
    labelled = made.learn.dls.labelled
    row = [path.name for path in labelled.items].index(name)
    truth = next(np.asarray(shown[alt].convert("RGB")) for alt in about if alt.startswith(f"{name}, truth: "))
    numbers, colours = labelled.truth(row), np.array(labelled.class_mapping.colours)
    counted = numbers != IGNORED
    assert (truth[counted] == colours[numbers[counted]]).all()
    hatched = {tuple(pixel) for pixel in truth[~counted].tolist()}
    assert len(hatched) == 2
    assert all(red == green == blue for red, green, blue in hatched)


def test_one_legend_names_every_class_with_its_colour(made):
    html = made.path.read_text(encoding="utf-8")
    legend = html[html.index('<ul class="legend"') :].partition("</ul>")[0]
    assert html.count('<ul class="legend"') == 1
    for name, colour in zip(made.scores.classes, made.learn.dls.labelled.class_mapping.colours, strict=True):
        assert re.search("background: #{:02x}{:02x}{:02x}".format(*colour) + rf'"></i><span>{name}</span>', legend)
    assert "does not count" in legend


def test_the_data_is_told_by_part(made):
    labelled = made.learn.dls.labelled
    counts = labelled.counts[(labelled.table.split == "train").to_numpy()]
    for number, name in enumerate(labelled.classes):
        share, pictures = counts[:, number].sum() / counts.sum(), (counts[:, number] > 0).sum()
        assert f"{name} {percent(share)} in {pictures} " in made.page.text


def test_how_unsure_it_is_adds_up(made):
    text = made.page.text
    table = text[text.index(TENTHS[0]) :]
    shares = re.findall(r"tenth ([\d.<>]+(?: [\d.]+)?) % ([\d.<>]+(?: [\d.]+)?) %", table)
    assert len(shares) == len(TENTHS)
    assert sum(float(mistakes.split()[-1]) for _, mistakes in shares) == pytest.approx(100, abs=1)
    assert [percent(share) for share in (0, 0.0001, 0.123, 0.9999, 1)] == ["0.0 %", "< 0.1 %", "12.3 %", "> 99.9 %", "100.0 %"]


def test_odd_names_do_nothing(odd):
    assert "script" not in odd.page.tags
    assert all(name in odd.page.text for name in ODD)
    assert any(name in alt for _, alt in odd.page.images for name in ODD)


@pytest.mark.parametrize("count", [2, 60])
def test_few_and_many_classes_make_a_page(tmp_path, count):
    names = [f"class number {number}" for number in range(count)]
    made = reported(make_labelled(tmp_path / "data", 24, names, (128, 96)), tmp_path / "run")
    assert made.path.stat().st_size < 3_000_000
    assert all(name in made.page.text for name in names)
    assert read_json(made.run.folder / "run.json", "a run")["data"] in made.page.text


def test_doubt_is_the_entropy_and_large_pictures_are_seen_whole():
    def network(pixels):
        """Sure of class 1 where a pixel is bright, undecided where it is not; it answers at the size it is asked."""
        bright = (pixels[..., 0] > 127).astype(np.float32)
        return np.stack([0.5 - 0.5 * bright, 0.5 + 0.5 * bright], axis=1)

    pixels = np.zeros((150, 230, 3), np.uint8)
    pixels[20:140, 60:200] = 255
    segmentation_input = SegmentationInput(0, multiple=16, tile=64, overlap=32)
    unsure, answer = uncertainty(pixels, network, segmentation_input=segmentation_input)
    bright = pixels[..., 0] > 127
    assert np.allclose(unsure, np.where(bright, 0, 1), atol=1e-5)
    assert (answer == bright).all()
    assert (answer == segment(Image.fromarray(pixels), network, segmentation_input=segmentation_input)).all()


def test_masks_and_doubt_are_drawn():
    mask = np.array([[0, 1], [IGNORED, 253]], np.uint8)
    drawing = np.asarray(coloured(mask, [(number, 0, 0) for number in range(254)]).convert("RGB"))
    assert drawing[0].tolist() == [[0, 0, 0], [1, 0, 0]]
    assert drawing[1, 0, 0] == drawing[1, 0, 1] > 100
    assert drawing[1, 1].tolist() == [253, 0, 0]
    wrong = np.zeros((40, 60), bool)
    wrong[10:20, 10:20] = True
    wrong[30, :] = True  # a seam
    picture = np.asarray(lit(np.zeros((40, 60)), wrong).convert("RGB"))
    line = (picture == OUTLINE).all(axis=2)
    assert line.sum() == 4 * 9
    assert line[10, 10:20].all()
