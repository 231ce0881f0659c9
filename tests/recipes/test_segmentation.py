"""The segmentation recipe, from a folder of pictures and masks to a program that colours photos in."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from helpers import ROOT
from helpers.segmentation_samples import CLASSES, draw_labelled, make_labelled
from PIL import Image
from sklearn.utils.class_weight import compute_class_weight

from recipes.segmentation import build_learner
from toolkit.data.segmentation.class_mapping import IGNORED
from toolkit.errors import DataError, ExportError, RunError, ToolkitError, WeightsError
from toolkit.evaluation import evaluate
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.runs import Run
from toolkit.learning.segmentation.learner import class_weights
from toolkit.program import load
from toolkit.program.segmentation.selftest import selftest


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    return make_labelled(tmp_path_factory.mktemp("scenes") / "scenes")


@pytest.fixture(scope="module")
def learnt(scenes, tmp_path_factory):
    """(learner, scores, program's file) of a short training."""
    learn = build_learner(scenes, size=64, seed=1, batch_size=4)
    fit(learn, epochs=8, lr=5e-3)
    scores = evaluate(learn)
    path = tmp_path_factory.mktemp("program") / "program.pyz"
    export(learn, path, scores=scores)
    return learn, scores, path


def run(*arguments, **options):
    return subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, **options)


def test_the_learner_is_a_plain_fastai_learner_with_a_held_out_test(scenes):
    learn = build_learner(scenes, size=64, group_by=r"(drive\d+)", batch_size=4)
    pictures, masks = learn.dls.one_batch()
    assert pictures.shape == (4, 3, 48, 64)
    assert masks.shape == (4, 48, 64)
    assert (pictures.dtype, masks.dtype) == (torch.float32, torch.int64)
    assert learn.model(pictures).shape == (4, 3, 48, 64)
    table = learn.dls.labelled.table
    assert [len(loader.dataset) for loader in learn.dls.loaders] == [
        len(table[table.split == part]) for part in ("train", "valid", "test")
    ]
    assert (table.groupby("group").split.nunique() == 1).all()
    _, _, scores = learn.predict(scenes / "images" / "drive0_000.png")
    assert scores.shape == (3, 64, 80)


def test_it_learns_scores_itself_beside_simple_methods_and_becomes_a_program(learnt, scenes):
    _, scores, path = learnt
    iou = {name: row["mean IoU"].value for name, row in scores.table.items()}
    assert iou["network"] > 0.8
    assert iou["network"] > iou["untrained network"] + 0.3
    assert list(iou)[:2] == ["network", "untrained network"]
    assert len(iou) == 5  # and three simple methods
    program = load(path)
    assert program.card["scores"]["table"]["network"]["mean IoU"]["value"] == iou["network"]
    picture, mask = draw_labelled(999, (150, 101))
    answer = program.predict(picture)
    assert answer.mask.shape == (101, 150)
    assert (answer.mask == np.asarray(mask)).mean() > 0.9
    assert sum(answer.areas.values()) == pytest.approx(1)
    assert selftest(program) == []


def test_bytes_arrays_and_paths_give_the_same_mask(learnt, scenes):
    program = load(learnt[2])
    path = scenes / "images" / "drive0_000.png"
    masks = [program.predict(item).mask for item in (path, str(path), path.read_bytes(), np.asarray(Image.open(path)))]
    assert all((mask == masks[0]).all() for mask in masks)


