"""The mask doctor finds each fault that masks have, nothing where there is none, and writes repaired masks elsewhere."""

import json
import subprocess
import sys

import numpy as np
import pytest
from conftest import ROOT
from mask_samples import CLASSES, COLOURS, HEIGHT, WIDTH, draw_scene, make_scenes
from PIL import Image

from toolkit.data.doctor import main
from toolkit.data.mask_doctor import check_masks, diagnose
from toolkit.data.masks import IGNORED, TooManyValues, read_code, read_mask
from toolkit.data.pairs import find_pairs
from toolkit.errors import DataError, RunError

PALETTE = np.array(COLOURS, dtype=np.uint8)
NAMED = {name: "#{:02x}{:02x}{:02x}".format(*colour) for name, colour in zip(CLASSES, COLOURS, strict=True)}


def examine(folder, quick=False, classes="", ignore="auto", **options):
    pairs = find_pairs(folder, **options)
    return diagnose(pairs, read_code(classes, ignore, pairs.table["mask"].tolist()), quick)


def kinds(diagnosis):
    return {finding.kind: len(finding.files) for finding in diagnosis.findings}


def only(diagnosis):
    (finding,) = diagnosis.findings
    return finding


def mended(folder, *options):
    """Apply the doctor, look whether it finds nothing in what it made, and give the class numbers of each mask by name."""
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    target = folder.parent / "mended"
    main(["masks", str(folder / "images"), str(folder / "masks"), *options, "--apply", str(target)])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    assert main(["masks", str(folder / "images"), str(target)]) == 0
    return {path.stem: read_mask(path) for path in target.glob("*.png")}


def blended(mask, number, step=1):
    """Class numbers times `step`, shrunk and enlarged with smoothing."""
    image = Image.fromarray((mask * step).astype(np.uint8))
    return image.resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BILINEAR)


def foreground(mask, number, value=255):
    return ((mask > 0) * value).astype(np.uint8)


# nothing wrong


@pytest.mark.parametrize("codes", [CLASSES, ()])
def test_nothing_is_found_in_clean_masks(tmp_path, codes):
    diagnosis = examine(make_scenes(tmp_path / "data", codes=codes))
    assert diagnosis.findings == []
    assert diagnosis.refusal() == ""
    assert diagnosis.mapping.items() >= {0: 0, 1: 1, 2: 2}.items()


def test_nothing_is_found_in_the_drawn_roads():
    assert examine(ROOT / "sample_data" / "roads").findings == []


def test_nothing_is_found_in_the_real_data(shared_data):
    assert examine(shared_data / "segmentation_camvid" / "train").findings == []


def test_255_that_does_not_count_is_no_fault(tmp_path):
    folder = make_scenes(
        tmp_path / "data", change=lambda mask, number: np.where(np.indices(mask.shape)[0] < 4, 255, mask).astype("u1")
    )
    diagnosis = examine(folder)
    assert diagnosis.findings == []
    assert diagnosis.mapping[255] == IGNORED


# values


def test_0_and_255_for_0_and_1(tmp_path):
    folder = make_scenes(tmp_path / "data", change=foreground, codes=("ground", "thing"))
    diagnosis = examine(folder)
    finding = only(diagnosis)
    assert (finding.kind, finding.fatal, finding.repairable, len(finding.files)) == ("spread", True, True, 20)
    assert diagnosis.mapping == {0: 0, 255: 1}
    assert all((mask == (draw_scene(int(name))[1] > 0)).all() for name, mask in mended(folder).items())


def test_0_and_255_without_a_list_are_read_and_told(tmp_path):
    finding = only(examine(make_scenes(tmp_path / "data", change=foreground, codes=())))
    assert (finding.kind, finding.fatal, finding.repairable) == ("spread", False, True)


def test_class_numbers_spread_over_256_levels(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: (mask * 127.5).astype(np.uint8))
    assert kinds(examine(folder)) == {"spread": 20}
    assert all((mask == draw_scene(int(name))[1]).all() for name, mask in mended(folder).items())


