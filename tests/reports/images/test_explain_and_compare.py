"""One photo explained and runs compared, from their folders alone, also those of an earlier version."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from helpers import ROOT
from helpers.image_samples import draw_shape

from toolkit.errors import ConversionError, DataError, RunError
from toolkit.evaluation.bootstrap import Bootstrap
from toolkit.evaluation.classification import classification_metrics
from toolkit.evaluation.comparison import compare
from toolkit.evaluation.images.scores import ImageScores
from toolkit.reports.compare import compare_runs
from toolkit.reports.images.explain import Explainer
from toolkit.reports.page import write_page


def reports(*arguments):
    command = [sys.executable, "-m", "toolkit.reports", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the trained run, to damage."""
    return shutil.copytree(trained[1], tmp_path / "copied")


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "my photo.png"
    draw_shape("box", np.random.default_rng(5), 100).save(path)
    return path


def explained(run, item, folder):
    explainer = Explainer(run)
    write_page(folder / "page.html", explainer.page(explainer.explain(item)))
    return (folder / "page.html").read_text(encoding="utf-8")


def test_an_explanation_says_what_the_program_says_and_what_it_is_like(trained, photo):
    explainer = Explainer(trained[1])
    explanation = explainer.explain(photo)
    assert explanation.prediction == explainer.program.predict(photo)
    assert explanation.image.shape == (32, 32, 3)
    assert list(explanation.heat) == list(explanation.prediction.probabilities)[:3]
    train = set(pd.read_csv(trained[1] / "items.csv").query("split == 'train'").path)
    assert all(near.path in train and near.label in near.path for near in explanation.neighbours)
    alike = [near.similarity for near in explanation.neighbours]
    assert alike == sorted(alike, reverse=True)
    assert set(explanation.distances) == {"box", "cross", "disc"}
    assert list(explanation.distances.values()) == sorted(explanation.distances.values())


def test_explaining_from_the_command_line(trained, photo, tmp_path):
    (tmp_path / "half.png").write_bytes(photo.read_bytes()[:200])
    done = reports("explain", trained[1], tmp_path / "half.png", photo, "--out", tmp_path / "pages")
    assert done.returncode == 1
    assert "half.png" in done.stderr
    assert "Traceback" not in done.stderr
    assert "nearest class average: " in done.stdout
    page = (tmp_path / "pages" / Explainer.page_name(photo)).read_text(encoding="utf-8")
    assert "What it is like" in page
    assert "http" not in page.replace("http-equiv", "")


def test_two_photos_of_one_name_get_two_pages(trained, photo, tmp_path):
    (tmp_path / "other").mkdir()
    draw_shape("disc", np.random.default_rng(6), 100).save(tmp_path / "other" / photo.name)
    for path in (photo, tmp_path / "other" / photo.name, photo):
        done = reports("explain", trained[1], path, "--out", tmp_path / "pages")
        assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "pages").iterdir())) == 2


def test_names_that_are_no_text_or_very_long_are_explained(trained, photo, tmp_path):
    names = [os.fsencode(tmp_path) + b"/bad\xff.png", os.fsencode(tmp_path) + b"/" + "猫".encode() * 80 + b".png"]
    try:
        for name in names:
            shutil.copy(os.fsencode(photo), name)
    except OSError:
        pytest.skip("this file system holds only names that are text")
    done = reports("explain", trained[1], *map(os.fsdecode, names), "--out", tmp_path / "pages")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "pages").iterdir())) == 2


def test_findings_are_told_also_where_the_page_cannot_be_written(trained, photo, tmp_path):
    (tmp_path / "file").write_text("in the way")
    done = reports("explain", trained[1], photo, "--out", tmp_path / "file")
    assert done.returncode == 1
    assert "nearest class average: " in done.stdout
    assert "--out names another folder" in done.stderr


def test_training_pictures_that_have_moved_are_said_to_be_missing(copied, photo, tmp_path):
    items = pd.read_csv(copied / "items.csv", dtype=str)
    items["path"] = "/moved" + items.path
    items.to_csv(copied / "items.csv", index=False)
    assert "cannot be shown: no such file" in explained(copied, photo, tmp_path)


def test_a_run_of_an_earlier_version_is_explained_without_its_memory(copied, photo, tmp_path):
    (copied / "training.npz").unlink()
    assert Explainer(copied).explain(photo).neighbours == []
    assert "kept no training.npz" in explained(copied, photo, tmp_path)


