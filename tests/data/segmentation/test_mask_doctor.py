"""The mask doctor finds each fault that masks have, and nothing where there is none."""

import json

import numpy as np
import pytest
from helpers import ROOT
from helpers.mask_samples import (
    CLASSES,
    COLOURS,
    HEIGHT,
    NAMED,
    PALETTE,
    WIDTH,
    blended,
    draw_labelled,
    examine,
    foreground,
    kinds,
    make_labelled,
    mended,
    only,
)
from PIL import Image

from toolkit.data.doctor import main
from toolkit.data.segmentation.class_mapping import IGNORED, TooManyValues, read_class_mapping, read_mask
from toolkit.data.segmentation.mask_doctor import diagnose
from toolkit.data.segmentation.mask_facts import look
from toolkit.data.segmentation.pairs import find_pairs
from toolkit.errors import DataError

# nothing wrong


@pytest.mark.parametrize("codes", [CLASSES, ()])
def test_nothing_is_found_in_clean_masks(tmp_path, codes):
    diagnosis = examine(make_labelled(tmp_path / "data", codes=codes))
    assert diagnosis.findings == []
    assert diagnosis.refusal() == ""
    assert diagnosis.reading.items() >= {0: 0, 1: 1, 2: 2}.items()


def test_nothing_is_found_in_the_drawn_roads():
    assert examine(ROOT / "sample_data" / "roads").findings == []


def test_nothing_is_found_in_the_real_data(shared_data):
    assert examine(shared_data / "segmentation_camvid" / "train").findings == []


def test_255_that_does_not_count_is_no_fault(tmp_path):
    folder = make_labelled(
        tmp_path / "data", change=lambda mask, number: np.where(np.indices(mask.shape)[0] < 4, 255, mask).astype("u1")
    )
    diagnosis = examine(folder)
    assert diagnosis.findings == []
    assert diagnosis.reading[255] == IGNORED


# values


def test_0_and_255_for_0_and_1(tmp_path):
    folder = make_labelled(tmp_path / "data", change=foreground, codes=("ground", "thing"))
    diagnosis = examine(folder)
    finding = only(diagnosis)
    assert (finding.kind, finding.fatal, finding.repairable, len(finding.files)) == ("spread", True, True, 20)
    assert diagnosis.reading == {0: 0, 255: 1}
    assert all((mask == (draw_labelled(int(name))[1] > 0)).all() for name, mask in mended(folder).items())


def test_0_and_255_without_a_list_are_read_and_told(tmp_path):
    finding = only(examine(make_labelled(tmp_path / "data", change=foreground, codes=())))
    assert (finding.kind, finding.fatal, finding.repairable) == ("spread", False, True)


def test_class_numbers_spread_over_256_levels(tmp_path):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: (mask * 127.5).astype(np.uint8))
    assert kinds(examine(folder)) == {"spread": 20}
    assert all((mask == draw_labelled(int(name))[1]).all() for name, mask in mended(folder).items())


def test_some_masks_of_0_and_255_among_masks_of_0_and_1(tmp_path):
    folder = make_labelled(
        tmp_path / "data",
        change=lambda mask, number: foreground(mask, number, 255 if number < 5 else 1),
        codes=("ground", "thing"),
    )
    assert kinds(examine(folder)) == {"mixed": 5}
    assert all((mask == (draw_labelled(int(name))[1] > 0)).all() for name, mask in mended(folder).items())


def test_colours_without_a_palette_cannot_be_told(tmp_path):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: PALETTE[mask])
    finding = only(examine(folder))
    assert (finding.kind, finding.fatal, finding.repairable) == ("colours", True, False)
    assert '"NAME": "#dc143c"' in finding.todo


def test_colours_with_a_palette_become_class_numbers(tmp_path):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: PALETTE[mask])
    (tmp_path / "palette.json").write_text(json.dumps(NAMED))
    made = mended(folder, "--palette", str(tmp_path / "palette.json"))
    assert all((mask == draw_labelled(int(name))[1]).all() for name, mask in made.items())
    assert Image.open(tmp_path / "mended" / "03.png").mode == "P"
    assert tuple(Image.open(tmp_path / "mended" / "03.png").getpalette()[3:6]) == COLOURS[1]
    assert (tmp_path / "mended" / "codes.txt").read_text().split() == list(CLASSES)


