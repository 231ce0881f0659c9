"""The conformance kit: every registered converter keeps its promises, and a converter that breaks one is told which."""

import os
import random
import subprocess
import sys
from dataclasses import dataclass

import pytest
from helpers import ROOT
from helpers import broken_converters as broken
from helpers.broken_converters import Levels
from helpers.converter_samples import WINDOWED, sample_files

from toolkit.converters import check, converter_names, find_converter
from toolkit.errors import ConformanceError, ToolkitError


@pytest.mark.parametrize("name", converter_names())
def test_every_registered_converter_keeps_its_promises(name, tmp_path):
    report = check(find_converter(name), sample_files(name, tmp_path))
    assert report.seconds > 0
    assert report.peak > 0


@pytest.mark.parametrize("name", WINDOWED)
def test_and_with_windows(name, tmp_path):
    report = check(find_converter(name, WINDOWED[name]), sample_files(name, tmp_path))
    assert any("windows" in promise for promise in report.passed)


def test_a_converter_without_samples_is_told_where_to_add_some(tmp_path):
    with pytest.raises(AssertionError, match=r"'smell'.*MAKERS in .*samples.py"):
        sample_files("smell", tmp_path)


@pytest.fixture
def texts(tmp_path):
    rng = random.Random(0)
    for name, lines in (("a.txt", 2), ("b.txt", 30)):
        rows = (" ".join(str(rng.randrange(256)) for _ in range(8)) for _ in range(lines))
        (tmp_path / name).write_text("\n".join(rows))
    return [tmp_path / "a.txt", tmp_path / "b.txt"]


def test_a_good_converter_passes_and_what_was_tested_is_printed(texts):
    report = check(Levels(), texts)
    assert any("windows" in promise for promise in report.passed)
    assert not report.skipped
    lines = str(report).splitlines()
    assert lines[0] == "Levels(size=16, least=0)"
    assert "  ok       same pixels in threads" in lines
    assert lines[-1].endswith("MB an item")
    assert check(Levels(8), str(texts[0])).converter == "Levels(size=8, least=0)"


def test_samples_that_are_no_files_are_named(tmp_path):
    with pytest.raises(ToolkitError, match="nowhere.txt; expected one or more good files"):
        check(Levels(), tmp_path / "nowhere.txt")


@pytest.mark.parametrize(
    ("converter", "problem"),
    [
        (Levels, r"received the class Levels: hand in an instance, Levels\(\)"),
        (broken.Plain(), r"Plain is no dataclass: write @dataclass\(frozen=True\)"),
        (broken.Thawed(), "Thawed is not frozen"),
        (broken.ListSetting(), r"setting ramp=\(0, 255\) is a tuple: settings are numbers, strings"),
        (broken.NoDefault(colour="red"), "a setting has no default .*'colour'"),
        (broken.Doubling(), r"rebuilt from its settings it is Doubling\(size=16, least=2\)"),
        (broken.NoSize(), "no field says how large its pictures are: name it `size`"),
        (broken.Shouting(), "suffix 'TXT': expected lower case with the dot"),
        (broken.Shouting(), "sample a.txt: ends in none of the suffixes TXT"),
        (broken.SuffixField(), "`suffixes` is a field, and so a setting: annotate it as ClassVar"),
        (broken.Grey(), r"sample a.txt: returned a picture of mode L, expected RGB: end with .convert\('RGB'\)"),
        (broken.Small(), "sample a.txt: returned 8x8 pixels, the settings promise 16x16"),
        (broken.Noisy(), "sample a.txt: another picture when it is read again: keep nothing between calls, and seed"),
        (broken.PathsOnly(), r"sample a.txt: raised ConversionError .* from its bytes"),
        (broken.Ascii(), r"sample a.txt: raised UnicodeEncodeError .* letters of other languages"),
        (broken.Remembering(), "sample a.txt: another picture, or an error, after other items were read"),
        (broken.SharedBuffer(), "when 4 threads read at once, .* answers differ"),
        (broken.Crashing(), "a file of a text: raised ValueError .* raise ConversionError"),
        (broken.Nameless(), "the ConversionError names 'a file', expected the path of 'a text.txt'"),
        (broken.Forgiving(), "an empty file: returned Image, expected a ConversionError: `check_source`"),
        (broken.Forgiving(), "a number: returned Image"),
        (broken.Writing(), "wrote a.cache beside a sample"),
        (broken.Littering(), "left debris in the working directory"),
        (broken.Altering(), "sample a.txt: altered or removed: open sources for reading only"),
        (broken.ByProcess(), "sample a.txt: another picture in another process"),
        (broken.Greedy(), "3 GiB of zeros: took over 1 GiB of memory: read in pieces, or refuse its size"),
        (broken.Exiting(), "another process failed while reading a.txt: out of luck"),
        (broken.ListedWindows(), "windows of a.txt: returned a list, expected an iterator: `yield`"),
        (broken.EagerWindows(), "windows of b.txt: 8 pictures are there when the first is given"),
        (broken.BackwardWindows(), r"windows of b.txt: they start at \[-0.0, -4.0, .*expected ascending starts"),
        (broken.EmptyWindows(), "windows of a.txt: window 1: from 0.0 to 0.0, expected seconds, the start before the stop"),
        (broken.FullWindowsOnly(), "windows of a.txt: there is none: an input shorter than a window has one"),
        (broken.SmallWindows(), "windows of a.txt: window 1: returned 4x4 pixels"),
        (broken.HoardingWindows(), "windows of b.txt: memory grew from 5 to 40 MB over 8"),
    ],
    ids=lambda value: None if isinstance(value, str) else getattr(value, "__name__", type(value).__name__),
)
def test_a_broken_promise_is_named(converter, problem, texts):
    broken.Remembering.seen.clear()
    with pytest.raises(ConformanceError, match=problem) as caught:
        check(converter, texts)
    assert all("\n" not in found for found in caught.value.problems)


def test_all_problems_are_listed_at_once(texts):
    with pytest.raises(ConformanceError) as caught:
        check(broken.Grey(size=20), texts)
    assert len(caught.value.problems) > 3
    assert str(caught.value).startswith(f"Grey(size=20, least=0): {len(caught.value.problems)} problems\n- sample a.txt")


def test_classes_that_no_other_process_can_import_are_caught(texts, tmp_path):
    @dataclass(frozen=True)
    class Local(Levels):
        pass

    with pytest.raises(ConformanceError, match="cannot be pickled, .* define the class at the top of a module"):
        check(Local(), texts)
    script = tmp_path / "script.py"
    script.write_text(
        "from dataclasses import dataclass\nfrom helpers.broken_converters import Levels\nfrom toolkit.converters import check\n"
        "@dataclass(frozen=True)\nclass Mine(Levels): pass\n"
        f"check(Mine(), {str(texts[0])!r})\n"
    )
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert "Mine is defined in __main__, which no other process can import: move it into a module" in done.stderr
