"""The command line of a program of tables: CSV in, CSV with predictions and notes out, whatever the CSV looks like."""

import codecs
import csv
import io
import json
import os
import shutil
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest
from helpers.tabular_samples import USUAL, made

from toolkit.export import export
from toolkit.program import load
from toolkit.program.cli import main

pytest_plugins = ["helpers.tabular_runs"]

ROWS = made(6, seed=4)
ADDED = ["predicted", "probability", "notes"]


@pytest.fixture
def tell(planner, tmp_path, monkeypatch, capsys):
    """Run the planner's command line in an empty folder: (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: said_by(capsys, planner.path, *arguments)


def said_by(capsys, program, *arguments):
    """The exit status, stdout and stderr of a program's command line."""
    try:
        status = main(str(program), [str(argument) for argument in arguments])
    except SystemExit as end:
        status = end.code
    said = capsys.readouterr()
    return status, said.out, said.err


def read(path, delimiter=","):
    """The rows of a CSV as dicts of texts."""
    with open(path, encoding="utf-8-sig", newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def written(path, frame=ROWS, **options):
    """`path`, with a frame in it."""
    frame.to_csv(path, index=False, **options)
    return path


def test_a_program_carried_elsewhere_predicts_a_csv(planner, tmp_path):
    program = shutil.copy(planner.path, tmp_path / "fortune teller.pyz")
    written(tmp_path / "people.csv")
    command = [sys.executable, "-I", str(program), "people.csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "people.csv: 6 rows, 0 with notes, written to people.predicted.csv\n"
    found = read(tmp_path / "people.predicted.csv")
    assert list(found[0]) == [*ROWS.columns, *ADDED]
    for row, answer in zip(found, load(planner.path).predict_many(ROWS), strict=True):
        assert row["predicted"] == answer.label
        assert float(row["probability"]) == pytest.approx(answer.probability, abs=1e-4)
        assert row["notes"] == ""
    assert [row["weight"] for row in found] == [row["weight"] for row in read(tmp_path / "people.csv")]


def test_a_number_is_predicted_without_a_probability(spender, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status, out, _ = said_by(capsys, spender.path, written("people.csv"), "--out", "-")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert status == 0
    assert list(rows[0]) == [*ROWS.columns, "predicted", "notes"]
    for row, answer in zip(rows, load(spender.path).predict_many(ROWS), strict=True):
        assert float(row["predicted"]) == pytest.approx(answer.value, rel=1e-5)
    status, out, _ = said_by(capsys, spender.path, "--row", json.dumps(USUAL), "--json")
    assert json.loads(out) == {"value": load(spender.path).predict(USUAL).value, "notes": []}


@pytest.mark.parametrize(
    ("name", "options", "notes"),
    [
        ("semicolons.csv", {"sep": ";"}, ["delimiter ';'"]),
        ("tabs.tsv", {"sep": "\t"}, []),
        ("bars.txt", {"sep": "|"}, ["delimiter '|'"]),
        ("bom.csv", {"encoding": "utf-8-sig"}, []),
        ("utf16.csv", {"encoding": "utf-16"}, []),
        ("windows.csv", {"encoding": "cp1252", "lineterminator": "\r\n"}, ["read as cp1252 because it is not UTF-8"]),
        ("quoted.csv", {"quoting": csv.QUOTE_ALL}, []),
    ],
)
def test_a_csv_may_be_written_in_many_ways(tell, name, options, notes):
    written("plain.csv")
    assert tell("plain.csv")[0] == 0
    status, _, told = tell(written(name, **options))
    assert status == 0
    assert told.splitlines()[1:] == [f"  {note}" for note in notes]
    answered = Path(f"{name.split('.')[0]}.predicted.csv")
    assert read(answered, options.get("sep", ",")) == read("plain.predicted.csv")
    assert answered.read_bytes().startswith(codecs.BOM_UTF8) == (name in ("bom.csv", "utf16.csv", "windows.csv"))


def test_line_ends_in_cells_and_names_that_are_taken_are_kept(tell):
    cells = 'two\nlines, "quoted"'
    written("people.csv", ROWS.assign(remark=cells, predicted="mine", notes="ours").drop(columns=["plan", "spent"]))
    status, _, told = tell("people.csv")
    rows = read("people.predicted.csv")
    assert (status, len(rows)) == (0, 6)
    assert list(rows[0])[-6:] == ["remark", "predicted", "notes", "predicted_", "probability", "notes_"]
    assert {(row["remark"], row["predicted"], row["notes"]) for row in rows} == {(cells, "mine", "ours")}
    assert all(row["predicted_"] in ("basic", "plus", "top") for row in rows)
    assert "every row: the column 'remark' was not learnt from: left aside" in told


def test_columns_are_found_by_name(tell):
    written("plain.csv")
    tell("plain.csv")
    other = ROWS.assign(hat="red").rename(columns={"age": " Age"}).drop(columns=["member", "plan"])
    status, _, told = tell(written("other.csv", other[other.columns[::-1]]))
    notes = [
        "the column 'hat' was not learnt from: left aside",
        "the columns stand in another order: taken by their names",
        "the column 'Age' is taken for 'age'",
        "no column 'member': taken as missing",
    ]
    assert status == 0
    assert told.splitlines()[1:] == [f"  every row: {note}" for note in notes]
    assert {row["notes"] for row in read("other.predicted.csv")} == {"; ".join(notes[2:])}  # what changes an answer
    assert json.loads(tell("other.csv", "--json")[1].splitlines()[0])["notes"] == notes
    status, _, told = tell(written("misspelt.csv", ROWS.rename(columns={"weight": "wieght"})))
    assert status == 0
    assert "no column 'weight': taken as missing" in told
    assert "the column 'wieght' was not learnt from" in told


def test_odd_cells_are_noted_by_row_and_summed_up_by_column(tell):
    odd = ROWS.astype(object).assign(age=["x", 40, 10**6, 30, 30, 30], weight=["70,5"] * 6, town=[*ROWS.town[:5], "Atlantis"])
    status, _, told = tell(written("odd.csv", odd, sep=";"))
    assert status == 0
    assert told.splitlines() == [
        "odd.csv: 6 rows, 6 with notes, written to odd.predicted.csv",
        "  delimiter ';'",
        "  weight: 6 rows, such as row 1: '70,5' read as 70.5, though decimals were otherwise in training",
        "  age: 2 rows, such as row 1: 'x' is no number: taken as missing",
        "  town: 1 row, such as row 6: 'Atlantis' is none of the 3 categories that were learnt",
    ]
    rows = read("odd.predicted.csv", ";")
    assert rows[0]["notes"] == (
        "age: 'x' is no number: taken as missing; weight: '70,5' read as 70.5, though decimals were otherwise in training"
    )
    assert "lies far outside 18 to 79" in rows[2]["notes"]
    for row in rows:
        cells = {name: row[name] for name in USUAL}
        assert row["predicted"] == json.loads(tell("--row", json.dumps(cells), "--json")[1])["label"]


def ragged(path):
    """`path`, a file with a row too short and one too long."""
    lines = written(path).read_text().splitlines()
    lines[2], lines[5] = "41,80", lines[5] + ",7,8"
    path.write_text("\n".join(lines))
    return path.name


def test_a_row_of_another_length_is_kept_without_an_answer(tell, tmp_path):
    status, _, told = tell(ragged(tmp_path / "people.csv"))
    rows = read("people.predicted.csv")
    assert status == 1
    assert [bool(row["predicted"] and row["probability"]) for row in rows] == [True, False, True, True, False, True]
    assert rows[1]["notes"] == "not predicted: 2 cells where the header has 7"
    assert (rows[1]["age"], rows[1]["weight"], rows[1]["town"]) == ("41", "80", "")
    assert "people.csv: 6 rows, 0 with notes" in told
    assert "  2 rows not predicted, such as row 2: 2 cells where the header has 7" in told
    lines = [json.loads(line) for line in tell("people.csv", "--json")[1].splitlines()]
    assert lines[4] == {"item": "people.csv", "row": 5, "error": "9 cells where the header has 7"}


def test_strict_stops_and_leaves_what_was_there(tell, tmp_path):
    (tmp_path / "people.predicted.csv").write_text("as it was")
    status, _, told = tell(ragged(tmp_path / "people.csv"), written(tmp_path / "good.csv"), "--strict")
    assert (status, told) == (1, "error: people.csv: row 2: 2 cells where the header has 7\n")
    assert (tmp_path / "people.predicted.csv").read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.csv", "people.csv", "people.predicted.csv"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"\n \n", "no column names"),
        (b"a,b\n1,2\n", r"none of its columns (a, b) is one that was learnt from (age, weight, town, member, joined)"),
        (b'[{"age": 40}]', "it seems to be JSON"),
        (b"PK\x03\x04....xl/workbook.xml", "it seems to be an Excel workbook"),
    ],
)
def test_what_is_no_table_is_told_and_stops_no_other(tell, tmp_path, content, message):
    if content is not None:
        (tmp_path / "odd.csv").write_bytes(content)
    status, _, told = tell("odd.csv", written(tmp_path / "good.csv"))
    assert status == 1
    assert told.startswith("error: odd.csv: ")
    assert message in told.splitlines()[0]
    assert sorted(path.name for path in tmp_path.glob("*.predicted.csv")) == ["good.predicted.csv"]


def test_a_header_alone_is_a_table_without_rows(tell, tmp_path):
    assert tell(written("none.csv", ROWS.head(0)))[0] == 0
    assert (tmp_path / "none.predicted.csv").read_text() == ",".join([*ROWS.columns, *ADDED]) + "\n"


def test_several_files_into_a_folder(tell, tmp_path):
    (tmp_path / "old").mkdir()
    for folder in ("deep/new", "old", "."):
        status, _, told = tell(written("a.csv"), "absent.csv", written("b.csv"), "--out", folder)
        assert status == 1
        assert "error: absent.csv: no such file" in told
        assert sorted(path.name for path in (tmp_path / folder).glob("*.predicted.csv")) == ["a.predicted.csv", "b.predicted.csv"]
    assert tell("a.csv", "--out", "old/mine.csv")[0] == 0
    assert tell("a.csv", "--out", "fresh/")[0] == 0
    assert read("old/mine.csv") == read("fresh/a.predicted.csv") == read("a.predicted.csv")


def test_nothing_that_is_read_or_was_just_written_is_overwritten(tell, tmp_path):
    written("people.csv")
    shutil.copytree(tmp_path, tmp_path / "other")
    before = (tmp_path / "people.csv").read_bytes()
    for arguments, message in (
        (["people.csv", "--out", "./people.csv"], "people.csv: the answers to people.csv would overwrite what is read"),
        (["other/people.csv", "people.csv", "--out", "people.csv"], "people.csv: a file, and there are several to predict"),
        (["people.csv", "other/people.csv"], "answers to people.csv and other/people.csv would both go there"),
        (["people.csv", "people.predicted.csv"], "answers to people.csv would overwrite what is read"),
    ):
        status, _, told = tell(*arguments)
        assert status == 1
        assert message in told
        assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "people.csv"]
    assert (tmp_path / "people.csv").read_bytes() == before


