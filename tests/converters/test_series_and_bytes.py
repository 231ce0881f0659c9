"""Series become Gramian angular fields and files pictures of their bytes: by property, and for what cannot be read."""

import numpy as np
import pytest

from toolkit.converters.binary import MOST_BYTES, Bytes
from toolkit.converters.series import MOST_ROWS, Series
from toolkit.errors import ConversionError, ToolkitError


def table(**columns):
    rows = zip(*columns.values(), strict=True)
    return "\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]).encode()


def levels(converter, source):
    return np.asarray(converter(source)).astype(int)


@pytest.fixture
def sine():
    return np.sin(np.arange(400) / 400 * 2 * np.pi * 8)  # eight periods, so eight points a period at size 64


def test_a_sine_gives_a_field_that_is_periodic_in_both_directions(sine):
    field = levels(Series(64), table(a=sine))[..., 0]
    assert abs(field[8:] - field[:-8]).max() <= 1
    assert abs(field[:, 8:] - field[:, :-8]).max() <= 1
    assert abs(field[4:] - field[:-4]).max() > 100


def test_summation_is_symmetric_and_difference_turns_dark_to_light_across_the_diagonal(sine):
    ramp = table(a=sine + np.arange(400) / 100)
    summation, difference = levels(Series(64), ramp)[..., 0], levels(Series(64, kind="difference"), ramp)[..., 0]
    assert (summation == summation.T).all()
    assert abs(difference + difference.T - 255).max() <= 1
    assert set(np.diag(difference)) <= {127, 128}


def test_the_field_is_that_of_the_paper():
    values = np.array([0.0, 1.0, 4.0])
    angles = np.arccos(values / 2 - 1)
    summation = np.rint(127.5 * (np.cos(angles[:, None] + angles) + 1))
    difference = np.rint(127.5 * (np.sin(angles[:, None] - angles) + 1))
    assert abs(levels(Series(3), table(a=values))[..., 0] - summation).max() <= 1  # of 255: cosines are rounded otherwise
    assert abs(levels(Series(3, kind="difference"), table(a=values))[..., 0] - difference).max() <= 1


def test_a_reversed_series_gives_the_field_mirrored_at_both_axes(sine):
    ramp = sine + np.arange(400) / 50
    forward, backward = (levels(Series(64), table(a=values))[..., 0] for values in (ramp, ramp[::-1]))
    assert abs(forward[::-1, ::-1] - backward).max() <= 1


def test_stretches_are_averaged_also_where_they_share_a_row():
    thirds = table(a=[0, 0, 3, 0, 3])  # two and a half rows each: means 0.6 and 1.8
    assert (levels(Series(2), thirds) == levels(Series(2), table(a=[0.6, 1.8]))).all()
    assert (levels(Series(3), table(a=[1, 3, 5, 7, 0, 0])) == levels(Series(3), table(a=[2, 6, 0]))).all()


def test_columns_are_red_green_and_blue_and_repeat_in_turn(sine):
    ramp, square = np.arange(400), np.sign(sine)
    source = table(name=["x"] * 400, ramp=ramp, sine=sine, square=square, more=ramp)
    alone = {
        name: levels(Series(64), table(a=values))[..., 0] for name, values in (("ramp", ramp), ("sine", sine), ("square", square))
    }
    for columns, expected in (
        ("", ("ramp", "sine", "square")),
        ("square, ramp", ("square", "ramp", "square")),
        ("sine", ("sine", "sine", "sine")),
    ):
        picture = levels(Series(64, columns), source)
        assert all((picture[..., channel] == alone[name]).all() for channel, name in enumerate(expected)), columns


def test_missing_values_lie_on_the_line_between_their_neighbours():
    gaps = ["", 2, "NA", 4, "nan", "inf", 7, 3, " "]
    assert Series(9, "a")(table(a=gaps, b=range(9))) == Series(9)(table(a=[2, 2, 3, 4, 5, 6, 7, 3, 3]))
    assert Series(9)(b"a\tb\n" + b"\n".join(b"%d" % i for i in range(9))) == Series(9)(table(a=range(9)))


