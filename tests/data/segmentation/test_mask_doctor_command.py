"""The mask doctor at work: what stops training, what its command says, and the repaired masks it writes elsewhere."""

import json
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT
from helpers.mask_samples import (
    examine,
    foreground,
    kinds,
    make_labelled,
    mended,
)

from toolkit.data.doctor import main
from toolkit.data.segmentation.class_mapping import read_class_mapping
from toolkit.data.segmentation.mask_doctor import check_masks
from toolkit.data.segmentation.pairs import find_pairs
from toolkit.errors import DataError, RunError

# what stops training


def test_a_few_bad_masks_among_many_do_not_stop_training(tmp_path):
    def change(mask, number):
        return np.where(mask == 2, 7, mask).astype(np.uint8) if number < 3 else mask

    diagnosis = examine(make_labelled(tmp_path / "data", 24, change), quick=True)
    assert kinds(diagnosis) == {"outside": 3}
    assert diagnosis.refusal() == ""


def test_a_refusal_ends_in_the_command_that_shows_all(tmp_path, capsys):
    folder = make_labelled(tmp_path / "my data", change=lambda mask, number: mask + 1)
    (folder / "codes.txt").rename(tmp_path / "names.txt")
    pairs = find_pairs(folder)
    class_mapping = read_class_mapping(pairs.table["mask"].tolist(), tmp_path / "names.txt", ignore="none")
    with pytest.raises(DataError, match="count classes from 1 to 3") as caught:
        check_masks(pairs, class_mapping)
    command = str(caught.value).splitlines()[-1]
    done = subprocess.run(command.replace("python", sys.executable, 1), shell=True, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "count classes from 1 to 3" in done.stdout
    check_masks(find_pairs(make_labelled(tmp_path / "clean")), None)


def test_a_quick_look_is_at_64_masks(tmp_path):
    diagnosis = examine(make_labelled(tmp_path / "data", 70), quick=True)
    assert (diagnosis.looked, diagnosis.total) == (64, 70)


@pytest.mark.parametrize("layout", ["parts", "suffix", "csv"])
def test_the_command_finds_the_same_masks_in_every_layout(tmp_path, layout):
    folder = make_labelled(tmp_path / "made", 8, change=foreground, codes=("ground", "thing"))
    place, options = tmp_path / "data", {}
    if layout == "parts":
        for part, numbers in (("train", range(6)), ("test", range(6, 8))):
            for kind, suffix in (("images", "jpg"), ("masks", "png")):
                (place / part / kind).mkdir(parents=True)
                for number in numbers:
                    name = f"{number:02d}.{suffix}"
                    (folder / kind / name).rename(place / part / kind / name)
        (place / "codes.txt").write_text("ground\nthing\n")
    elif layout == "suffix":
        place.mkdir()
        options = {"mask_suffix": "_mask"}
        for number in range(8):
            (folder / "images" / f"{number:02d}.jpg").rename(place / f"{number:02d}.jpg")
            (folder / "masks" / f"{number:02d}.png").rename(place / f"{number:02d}_mask.png")
        (place / "codes.txt").write_text("ground\nthing\n")
    else:
        place = folder / "list.csv"
        rows = [f"images/{number:02d}.jpg,masks/{number:02d}.png" for number in range(8)]
        place.write_text("\n".join(["photo,answer", *rows]))
        options = {"image_column": "photo", "mask_column": "answer"}
    diagnosis = examine(place, **options)
    assert kinds(diagnosis) == {"spread": 8}
    assert main(list(diagnosis.options) and ["masks", *diagnosis.options]) == 1
    target = tmp_path / "mended"
    assert main(["masks", *diagnosis.options, "--apply", str(target)]) == 0
    assert len(list(target.rglob("*.png"))) == 8


# the command line


def doctor(*arguments):
    command = [sys.executable, "-m", "toolkit.data.doctor", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)


def test_what_is_said_of_clean_masks(tmp_path):
    folder = make_labelled(tmp_path / "data", 6)
    done = doctor("masks", folder / "images", folder / "masks")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("nothing found that is wrong\n")


def test_what_is_said_of_faults(tmp_path, capsys):
    folder = make_labelled(tmp_path / "data", change=foreground, codes=("ground", "thing"))
    asked = ["masks", str(folder / "images"), str(folder / "masks")]
    assert main([*asked, "--json", str(tmp_path / "found.json")]) == 1
    said = capsys.readouterr().out
    assert "[stops training] 20 masks with 255 where 1 is meant" in said
    assert said.count(".png") == 10
    assert "and 10 more (--all names them)" in said
    assert "thing" in said
    assert f"{folder / 'masks'} --apply TARGET" in said
    assert main([*asked, "--all"]) == 1
    assert capsys.readouterr().out.count(".png") == 20
    kept = json.loads((tmp_path / "found.json").read_text())
    assert kept["mapping"][1] == {"value": 255, "number": 1, "class": "thing", "pixels": kept["mapping"][1]["pixels"]}
    assert kept["findings"][0]["files"][0] == {"file": str(folder / "masks" / "00.png"), "detail": ""}


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        ([], 2, "required"),
        (["teeth"], 2, "invalid choice"),
        (["masks"], 2, "required"),
        (["masks", "a", "b", "c"], 2, "unrecognized arguments"),
        (["masks", "/nowhere"], 1, "error: /nowhere: no such folder or CSV"),
        (["masks", "/nowhere", "/nowhere"], 1, "error: /nowhere: no such folder"),
        (["masks", "DATA/images", "DATA/images"], 1, "in one folder: say what"),
        (["masks", "DATA/images", "DATA/masks", "--classes", "none.txt"], 1, "error: none.txt: no such file of classes"),
        (["masks", "DATA/images", "DATA/masks", "--ignore", "sky"], 1, "error: ignore 'sky': expected auto, none"),
        (["masks", "DATA/images", "DATA/masks", "--mask-suffix", "_x"], 1, "no two names agree"),
        (["masks", "DATA/images", "DATA/masks", "--apply", "DATA/masks"], 1, "is not written into"),
        (["masks", "DATA/images", "DATA/masks", "--apply", "DATA/masks/new"], 1, "is not written into"),
        (["masks", "DATA/images", "DATA/masks", "--apply", "DATA/images/new"], 1, "is not written into"),
        (["masks", "DATA/images", "DATA/masks", "--apply", "DATA"], 1, "holds files that this command did not make"),
        (["masks", "DATA/images", "DATA/masks", "--json", "/nowhere/at/all"], 1, "error: cannot write"),
        (["masks", "DATA/images", "DATA/masks", "--csv", "none.csv"], 1, "no such CSV"),
    ],
)
def test_wrong_arguments_give_one_clear_line(tmp_path, arguments, status, said):
    folder = make_labelled(tmp_path / "data", 3)
    (tmp_path / "block").write_text("")
    arguments = [argument.replace("DATA", str(folder)).replace("/nowhere/at", str(tmp_path / "block")) for argument in arguments]
    done = doctor(*arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert status == 2 or len(done.stderr.splitlines()) == 1


# repairs


def test_repairs_go_on_where_they_were_stopped(tmp_path, monkeypatch, capsys):
    folder = make_labelled(tmp_path / "data", change=foreground, codes=("ground", "thing"))
    asked = ["masks", str(folder), "--apply", str(tmp_path / "mended")]
    from toolkit.data.segmentation import mask_repair

    once, made = mask_repair._paletted, []

    def fails_later(*arguments):
        if len(made) == 5:
            raise RunError("the disk is full")
        made.append(1)
        return once(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(mask_repair, "_paletted", fails_later)
        with pytest.raises(RunError):
            main(asked)
    assert main(asked) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert "up to date" in said
    assert main(asked) == 0
    assert capsys.readouterr().out.endswith("20 up to date\n")
    (folder / "masks" / "03.png").unlink()
    assert main(asked) == 0
    assert capsys.readouterr().out.endswith("19 up to date, 1 removed\n")


def test_clean_masks_are_written_as_they_were(tmp_path, capsys):
    folder = make_labelled(tmp_path / "data", 6)
    assert len(mended(folder)) == 6
    assert "6 written as they were" in capsys.readouterr().out
    assert json.loads((tmp_path / "mended" / "doctor.json").read_text())["findings"] == []
