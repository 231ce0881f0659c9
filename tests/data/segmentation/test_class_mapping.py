"""Masks are read as they are, and a mapping says which value is which class: from a list, or from the masks themselves."""

import json

import numpy as np
import pytest
from helpers.mask_samples import COLOURS, make_labelled
from PIL import Image

from toolkit.data.segmentation.class_mapping import IGNORED, ClassMapping, default_colours, read_class_mapping, read_mask
from toolkit.errors import ConversionError, DataError

VALUES = np.arange(12, dtype=np.uint8).reshape(3, 4) % 4
NOISE = np.random.default_rng(0).integers(0, 4, (64, 64), dtype=np.uint8)


def saved(folder, image, name="mask.png", **options):
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(folder / name, **options)
    return folder / name


def paletted(numbers, colours):
    image = Image.fromarray(numbers)
    image.putpalette([level for colour in colours for level in colour])
    return image


def code_of(folder, text, name="codes.json", ignore="auto", raw=VALUES):
    saved(folder, raw)
    (folder / name).write_text(text if isinstance(text, str) else json.dumps(text))
    return read_class_mapping([folder / "mask.png"], folder / name, ignore=ignore)


# reading


def test_grey_levels_are_read_as_they_are(tmp_path):
    for raw in (VALUES, VALUES.astype(np.uint16) * 300):
        read = read_mask(saved(tmp_path, raw))
        assert read.dtype == raw.dtype
        assert (read == raw).all()
    assert (read_mask((tmp_path / "mask.png").read_bytes()) == raw).all()


def test_one_bit_is_0_and_1(tmp_path):
    assert read_mask(saved(tmp_path, Image.fromarray(VALUES == 2))).tolist() == (VALUES == 2).astype(int).tolist()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes_give_indices_or_their_colours(tmp_path, bits):
    numbers = VALUES % min(4, 2**bits)
    path = saved(tmp_path, paletted(numbers, [*COLOURS, (1, 2, 3)][: 2**bits]), bits=bits)
    assert (read_mask(path) == numbers).all()
    assert read_mask(path, in_colour=True)[0, 1].tolist() == list(COLOURS[1])


def test_grey_of_two_bits_is_not_spread_over_256_levels(tmp_path):
    whole = saved(tmp_path, Image.fromarray(VALUES), bits=8).read_bytes()
    assert (read_mask(whole) == VALUES).all()
    import struct
    import zlib

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    lines = b"\0\x1b" * 3  # 0 1 2 3 in two bits each
    header = struct.pack(">IIBBBBB", 4, 3, 2, 0, 0, 0, 0)
    made = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(lines)) + chunk(b"IEND", b"")
    assert read_mask(made).tolist() == [[0, 1, 2, 3]] * 3


def test_grey_saved_as_colour_is_grey_and_opaque_alpha_is_dropped(tmp_path):
    grey = Image.fromarray(VALUES)
    for mode in ("RGB", "RGBA", "LA"):
        assert (read_mask(saved(tmp_path, grey.convert(mode))) == VALUES).all(), mode
    assert read_mask(saved(tmp_path, Image.new("RGBA", (4, 3), (1, 2, 3, 255)))).shape == (3, 4, 3)


def test_exif_rotation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_mask(saved(tmp_path, VALUES, exif=exif)).shape == (3, 4)


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: None, "no such file"),
        (lambda path: path.write_bytes(b""), "empty"),
        (lambda path: path.write_bytes(b"not a picture"), "not a picture"),
        (lambda path: path.write_bytes(saved(path.parent, NOISE, "x.png").read_bytes()[:900]), "truncated|decoded"),
        (lambda path: Image.new("RGBA", (4, 3), (1, 2, 3, 100)).save(path), "transparent"),
        (lambda path: Image.new("L", (4, 3)).save(path, "GIF", save_all=True, append_images=[Image.new("L", (4, 3), 9)]), "anim"),
        (lambda path: Image.fromarray(np.full((2, 2), 0.5, np.float32)).save(path, "TIFF"), "whole numbers"),
    ],
)
def test_what_is_no_mask_is_named(tmp_path, make, reason):
    make(tmp_path / "bad.png")
    with pytest.raises(ConversionError, match=reason):
        read_mask(tmp_path / "bad.png")