@pytest.mark.parametrize(
    ("settings", "source", "reason"),
    [
        ({}, table(a=[5.0] * 9), r"<\d+ bytes>: column 'a': constant over its 4 points"),
        ({}, table(a=[1e9, 1e9 + 1e-3] * 9), "constant over its 4 points"),
        ({}, table(a=[1, 2, 3]), "3 rows; expected from 4 .size. to 1000000: set size to 3 or less"),
        ({}, table(a=range(200)) + b"\nseven", "row 202, column 'a': 'seven'; expected a number with a decimal point"),
        ({}, table(a=range(200)) + b"\n3,5", "row 202: 2 cells in 1 columns: quote commas"),
        ({}, table(a=["x"] * 9), "no column of numbers in its first 9 rows"),
        ({}, table(a=range(MOST_ROWS + 2)), "1000001 rows; expected from 4 .size. to 1000000: cut it"),
        ({"columns": "b"}, table(a=range(9), c=range(9)), "row 1: no column 'b' to be shown .`columns`.; it has a, c"),
        ({"columns": "b"}, table(a=range(9), b=["NA"] * 9), "column 'b': no number in 9 rows"),
        ({}, b"\x89PNG\r\n\x1a\n\0\0", "not a table of text"),
        ({}, b"a,b\n", "no column of numbers in its first 0 rows"),
    ],
)  # fmt: skip
def test_what_is_no_series_is_refused_with_its_place(settings, source, reason):
    with pytest.raises(ConversionError, match=reason):
        Series(4, **settings)(source)


def test_a_series_of_gigabytes_is_refused_by_its_size(tmp_path):
    with open(tmp_path / "huge.csv", "wb") as stream:
        stream.write(b"a,b\n")
        stream.truncate(2**32)
    with pytest.raises(ConversionError, match="huge.csv: 4295 MB, more than 268: cut it"):
        Series()(tmp_path / "huge.csv")


def test_known_bytes_give_known_grey_levels():
    stripes = bytes(range(0, 256, 8)) * 4  # four rows of 32
    picture = levels(Bytes(32), stripes)
    assert (picture == np.arange(0, 256, 8)[None, :, None]).all()
    assert (levels(Bytes(8), b"\x80" * 5000) == 128).all()
    assert (levels(Bytes(16), stripes) == np.arange(4, 256, 16)[None, :, None]).all()  # the mean of two


@pytest.mark.parametrize(
    ("length", "settings", "width"),
    [
        (9_000, {}, 32), (12_000, {}, 64), (40_000, {}, 128), (90_000, {}, 256), (150_000, {}, 384), (300_000, {}, 512),
        (700_000, {}, 768), (2_000_000, {}, 1024), (9_000, {"row": 100}, 100),
    ],
)  # fmt: skip
def test_rows_are_as_long_as_the_paper_says_or_as_set(length, settings, width):
    white_on_the_left = np.where(np.arange(length // width * width) % width < width // 2, 255, 0).astype(np.uint8)
    picture = levels(Bytes(64, **settings), white_on_the_left.tobytes())
    assert (picture[:, :31] == 255).all()
    assert (picture[:, 33:] == 0).all()


def test_the_last_row_ends_with_the_file_and_short_files_fill_the_picture():
    assert (levels(Bytes(2, row=2), bytes([0, 10, 20, 30, 40])) == levels(Bytes(2, row=2), bytes([0, 10, 20, 30, 30, 40]))).all()
    assert (levels(Bytes(4), b"\x07") == 7).all()


def test_of_large_files_rows_are_taken_evenly_from_start_to_end(tmp_path):
    with open(tmp_path / "large.bin", "wb") as stream:  # a hole, whose middle quarter is written
        stream.truncate(32 * MOST_BYTES)
        stream.seek(12 * MOST_BYTES)
        for _ in range(8):
            stream.write(b"\xff" * MOST_BYTES)
    picture = levels(Bytes(64), tmp_path / "large.bin")[..., 0]
    assert [(row.min(), row.max()) for row in picture[[0, 22, 25, 38, 41, 63]]] == [
        (0, 0),
        (0, 0),
        (255, 255),
        (255, 255),
        (0, 0),
        (0, 0),
    ]
    assert Bytes(64)(tmp_path / "large.bin") == Bytes(64)(tmp_path / "large.bin")


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Series(1), "series: size 1; expected a whole number from 2 to 1024"),
        (lambda: Series(kind="sum"), "series: kind 'sum'; choose from summation, difference"),
        (lambda: Series(columns="a,b,c,d"), "series: columns 'a,b,c,d'; expected up to three names"),
        (lambda: Bytes(0), "bytes: size 0; expected a whole number from 1 to 2048"),
        (lambda: Bytes(row=5000), "bytes: row 5000; expected a whole number from 0 to 1024"),
    ],
)
def test_wrong_settings_are_refused(build, message):
    with pytest.raises(ToolkitError, match=message):
        build()