def test_the_program_runs_by_itself_and_writes_masks_and_coloured_pictures(learnt, scenes, tmp_path):
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(b"nothing")
    first = scenes / "images" / "drive0_000.png"
    draw_labelled(5, (90, 200))[0].save(tmp_path / "drive0_000.jpg")
    done = run(learnt[2], first, bad, tmp_path / "drive0_000.jpg", "--json", "--out", "here", cwd=tmp_path)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert [line.get("mask") for line in lines] == ["here/drive0_000.mask.png", None, "here/drive0_000-2.mask.png"]
    assert "not a picture" in lines[1]["error"]
    assert lines[2]["width"], lines[2]["height"] == (90, 200)
    with Image.open(tmp_path / lines[0]["mask"]) as mask, Image.open(first) as picture:
        assert mask.size == picture.size
        shares = np.bincount(np.asarray(mask).ravel(), minlength=3) / mask.width / mask.height
        assert {name: round(share, 6) for name, share in lines[0]["areas"].items()} == {
            name: round(share, 6) for name, share in zip(CLASSES, shares, strict=True)
        }
    with Image.open(tmp_path / lines[0]["overlay"]) as overlay:
        assert overlay.width == 80
    nothing = run(learnt[2], first, "--out", "none", cwd=tmp_path)
    assert nothing.returncode == 0
    assert not (tmp_path / "segmented").exists()


def test_the_card_says_what_it_is(learnt):
    done = run(learnt[2], "--about")
    assert "segmentation" in done.stdout
    assert "for each pixel one of 3 classes: sky, ground, box" in done.stdout
    assert "mean IoU" in done.stdout
    assert run(learnt[2], "--selftest").stdout == "3 golden inputs: answered as at export\n"


def test_export_refuses_a_program_that_colours_otherwise(learnt, tmp_path, monkeypatch):
    monkeypatch.setattr("toolkit.export.segmentation.normalization_of", lambda dls: ((0.9, 0.1, 0.4), (0.3, 0.1, 0.3)))
    with pytest.raises(ExportError, match=r"learner's (class|\()"):
        export(learnt[0], tmp_path / "program.pyz")
    assert not (tmp_path / "program.pyz").exists()


@pytest.mark.parametrize("arch", ["resnet18", "fpn-resnet18"])
def test_other_networks_become_programs_too(scenes, tmp_path, arch):
    learn = build_learner(scenes, arch=arch, weights="random", size=32, batch_size=4)
    program = export(learn, tmp_path / "program.pyz", golden=1)
    assert program.predict(scenes / "images" / "drive0_000.png").mask.shape == (64, 80)


def test_pictures_of_many_sizes_are_learnt_together(tmp_path):
    for number in range(12):
        picture, mask = draw_labelled(number, (40 + 7 * number, 90 - 4 * number))
        for name, image in (("images", picture), ("masks", mask)):
            (tmp_path / name).mkdir(exist_ok=True)
            image.save(tmp_path / name / f"{number}.png")
    for scale in ("fit", "own"):
        learn = build_learner(tmp_path, size=32, scale=scale, batch_size=4)
        fit(learn, epochs=1, lr=1e-3)
        assert evaluate(learn).n_test == len(learn.dls[2].dataset)


def test_pixels_that_are_ignored_take_no_part(tmp_path):
    make_labelled(tmp_path, 12)
    learn = build_learner(tmp_path, size=64, ignore="sky", batch_size=4)
    assert learn.dls.labelled.classes == ("ground", "box")
    assert (learn.dls.labelled.truth(0) == IGNORED).any()
    scores = torch.randn(1, 2, 4, 4, requires_grad=True)
    nothing = torch.full((1, 4, 4), IGNORED)
    loss = learn.loss_func(scores, nothing)
    loss.backward()
    assert loss.item() == 0
    assert not scores.grad.any()


def test_picture_and_mask_are_altered_alike(tmp_path):
    for number in range(12):
        mask = draw_labelled(number)[1]
        levels = np.array([[0, 0, 0], [255, 0, 0], [0, 0, 255]], dtype=np.uint8)
        for name, image in (("images", Image.fromarray(levels[np.asarray(mask)])), ("masks", mask)):
            (tmp_path / name).mkdir(exist_ok=True)
            image.save(tmp_path / name / f"{number}.png")
    learn = build_learner(tmp_path, size=64, batch_size=8)
    mean, std = learn.spec.stats
    pictures, masks = learn.dls.one_batch()
    red, blue = (pictures[:, channel] * std[channel] + mean[channel] for channel in (0, 2))
    said = torch.where(red > blue, 1, 2)
    coloured = (red - blue).abs() > 0.5
    assert (torch.as_tensor(said == masks)[coloured]).float().mean() > 0.99