def test_a_mask_over_the_size_bound_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("toolkit.data.segmentation.mask_io.MAX_PIXELS", 11)
    with pytest.raises(ConversionError, match="megapixels"):
        read_mask(saved(tmp_path, VALUES))


# the class mapping


def test_values_become_class_numbers():
    class_mapping = ClassMapping(("ground", "car"), (3, 1), ignored=(0,))
    assert class_mapping.numbers(np.array([[0, 1, 3]], np.uint8)).tolist() == [[IGNORED, 1, 0]]
    with pytest.raises(DataError, match=r"holds 2 \(2 pixels\), 9 \(1 pixels\), which no class has; the classes have 3, 1"):
        class_mapping.numbers(np.array([[2, 2, 9, 1]], np.uint8))
    assert class_mapping.unknown(np.array([[2, 2, 9, 1]], np.uint8)) == {2: 2, 9: 1}


def test_colours_become_class_numbers_and_grey_is_a_colour():
    class_mapping = ClassMapping(("black", "red"), ((0, 0, 0), (200, 0, 0)), ignored=((255, 255, 255),))
    raw = np.array([[[0, 0, 0], [200, 0, 0], [255, 255, 255]]], np.uint8)
    assert class_mapping.numbers(raw).tolist() == [[0, 1, IGNORED]]
    assert class_mapping.numbers(np.zeros((2, 2), np.uint8)).tolist() == [[0, 0], [0, 0]]
    assert class_mapping.unknown(raw + np.uint8(1)) == {(1, 1, 1): 1, (201, 1, 1): 1}  # white has become black
    assert ClassMapping(("a", "b"), (0, 1)).unknown(raw) == {(200, 0, 0): 1, (255, 255, 255): 1}


def test_a_code_travels_as_json():
    class_mapping = ClassMapping(("a", "b"), ((0, 0, 0), (200, 0, 0)), ignored=((9, 9, 9),))
    kept = json.loads(json.dumps([class_mapping.classes, class_mapping.values, class_mapping.ignored, class_mapping.colours]))
    assert ClassMapping(*kept[:2], ignored=kept[2], colours=kept[3]) == class_mapping


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ((("a", "b"), (0,)), "as many of each"),
        ((("a", "a"), (0, 1)), "class 'a' is there twice"),
        ((("a", "b"), (0, 1), (1,)), "value 1 is there twice"),
        ((("a", "b"), (0, (1, 2, 3))), "one of the two ways"),
        ((("a", "b"), (0, 70000)), "0 to 65535"),
        ((tuple(map(str, range(255))), tuple(range(255))), "1 to 254"),
    ],
)
def test_a_mapping_that_does_not_fit_together_is_refused(fields, reason):
    with pytest.raises(DataError, match=reason):
        ClassMapping(*fields[:2], ignored=fields[2] if len(fields) > 2 else ())


def test_colours_of_any_count_differ():
    for count in (1, 21, 60, 254):
        colours = default_colours(count)
        assert len(set(colours)) == count
        assert all(0 <= level <= 255 for colour in colours for level in colour)
    assert default_colours(60)[:21] == default_colours(21)


# lists of classes

