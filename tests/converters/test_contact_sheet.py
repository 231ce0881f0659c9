"""`python -m toolkit.converters`: sheets to look at, the list of converters, the conformance kit, and wrong arguments."""

import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import ClassVar

import numpy as np
import pytest
from helpers import ROOT
from helpers.converter_samples import sample_files
from PIL import Image

import toolkit.converters
from toolkit.converters import find_converter
from toolkit.converters.__main__ import main
from toolkit.converters.settings import defaults, parse_settings
from toolkit.errors import ToolkitError


@dataclass(frozen=True)
class Every:
    """One of each kind of setting."""

    size: int = 8
    scale: float = 1
    soft: bool = False
    mode: str = "plain"
    most: float | None = None

    suffixes: ClassVar[tuple[str, ...]] = (".every",)
    needs: ClassVar[tuple[str, ...]] = ("no-such-package",)

    def __call__(self, source):
        raise OSError("out of paper")


@pytest.fixture
def every(monkeypatch):
    entries = [EntryPoint("every", f"{__name__}:Every", "g"), EntryPoint("gone", "no_such_module:Gone", "g")]
    monkeypatch.setattr(toolkit.converters, "_entry_points", lambda: entries)


def refused(capsys, *arguments):
    with pytest.raises(SystemExit) as caught:
        main(list(map(str, arguments)))
    assert caught.value.code == 2
    return capsys.readouterr().err