def test_colours_in_a_list_of_names_and_a_palette(tmp_path):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: PALETTE[mask])
    (tmp_path / "palette.json").write_text(json.dumps(dict(reversed(NAMED.items()))))
    made = mended(folder, "--classes", str(folder / "codes.txt"), "--palette", str(tmp_path / "palette.json"))
    assert all((mask == draw_labelled(int(name))[1]).all() for name, mask in made.items())


def test_a_palette_of_other_classes_is_refused(tmp_path, capsys):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: PALETTE[mask])
    (tmp_path / "palette.json").write_text(json.dumps({**NAMED, "roof": "#010203"}))
    with pytest.raises(DataError, match="'roof' is none of the classes .ground, disc, box"):
        main(["masks", str(folder), "--classes", str(folder / "codes.txt"), "--palette", str(tmp_path / "palette.json")])


def test_a_class_of_the_palette_that_is_not_to_count(tmp_path):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: PALETTE[mask])
    (tmp_path / "palette.json").write_text(json.dumps(NAMED))
    listed = ["--classes", str(folder / "codes.txt"), "--palette", str(tmp_path / "palette.json"), "--ignore", "disc"]
    main(["masks", str(folder), *listed, "--apply", str(tmp_path / "mended")])
    expected = np.array([0, IGNORED, 1])[draw_labelled(0)[1]]
    assert (read_mask(tmp_path / "mended" / "00.png") == expected).all()


def test_a_palette_without_colours_is_refused(tmp_path):
    folder = make_labelled(tmp_path / "data")
    with pytest.raises(DataError, match="codes.txt: no colours"):
        main(["masks", str(folder), "--palette", str(folder / "codes.txt")])


def test_colours_are_read_where_they_are_the_classes(tmp_path):
    finding = only(examine(make_labelled(tmp_path / "data", change=lambda mask, number: PALETTE[mask], codes=())))
    assert (finding.kind, finding.fatal, finding.repairable) == ("colours", False, True)


def test_palettes_in_another_order(tmp_path):
    def change(mask, number):
        order = [2, 0, 1] if number in (4, 9) else [0, 1, 2]
        image = Image.fromarray(np.argsort(order)[mask].astype(np.uint8))
        image.putpalette([int(level) for place in order for level in PALETTE[place]])
        return image

    folder = make_labelled(tmp_path / "data", change=change)
    assert kinds(examine(folder)) == {"palettes": 2}
    assert all((mask == draw_labelled(int(name))[1]).all() for name, mask in mended(folder).items())


@pytest.mark.parametrize("codes", [CLASSES, ()])
def test_blends_along_borders_take_the_class_of_the_nearest_pixel(tmp_path, codes):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: blended(mask, number, 127), codes=codes)
    diagnosis = examine_blends(folder)
    assert kinds(diagnosis) == {"blends": 20, "spread": 20}
    assert "smooth" in diagnosis.refusal()
    wrong = [(mask != draw_labelled(int(name))[1]).mean() for name, mask in mended(folder).items()]
    assert len(wrong) == 20
    assert max(wrong) < 0.02  # a blend of ground and box has the value of a disc


def examine_blends(folder):
    pairs = find_pairs(folder)
    try:
        class_mapping = read_class_mapping(pairs.table["mask"].tolist())
    except TooManyValues:
        class_mapping = None
    return diagnose(pairs, class_mapping)


def test_masks_saved_as_jpeg(tmp_path):
    folder = make_labelled(tmp_path / "data", change=foreground, codes=("ground", "thing"), suffix=".jpg")
    diagnosis = examine(folder)
    assert kinds(diagnosis) == {"blends": 20, "spread": 20}
    assert "JPEG" in diagnosis.refusal()
    wrong = [(mask != (draw_labelled(int(name))[1] > 0)).mean() for name, mask in mended(folder).items()]
    assert max(wrong) < 0.01


def test_class_numbers_that_jpeg_lost_are_not_guessed(tmp_path):
    folder = make_labelled(
        tmp_path / "data", change=lambda mask, number: mask * 2, codes=("a", "b", "c", "d", "e"), suffix=".jpg"
    )
    finding = next(finding for finding in examine(folder).findings if finding.kind in ("blends", "averaged"))
    assert finding.fatal