def test_some_masks_of_0_and_255_among_masks_of_0_and_1(tmp_path):
    folder = make_scenes(
        tmp_path / "data",
        change=lambda mask, number: foreground(mask, number, 255 if number < 5 else 1),
        codes=("ground", "thing"),
    )
    assert kinds(examine(folder)) == {"mixed": 5}
    assert all((mask == (draw_scene(int(name))[1] > 0)).all() for name, mask in mended(folder).items())


def test_colours_without_a_palette_cannot_be_told(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: PALETTE[mask])
    finding = only(examine(folder))
    assert (finding.kind, finding.fatal, finding.repairable) == ("colours", True, False)
    assert '"NAME": "#dc143c"' in finding.todo


def test_colours_with_a_palette_become_class_numbers(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: PALETTE[mask])
    (tmp_path / "palette.json").write_text(json.dumps(NAMED))
    made = mended(folder, "--palette", str(tmp_path / "palette.json"))
    assert all((mask == draw_scene(int(name))[1]).all() for name, mask in made.items())
    assert Image.open(tmp_path / "mended" / "03.png").mode == "P"
    assert tuple(Image.open(tmp_path / "mended" / "03.png").getpalette()[3:6]) == COLOURS[1]
    assert (tmp_path / "mended" / "codes.txt").read_text().split() == list(CLASSES)


def test_colours_in_a_list_of_names_and_a_palette(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: PALETTE[mask])
    (tmp_path / "palette.json").write_text(json.dumps(dict(reversed(NAMED.items()))))
    made = mended(folder, "--classes", str(folder / "codes.txt"), "--palette", str(tmp_path / "palette.json"))
    assert all((mask == draw_scene(int(name))[1]).all() for name, mask in made.items())


def test_a_palette_of_other_classes_is_refused(tmp_path, capsys):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: PALETTE[mask])
    (tmp_path / "palette.json").write_text(json.dumps({**NAMED, "roof": "#010203"}))
    with pytest.raises(DataError, match="'roof' is none of the classes .ground, disc, box"):
        main(["masks", str(folder), "--classes", str(folder / "codes.txt"), "--palette", str(tmp_path / "palette.json")])


def test_a_class_of_the_palette_that_is_not_to_count(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: PALETTE[mask])
    (tmp_path / "palette.json").write_text(json.dumps(NAMED))
    listed = ["--classes", str(folder / "codes.txt"), "--palette", str(tmp_path / "palette.json"), "--ignore", "disc"]
    main(["masks", str(folder), *listed, "--apply", str(tmp_path / "mended")])
    expected = np.array([0, IGNORED, 1])[draw_scene(0)[1]]
    assert (read_mask(tmp_path / "mended" / "00.png") == expected).all()


def test_a_palette_without_colours_is_refused(tmp_path):
    folder = make_scenes(tmp_path / "data")
    with pytest.raises(DataError, match="codes.txt: no colours"):
        main(["masks", str(folder), "--palette", str(folder / "codes.txt")])


def test_colours_are_read_where_they_are_the_classes(tmp_path):
    finding = only(examine(make_scenes(tmp_path / "data", change=lambda mask, number: PALETTE[mask], codes=())))
    assert (finding.kind, finding.fatal, finding.repairable) == ("colours", False, True)


def test_palettes_in_another_order(tmp_path):
    def change(mask, number):
        order = [2, 0, 1] if number in (4, 9) else [0, 1, 2]
        image = Image.fromarray(np.argsort(order)[mask].astype(np.uint8))
        image.putpalette([int(level) for place in order for level in PALETTE[place]])
        return image

    folder = make_scenes(tmp_path / "data", change=change)
    assert kinds(examine(folder)) == {"palettes": 2}
    assert all((mask == draw_scene(int(name))[1]).all() for name, mask in mended(folder).items())


@pytest.mark.parametrize("codes", [CLASSES, ()])
def test_blends_along_borders_take_the_class_of_the_nearest_pixel(tmp_path, codes):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: blended(mask, number, 127), codes=codes)
    diagnosis = examine_blends(folder)
    assert kinds(diagnosis) == {"blends": 20, "spread": 20}
    assert "smooth" in diagnosis.refusal()
    wrong = [(mask != draw_scene(int(name))[1]).mean() for name, mask in mended(folder).items()]
    assert len(wrong) == 20
    assert max(wrong) < 0.02  # a blend of ground and box has the value of a disc