def test_a_folder_that_holds_no_run_or_a_damaged_one_is_named(copied, photo, tmp_path):
    with pytest.raises(RunError, match="not a finished run"):
        Explainer(tmp_path)
    with pytest.raises(ConversionError, match="no such file"):
        Explainer(copied).explain(tmp_path / "absent.png")
    whole = (copied / "training.npz").read_bytes()
    for damaged in (b"PK nothing", whole[:1000], whole[:5000] + bytes(200) + whole[5200:]):
        (copied / "training.npz").write_bytes(damaged)
        with pytest.raises(RunError, match=r"training\.npz: damaged"):
            Explainer(copied)
    (copied / "training.npz").write_bytes(whole)
    (copied / "items.csv").unlink()
    with pytest.raises(RunError, match=r"items\.csv cannot be read"):
        Explainer(copied)
    (copied / "training.npz").unlink()
    saved = torch.load(copied / "checkpoints" / "best.pth", weights_only=True)
    torch.save({**saved, "arch": "resnet18"}, copied / "checkpoints" / "best.pth")
    with pytest.raises(RunError, match="another version, or damaged"):
        Explainer(copied)
    (copied / "checkpoints" / "best.pth").unlink()
    with pytest.raises(RunError, match=r"no checkpoints/best\.pth"):
        Explainer(copied)


def test_a_checkpoint_of_another_network_is_not_taken_for_the_programs(copied, photo):
    saved = torch.load(copied / "checkpoints" / "best.pth", weights_only=True)
    last = [name for name in saved["model"] if name.endswith("weight")][-1]
    saved["model"][last] *= -1
    torch.save(saved, copied / "checkpoints" / "best.pth")
    with pytest.raises(RunError, match="not the network of its program"):
        Explainer(copied).explain(photo)


def made(probabilities, labels, contents=None, groups=None):
    """Scores with nothing but the single predictions: rows of probabilities for classes "a" and "b"."""
    probabilities, labels = np.array(probabilities, dtype=float), np.array(labels)
    names = np.array(["a", "b"])
    table = pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(len(labels))],
            "label": names[labels],
            "predicted": names[probabilities.argmax(axis=1)],
            "probability": probabilities.max(axis=1),
            "probability_of_label": probabilities[np.arange(len(labels)), labels],
            "content": contents if contents is not None else [f"c{i}" for i in range(len(labels))],
            "group": groups if groups is not None else [""] * len(labels),
        }
    )
    return ImageScores(
        task="", classes=("a", "b"), n_test=len(labels), resampled="items", table={}, confusion={}, best_simple="",
        difference=None, verdict="", predictions=table,
    )  # fmt: skip


def random_scores(rng, labels, skill):
    right = rng.random(len(labels)) < skill
    sure = rng.uniform(0.5, 1, len(labels))
    of_label = np.where(right, sure, 1 - sure)
    both = np.stack([of_label, 1 - of_label], axis=1)
    return np.where(labels[:, None] == 0, both, both[:, ::-1])


def test_each_run_scores_on_the_shared_items_what_it_scores_alone():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 200)
    first, second = random_scores(rng, labels, 0.7), random_scores(rng, labels, 0.9)
    found = compare({"one": made(first, labels), "two": made(second, labels)})
    bootstrap = Bootstrap.draw(200)
    for name, probabilities in (("one", first), ("two", second)):
        expected = classification_metrics(probabilities, labels, bootstrap=bootstrap)
        for metric, interval in found.table[name].items():
            assert interval.value == pytest.approx(expected[metric].value, abs=1e-6)
    gap = found.differences["two"]["accuracy"]
    assert gap.value == pytest.approx(found.table["two"]["accuracy"].value - found.table["one"]["accuracy"].value, abs=1e-6)
    assert found.verdicts[0].startswith("two is better than one by")


def test_a_run_does_not_differ_from_itself_and_order_does_not_matter():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 2, 100)
    probabilities = random_scores(rng, labels, 0.8)
    turned = made(probabilities[::-1], labels[::-1], contents=[f"c{i}" for i in range(100)][::-1])
    found = compare({"one": made(probabilities, labels), "again": turned})
    assert all((gap.value, gap.low, gap.high) == (0, 0, 0) for gap in found.differences["again"].values())
    assert "no difference" in found.verdicts[0]


