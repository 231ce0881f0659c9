"""A program equals its learner, refuses what it cannot trust, and answers from the command line."""

import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import ROOT
from helpers.image_samples import make_shapes
from helpers.programs import rewritten
from PIL import Image

from recipes.image_classification import build_learner
from toolkit.errors import ConversionError, ExportError, ProgramError
from toolkit.evaluation.images.scores import predictions
from toolkit.export import export
from toolkit.program import load
from toolkit.program.archive import card_digest
from toolkit.program.images.selftest import selftest


@pytest.fixture(scope="module")
def program(trained):
    return load(trained[1] / "program.pyz")


@pytest.fixture(scope="module")
def pictures(trained):
    """The held-out pictures of the trained run."""
    return list(trained[0].dls[2].dataset.items)


def run_file(path, *arguments, **options):
    command = [sys.executable, str(path), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, **options)


def test_a_program_tells_nothing_of_the_machine_that_made_it(trained):
    places = [ROOT, Path.home(), trained[1], Path(sys.prefix), Path(torch.__file__).parent, Path(tempfile.gettempdir())]
    path = trained[1] / "program.pyz"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    assert "model.onnx" in members
    for name, content in {**members, "the file itself": path.read_bytes()}.items():
        told = [str(place) for place in places if f"{place}/".encode() in content and str(place) != "/"]
        assert not told, name


def test_program_and_learner_agree_on_every_held_out_item(trained, program, pictures):
    learn = trained[0]
    expected, _ = predictions(learn, learn.dls[2])
    classes = list(learn.dls.vocab)
    for row, answer in zip(expected, program.predict_many(pictures), strict=True):
        assert answer.label == classes[row.argmax()]
        assert np.abs([answer.probabilities[name] for name in classes] - row).max() < 1e-4


def test_the_program_sees_the_very_pixels_that_validation_sees(trained, program, pictures):
    dataset = trained[0].dls[2].dataset
    for row, path in enumerate(pictures[:5]):
        assert np.array_equal(program.input.prepare(path), dataset[row][0].permute(1, 2, 0).numpy())


def test_learn_predict_still_works_and_says_the_same(trained, program, pictures):
    learn = trained[0]
    with learn.no_bar():
        label, _, probabilities = learn.predict(pictures[0])
    answer = program.predict(pictures[0])
    assert answer.label == label
    assert answer.probability == pytest.approx(float(probabilities.max()), abs=1e-4)


