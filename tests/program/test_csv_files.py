"""CSV files as people have them: the program and training read every cell, whatever the file is like around it."""

import io
import subprocess
import sys
import tracemalloc

import pytest
from helpers import ROOT

from toolkit.errors import ConversionError
from toolkit.program.csv_files import distinct_names, open_csv


def read(content, tmp_path=None, name="table.csv", size=2048):
    """(names, rows, ragged by row number, notes) of a file with this content, text or bytes."""
    data = content.encode() if isinstance(content, str) else content
    source = io.BytesIO(data)
    if tmp_path is not None:
        source = tmp_path / name
        source.write_bytes(data)
    rows, ragged = [], {}
    with open_csv(source) as table:
        for chunk in table.chunks(size):
            assert chunk.first == len(rows) + 1
            ragged.update({chunk.first + place: reason for place, reason in chunk.ragged.items()})
            rows += zip(*chunk.columns, strict=True)
        return table.names, rows, ragged, table.notes


def test_cells_arrive_as_they_are_written():
    names, rows, ragged, notes = read('name,age\n"Doe, J.",007\n"say ""hi""", 1.50 \n,\n')
    assert names == ["name", "age"]
    assert rows == [("Doe, J.", "007"), ('say "hi"', " 1.50 "), ("", "")]
    assert (ragged, notes) == ({}, ())


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_every_delimiter_is_found(delimiter):
    lines = [["name", "town", "age"], ['"a, b; c"', "Ulm", "3"], ["d", "Bonn", "4"]]
    names, rows, _, notes = read("\n".join(delimiter.join(line) for line in lines))
    assert names == lines[0]
    assert rows == [("a, b; c", "Ulm", "3"), ("d", "Bonn", "4")]
    said = {",": (), "\t": ("delimiter tab",)}.get(delimiter, (f"delimiter {delimiter!r}",))
    assert notes == said


def test_decimal_commas_between_semicolons_stay_whole():
    names, rows, _, _ = read("size (m, l);price\n1,5;2,75\n3,25;1.234,5\n")
    assert names == ["size (m, l)", "price"]
    assert rows == [("1,5", "2,75"), ("3,25", "1.234,5")]


def test_a_header_with_commas_inside_names_does_not_mislead():
    names, rows, _, _ = read("age, in years\tname, first\n3\tA, B and C\n4\tD\n")
    assert names == ["age, in years", "name, first"]
    assert rows == [("3", "A, B and C"), ("4", "D")]


def test_tabs_need_no_note_in_a_tsv(tmp_path):
    assert read("a\tb\n1\t2\n", tmp_path, "table.tsv")[3] == ()


def test_the_line_that_names_the_delimiter_for_excel_is_no_header():
    names, rows, _, _ = read("sep=;\r\na;b\r\n1,0;2\r\n")
    assert (names, rows) == (["a", "b"], [("1,0", "2")])


TOWNS = "town,größe\nKöln,1\nŁódź,2\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_unicode_in_every_dress_is_the_same_table(encoding):
    names, rows, _, notes = read(TOWNS.encode(encoding))
    assert names == ["town", "größe"]
    assert rows == [("Köln", "1"), ("Łódź", "2")]
    assert bool(notes) == encoding.startswith("utf-16-")


def test_what_is_not_utf_8_is_read_as_cp1252_and_said():
    names, rows, _, notes = read("prix,région\n5 €,Corrèze\n".encode("cp1252"))
    assert (names, rows) == (["prix", "région"], [("5 €", "Corrèze")])
    assert notes == ("read as cp1252 because it is not UTF-8",)


def test_a_late_byte_in_another_encoding_does_not_stop_the_reading():
    start = "town,number\n" + "Köln,1\n" * 150_000  # more than what the encoding is decided on
    names, rows, _, notes = read(start.encode() + b"K\xf6ln \x80,2\n" + "Köln,3\n".encode())
    assert names == ["town", "number"]
    assert rows[0] == rows[149_999] == ("Köln", "1")
    assert rows[150_000:] == [("Köln €", "2"), ("Köln", "3")]
    assert notes == ("some bytes are not utf-8: they were read as cp1252",)