@pytest.mark.parametrize(
    ("options", "error", "said"),
    [
        ({"arch": "resnet19"}, ToolkitError, "resnet18"),
        ({"augment": "sideways"}, ToolkitError, "choose from photo"),
        ({"class_weights": "much"}, ToolkitError, "choose from auto"),
        ({"scale": "large"}, DataError, "choose from fit, own"),
        ({"size": 7}, DataError, "32 pixels"),
        ({"weights": "lost.pth", "arch": "resnet18"}, WeightsError, "no such file"),
        ({"arch": "light", "weights": "pretrained"}, WeightsError, "no published weights"),
    ],
)
def test_what_makes_no_sense_is_refused(scenes, options, error, said):
    with pytest.raises(error, match=said):
        build_learner(scenes, **{"size": 64, **options})


def test_masks_that_are_wrong_throughout_are_refused_with_what_to_do(tmp_path):
    make_labelled(tmp_path, 12)
    for path in (tmp_path / "masks").iterdir():
        mask = np.asarray(Image.open(path))
        Image.fromarray((mask == 2).astype(np.uint8) * 255).save(path)
    (tmp_path / "codes.txt").write_text("other\nbox\n")
    with pytest.raises(DataError, match="python -m toolkit.data.doctor masks"):
        build_learner(tmp_path)


def test_one_bad_pair_is_set_aside_and_named_or_refused_where_asked(tmp_path):
    make_labelled(tmp_path, 40)
    path = tmp_path / "masks" / "drive0_000.png"
    mask = np.asarray(Image.open(path)).copy()
    mask[0, 0] = 9
    Image.fromarray(mask).save(path)
    labelled = build_learner(tmp_path, size=64).dls.labelled
    assert len(labelled.table) == 39
    assert "9" in labelled.rejected[0][1]
    with pytest.raises(DataError, match="strict"):
        build_learner(tmp_path, strict=True)