def test_path_bytes_image_and_array_are_one_item(program, pictures):
    path = pictures[0]
    wanted = program.predict(path)
    assert sum(wanted.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert list(wanted.probabilities.values()) == sorted(wanted.probabilities.values(), reverse=True)
    for item in (str(path), path.read_bytes(), Image.open(path), np.asarray(Image.open(path))):
        assert program.predict(item) == wanted


def test_any_number_of_items_streams_and_a_bad_one_stops_nothing(program, pictures):
    def endless():
        while True:
            yield from (pictures[0], b"nothing", pictures[1])

    stream = program.predict_many(endless(), batch_size=4)
    results = [next(stream) for _ in range(10)]
    assert [isinstance(result, ConversionError) for result in results] == [False, True, False] * 3 + [False]
    assert list(program.predict_many([])) == []
    with pytest.raises(ConversionError):
        list(program.predict_many([b"nothing"], strict=True))


def test_export_refuses_a_program_that_differs_and_leaves_the_old_file(trained, tmp_path, monkeypatch):
    learn = trained[0]
    path = tmp_path / "program.pyz"
    path.write_bytes(b"as it was")
    monkeypatch.setattr("toolkit.export.images.normalization_of", lambda dls: ((0.4, 0.4, 0.4), (0.3, 0.3, 0.3)))
    with pytest.raises(ExportError, match="off the learner's"):
        export(learn, path)
    assert path.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [path]


def test_export_refuses_another_reading_of_the_item(trained, tmp_path, monkeypatch):
    monkeypatch.setattr("toolkit.program.images.inputs.fit_image", lambda image, size, method: Image.new("RGB", size[::-1]))
    with pytest.raises(ExportError, match="off the learner's"):
        export(trained[0], tmp_path / "program.pyz", golden=0)


@pytest.mark.parametrize("arch", ["resnet18", "mobilenet_v3_small"])
def test_other_architectures_become_programs_too(shapes, tmp_path, arch):
    learn = build_learner(shapes, arch=arch, weights="random", size=48, resize="crop")
    program = export(learn, tmp_path / "program.pyz")
    assert program.predict(next(shapes.glob("*/*.png"))).label in ("box", "cross", "disc")


def test_golden_inputs_are_answered_as_at_export(program, trained, tmp_path):
    assert len(program.card["golden"]) == 3
    assert selftest(program) == []
    none = export(trained[0], tmp_path / "private.pyz", golden=0)
    assert none.card["golden"] == []


def test_the_self_test_finds_a_reading_that_is_two_grey_levels_off(trained, monkeypatch):
    program = load(trained[1] / "program.pyz")
    prepare = type(program.input).prepare

    def brighter(by):
        return lambda self, item: np.minimum(prepare(self, item).astype(int) + by, 255).astype(np.uint8)

    monkeypatch.setattr(type(program.input), "prepare", brighter(1))
    assert not any("grey levels" in problem for problem in selftest(program))
    monkeypatch.setattr(type(program.input), "prepare", brighter(2))
    assert any("2 grey levels apart" in problem for problem in selftest(program))


def test_a_photo_too_large_to_carry_is_shrunk_into_its_golden_input(tmp_path):
    folder = make_shapes(tmp_path / "large", 6, size=400)
    program = export(build_learner(folder, arch="small", size=32), tmp_path / "program.pyz", golden=2)
    assert all(item["item"].endswith(".png") for item in program.card["golden"])
    assert (tmp_path / "program.pyz").stat().st_size < 3_000_000
    assert selftest(program) == []


def test_a_program_holds_no_pickle_and_no_training_code(trained):
    with zipfile.ZipFile(trained[1] / "program.pyz") as archive:
        names = archive.namelist()
        code = b"".join(archive.read(name) for name in names if name.endswith(".py"))
    assert {name.split(".")[-1] for name in names} == {"py", "onnx", "json", "png"}
    assert not any(word in code for word in (b"import torch", b"import fastai", b"import pickle", b"import pandas"))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
def test_a_truncated_file_is_a_clear_error(trained, tmp_path, share):
    whole = (trained[1] / "program.pyz").read_bytes()
    path = tmp_path / "cut.pyz"
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ProgramError, match="cut.pyz"):
        load(path)


