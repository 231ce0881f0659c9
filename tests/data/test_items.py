"""Items and labels are found in a folder per class, in train/valid/test folders, in a CSV, or by a regular expression."""

import os

import pytest
from helpers.image_samples import make_shapes

from toolkit.converters import IMAGE_SUFFIXES
from toolkit.data import find_items
from toolkit.errors import DataError


def touch(folder, *names):
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return folder


def found(folder, **options):
    return find_items(folder, IMAGE_SUFFIXES, **options)


def by_name(items, column):
    return {path.name: value for path, value in zip(items.table.path, items.table[column], strict=True)}


def test_a_folder_for_each_class(tmp_path):
    items = found(touch(tmp_path, "cat/1.jpg", "cat/deep/2.JPG", "dog/3.png", "dog/notes.txt", "lost.png", ".hidden/4.png"))
    assert by_name(items, "label") == {"1.jpg": "cat", "2.JPG": "cat", "3.png": "dog"}
    assert items.rejected == [(str(tmp_path / "lost.png"), "stands in no class folder")]
    assert items.notes == ["1 files of other kinds left out (.txt)"]


def test_names_with_spaces_and_non_latin_letters(tmp_path):
    items = found(touch(tmp_path, "小猫/一 二.png", "Собака №1/фото (1).jpg"))
    assert set(items.table.label) == {"小猫", "Собака №1"}


def test_train_valid_and_test_folders_decide_the_split(tmp_path):
    items = found(touch(tmp_path, "train/a/1.png", "train/b/2.png", "val/a/3.png", "test/b/4.png", "5.png"))
    assert by_name(items, "split") == {"1.png": "train", "2.png": "train", "3.png": "valid", "4.png": "test"}
    assert "outside" in items.rejected[0][1]


def test_classes_that_are_called_train_and_bus_are_classes(tmp_path):
    items = found(touch(tmp_path, "train/1.png", "bus/2.png"))
    assert by_name(items, "label") == {"1.png": "train", "2.png": "bus"}
    assert items.table.split.isna().all()


def test_a_regular_expression_on_the_file_name(tmp_path):
    folder = touch(tmp_path, "7_ann_0.png", "3_bob_0.png", "readme.png")
    items = found(folder, label_re=r"^(\d)_", group_by=r"_(\w+)_")
    assert by_name(items, "label") == {"7_ann_0.png": "7", "3_bob_0.png": "3"}
    assert by_name(items, "group") == {"7_ann_0.png": "ann", "3_bob_0.png": "bob"}
    assert "does not match" in items.rejected[0][1]
    named = found(folder, label_re=r"^\d_(?P<label>\w+)_")
    assert set(named.table.label) == {"ann", "bob"}


def test_a_csv_of_file_and_label_with_group_and_split(tmp_path):
    touch(tmp_path, "pics/1.png", "pics/2 b.png", "pics/3.png")
    csv = tmp_path / "labels.csv"
    csv.write_text("Filename,Class,patient,split\npics/1.png,cat,p1,train\npics/2 b.png,dog,p2,test\npics/9.png,dog,p2,test\n")
    items = found(csv, group_by="patient")
    assert by_name(items, "label") == {"1.png": "cat", "2 b.png": "dog"}
    assert by_name(items, "group") == {"1.png": "p1", "2 b.png": "p2"}
    assert by_name(items, "split") == {"1.png": "train", "2 b.png": "test"}
    assert items.rejected == [("pics/9.png", "labels.csv row 4 names it, but there is no such file")]
    assert by_name(found(tmp_path, csv=csv), "label") == by_name(found(csv), "label")


def test_a_csv_without_the_column_names_those_it_has(tmp_path):
    csv = touch(tmp_path, "1.png") / "labels.csv"
    csv.write_text("foo,bar\n1.png,cat\n")
    with pytest.raises(DataError, match=r"foo, bar.*--file-column"):
        found(csv)
    with pytest.raises(DataError, match="no column 'baz'; it has foo, bar"):
        found(csv, file_column="foo", label_column="baz")
    assert by_name(found(csv, file_column="foo", label_column="bar"), "label") == {"1.png": "cat"}


def test_a_file_listed_with_two_labels_is_set_aside(tmp_path):
    csv = touch(tmp_path, "1.png", "2.png", "3.png") / "labels.csv"
    csv.write_text("file,label\n1.png,cat\n1.png,dog\n2.png,cat\n2.png,cat\n3.png,dog\n,dog\n")
    items = found(csv)
    assert by_name(items, "label") == {"2.png": "cat", "3.png": "dog"}
    reasons = sorted(reason for _, reason in items.rejected)
    assert reasons == ["listed twice; one of them is used", *["listed with two different labels"] * 2, "no file"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_re": "("}, "not a regular expression"),
        ({"csv": "absent.csv"}, "no such CSV"),
        ({"label_re": "nowhere"}, "no labelled item"),
    ],
)
def test_wrong_options_are_clear_errors(tmp_path, options, message):
    with pytest.raises(DataError, match=message):
        found(make_shapes(tmp_path, 1), **options)


def test_nothing_there_is_a_clear_error(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        found(tmp_path / "absent")
    with pytest.raises(DataError, match="no file ends in"):
        found(tmp_path)
    lonely = tmp_path / "photo.png"
    lonely.write_bytes(b"x")
    with pytest.raises(DataError, match="expected a folder"):
        found(lonely)


def test_linked_class_folders_are_followed_once(tmp_path):
    touch(tmp_path, "data/a/1.png", "elsewhere/2.png")
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "a" / "loop").symlink_to(tmp_path / "data")
    assert by_name(found(tmp_path / "data"), "label") == {"1.png": "a", "2.png": "b"}


def test_none_and_na_are_names_of_classes_and_spaces_do_not_make_groups(tmp_path):
    csv = touch(tmp_path, "1.png", "2.png", "3.png") / "labels.csv"
    csv.write_bytes(b"file,label,who\r\n1.png,None,p1 \r\n2.png, NA,p1\r\n3.png,crack,null\r\n")
    items = found(csv, group_by="who")
    assert items.table.label.tolist() == ["None", "NA", "crack"]
    assert items.table.group.tolist() == ["p1", "p1", "null"]


def test_a_column_that_only_happens_to_be_called_split_is_left_alone(tmp_path):
    csv = touch(tmp_path, "1.png", "2.png") / "labels.csv"
    csv.write_text("file,label,fold,set\n1.png,a,1,north\n2.png,b,2,south\n")
    assert found(csv).table.split.isna().all()


def test_a_train_folder_alone_holds_the_classes(tmp_path):
    items = found(touch(tmp_path, "train/a/1.png", "train/b/2.png"))
    assert by_name(items, "label") == {"1.png": "a", "2.png": "b"}


def test_a_name_that_is_no_text_is_set_aside(tmp_path):
    odd = os.fsencode(touch(tmp_path, "a/1.png", "b/2.png") / "a") + b"/caf\xe9.png"
    with open(odd, "wb"):
        pass
    items = found(tmp_path)
    assert len(items.table) == 2
    assert "UTF-8" in items.rejected[0][1]


@pytest.mark.parametrize("options", [{"csv": "x.csv", "label_re": "(.)"}, {"label_column": "species"}])
def test_options_that_do_not_apply_are_refused(tmp_path, options):
    with pytest.raises(DataError, match="leave one|there is none"):
        found(touch(tmp_path, "a/1.png"), **options)