def examine_blends(folder):
    pairs = find_pairs(folder)
    try:
        code = read_code("", "auto", pairs.table["mask"].tolist())
    except TooManyValues:
        code = None
    return diagnose(pairs, code)


def test_masks_saved_as_jpeg(tmp_path):
    folder = make_scenes(tmp_path / "data", change=foreground, codes=("ground", "thing"), suffix=".jpg")
    diagnosis = examine(folder)
    assert kinds(diagnosis) == {"blends": 20, "spread": 20}
    assert "JPEG" in diagnosis.refusal()
    wrong = [(mask != (draw_scene(int(name))[1] > 0)).mean() for name, mask in mended(folder).items()]
    assert max(wrong) < 0.01


def test_class_numbers_that_jpeg_lost_are_not_guessed(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: mask * 2, codes=("a", "b", "c", "d", "e"), suffix=".jpg")
    finding = next(finding for finding in examine(folder).findings if finding.kind in ("blends", "averaged"))
    assert finding.fatal


@pytest.mark.parametrize("codes", [CLASSES, ()])
def test_class_numbers_that_were_averaged(tmp_path, codes):
    folder = make_scenes(tmp_path / "data", change=blended, codes=codes)
    diagnosis = examine(folder)
    assert only(diagnosis).kind == "averaged"
    assert len(only(diagnosis).files) > 10  # where a border is that between ground and box
    wrong = [(mask != draw_scene(int(name))[1]).mean() for name, mask in mended(folder).items()]
    before = [(read_mask(folder / "masks" / f"{number:02d}.png") != draw_scene(number)[1]).mean() for number in range(20)]
    assert np.mean(wrong) < 0.6 * np.mean(before)


def test_an_outline_that_is_a_class_is_no_blend(tmp_path):
    def change(mask, number):
        inside = mask > 0
        outline = inside & ~(np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1) & np.roll(inside, -1, 1))
        return np.where(outline, 1, inside * 2).astype(np.uint8)

    assert examine(make_scenes(tmp_path / "data", change=change)).findings == []


def test_values_outside_the_classes(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: np.where(mask == 2, 7, mask).astype(np.uint8))
    diagnosis = examine(folder)
    assert kinds(diagnosis) == {"outside": 20, "empty_class": 0}
    assert "7 (" in diagnosis.refusal()
    target = tmp_path / "mended"
    assert main(["masks", str(folder), "--apply", str(target)]) == 1
    assert "holds 7, which no class has" in (target / "failed.csv").read_text()


def test_classes_counted_from_1(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: mask + 1)
    assert kinds(examine(folder)) == {"shifted": 20}
    assert all((mask == draw_scene(int(name))[1]).all() for name, mask in mended(folder).items())


def test_255_where_all_was_to_count(tmp_path):
    folder = make_scenes(
        tmp_path / "data", change=lambda mask, number: np.where(np.indices(mask.shape)[0] < 4, 255, mask).astype("u1")
    )
    diagnosis = examine(folder, ignore="none")
    assert only(diagnosis).kind == "not_counted"
    assert "--ignore" in only(diagnosis).todo
    assert diagnosis.mapping[255] == IGNORED


def test_photos_in_the_place_of_masks(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: draw_scene(number)[0], codes=())
    diagnosis = diagnose(find_pairs(folder), None)
    assert only(diagnosis).kind == "no_classes"
    with pytest.raises(DataError, match="no telling which value is which class"):
        main(["masks", str(folder), "--apply", str(tmp_path / "mended")])


def test_pictures_and_masks_given_the_wrong_way_round(tmp_path, capsys):
    folder = make_scenes(tmp_path / "data")
    assert main(["masks", str(folder / "masks"), str(folder / "images")]) == 1
    said = capsys.readouterr().out
    assert "see whether these are pictures, given in the place of masks" in said
    assert "one kind of fault" in said


# sizes


def test_masks_of_another_size(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: np.ascontiguousarray(mask[::2, ::2]))
    finding = only(examine(folder))
    assert (finding.kind, finding.fatal, finding.repairable) == ("scaled", True, True)
    assert finding.files[0][1] == "48x32, its picture 96x64"
    assert {mask.shape for mask in mended(folder).values()} == {(HEIGHT, WIDTH)}