FORMS = {
    "names": ["a", "b", "c", "d"],
    "values": {"a": 0, "b": 1, "c": 2, "d": 3},
    "numbers": {"0": "a", "1": "b", "3": "d", "2": "c"},
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_list_says_the_same(tmp_path, form):
    class_mapping = code_of(tmp_path, FORMS[form])
    assert (class_mapping.classes, class_mapping.values) == (("a", "b", "c", "d"), (0, 1, 2, 3))
    assert class_mapping == code_of(tmp_path, "a\r\nb\nc\nd\n\n", "codes.txt")


def test_a_list_may_give_colours_in_two_ways(tmp_path):
    colours = np.array(COLOURS, np.uint8)[VALUES % 3]
    hexed = {name: "#{:02X}{:02x}{:02x}".format(*colour) for name, colour in zip("abc", COLOURS, strict=True)}
    class_mapping = code_of(tmp_path, hexed, raw=colours)
    assert class_mapping == code_of(tmp_path, dict(zip("abc", COLOURS, strict=True)), raw=colours)
    assert class_mapping.values == class_mapping.colours == COLOURS
    assert (class_mapping.numbers(read_mask(tmp_path / "mask.png")) == VALUES % 3).all()


def test_colours_of_a_list_are_looked_up_in_the_palette(tmp_path):
    image = paletted(VALUES % 3, [COLOURS[2], COLOURS[0], COLOURS[1]])
    class_mapping = code_of(tmp_path, dict(zip("abc", COLOURS, strict=True)), raw=image)
    assert (class_mapping.values, class_mapping.colours) == ((1, 2, 0), COLOURS)


def test_classes_are_drawn_in_the_palettes_colours(tmp_path):
    class_mapping = code_of(tmp_path, "a\nb\nc", "codes.txt", raw=paletted(VALUES % 3, COLOURS))
    assert class_mapping.colours == COLOURS


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "not JSON"),
        ("3", "expected .*name"),
        ('{"a": 0, "a": 1}', "class 'a': class 'a' is there already"),
        ('{"a": 0, "b": 0}', "class 'b': value 0 is class 'a' already"),
        ('{"a": 0, "b": true}', "class 'b': value True: expected a whole number"),
        ('{"a": 0, "b": -1}', "class 'b': value -1"),
        ('{"a": 0, "b": 1.5}', "class 'b': value 1.5"),
        ('{"a": [0, 0, 0], "b": [1, 2]}', r"class 'b': value \[1, 2\]"),
        ('{"a": [0, 0, 0], "b": [1, 2, 300]}', "class 'b'"),
        ('{"a": 0, "b": [1, 2, 3]}', "one of the two ways"),
        ('{"a": "#12345", "b": "#123456"}', "class 'a'"),
        ('["a", ""]', "entry 1 is empty"),
        ('["a"]', "two or more"),
        ("[]", "two or more"),
        ('{"a": {"value": 1}, "b": 2}', "class 'a'"),
    ],
)
def test_a_mistake_in_a_json_list_is_named_with_its_place(tmp_path, text, reason):
    with pytest.raises(DataError, match=reason) as caught:
        code_of(tmp_path, text)
    assert "codes.json" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("a\n\nb", "line 2 is empty"), ("a\nb\na", "line 3: class 'a' is there already"), ("a", "two or more"), ("", "two or more")],
)
def test_a_mistake_in_a_text_list_is_named_with_its_line(tmp_path, text, reason):
    with pytest.raises(DataError, match=reason):
        code_of(tmp_path, text, "codes.txt")


def test_lists_that_cannot_be_read_are_named(tmp_path):
    mask = saved(tmp_path, VALUES)
    (tmp_path / "latin.txt").write_bytes(b"stra\xdfe\nb")
    for name, reason in (("none.txt", "no such file"), ("x.csv", "a .txt of one name"), ("latin.txt", "cannot be read as text")):
        with pytest.raises(DataError, match=reason):
            read_class_mapping([mask], tmp_path / name)


def test_a_list_is_found_near_the_masks_and_that_is_said(tmp_path):
    folder = make_labelled(tmp_path / "data", 3)
    masks = sorted((folder / "masks").iterdir())
    class_mapping = read_class_mapping(masks)
    assert class_mapping.classes == ("ground", "disc", "box")
    assert class_mapping.notes == (f"the classes are those of {folder / 'codes.txt'}",)
    (folder / "codes.txt").rename(folder.parent / "classes.txt")
    assert read_class_mapping(masks).classes == ("ground", "disc", "box")


def test_without_a_list_the_values_are_the_classes(tmp_path):
    folder = make_labelled(tmp_path / "data", 3, codes=())
    class_mapping = read_class_mapping(sorted((folder / "masks").iterdir()))
    assert class_mapping.classes == ("class 0", "class 1", "class 2")
    assert "no list of classes" in class_mapping.notes[0]
    raw = saved(tmp_path, np.array(COLOURS, np.uint8)[VALUES % 3])
    assert read_class_mapping([raw]).classes == ("class #00008e", "class #804080", "class #dc143c")