def test_a_character_cut_off_at_the_end_of_the_file_is_no_fault_of_its_rows():
    content = "a,b\n" + "1,2\n" * 300_000
    _, rows, _, notes = read(content.encode() + "3,ö".encode()[:-1])
    assert rows[-1] == ("3", "Ã")
    assert len(notes) == 1


def test_characters_stay_whole_across_the_pieces_that_are_read():
    content = "a,b\n" + "ö€𝄞,x\n" * 400_000
    _, rows, ragged, notes = read(content)
    assert set(rows) == {("ö€𝄞", "x")}
    assert (len(rows), ragged, notes) == (400_000, {}, ())


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_and_quoted_newlines(end):
    content = end.join(["a,b", f'"one{end}two",1', "", "three,2", "   ", "four,3"])
    _, rows, ragged, _ = read(content)
    assert rows == [(f"one{end}two", "1"), ("three", "2"), ("four", "3")]
    assert ragged == {}


def test_line_ends_of_two_characters_are_one_wherever_the_file_is_cut():
    row = "x" * 29 + ",1\r\n"  # 33 bytes: the cuts fall everywhere in it
    _, rows, ragged, _ = read("a,b\r\n" + row * 140_000)
    assert len(rows) == 140_000
    assert ragged == {}


def test_duplicate_and_missing_names_are_told_apart():
    names, rows, _, notes = read("x, x ,x.2,,x\n1,2,3,4,5\n")
    assert names == ["x", "x.3", "x.2", "column 4", "x.4"]
    assert rows == [("1", "2", "3", "4", "5")]
    assert notes == (
        "duplicate column name 'x': column 2 is called 'x.3'",
        "column 4 has no name: it is called 'column 4'",
        "duplicate column name 'x': column 5 is called 'x.4'",
    )


def test_made_up_names_do_not_collide_with_written_ones():
    assert distinct_names(["", "column 1"])[0] == ["column 1.2", "column 1"]


def test_ragged_rows_keep_their_place_and_say_what_is_wrong():
    _, rows, ragged, _ = read("a,b,c\n1,2,3\n4,5\n6\n7,8,9,10\n11,12,13\n")
    assert rows == [("1", "2", "3"), ("4", "5", ""), ("6", "", ""), ("7", "8", "9"), ("11", "12", "13")]
    assert ragged == {
        2: "2 cells where the header has 3",
        3: "1 cell where the header has 3",
        4: "4 cells where the header has 3",
    }


def test_ragged_rows_are_numbered_across_chunks():
    content = "a,b\n" + "".join(f"{number}\n" if number in (5, 700, 1500) else f"{number},x\n" for number in range(1, 2001))
    for size in (1, 100, 512, 2048):
        _, rows, ragged, _ = read(content, size=size)
        assert [row[0] for row in rows] == [str(number) for number in range(1, 2001)]
        assert set(ragged) == {5, 700, 1500}


@pytest.mark.parametrize("header", ["a,b", "a,b,", "a,b,,,"])
def test_empty_cells_at_the_end_of_rows_are_harmless(header):
    names, rows, ragged, notes = read(f"{header}\n1,2,\n3,4\n5,6,,\n")
    assert names == ["a", "b"]
    assert rows == [("1", "2"), ("3", "4"), ("5", "6")]
    assert (ragged, notes) == ({}, ())


def test_a_cell_with_something_below_a_nameless_header_is_a_column():
    assert read(",a\n0,x\n1,y\n")[0] == ["column 1", "a"]
    assert read("a,\nx,0\ny,1\n")[0] == ["a", "column 2"]


def test_blanks_behind_every_delimiter_are_no_part_of_the_cells():
    names, rows, ragged, _ = read('age, class, note\n39, State-gov, "a, b"\n50, ?, x \n,, y\n')
    assert names == ["age", "class", "note"]
    assert rows == [("39", "State-gov", "a, b"), ("50", "?", "x "), ("", "", "y")]
    assert ragged == {}


def test_blanks_behind_some_delimiters_stay():
    assert read("a,b\n1, x\n2,y\n")[1] == [("1", " x"), ("2", "y")]


def test_a_zero_byte_in_a_cell_does_not_stop_the_reading():
    assert read("a,b\n" + "1,2\n" * 500 + "3,x\0\n4,5\n")[1][-2:] == [("3", "x\0"), ("4", "5")]