def test_masks_of_other_proportions(tmp_path):
    finding = only(examine(make_scenes(tmp_path / "data", change=lambda mask, number: mask[:40])))
    assert (finding.kind, finding.fatal, finding.repairable) == ("size", True, False)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_with_exif_rotation_whose_mask_has_none(tmp_path, orientation):
    folder = make_scenes(tmp_path / "data")
    back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for number in range(20):
        picture, mask = draw_scene(number)
        picture.transpose(back).save(folder / "images" / f"{number:02d}.jpg", exif=exif)
        Image.fromarray(mask).transpose(back).save(folder / "masks" / f"{number:02d}.png")
    finding = only(examine(folder))
    assert (finding.kind, finding.fatal, finding.repairable, len(finding.files)) == ("turned", True, True, 20)
    assert all((mask == draw_scene(int(name))[1]).all() for name, mask in mended(folder).items())


def test_a_mask_with_exif_rotation_of_its_own(tmp_path):
    folder = make_scenes(tmp_path / "data")
    exif = Image.Exif()
    exif[0x0112] = 6
    mask = Image.fromarray(draw_scene(7)[1]).transpose(Image.Transpose.ROTATE_90)
    mask.save(folder / "masks" / "07.png", exif=exif)
    assert kinds(examine(folder)) == {"turned": 1}
    assert (mended(folder)["07"] == draw_scene(7)[1]).all()


def test_width_and_height_swapped_for_no_known_reason(tmp_path):
    finding = only(examine(make_scenes(tmp_path / "data", change=lambda mask, number: np.ascontiguousarray(mask.T))))
    assert (finding.kind, finding.repairable) == ("turned_unknown", False)


# pairs


def test_missing_masks_and_pictures(tmp_path):
    folder = make_scenes(tmp_path / "data")
    (folder / "masks" / "03.png").unlink()
    (folder / "images" / "04.jpg").unlink()
    assert kinds(examine(folder)) == {"no_mask": 1, "no_picture": 1}


def test_files_that_cannot_be_read(tmp_path):
    folder = make_scenes(tmp_path / "data")
    (folder / "masks" / "03.png").write_bytes(b"")
    (folder / "images" / "04.jpg").write_bytes((folder / "images" / "04.jpg").read_bytes()[:500])
    diagnosis = examine(folder)
    assert kinds(diagnosis) == {"unreadable": 1, "unreadable_picture": 1}
    assert diagnosis.refusal() == ""
    target = tmp_path / "mended"
    assert main(["masks", str(folder), "--apply", str(target)]) == 1
    assert len(list(target.glob("*.png"))) == 18
    assert "03.png,empty (0 bytes)" in (target / "failed.csv").read_text()


def test_the_same_mask_for_different_pictures(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: draw_scene(0)[1] if number < 4 else mask)
    finding = next(finding for finding in examine(folder).findings if finding.kind == "repeated")
    assert [detail for _, detail in finding.files] == ["", "as 00.png", "as 00.png", "as 00.png"]


def test_the_same_mask_for_the_same_picture_is_no_fault(tmp_path):
    folder = make_scenes(tmp_path / "data")
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        (folder / kind / f"01.{suffix}").write_bytes((folder / kind / f"00.{suffix}").read_bytes())
    assert "repeated" not in kinds(examine(folder))


def test_two_masks_that_took_each_others_place(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: draw_scene(19 - number)[1] if number in (3, 16) else mask)
    diagnosis = examine(folder)
    assert kinds(diagnosis) == {"astray": 2}
    assert only(diagnosis).files[0][1] == "fits 16.jpg better"
    assert not only(diagnosis).fatal


def test_a_mask_of_another_picture_in_the_real_data(shared_data):
    """The published mask of a street in the test part of CamVid shows another street."""
    finding = only(examine(shared_data / "segmentation_camvid" / "test"))
    assert finding.kind == "astray"
    assert [file.rpartition("/")[2] for file, _ in finding.files] == ["Seq05VD_f02610.png"]