def test_a_list_beside_the_data_is_not_its_own(tmp_path):
    folder = make_labelled(tmp_path / "data", 3)
    masks = sorted((folder / "masks").iterdir())
    (folder / "codes.txt").rename(tmp_path / "codes.txt")
    assert read_class_mapping(masks, root=folder).classes == ("class 0", "class 1", "class 2")


def test_lists_beside_the_masks_of_each_part_are_taken_and_have_to_agree(tmp_path):
    for part in ("train", "test"):
        make_labelled(tmp_path / "data" / part, 3)
    masks = sorted((tmp_path / "data").glob("*/masks/*"))
    assert read_class_mapping(masks, root=tmp_path / "data").classes == ("ground", "disc", "box")
    (tmp_path / "data" / "test" / "codes.txt").write_text("a\nb\nc\n")
    with pytest.raises(DataError, match="list different classes"):
        read_class_mapping(masks, root=tmp_path / "data")


def test_palettes_that_differ_need_a_list(tmp_path):
    colours = [(0, 0, 0), (255, 0, 0), (0, 255, 0), (0, 0, 255)]
    masks = [saved(tmp_path, paletted(VALUES, colours), f"{number}.png") for number in range(70)]
    assert read_class_mapping(masks, sample=8).values == (0, 1, 2, 3)
    saved(tmp_path, paletted(VALUES, colours[::-1]), "33.png")
    with pytest.raises(DataError, match=r"33\.png: 0 is #0000ff, in others #000000"):
        read_class_mapping(masks, sample=8)


def test_a_value_in_the_last_of_many_masks_is_found_too(tmp_path):
    masks = [saved(tmp_path, VALUES % (3 if number == 65 else 2), f"{number}.png") for number in range(66)]
    assert read_class_mapping(masks, sample=8).values == (0, 1, 2)


def test_photos_are_not_taken_for_masks(tmp_path):
    ramp = np.arange(100, dtype=np.uint8).reshape(10, 10)
    with pytest.raises(DataError, match="more than 40 values.*toolkit.data.doctor"):
        read_class_mapping([saved(tmp_path, ramp)])


def test_one_class_is_too_few(tmp_path):
    with pytest.raises(DataError, match="only 'class 0' is left"):
        read_class_mapping([saved(tmp_path, VALUES * 0)])
    with pytest.raises(DataError, match="only 'a' is left"):
        code_of(tmp_path, "a\nvoid", "codes.txt")


# what does not count


def test_classes_called_void_do_not_count(tmp_path):
    class_mapping = code_of(tmp_path, "Void\na\nb\nUnlabelled", "codes.txt")
    assert (class_mapping.classes, class_mapping.values, class_mapping.ignored) == (("a", "b"), (1, 2), (0, 3, 255))
    assert class_mapping.notes[-1] == "what does not count: Void (0), Unlabelled (3)"
    assert class_mapping.numbers(VALUES)[0].tolist() == [IGNORED, 0, 1, IGNORED]
    assert code_of(tmp_path, "Void\na\nb\nUnlabelled", "codes.txt", ignore="none").ignored == ()


@pytest.mark.parametrize(
    ("values", "ignored"), [((0, 1, 255), (255,)), ((0, 255), ()), ((0, 127, 255), ()), ((0, 1, 2, 3, 255), (255,))]
)
def test_255_does_not_count_beside_class_numbers(tmp_path, values, ignored):
    raw = saved(tmp_path, np.array([values], np.uint8))
    assert read_class_mapping([raw]).ignored == ignored


def test_what_does_not_count_is_named_by_class_value_or_colour(tmp_path):
    listed = "a\nb\nc\nd"
    assert code_of(tmp_path, listed, "codes.txt", ignore=" B , 3").ignored == (1, 3)
    assert code_of(tmp_path, listed, "codes.txt", ignore="200").ignored == (200,)
    colours = np.array(COLOURS, np.uint8)[VALUES % 3]
    listed = dict(zip("abc", COLOURS, strict=True))
    assert code_of(tmp_path, listed, ignore="#DC143C", raw=colours).classes == ("a", "b")
    with pytest.raises(DataError, match="ignore 'roof': expected auto, none, or .*a, b, c"):
        code_of(tmp_path, listed, ignore="roof", raw=colours)