def test_standard_input_and_output(tell, tmp_path, monkeypatch):
    text = written(tmp_path / "people.csv").read_bytes()
    tell("people.csv")
    expected = (tmp_path / "people.predicted.csv").read_text(encoding="utf-8")
    for arguments in (["-"], ["-", "--out", "-"], ["people.csv", "--out", "-"]):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
        assert tell(*arguments)[:2] == (0, expected)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(text)))
    assert tell("-", "--out", "mine.csv")[:2] == (0, "")
    assert (tmp_path / "mine.csv").read_text(encoding="utf-8") == expected


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names here")
def test_a_pipe_is_written_to_and_not_replaced(tell, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with ThreadPoolExecutor(1) as pool:
        received = pool.submit((tmp_path / "pipe").read_text, encoding="utf-8")
        assert tell(written("people.csv"), "--out", "pipe")[0] == 0
        assert len(received.result(timeout=20).splitlines()) == 1 + len(ROWS)
    assert (tmp_path / "pipe").is_fifo()


def test_json_lines_hold_numbers_and_as_many_classes_as_asked_for(tell, planner):
    status, out, _ = tell(written("people.csv"), "absent.csv", "--json", "--top", "2")
    lines = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    for number, (line, answer) in enumerate(zip(lines[:6], load(planner.path).predict_many(ROWS), strict=True), start=1):
        assert (line["item"], line["row"], line["label"], line["notes"]) == ("people.csv", number, answer.label, [])
        assert line["probability"] == pytest.approx(answer.probability, abs=1e-6)
        assert list(line["probabilities"]) == list(answer.probabilities)[:2]
    assert lines[6] == {"item": "absent.csv", "error": "no such file"}
    assert tell("people.csv", "--json", "--out", "x.json")[::2] == (
        1, "error: --json prints to standard output: leave out --out\n",
    )  # fmt: skip


def test_a_table_longer_than_memory_is_never_held(tell):
    def peak(count):
        frame = pd.concat([ROWS] * (count // len(ROWS))).assign(remark="x" * 1000)
        written("long.csv", frame)
        del frame
        tracemalloc.start()
        assert tell("long.csv")[0] == 0
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(12_000) < 1.2 * peak(4_800)


def test_one_row_in_words_and_as_json(tell, planner):
    answer = load(planner.path).predict({**USUAL, "age": 900, "hat": 1})
    row = json.dumps({**USUAL, "age": 900, "hat": 1})
    status, out, told = tell("--row", row, "--top", "2")
    assert (status, told) == (0, "")
    assert out.splitlines() == [answer.text(2), *(f"  note: {note}" for note in answer.notes)]
    said = json.loads(tell("--row", row, "--json", "--top", "1")[1])
    assert said["probabilities"] == {answer.label: answer.probability}
    assert said["notes"] == list(answer.notes)
    assert tell("--row", json.dumps({**USUAL, "weight": None}))[1].count("\n") == 1


def test_why_lists_the_columns_that_moved_the_answer(tell):
    row = json.dumps({**USUAL, "age": 78})
    lines = tell("--row", row, "--why")[1].splitlines()
    assert len(lines) == 6
    assert any(line.startswith("  age 78: +") for line in lines[1:3])
    reasons = json.loads(tell("--row", row, "--why", "--json")[1])["why"]
    assert {reason["column"] for reason in reasons} == set(USUAL)
    assert [abs(reason["moved"]) for reason in reasons] == sorted((abs(reason["moved"]) for reason in reasons), reverse=True)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (
            "{age: 40}",
            """not JSON (Expecting property name enclosed in double quotes: line 1 column 2 (char 1)): give an object""",
        ),
        ("", "not JSON"),
        ("[40]", """expected one JSON object, such as '{"age": """),
        ("40", "expected one JSON object"),
        ("{}", "none of its columns () is one that was learnt from (age, weight, town, member, joined)"),
        ('{"hat": 1}', "none of its columns (hat)"),
    ],
)
def test_a_row_that_is_none_is_told(tell, row, message):
    status, out, told = tell("--row", row)
    assert (status, out) == (1, "")
    assert told.startswith("error: --row: ")
    assert message in told


def test_options_that_do_not_go_together_are_explained(tell, trained, capsys):
    row = json.dumps(USUAL)
    for arguments, message in (
        ([], "name at least one item"),
        (["--row", row, "people.csv"], "--row is a row of its own: give it without files"),
        (["people.csv", "--why"], "--why explains the prediction for a --row"),
        (["people.csv", "--top", "0"], "'0': expected a whole number from 1"),
        (["--row"], "--row: expected one argument"),
    ):
        status, _, told = tell(*arguments)
        assert status == 2
        assert message in told
    status, _, told = said_by(capsys, trained[1] / "program.pyz", "--row", row)
    assert status == 2
    assert "--row is for programs that predict from the rows of a table; this one predicts from files" in told
    status, _, told = tell(next((trained[1].parent / "shapes").glob("*/*.png")))
    assert status == 1
    assert "not a table of text: it seems to be a PNG picture" in told


def test_about_tells_the_columns_the_schema_and_what_is_needed(tell, planner):
    status, out, _ = tell("--about")
    assert status == 0
    for words in (
        "program: tabular classification",
        "input: row of a table with 5 columns:",
        "age: number, 18 to 79 in training\n",
        "town: one of Köln, York, Århus; may be missing",
        "output: plan, one of 3 classes: basic, plus, top (40 % gradient-boosted trees, the rest the network)",
        "pip install numpy onnxruntime\n",
    ):
        assert words in out
    assert json.loads(out[out.index('{\n "$schema"') :]) == load(planner.path).card["schema"]
    assert json.loads(tell("--about", "--json")[1])["target"] == "plan"


def test_self_test_from_the_command_line(tell, planner, tmp_path, capsys):
    assert tell("--selftest")[:2] == (0, "3 golden inputs: answered as at export\n")
    export(planner.learn, tmp_path / "private.pyz", golden=0)
    status, _, told = said_by(capsys, tmp_path / "private.pyz", "--selftest")
    assert status == 1
    assert "no golden inputs were exported with this program" in told