def test_validation_sees_whole_pictures_at_the_scale_of_the_program(tmp_path):
    for number in range(12):
        picture, mask = draw_labelled(number, (100 + 4 * number, 64))
        for name, image in (("images", picture), ("masks", mask)):
            (tmp_path / name).mkdir(exist_ok=True)
            image.save(tmp_path / name / f"{number}.png")
    learn = build_learner(tmp_path, size=64, batch_size=4)
    widest = learn.dls.labelled.table[learn.dls.labelled.table.split == "test"].width.max()
    assert learn.dls[2].one_batch()[0].shape[2:] == (64, -(-widest // 16) * 16)
    assert learn.dls.train.one_batch()[0].shape[2] == 48
    probabilities, truth = learn.get_preds(ds_idx=2)
    counts = [(probabilities.argmax(1) == truth).sum().item(), (truth != IGNORED).sum().item()]
    scores = evaluate(learn)
    assert counts[0] / counts[1] == pytest.approx(scores.table["network"]["pixel accuracy"].value, abs=0.02)


def test_own_pixels_of_large_pictures_are_validated_on_their_middle(tmp_path):
    make_labelled(tmp_path, 6, size=(900, 700), groups=6)
    learn = build_learner(tmp_path, size=64, scale="own", batch_size=2)
    assert learn.dls.valid.one_batch()[0].shape[2:] == (640, 640)
    assert learn.dls.train.one_batch()[0].shape[2:] == (64, 64)


@pytest.mark.parametrize(("scale", "kept"), [("fit", {1.25}), ("own", {1.0})])
def test_turning_pictures_keeps_their_proportions(scenes, scale, kept):
    learn = build_learner(scenes, size=64, scale=scale, augment="turned", batch_size=4)
    labelled = learn.dls.labelled
    assert {round(labelled.crop_from[1] / labelled.crop_from[0], 2)} == kept
    assert learn.dls.one_batch()[0].shape[2:] == labelled.crop


@pytest.mark.parametrize("counts", [[9900, 100], [99900, 100, 0], [1, 1, 1], [10**9, 1, 10**4]])
def test_no_class_weighs_more_than_five_pixels_and_a_pixel_one_on_average(counts):
    for weighing in ("root", "balanced"):
        weights = class_weights(np.array(counts), weighing)
        assert weights.max() == (5 if min(counts) < max(counts) else 1)
        assert (weights * counts).sum() / sum(counts) == pytest.approx(1, abs=1e-3)
    assert class_weights(np.array(counts), "none") is None


def test_balanced_weights_are_scikit_learns_and_the_others_follow_their_roots():
    counts = np.array([600, 300, 100])
    balanced = compute_class_weight("balanced", classes=np.arange(3), y=np.repeat(np.arange(3), counts))
    assert class_weights(counts, "balanced") == pytest.approx(balanced)
    roots = np.sqrt(balanced)
    assert class_weights(counts, "root") == pytest.approx(roots / np.average(roots, weights=counts))


def test_a_run_is_not_gone_on_with_where_the_masks_mean_something_else(tmp_path):
    make_labelled(tmp_path / "data", 12)
    learn = build_learner(tmp_path / "data", size=64)
    Run.open("run", learn, settings={}, folder=tmp_path / "run").close()
    (tmp_path / "data" / "codes.txt").write_text("sky\nbox\nground\n")
    again = build_learner(tmp_path / "data", size=64)
    with pytest.raises(RunError, match="other settings"):
        Run.open("run", again, settings={}, folder=tmp_path / "run", resume=True)


def test_results_of_items_of_one_name_never_overwrite_each_other(learnt, scenes, tmp_path):
    for name in ("a.png", "a.jpg", "a-2.png", "b" * 200 + ".png"):
        draw_labelled(1)[0].save(tmp_path / name)
    done = run(learnt[2], "a.png", "a.jpg", "a-2.png", "b" * 200 + ".png", "--out", "o", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "o").iterdir())) == 8


def test_a_body_is_taken_over_from_an_earlier_run(scenes, tmp_path):
    learn = build_learner(scenes, size=64, batch_size=4)
    with Run.open("first", learn, settings={}, folder=tmp_path / "run") as place:
        fit(learn, epochs=1, lr=1e-3, run=place)
    again = build_learner(scenes, size=64, weights=str(tmp_path / "run"), batch_size=4)
    assert again.spec.arch == "light"
    trained, taken = learn.model.state_dict(), again.model.state_dict()
    same = [key for key in trained if torch.equal(trained[key], taken[key])]
    assert 0 < len(trained) - len(same) <= 3


def test_a_script_from_end_to_end_goes_on_after_a_stop(scenes, tmp_path):
    command = [
        "-m",
        "recipes.segmentation",
        scenes,
        "--batch-size",
        "4",
        "--epochs",
        "2",
        "--lr",
        "0.003",
        "--run",
        tmp_path / "run",
    ]
    done = run(*command, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    held = {path.name for path in (tmp_path / "run").iterdir()}
    assert {"program.pyz", "report.html", "scores.json", "predictions.csv", "log.csv", "items.csv", "run.json"} <= held
    again = run(*command, "--resume", cwd=ROOT)
    assert again.returncode == 0, again.stderr
    assert again.stdout.splitlines()[-6:] == done.stdout.splitlines()[-6:]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nowhere"], "no such folder"), (["SCENES", "--masks", "lost"], "lost"), (["SCENES", "--classes", "lost.txt"], "lost.txt")],
)
def test_wrong_arguments_are_answered_in_one_line(scenes, arguments, said):
    done = run("-m", "recipes.segmentation", *[scenes if word == "SCENES" else word for word in arguments], cwd=ROOT)
    assert done.returncode == 1
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