@pytest.mark.parametrize("codes", [CLASSES, ()])
def test_class_numbers_that_were_averaged(tmp_path, codes):
    folder = make_labelled(tmp_path / "data", change=blended, codes=codes)
    diagnosis = examine(folder)
    assert only(diagnosis).kind == "averaged"
    assert len(only(diagnosis).files) > 10  # where a border is that between ground and box
    wrong = [(mask != draw_labelled(int(name))[1]).mean() for name, mask in mended(folder).items()]
    before = [(read_mask(folder / "masks" / f"{number:02d}.png") != draw_labelled(number)[1]).mean() for number in range(20)]
    assert np.mean(wrong) < 0.6 * np.mean(before)


def test_an_outline_that_is_a_class_is_no_blend(tmp_path):
    def change(mask, number):
        inside = mask > 0
        outline = inside & ~(np.roll(inside, 1, 0) & np.roll(inside, -1, 0) & np.roll(inside, 1, 1) & np.roll(inside, -1, 1))
        return np.where(outline, 1, inside * 2).astype(np.uint8)

    assert examine(make_labelled(tmp_path / "data", change=change)).findings == []


def test_a_mask_of_eight_bits_is_looked_at_as_one_of_sixteen(tmp_path):
    mask = np.zeros((20, 20), np.uint8)
    mask[:, 9] = 100  # a blend: between areas of 0 and of 200
    mask[:, 10:] = 200
    looks = []
    for numbers in (mask, mask.astype(np.uint16) * 300):
        Image.fromarray(numbers).save(tmp_path / "mask.png")
        looks.append(look(tmp_path / "mask.png", tmp_path / "mask.png", in_colour=False).values)
    assert [tally.between for tally in looks[0].values()] == [0, 0, 20]
    assert {value * 300: tally for value, tally in looks[0].items()} == looks[1]


def test_values_outside_the_classes(tmp_path):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: np.where(mask == 2, 7, mask).astype(np.uint8))
    diagnosis = examine(folder)
    assert kinds(diagnosis) == {"outside": 20, "empty_class": 0}
    assert "7 (" in diagnosis.refusal()
    target = tmp_path / "mended"
    assert main(["masks", str(folder), "--apply", str(target)]) == 1
    assert "holds 7, which no class has" in (target / "failed.csv").read_text()


def test_classes_counted_from_1(tmp_path):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: mask + 1)
    assert kinds(examine(folder)) == {"shifted": 20}
    assert all((mask == draw_labelled(int(name))[1]).all() for name, mask in mended(folder).items())


def test_255_where_all_was_to_count(tmp_path):
    folder = make_labelled(
        tmp_path / "data", change=lambda mask, number: np.where(np.indices(mask.shape)[0] < 4, 255, mask).astype("u1")
    )
    diagnosis = examine(folder, ignore="none")
    assert only(diagnosis).kind == "not_counted"
    assert "--ignore" in only(diagnosis).todo
    assert diagnosis.reading[255] == IGNORED


def test_photos_in_the_place_of_masks(tmp_path):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: draw_labelled(number)[0], codes=())
    diagnosis = diagnose(find_pairs(folder), None)
    assert only(diagnosis).kind == "no_classes"
    with pytest.raises(DataError, match="no telling which value is which class"):
        main(["masks", str(folder), "--apply", str(tmp_path / "mended")])


def test_pictures_and_masks_given_the_wrong_way_round(tmp_path, capsys):
    folder = make_labelled(tmp_path / "data")
    assert main(["masks", str(folder / "masks"), str(folder / "images")]) == 1
    said = capsys.readouterr().out
    assert "see whether these are pictures, given in the place of masks" in said
    assert "one kind of fault" in said


# sizes


def test_masks_of_another_size(tmp_path):
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: np.ascontiguousarray(mask[::2, ::2]))
    finding = only(examine(folder))
    assert (finding.kind, finding.fatal, finding.repairable) == ("scaled", True, True)
    assert finding.files[0][1] == "48x32, its picture 96x64"
    assert {mask.shape for mask in mended(folder).values()} == {(HEIGHT, WIDTH)}


