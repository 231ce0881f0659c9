"""Pictures and masks are paired by name in two folders or one, or by a CSV; what has no partner is told."""

import pytest

from toolkit.data.segmentation.pairs import find_pairs
from toolkit.errors import DataError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def paired(items):
    return {path.name: mask.name for path, mask in zip(items.table.path, items.table["mask"], strict=True)}


def by_name(items, column):
    return {path.name: value for path, value in zip(items.table.path, items.table[column], strict=True)}


@pytest.mark.parametrize(("images", "masks"), [("images", "masks"), ("Imgs", "labels"), ("JPEGImages", "SegmentationClass")])
def test_two_folders_of_the_usual_names(tmp_path, images, masks):
    items = find_pairs(touch(tmp_path, f"{images}/1.jpg", f"{images}/a.b.jpg", f"{masks}/1.png", f"{masks}/a.b.tif"))
    assert paired(items) == {"1.jpg": "1.png", "a.b.jpg": "a.b.tif"}
    assert list(items.table) == ["path", "mask", "label", "group", "split"]
    assert items.table.label.isna().all()
    assert items.table.split.isna().all()


def test_folders_named_by_the_user(tmp_path):
    touch(tmp_path, "data/pics/1.jpg", "elsewhere/1.png")
    for masks in (tmp_path / "elsewhere", "../elsewhere"):
        assert paired(find_pairs(tmp_path / "data", images="pics", masks=masks)) == {"1.jpg": "1.png"}