def test_a_sheet_holds_each_picture_enlarged_as_it_is(tmp_path, capsys):
    files = sample_files("bytes", tmp_path)
    out = tmp_path / "out" / "bytes.png"
    assert main(["show", "bytes", *map(str, files), "--set", "size=100", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}: 2 files\n"
    sheet = np.asarray(Image.open(out))
    for file in files:
        large = np.asarray(find_converter("bytes", {"size": 100})(file).resize((200, 200), Image.Resampling.NEAREST))
        tops, lefts = np.nonzero((sheet == large[0, 0]).all(axis=2))
        assert any((sheet[y : y + 200, x : x + 200] == large).all() for y, x in zip(tops, lefts, strict=True) if x < 300)


def test_channels_stand_beside_a_coloured_picture_and_not_beside_a_grey_one(tmp_path):
    sizes = {}
    for name in ("series", "bytes"):
        for flags in ([], ["--channels"]):
            assert main(["show", name, str(sample_files(name, tmp_path)[0]), *flags, "--out", str(tmp_path / "sheet.png")]) == 0
            sizes[name, bool(flags)] = Image.open(tmp_path / "sheet.png").width
    assert sizes["series", True] > sizes["series", False]
    assert sizes["bytes", True] == sizes["bytes", False]


def test_windows_are_shown_with_their_times(tmp_path, capsys):
    files = sample_files("sound", tmp_path)
    for count in (2, 4):
        assert (
            main(
                [
                    "show",
                    "sound",
                    *map(str, files),
                    "--set",
                    "duration=1",
                    "--windows",
                    str(count),
                    "--out",
                    str(tmp_path / f"{count}.png"),
                ]
            )
            == 0
        )
    assert main(["show", "sound", str(files[0]), "--set", "duration=0", "--windows"]) == 1
    assert "error: sound: windows need a duration" in capsys.readouterr().err
    assert Image.open(tmp_path / "4.png").width > Image.open(tmp_path / "2.png").width


def test_files_that_cannot_be_read_are_named_and_the_sheet_holds_the_others(tmp_path, capsys):
    sample_files("series", tmp_path / "good")
    (tmp_path / "good" / "notes.csv").write_text("a,b\nc,d\n")
    (tmp_path / "good" / "日本\n.csv").write_bytes((tmp_path / "good" / "waves.csv").read_bytes())
    out = tmp_path / "sheet.png"
    assert main(["show", "series", str(tmp_path / "good"), str(tmp_path / "missing.csv"), "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "notes.csv: no column of numbers" in said.err
    assert "missing.csv: no such file" in said.err
    assert "file 3: ???.csv is '日本\\n.csv'" in said.out
    assert out.exists()
    assert main(["show", "series", str(tmp_path / "missing.csv"), "--out", str(tmp_path / "none.png")]) == 1
    assert "none of the files became a picture: no sheet is written" in capsys.readouterr().err
    assert not (tmp_path / "none.png").exists()


def test_of_a_large_folder_some_files_of_each_folder_are_shown(tmp_path, capsys):
    for folder in "ab":
        for number in range(20):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{number}.bin").write_bytes(bytes([number]) * 40)
    out = tmp_path / "sheet.png"
    assert main(["show", "bytes", str(tmp_path), "--most", "6", "--out", str(out)]) == 0
    assert "more than 6 files: 6 are shown (--most N shows more)" in capsys.readouterr().err
    assert main(["show", "bytes", str(tmp_path / "a"), "--set", "size=16", "--out", str(out)]) == 0
    assert capsys.readouterr().out.endswith(": 20 files\n")
    (tmp_path / "empty").mkdir()
    assert main(["show", "bytes", str(tmp_path / "empty")]) == 1
    assert "no file in it ends in .bin, .dat" in capsys.readouterr().err


def test_the_list_names_suffixes_settings_and_what_is_missing(every, capsys):
    assert main(["list"]) == 0
    said = capsys.readouterr().out
    assert "bytes\n    A file's bytes, row by row, as grey levels" in said
    assert "    settings  size=128  columns=  kind=summation\n" in said
    assert "    settings  size=8  scale=1  soft=false  mode=plain  most=none\n" in said
    assert "    needs     numpy, pillow, no-such-package\n    missing   no-such-package: pip install no-such-package\n" in said
    assert "gone\n    cannot be loaded: ModuleNotFoundError" in said


def test_check_runs_the_conformance_kit(every, tmp_path, capsys):
    assert main(["check", "bytes", *map(str, sample_files("bytes", tmp_path))]) == 0
    assert capsys.readouterr().out.startswith("Bytes(size=128, row=0)\n  ok       a frozen dataclass\n")
    (tmp_path / "a.every").write_text("here")
    assert main(["check", "every", str(tmp_path / "a.every"), "--set", "soft=yes"]) == 1
    assert "sample a.every: raised OSError (out of paper)" in capsys.readouterr().err
    assert main(["show", "every", str(tmp_path / "a.every")]) == 1
    assert "a.every: the converter raised OSError (out of paper): the command `check` says more" in capsys.readouterr().err


def test_wrong_arguments_are_refused_with_the_choices(every, tmp_path, capsys):
    assert "no converter is registered as 'sonar'; known: bytes, every" in refused(capsys, "show", "sonar", tmp_path)
    assert "no setting is called 'sise'; the settings and their defaults: size=128, row=0" in refused(
        capsys, "show", "bytes", tmp_path, "--set", "sise=3"
    )
    assert "bytes: size 0; expected a whole number from 1 to 2048" in refused(
        capsys, "show", "bytes", tmp_path, "--set", "size=0"
    )
    assert "expected a name that ends in .png" in refused(capsys, "show", "bytes", tmp_path, "--out", "sheet.jpg")
    assert "converter 'bytes' has no windows" in refused(capsys, "show", "bytes", tmp_path, "--windows")
    assert "'0': expected a whole number from 1" in refused(capsys, "show", "bytes", tmp_path, "--most", "0")


def test_settings_are_read_by_their_fields_types():
    texts = ["size=16", "scale=2", "soft=Yes", "mode=a=b", "most=2.5"]
    assert parse_settings(Every, texts) == {"size": 16, "scale": 2.0, "soft": True, "mode": "a=b", "most": 2.5}
    assert parse_settings(Every, ["most=none", "soft=0", "mode="]) == {"most": None, "soft": False, "mode": ""}
    assert parse_settings(Every, defaults(Every)) == {"size": 8, "scale": 1.0, "soft": False, "mode": "plain", "most": None}
    for text, message in (
        ("size=8.5", "setting size: expected a whole number, received '8.5'"),
        ("scale=big", "setting scale: expected a number, received 'big'"),
        ("soft=maybe", "setting soft: expected true or false, received 'maybe'"),
        ("size", "setting 'size': expected NAME=VALUE, such as size=8"),
    ):
        with pytest.raises(ToolkitError, match=message):
            parse_settings(Every, [text])


def test_the_module_runs_as_a_command(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "toolkit.converters", "show", "bytes", *sample_files("bytes", tmp_path)]
    done = subprocess.run([*command, "--out", tmp_path / "sheet.png"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert Image.open(tmp_path / "sheet.png").mode == "RGB"