def test_masks_of_other_proportions(tmp_path):
    finding = only(examine(make_labelled(tmp_path / "data", change=lambda mask, number: mask[:40])))
    assert (finding.kind, finding.fatal, finding.repairable) == ("size", True, False)


@pytest.mark.parametrize("orientation", [3, 6, 8])
def test_a_photo_with_exif_rotation_whose_mask_has_none(tmp_path, orientation):
    folder = make_labelled(tmp_path / "data")
    back = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90, 8: Image.Transpose.ROTATE_270}[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    for number in range(20):
        picture, mask = draw_labelled(number)
        picture.transpose(back).save(folder / "images" / f"{number:02d}.jpg", exif=exif)
        Image.fromarray(mask).transpose(back).save(folder / "masks" / f"{number:02d}.png")
    finding = only(examine(folder))
    assert (finding.kind, finding.fatal, finding.repairable, len(finding.files)) == ("turned", True, True, 20)
    assert all((mask == draw_labelled(int(name))[1]).all() for name, mask in mended(folder).items())


def test_a_mask_with_exif_rotation_of_its_own(tmp_path):
    folder = make_labelled(tmp_path / "data")
    exif = Image.Exif()
    exif[0x0112] = 6
    mask = Image.fromarray(draw_labelled(7)[1]).transpose(Image.Transpose.ROTATE_90)
    mask.save(folder / "masks" / "07.png", exif=exif)
    assert kinds(examine(folder)) == {"turned": 1}
    assert (mended(folder)["07"] == draw_labelled(7)[1]).all()


def test_width_and_height_swapped_for_no_known_reason(tmp_path):
    finding = only(examine(make_labelled(tmp_path / "data", change=lambda mask, number: np.ascontiguousarray(mask.T))))
    assert (finding.kind, finding.repairable) == ("turned_unknown", False)


# pairs


def test_missing_masks_and_pictures(tmp_path):
    folder = make_labelled(tmp_path / "data")
    (folder / "masks" / "03.png").unlink()
    (folder / "images" / "04.jpg").unlink()
    assert kinds(examine(folder)) == {"no_mask": 1, "no_picture": 1}


def test_files_that_cannot_be_read(tmp_path):
    folder = make_labelled(tmp_path / "data")
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
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: draw_labelled(0)[1] if number < 4 else mask)
    finding = next(finding for finding in examine(folder).findings if finding.kind == "repeated")
    assert [detail for _, detail in finding.files] == ["", "as 00.png", "as 00.png", "as 00.png"]


def test_the_same_mask_for_the_same_picture_is_no_fault(tmp_path):
    folder = make_labelled(tmp_path / "data")
    for kind, suffix in (("images", "jpg"), ("masks", "png")):
        (folder / kind / f"01.{suffix}").write_bytes((folder / kind / f"00.{suffix}").read_bytes())
    assert "repeated" not in kinds(examine(folder))


def test_two_masks_that_took_each_others_place(tmp_path):
    folder = make_labelled(
        tmp_path / "data", change=lambda mask, number: draw_labelled(19 - number)[1] if number in (3, 16) else mask
    )
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
    folder = make_labelled(tmp_path / "data", change=lambda mask, number: draw_labelled(number + 50)[1])
    assert examine(folder).findings == []


# classes


def test_a_class_that_no_mask_shows_and_one_that_a_single_one_shows(tmp_path):
    def change(mask, number):
        mask = mask.copy()
        mask[:3, :3] = 3 if number == 8 else 0
        return mask

    diagnosis = examine(make_labelled(tmp_path / "data", change=change, codes=(*CLASSES, "rare", "never")))
    found = {finding.kind: finding.found for finding in diagnosis.findings}
    assert found == {"empty_class": "no mask shows 'never'", "rare_class": "in one mask only: 'rare'"}
    assert not any(finding.fatal for finding in diagnosis.findings)


def test_masks_of_one_value_and_masks_where_nothing_counts(tmp_path):
    def change(mask, number):
        return np.full_like(mask, 255 if number == 1 else 0) if number < 4 else mask

    diagnosis = examine(make_labelled(tmp_path / "data", change=change))
    assert kinds(diagnosis) == {"nothing_counts": 1, "one_value": 3}
    assert diagnosis.refusal() == ""