def test_a_flipped_bit_in_the_model_is_found(trained, tmp_path):
    whole = bytearray((trained[1] / "program.pyz").read_bytes())
    whole[len(whole) // 2] ^= 1
    path = tmp_path / "bit.pyz"
    path.write_bytes(whole)
    with pytest.raises(ProgramError, match="altered"):
        load(path)


def test_altered_newer_foreign_and_missing_files_are_told_apart(trained, tmp_path):
    source = trained[1] / "program.pyz"

    def swap(member, data):
        return lambda name, old: data if name == member else old

    model = rewritten(source, tmp_path / "model.pyz", swap("model.onnx", b"another"))
    with pytest.raises(ProgramError, match="model.onnx inside it was altered"):
        load(model)
    card = json.loads(zipfile.ZipFile(source).read("program.json"))
    newer = rewritten(source, tmp_path / "newer.pyz", swap("program.json", json.dumps({**card, "format": 99}).encode()))
    with pytest.raises(ProgramError, match="format 99"):
        load(newer)
    edited = {**card, "output": {"kind": "classes", "classes": card["output"]["classes"][::-1]}}
    with pytest.raises(ProgramError, match="program.json was altered"):
        load(rewritten(source, tmp_path / "edited.pyz", swap("program.json", json.dumps(edited).encode())))
    for change, message in (
        ({"output": {}}, "program.json lacks"),
        ({"output": {"kind": "classes", "classes": ["box", "disc"]}}, "2 classes"),
        ({"output": {"kind": "classes", "classes": ["box", "box", "disc"]}}, "3 classes"),
        ({"input": {**card["input"], "size": [8, 8]}}, "its program.json says"),
    ):
        forged = {**card, **change}
        forged["digest"] = card_digest(forged)
        with pytest.raises(ProgramError, match=message):
            load(rewritten(source, tmp_path / "forged.pyz", swap("program.json", json.dumps(forged).encode())))
    foreign = tmp_path / "foreign.zip"
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("hello.txt", "hello")
    with pytest.raises(ProgramError, match="not a program of this toolkit"):
        load(foreign)
    (tmp_path / "text.pyz").write_text("no zip")
    for path in (tmp_path / "text.pyz", tmp_path / "absent.pyz", tmp_path):
        with pytest.raises(ProgramError, match=path.name):
            load(path)


def test_loading_runs_no_code_of_the_file(trained, tmp_path):
    marker = tmp_path / "ran"
    trap = f"open({str(marker)!r}, 'w')\n".encode()
    path = rewritten(
        trained[1] / "program.pyz", tmp_path / "trap.pyz", lambda name, data: trap + data if name.endswith(".py") else data
    )
    load(path)
    assert not marker.exists()


def test_the_command_line_predicts_many_paths(trained, pictures):
    done = run_file(trained[1] / "program.pyz", *pictures[:3], "--top", "2")
    assert done.returncode == 0
    assert [line.split("  ")[0] for line in done.stdout.splitlines()] == [str(path) for path in pictures[:3]]
    assert all(len(line.split("  ")) == 3 for line in done.stdout.splitlines())


def test_the_command_line_speaks_json_and_sets_a_bad_file_aside(trained, pictures, tmp_path):
    odd = tmp_path / "фото 1.png"
    shutil.copy(pictures[0], odd)
    done = run_file(trained[1] / "program.pyz", odd, tmp_path / "absent.png", pictures[1], "--json", "--top", "1")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1
    assert lines[0]["item"] == str(odd)
    assert lines[0]["probabilities"] == {lines[0]["label"]: lines[0]["probability"]}
    assert lines[1] == {"item": str(tmp_path / "absent.png"), "error": "no such file"}
    assert "label" in lines[2]
    assert "absent.png: no such file" in done.stderr


def test_about_shows_the_score_card_and_what_is_needed(trained):
    done = run_file(trained[1] / "program.pyz", "--about")
    assert done.returncode == 0
    for words in (
        "36 held-out items",
        "nearest centroid",
        trained[2].verdict,
        "pip install numpy pillow onnxruntime",
        "box, cross, disc",
    ):
        assert words in done.stdout
    assert json.loads(run_file(trained[1] / "program.pyz", "--about", "--json").stdout)["task"] == "image_classification"


def test_self_test_from_the_command_line(trained, tmp_path):
    done = run_file(trained[1] / "program.pyz", "--selftest")
    assert (done.returncode, done.stdout) == (0, "3 golden inputs: answered as at export\n")
    none = export(trained[0], tmp_path / "private.pyz", golden=0)
    assert run_file(none.archive.path, "--selftest").returncode == 1


@pytest.mark.parametrize("arguments", [[], ["--top", "0", "x.png"], ["--top", "many", "x.png"], ["--nonsense"]])
def test_wrong_arguments_are_explained(trained, arguments):
    done = run_file(trained[1] / "program.pyz", *arguments)
    assert done.returncode == 2
    assert "usage:" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_package_is_named_with_its_install_command(trained):
    bare = [sys.executable, "-S", "-I", str(trained[1] / "program.pyz"), "--about"]  # -S: no site-packages
    done = subprocess.run(bare, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "pip install numpy pillow onnxruntime" in done.stderr
    assert "Traceback" not in done.stderr
