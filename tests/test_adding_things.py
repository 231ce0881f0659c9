"""CONTRIBUTING names the files that one more task, or converter, needs: in a copy of the toolkit it is there with these alone."""

import os
import random
import re
import shutil
import subprocess
import sys

import pytest
from helpers import ROOT

SEVENTH = ROOT / "tests" / "helpers" / "seventh_task"
ADDING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## Adding things")[2].partition("\n## ")[0]


def named_in(title):
    """The files that the paragraph of CONTRIBUTING with this title names."""
    paragraph = ADDING.partition(f"**{title}**")[2].partition("\n\n**")[0]
    return set(re.findall(r"`((?:toolkit|recipes|tests)/[^`]*\.py)`", paragraph))


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A copy of the toolkit with its recipes."""
    home = tmp_path_factory.mktemp("house")
    for room in ("toolkit", "recipes"):
        shutil.copytree(ROOT / room, home / room, ignore=shutil.ignore_patterns("__pycache__"))
    return home


def said(home, *arguments):
    """What a Python command says in the copy."""
    env = {**os.environ, "PYTHONPATH": str(home)}
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=home, env=env)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def seventh(house):
    """The copy with a task more, that of short texts, and two runs of it."""
    shutil.copytree(SEVENTH, house, dirs_exist_ok=True)
    table = house / "toolkit" / "tasks.py"
    before, mark, after = table.read_text(encoding="utf-8").partition("\n}\nFIRST")
    table.write_text(f"{before}\n{(SEVENTH / 'entry.txt').read_text().rstrip()}{mark}{after}", encoding="utf-8")
    rng = random.Random(0)
    letters = {"vowels": "aeiou" * 3 + "bcd", "consonants": "bcdfg" * 3 + "ae"}
    rows = [f"{''.join(rng.choices(letters[label], k=12))},{label}" for label in letters for _ in range(60)]
    (house / "texts.csv").write_text("\n".join(["text,label", *rows]))
    for number in (1, 2):
        print(said(house, "-m", "recipes.text_classification", "texts.csv", "--run", f"run{number}"))
    return house


def test_contributing_names_the_files_of_a_seventh_task():
    files = {path.relative_to(SEVENTH).as_posix() for path in SEVENTH.rglob("*.py") if path.name != "__init__.py"}
    wing = {re.sub(r"\btexts\b", "WING", name) for name in files if name.startswith("toolkit/")}
    assert named_in("A task") == wing | {"toolkit/tasks.py", "recipes/TASK.py"}


def test_a_seventh_task_is_a_wing_and_a_line(seventh):
    program = seventh / "run1" / "program.pyz"
    assert said(seventh, program, "--text", "aeiouaeiou", "--top", "1").startswith("vowels ")
    assert "3 golden inputs: answered as at export" in said(seventh, program, "--selftest")
    assert "input: text, of which 26 letters are counted" in said(seventh, "-m", "toolkit.program", program, "--about")
    assert "no difference between run2 and run1 can be told" in said(seventh, "-m", "toolkit.reports", "compare", "run1", "run2")
    assert "text classification" in (seventh / "run1" / "report.html").read_text(encoding="utf-8")
    assert "recipes.text_classification" in said(seventh, "-m", "recipes")


def test_commands_that_all_tasks_share_know_it(seventh):
    done = subprocess.run(
        [sys.executable, "-m", "toolkit.reports", "explain", "run1", "texts.csv"],
        capture_output=True, text=True, check=False, cwd=seventh, env={**os.environ, "PYTHONPATH": str(seventh)},
    )  # fmt: skip
    assert "a run on texts: python run1/program.pyz --text shows what it says of other texts" in done.stderr
    done = subprocess.run(
        [sys.executable, "run1/program.pyz", "--row", "{}"], capture_output=True, text=True, check=False, cwd=seventh
    )
    assert done.returncode == 2
    assert "--row is for programs that predict from the rows of a table; this one reads texts" in done.stderr


LENGTHS = '''"""Lines of text -> their lengths as bars."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from toolkit.converters.sources import read_source
from toolkit.errors import ConversionError


@dataclass(frozen=True)
class Lengths:
    """A text file -> a bar for each of its lines."""

    size: int = 16
    suffixes = (".txt",)

    def __call__(self, source):
        data = read_source(source)
        try:
            lines = data.decode().splitlines()
        except UnicodeDecodeError as error:
            raise ConversionError(source, f"expected a text ({error})") from error
        if not lines:
            raise ConversionError(source, "expected a line or more")
        pixels = np.zeros((self.size, self.size), np.uint8)
        for row, line in enumerate(lines[: self.size]):
            pixels[row, : len(line)] = 255
        return Image.fromarray(pixels).convert("RGB")
'''


def test_a_sixth_converter_is_a_file_and_a_line(house):
    """… and samples, which the tests of every converter read: `tests/helpers/converter_samples.py`."""
    named = named_in("A converter of ours")
    assert named == {"toolkit/converters/NAME.py", "toolkit/converters/__init__.py", "tests/helpers/converter_samples.py"}
    (house / "toolkit" / "converters" / "lengths.py").write_text(LENGTHS)
    registry = house / "toolkit" / "converters" / "__init__.py"
    text = registry.read_text(encoding="utf-8")
    line = '    "lengths": "toolkit.converters.lengths:Lengths",\n'
    registry.write_text(text.replace('    "mouse": "toolkit', f'{line}    "mouse": "toolkit', 1), encoding="utf-8")
    for name, lengths in (("one", (3, 9, 12)), ("two", (1, 2, 30))):
        (house / f"{name}.txt").write_text("\n".join("x" * length for length in lengths))
    assert "lengths" in said(house, "-m", "toolkit.converters", "list")
    assert "  ok       samples are left as they are" in said(
        house, "-m", "toolkit.converters", "check", "lengths", "one.txt", "two.txt"
    )