def test_where_no_border_follows_an_edge_nothing_is_suspected(tmp_path):
    folder = make_scenes(tmp_path / "data", change=lambda mask, number: draw_scene(number + 50)[1])
    assert examine(folder).findings == []


# classes


def test_a_class_that_no_mask_shows_and_one_that_a_single_one_shows(tmp_path):
    def change(mask, number):
        mask = mask.copy()
        mask[:3, :3] = 3 if number == 8 else 0
        return mask

    diagnosis = examine(make_scenes(tmp_path / "data", change=change, codes=(*CLASSES, "rare", "never")))
    found = {finding.kind: finding.found for finding in diagnosis.findings}
    assert found == {"empty_class": "no mask shows 'never'", "rare_class": "in one mask only: 'rare'"}
    assert not any(finding.fatal for finding in diagnosis.findings)


def test_masks_of_one_value_and_masks_where_nothing_counts(tmp_path):
    def change(mask, number):
        return np.full_like(mask, 255 if number == 1 else 0) if number < 4 else mask

    diagnosis = examine(make_scenes(tmp_path / "data", change=change))
    assert kinds(diagnosis) == {"nothing_counts": 1, "one_value": 3}
    assert diagnosis.refusal() == ""


# what stops training


def test_a_few_bad_masks_among_many_do_not_stop_training(tmp_path):
    def change(mask, number):
        return np.where(mask == 2, 7, mask).astype(np.uint8) if number < 3 else mask

    diagnosis = examine(make_scenes(tmp_path / "data", 24, change), quick=True)
    assert kinds(diagnosis) == {"outside": 3}
    assert diagnosis.refusal() == ""


def test_a_refusal_ends_in_the_command_that_shows_all(tmp_path, capsys):
    folder = make_scenes(tmp_path / "my data", change=lambda mask, number: mask + 1)
    (folder / "codes.txt").rename(tmp_path / "names.txt")
    pairs = find_pairs(folder)
    code = read_code(tmp_path / "names.txt", "none", pairs.table["mask"].tolist())
    with pytest.raises(DataError, match="count classes from 1 to 3") as caught:
        check_masks(pairs, code)
    command = str(caught.value).splitlines()[-1]
    done = subprocess.run(command.replace("python", sys.executable, 1), shell=True, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1
    assert "count classes from 1 to 3" in done.stdout
    check_masks(find_pairs(make_scenes(tmp_path / "clean")), None)


def test_a_quick_look_is_at_64_masks(tmp_path):
    diagnosis = examine(make_scenes(tmp_path / "data", 70), quick=True)
    assert (diagnosis.looked, diagnosis.total) == (64, 70)


@pytest.mark.parametrize("layout", ["parts", "suffix", "csv"])
def test_the_command_finds_the_same_masks_in_every_layout(tmp_path, layout):
    folder = make_scenes(tmp_path / "made", 8, change=foreground, codes=("ground", "thing"))
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
    folder = make_scenes(tmp_path / "data", 6)
    done = doctor("masks", folder / "images", folder / "masks")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("nothing found that is wrong\n")


def test_what_is_said_of_faults(tmp_path, capsys):
    folder = make_scenes(tmp_path / "data", change=foreground, codes=("ground", "thing"))
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
    folder = make_scenes(tmp_path / "data", 3)
    (tmp_path / "block").write_text("")
    arguments = [argument.replace("DATA", str(folder)).replace("/nowhere/at", str(tmp_path / "block")) for argument in arguments]
    done = doctor(*arguments)
    assert done.returncode == status
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert status == 2 or len(done.stderr.splitlines()) == 1


# repairs


def test_repairs_go_on_where_they_were_stopped(tmp_path, monkeypatch, capsys):
    folder = make_scenes(tmp_path / "data", change=foreground, codes=("ground", "thing"))
    asked = ["masks", str(folder), "--apply", str(tmp_path / "mended")]
    from toolkit.data import mask_repair

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
    folder = make_scenes(tmp_path / "data", 6)
    assert len(mended(folder)) == 6
    assert "6 written as they were" in capsys.readouterr().out
    assert json.loads((tmp_path / "mended" / "doctor.json").read_text())["findings"] == []