def test_a_header_alone_has_names_and_no_rows():
    names, rows, _, notes = read("a;b;c\n")
    assert (names, rows) == (["a", "b", "c"], [])
    assert notes == ("delimiter ';'",)


def test_one_column_and_numbers_for_names_are_told():
    assert "one column only" in read("a\n1\n\n2\n")[3][0]
    assert read("a\n1\n\n2\n")[1] == [("1",), ("2",)]
    assert "numbers only" in read("1,2\n3,4\n")[3][0]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b" \n\n", "no column names"),
        (b"PK\x03\x04\x14\0\x06\0[Content_Types].xmlPK\x03\x04xl/workbook.xml", "an Excel workbook"),
        (b"PK\x03\x04\x14\0photo.jpg", "ZIP archive"),
        (b"\x1f\x8b\x08\0abc", "gzip archive: unpack it first"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "PNG picture"),
        (b"PAR1\x15\x04\x15", "Parquet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "save it as .xlsx or CSV"),
        (b'[{"a": 1}, {"a": 2}]', "JSON"),
        (b'{"a": 1}\n{"a": 2}\n', "JSON"),
        (b"<!DOCTYPE html><html>", "web page"),
        (bytes(range(32)) * 20, "no text"),
        (b"a,b,c," * 400_000, "a line of more than 1,048,576 characters"),
        (b"a,b\n" + b"1,2\n" * 1000 + b"x" * 3_000_000, "a line of more than 1,048,576 characters"),
        (b'a,b\n1,"2\n' + b"3,4\n" * 100_000, "a quote opened before it and never closed"),
    ],
)
def test_what_is_no_table_is_refused_and_said(content, said, tmp_path):
    with pytest.raises(ConversionError, match=said) as caught:
        read(content, tmp_path)
    assert caught.value.source == str(tmp_path / "table.csv")


def test_a_quote_that_swallows_the_last_rows_is_suspected():
    _, rows, ragged, _ = read('a,b,c\n1,2,3\n4,"5,6\n7,8,9\n')
    assert rows[0] == ("1", "2", "3")
    assert ragged == {2: "2 cells where the header has 3; is a quote opened and never closed?"}


def test_missing_files_and_folders(tmp_path):
    for source, said in ((tmp_path / "none.csv", "no such file"), (tmp_path, "a folder"), ("a\0b", "null")):
        with pytest.raises(ConversionError, match=said), open_csv(source):
            pass


def test_streams_of_text_and_of_bytes_are_read_and_left_open():
    for stream in (io.StringIO("\ufeffa,b\n1,2\n"), io.BytesIO(b"a,b\n1,2\n")):
        with open_csv(stream) as table:
            assert table.names == ["a", "b"]
            assert [chunk.columns for chunk in table.chunks()] == [[["1"], ["2"]]]
        assert not stream.closed


def test_a_stream_that_gives_little_at_a_time_is_read_to_its_end():
    class Slow(io.BytesIO):
        def read(self, count=-1):
            return super().read(min(count, 7))

    with open_csv(Slow("a;b\n1;ö\n".encode() * 1 + "2;€\n".encode() * 300)) as table:
        assert sum(len(chunk.columns[0]) for chunk in table.chunks()) == 301


def test_a_file_of_any_length_takes_the_same_memory():
    class Endless(io.RawIOBase):
        """Rows, as many bytes of them as asked for."""

        def __init__(self, count):
            self.left, self.block = count, b"a,b,c\n" * 10_000

        def read(self, count=-1):
            taken = min(self.left, count, len(self.block)) // 6 * 6
            self.left -= taken
            return self.block[:taken]

    def peak(count):
        tracemalloc.start()
        with open_csv(Endless(count)) as table:
            rows = sum(len(chunk.columns[0]) for chunk in table.chunks())
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return rows, found

    few, many = peak(3_000_000), peak(9_000_000)
    assert many[0] > 2.5 * few[0]
    assert many[1] < 1.2 * few[1]


def test_reading_needs_the_standard_library_alone_beside_what_converters_need():
    code = "import sys, toolkit.program.csv_files; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert not {"pandas", "torch", "scipy", "sklearn"} & set(done.stdout.split())