def test_parts_above_and_below_the_two_folders_decide_the_split(tmp_path):
    above = [f"above/{part}/{kind}" for part in ("train", "val", "test") for kind in ("images/{}.jpg", "labels/{}.png")]
    touch(tmp_path, *(name.format(number // 2) for number, name in enumerate(above)))
    expected = {"0.jpg": "train", "1.jpg": "valid", "2.jpg": "test"}
    assert by_name(find_pairs(tmp_path / "above"), "split") == expected
    below = [f"below/{kind}/{part}" for part in ("train", "val", "test") for kind in ("images", "masks")]
    touch(tmp_path, *(f"{name}/{number // 2}.{'jpg' if number % 2 == 0 else 'png'}" for number, name in enumerate(below)))
    assert by_name(find_pairs(tmp_path / "below"), "split") == expected


def test_nested_folders_of_the_same_structure(tmp_path):
    items = find_pairs(touch(tmp_path, "images/a/1.jpg", "images/b/1.jpg", "masks/a/1.png", "masks/b/1.png"))
    assert [(path.parent.name, mask.parent.name) for path, mask in zip(items.table.path, items.table["mask"], strict=True)] == [
        ("a", "a"),
        ("b", "b"),
    ]


@pytest.mark.parametrize(
    ("name", "given"), [("1_mask", "_mask"), ("1_mask", "_mask.png"), ("mask_1", "mask_*"), ("m1_L", "m*_L")]
)
def test_what_masks_are_called_besides(tmp_path, name, given):
    items = find_pairs(touch(tmp_path, "images/1.jpg", f"masks/{name}.png", "masks/1_color.png"), mask_suffix=given)
    assert paired(items) == {"1.jpg": f"{name}.png"}
    assert items.rejected == []
    assert "1 files in" in items.notes[0]


def test_pictures_whose_names_have_an_ending_too(tmp_path):
    names = ("leftImg8bit/aachen_{}_leftImg8bit.png", "gtFine/aachen_{}_gtFine_labelIds.png", "gtFine/aachen_{}_gtFine_color.png")
    touch(tmp_path, *(name.format(number) for name in names for number in (1, 2)))
    items = find_pairs(tmp_path, mask_suffix="_gtFine_labelIds")
    assert paired(items)["aachen_2_leftImg8bit.png"] == "aachen_2_gtFine_labelIds.png"


def test_masks_beside_their_pictures(tmp_path):
    touch(tmp_path, "a/1.png", "a/1_mask.png", "b/2.png", "b/2_mask.png", "b/3.png")
    items = find_pairs(tmp_path, mask_suffix="_mask")
    assert paired(items) == {"1.png": "1_mask.png", "2.png": "2_mask.png"}
    assert items.rejected[0][0].endswith("3.png")


def test_a_csv(tmp_path):
    touch(tmp_path, "x/1.jpg", "x/2.jpg", "y/m1.png", "y/m2.png")
    (tmp_path / "t.csv").write_text(
        "image,mask,split,drive\nx/1.jpg,y/m1.png,train,a\nx/2.jpg,y/m2.png,test,b\nx/9.jpg,y/m1.png,train,a\nx/1.jpg,,train,a\n"
    )
    items = find_pairs(tmp_path / "t.csv", group_by="drive")
    assert paired(items) == {"1.jpg": "m1.png", "2.jpg": "m2.png"}
    assert by_name(items, "split") == {"1.jpg": "train", "2.jpg": "test"}
    assert by_name(items, "group") == {"1.jpg": "a", "2.jpg": "b"}
    assert [reason for _, reason in items.rejected] == ["t.csv row 4 names x/9.jpg, but there is no such file", "no mask"]
    assert paired(find_pairs(tmp_path, csv="t.csv")) == paired(items)


def test_a_csv_with_columns_and_folders_of_other_names(tmp_path):
    touch(tmp_path, "x/1.jpg", "y/1.png")
    (tmp_path / "t.csv").write_text("photo no,answer\n1.jpg,1.png\n")
    items = find_pairs(tmp_path / "t.csv", images="x", masks="y", image_column="photo no", mask_column="answer")
    assert paired(items) == {"1.jpg": "1.png"}
    with pytest.raises(DataError, match="--image-column"):
        find_pairs(tmp_path / "t.csv")


def test_groups_by_a_regular_expression_on_the_path(tmp_path):
    touch(tmp_path, "images/d1_1.jpg", "images/d2_1.jpg", "masks/d1_1.png", "masks/d2_1.png", "images/odd.jpg", "masks/odd.png")
    items = find_pairs(tmp_path, group_by=r"(d\d)_")
    assert by_name(items, "group") == {"d1_1.jpg": "d1", "d2_1.jpg": "d2"}
    assert "does not match group_by" in items.rejected[0][1]


def test_what_has_no_partner_is_set_aside(tmp_path):
    items = find_pairs(touch(tmp_path, "images/1.jpg", "images/2.jpg", "masks/1.png", "masks/3.png", "masks/1.txt"))
    assert paired(items) == {"1.jpg": "1.png"}
    assert {item.rpartition("/")[2]: reason.partition(" in ")[0] for item, reason in items.rejected} == {
        "2.jpg": "no mask of its name",
        "3.png": "a mask, but no picture of its name",
    }


def test_two_masks_of_one_name_are_not_chosen_between(tmp_path):
    items = find_pairs(touch(tmp_path, "images/1.jpg", "images/2.jpg", "masks/1.png", "masks/1.tif", "masks/2.png"))
    assert paired(items) == {"2.jpg": "2.png"}
    assert items.rejected == [(str(tmp_path / "images" / "1.jpg"), "2 masks of its name: 1.png, 1.tif")]


def test_repetitions_are_counted_once_and_shared_masks_are_told(tmp_path):
    touch(tmp_path, "1.jpg", "2.jpg", "3.jpg", "m1.png", "m2.png")
    lines = ["1.jpg,m1.png", "1.jpg,m1.png", "2.jpg,m1.png", "3.jpg,m1.png", "3.jpg,m2.png"]
    (tmp_path / "t.csv").write_text("\n".join(["image,mask", *lines]))
    items = find_pairs(tmp_path / "t.csv")
    assert paired(items) == {"1.jpg": "m1.png", "2.jpg": "m1.png"}
    assert sorted(reason for _, reason in items.rejected) == [
        "listed twice; one of them is used", "listed with two different masks", "listed with two different masks",
    ]  # fmt: skip
    assert "1 masks stand for more than one picture" in items.notes[0]


@pytest.mark.parametrize(
    ("names", "proposed"),
    [
        (("images/1.jpg", "images/2.jpg", "masks/1_mask.png", "masks/2_mask.png"), "'_mask'"),
        (("images/1.jpg", "images/2.jpg", "masks/seg_1.png", "masks/seg_2.png"), r"'seg_\*'"),
        (("images/img_1.jpg", "images/img_2.jpg", "masks/mask_1.png", "masks/mask_2.png"), r"'mask_\*'"),
    ],
)
def test_what_masks_names_have_besides_is_proposed(tmp_path, names, proposed):
    with pytest.raises(DataError, match=f"try mask_suffix {proposed}"):
        find_pairs(touch(tmp_path, *names))
    given = proposed.strip("'").replace("\\", "")
    assert len(find_pairs(tmp_path, mask_suffix=given).table) == 2


@pytest.mark.parametrize(
    ("names", "options", "reason"),
    [
        (("pics/1.jpg", "answers/1.png"), {}, "found no folder of pictures.*it has the folders answers, pics.*images and"),
        (("images/1.jpg", "masks/x.png"), {}, "no two names agree"),
        (("images/1.jpg", "masks/x.txt"), {}, "masks: no file ends in one of"),
        (("1.jpg", "2.jpg"), {"mask_suffix": "_mask"}, "no name is another's with '_mask'"),
        (("1.jpg", "1_m.jpg"), {"images": ".", "masks": "."}, "in one folder: say what"),
        (("images/1.jpg", "masks/1.png"), {"images": "pics"}, "images 'pics': no such folder"),
        (("images/1.jpg", "masks/1.png"), {"mask_suffix": "*_*"}, "one star"),
        (("images/1.jpg", "masks/1.png"), {"mask_column": "m"}, "columns of a CSV, and there is none"),
        (("images/1.jpg", "masks/1.png"), {"group_by": "("}, "group_by '\\(' is not a regular expression"),
        (("images/1.jpg", "masks/1.png"), {"group_by": "x(9)"}, "no picture with a mask is left .*does not match group_by"),
        (("images/1.jpg", "masks/1.png"), {"csv": "none.csv"}, "no such CSV"),
        (("images/1.jpg", "masks/1.png"), {"csv": "t.csv", "mask_suffix": "_m"}, "leave one of them out"),
    ],
)
def test_where_no_pair_is_found_it_is_said_why(tmp_path, names, options, reason):
    with pytest.raises(DataError, match=reason):
        find_pairs(touch(tmp_path, *names), **options)


def test_a_place_that_is_not_there_or_no_data(tmp_path):
    with pytest.raises(DataError, match="no such folder or CSV"):
        find_pairs(tmp_path / "none")
    with pytest.raises(DataError, match="expected a folder"):
        find_pairs(touch(tmp_path, "x.zip") / "x.zip")


def test_the_real_data(shared_data):
    items = find_pairs(shared_data / "segmentation_camvid")
    assert items.table.split.value_counts().to_dict() == {"train": 367, "test": 233, "valid": 101}
    assert items.rejected == []
