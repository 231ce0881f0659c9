"""Any converter trains through the image recipe, registered or not, and travels into the program by name."""

import json
import sys
import types
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import toolkit.converters
from recipes.image_classification import build_learner
from toolkit.converters import converter_names, find_converter, name_of, settings_of
from toolkit.errors import ConversionError, ProgramError, ToolkitError
from toolkit.export import export
from toolkit.program import load


@dataclass(frozen=True)
class Numbers:
    """A text file of numbers -> a picture of their values as grey columns."""

    size: int = 32
    suffixes = (".txt",)

    def __call__(self, source: Path | bytes) -> Image.Image:
        text = source.decode() if isinstance(source, bytes) else Path(source).read_text(encoding="utf-8")
        try:
            values = np.array([float(word) for word in text.split()][: self.size])
        except ValueError as error:
            raise ConversionError(source, "holds something else than numbers") from error
        row = np.zeros(self.size, np.uint8)
        row[: len(values)] = values
        return Image.fromarray(np.tile(row, (self.size, 1))).convert("RGB")


@pytest.fixture
def registered(monkeypatch):
    entry = EntryPoint("numbers", f"{__name__}:Numbers", toolkit.converters.ENTRY_POINTS)
    monkeypatch.setattr(toolkit.converters, "_entry_points", lambda: [entry])


@pytest.fixture
def texts(tmp_path):
    rng = np.random.default_rng(0)
    for label, low in (("dark", 0), ("light", 120)):
        (tmp_path / "texts" / label).mkdir(parents=True)
        for number in range(20):
            words = " ".join(map(str, rng.integers(low, low + 120, 32)))
            (tmp_path / "texts" / label / f"{number}.txt").write_text(words)
    (tmp_path / "texts" / "dark" / "bad.txt").write_text("one two")
    return tmp_path / "texts"


def test_a_registered_converter_is_found_by_name_with_its_settings(registered):
    assert "numbers" in converter_names()
    converter = find_converter("numbers", {"size": 40})
    assert converter == Numbers(40)
    assert name_of(converter) == "numbers"
    assert find_converter("numbers", json.loads(json.dumps(settings_of(converter)))) == converter


def test_a_class_registered_under_a_shorter_path_is_recognised(monkeypatch):
    package = types.ModuleType("short")
    package.Numbers = Numbers
    monkeypatch.setitem(sys.modules, "short", package)
    entry = EntryPoint("numbers", "short:Numbers", toolkit.converters.ENTRY_POINTS)
    monkeypatch.setattr(toolkit.converters, "_entry_points", lambda: [entry])
    assert name_of(find_converter("numbers")) == "numbers"


def test_unknown_names_and_settings_are_clear_errors(registered):
    with pytest.raises(ToolkitError, match="'sounds'; known: bytes, mouse, numbers, series, sound"):
        find_converter("sounds")
    with pytest.raises(ToolkitError, match="does not take these settings"):
        find_converter("numbers", {"colour": 1})
    with pytest.raises(ToolkitError, match="frozen dataclass"):
        settings_of(len)


def test_a_registered_converter_trains_and_its_program_reads_raw_items(registered, texts, tmp_path):
    learn = build_learner(texts, converter="numbers", batch_size=16)
    assert [reason for _, reason in learn.dls.labelled.rejected] == ["holds something else than numbers"]
    assert learn.spec.augment == "none"
    export(learn, tmp_path / "program.pyz")
    program = load(tmp_path / "program.pyz")
    described = {"name": "numbers", "class": f"{__name__}.Numbers", "settings": {"size": 32}, "package": None}
    assert program.card["input"]["converter"] == described
    raw = texts / "light" / "3.txt"
    assert program.predict(raw) == program.predict(raw.read_bytes())
    assert program.predict(str(raw)) == program.predict(Numbers()(raw))


def test_an_instance_that_is_registered_nowhere_is_handed_to_load(texts, tmp_path):
    export(build_learner(texts, converter=Numbers(), batch_size=16), tmp_path / "program.pyz")
    with pytest.raises(ProgramError, match="load\\(path, converter="):
        load(tmp_path / "program.pyz")
    program = load(tmp_path / "program.pyz", converter=Numbers())
    assert program.predict(texts / "dark" / "0.txt").label in ("dark", "light")