def test_the_interval_of_a_paired_difference_is_narrower_than_that_of_two_scores():
    rng = np.random.default_rng(2)
    labels = rng.integers(0, 2, 400)
    first = random_scores(rng, labels, 0.75)
    second = first.copy()
    second[:40] = random_scores(rng, labels[:40], 1.0)
    found = compare({"one": made(first, labels), "two": made(second, labels)})
    gap, score = found.differences["two"]["accuracy"], found.table["one"]["accuracy"]
    assert gap.high - gap.low < (score.high - score.low) / 2
    assert gap.low > 0


def test_two_items_are_not_taken_for_certainty():
    found = compare({"one": made([[0.9, 0.1]] * 2, [0, 0]), "two": made([[0.1, 0.9]] * 2, [0, 0])})
    gap = found.differences["two"]["accuracy"]
    assert (gap.value, gap.low) == (-1, -1)
    assert gap.high > 0
    assert "no difference" in found.verdicts[0]


def test_only_shared_items_with_the_same_label_count():
    one = made([[0.9, 0.1]] * 10, [0] * 10, contents=list("abcdefghij"))
    two = made([[0.9, 0.1]] * 10, [0] * 9 + [1], contents=list("cdefghijkb"))
    found = compare({"one": one, "two": two})
    assert found.n_common == 8  # b carries another label, k and a are not shared
    assert found.left_out == 4  # a, k, and b under either label
    with pytest.raises(DataError, match="no test item is in all of them"):
        compare({"one": one, "other": made([[0.9, 0.1]], [0], contents=["z"])})
    with pytest.raises(DataError, match="two or more"):
        compare({"one": one})


def test_a_run_that_knows_more_classes_is_said_to():
    one, two = (made([[0.9, 0.1]] * 10, [0] * 10) for _ in range(2))
    two = replace(two, classes=("a", "b", "bird"))
    assert compare({"one": one, "two": two}).notes == ("two also tells bird, which not all do",)
    assert compare({"one": one, "again": one}).notes == ()


def test_groups_are_drawn_whole():
    rng = np.random.default_rng(3)
    labels = np.repeat(rng.integers(0, 2, 12), 10)
    groups = np.repeat([f"g{i}" for i in range(12)], 10)
    runs = {name: made(random_scores(rng, labels, 0.8), labels, groups=groups) for name in ("one", "two")}
    assert compare(runs).resampled == "groups"


def test_comparing_from_the_command_line(trained, copied, tmp_path):
    table = pd.read_csv(copied / "predictions.csv", keep_default_na=False)
    table["predicted"], table["probability_of_label"] = table["label"], table["probability"]
    table.to_csv(copied / "predictions.csv", index=False)
    done = reports("compare", trained[1], copied, "--html", tmp_path / "both.html")
    assert done.returncode == 0, done.stderr
    assert f"{trained[2].n_test} test items in common" in done.stdout
    assert "copied less run" in done.stdout
    assert "verdict:" in done.stdout
    page = (tmp_path / "both.html").read_text(encoding="utf-8")
    assert "How they learnt" in page
    assert "these runs differ in chance alone" in page


def test_comparing_loads_no_torch(trained, copied):
    code = f"from toolkit.reports.__main__ import main; main(['compare', {str(trained[1])!r}, {str(copied)!r}])\n"
    code += "import sys; print('torch' in sys.modules, 'fastai' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert "no difference between copied and run" in done.stdout
    assert done.stdout.endswith("False False\n")


def test_what_was_set_differently_is_named(trained, copied):
    described = json.loads((copied / "run.json").read_text())
    described["about"]["arch"] = "resnet18"
    (copied / "run.json").write_text(json.dumps(described))
    _, page = compare_runs([trained[1], copied])
    assert ["arch", "small", "resnet18"] in page.sections[-1].blocks[0].rows


def test_runs_of_an_earlier_version_are_compared_by_path(trained, copied):
    table = pd.read_csv(copied / "predictions.csv", keep_default_na=False).drop(columns=["content", "group"])
    table.to_csv(copied / "predictions.csv", index=False)
    comparison, _ = compare_runs([trained[1], copied])
    assert comparison.n_common == trained[2].n_test


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([], 2, "usage:"),
        (["explain", "nowhere"], 2, "required"),
        (["explain", "nowhere", "x.png"], 1, "nowhere: not a finished run"),
        (["compare", "nowhere", "nowhere-2"], 1, "not a finished run"),
        (["compare", "RUN"], 1, "two or more"),
        (["compare", "RUN", "RUN"], 1, "named twice"),
        (["dance"], 2, "invalid choice"),
    ],
)
def test_wrong_arguments_are_said_in_one_line(trained, arguments, status, words):
    done = reports(*(trained[1] if word == "RUN" else word for word in arguments))
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
