"""A tree of raw files converted once: equal pictures, only what changed, bad files listed, and kills at any moment."""

import math
import os
import pickle
import random
import re
import signal
import struct
import subprocess
import sys
import time
import wave
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from threading import Lock

import numpy as np
import pytest
from helpers import ROOT
from PIL import Image

from toolkit.converters import find_converter
from toolkit.converters.sound import Sound
from toolkit.data.convert import convert_tree, main
from toolkit.data.converter_key import converter_key
from toolkit.data.mirror.manifest import Manifest
from toolkit.errors import ConversionError, DataError, RunError, ToolkitError
from toolkit.files import PART

SOMEBODYS = """
import time
from dataclasses import dataclass
from typing import ClassVar
from PIL import Image

@dataclass(frozen=True)
class Grey:
    size: int = 8
    seconds: float = 0.0
    suffixes: ClassVar = (".txt",)

    def __call__(self, source):
        time.sleep(self.seconds)
        return Image.new("RGB", (self.size, self.size), {"black": 0, "white": 0xFFFFFF}[source.read_text().split()[0]])
"""


def beep(path, hertz=440, seconds=0.3, rate=16_000):
    """A sine as a WAV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = [round(12_000 * math.sin(2 * math.pi * hertz * at / rate)) for at in range(int(seconds * rate))]
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes(struct.pack(f"<{len(levels)}h", *levels))


@pytest.fixture
def clips(tmp_path):
    """Two folders of three sounds, and a file that is none."""
    for number in range(6):
        beep(tmp_path / "clips" / ("high", "low")[number % 2] / f"{number}.wav", 300 * (number + 1))
    (tmp_path / "clips" / "notes.txt").write_text("recorded in May")
    return tmp_path / "clips"


@pytest.fixture
def grey(tmp_path, monkeypatch):
    """The class of somebody else's converter, in a module of its own folder."""
    folder = tmp_path / "somebodys"
    folder.mkdir()
    (folder / "grey_of_text.py").write_text(SOMEBODYS)
    monkeypatch.syspath_prepend(folder)
    yield import_module("grey_of_text").Grey
    del sys.modules["grey_of_text"]


def texts(folder, count, word="black"):
    folder.mkdir()
    for number in range(count):
        (folder / f"{number}.txt").write_text(f"{word} {number}")
    return folder


def times(folder):
    """{picture: when it was written}"""
    return {path.relative_to(folder): path.stat().st_mtime_ns for path in folder.rglob("*.png")}


def command(*arguments):
    line = [sys.executable, "-m", "toolkit.data.convert", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, text=True, check=False, cwd=ROOT, timeout=120)


@pytest.mark.parametrize("jobs", [1, 2])
def test_the_pictures_are_the_converters(clips, tmp_path, jobs):
    outcome = convert_tree(Sound(mels=23), clips, target=tmp_path / "pictures", jobs=jobs)
    assert outcome.counts == {"converted": 6}
    assert (outcome.failed, outcome.others) == ([], 1)
    for path in clips.rglob("*.wav"):
        made = tmp_path / "pictures" / path.parent.name / f"{path.name}.png"
        assert np.array_equal(Image.open(made), Sound(mels=23)(path))
    assert len(times(tmp_path / "pictures")) == 6


def test_again_does_only_what_changed(clips, tmp_path):
    target = tmp_path / "pictures"
    convert_tree("sound", clips, target=target, jobs=1)
    before = times(target)
    assert convert_tree("sound", clips, target=target, jobs=2).counts == {"up to date": 6}
    assert times(target) == before

    beep(clips / "high" / "0.wav", 2000)
    (clips / "low" / "1.wav").unlink()
    assert convert_tree("sound", clips, target=target, jobs=1).counts == {"up to date": 4, "converted": 1, "removed": 1}
    assert not (target / "low" / "1.wav.png").exists()
    changed = {path for path, written in times(target).items() if written != before[path]}
    assert changed == {Path("high", "0.wav.png")}
    assert convert_tree(Sound(mels=23), clips, target=target, jobs=1).counts == {"converted": 5}


def test_a_converter_whose_code_changed_makes_new_pictures(grey, tmp_path):
    source, target = texts(tmp_path / "texts", 3), tmp_path / "pictures"
    convert_tree(grey(), source, target=target, jobs=1)
    beside = Path(sys.modules[grey.__module__].__file__).with_name("helper.py")
    assert convert_tree(grey(), source, target=target, jobs=1).counts == {"up to date": 3}
    beside.write_text("GREY = 128")
    assert convert_tree(grey(), source, target=target, jobs=1).counts == {"converted": 3}


def test_the_key_of_a_converter(grey):
    keys = [converter_key(each) for each in (Sound(), Sound(mels=23), grey(), grey(size=9))]
    assert len(set(keys)) == 4
    assert all(len(key) == 16 for key in keys)
    assert converter_key(find_converter("sound", {"mels": 23})) == keys[1]

    @dataclass(frozen=True)
    class OfANotebook(Sound):
        pass

    OfANotebook.__module__ = "a_notebook"
    assert converter_key(OfANotebook()) is None


def test_bad_files_are_listed_and_stop_nothing(clips, tmp_path):
    target = tmp_path / "pictures"
    convert_tree("sound", clips, target=target, jobs=1)
    (clips / "low" / "1.wav").write_bytes(b"no longer a sound")
    (clips / "high" / "empty.wav").write_bytes(b"")
    done = command("sound", clips, target, "--jobs", 2)
    assert done.returncode == 1
    assert f"{target}: 5 up to date, 1 removed, 1 of other kinds left alone" in done.stdout
    assert "2 set aside" in done.stderr
    listed = (target / "failed.csv").read_text()
    assert "low/1.wav,not a sound" in listed
    assert "high/empty.wav,empty (0 bytes)" in listed
    assert not (target / "low" / "1.wav.png").exists()
    beep(clips / "low" / "1.wav")
    (clips / "high" / "empty.wav").unlink()
    assert command("sound", clips, target, "--set", "mels=23", "--set", "size=48").returncode == 0
    assert not (target / "failed.csv").exists()
    assert Image.open(target / "low" / "1.wav.png").size == (48, 48)


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_fault_of_a_converter_costs_one_file(grey, tmp_path, jobs):
    source, target = texts(tmp_path / "texts", 6), tmp_path / "pictures"
    (source / "4.txt").write_text("pink")
    outcome = convert_tree(grey(), source, target=target, jobs=jobs)
    assert outcome.counts == {"converted": 5}
    assert outcome.failed == [(str(source / "4.txt"), "KeyError: 'pink'")]
    with pytest.raises(ConversionError, match=r"4\.txt: KeyError: 'pink'"):
        convert_tree(grey(), source, target=target, jobs=jobs, strict=True)
    (source / "4.txt").unlink()
    (source / "4.txt").mkdir()
    assert convert_tree(grey(), source, target=target, jobs=jobs, strict=True).counts["up to date"] == 5


def test_strict_stops_the_workers_before_the_folder_is_let_go_of(grey, tmp_path):
    source, target = texts(tmp_path / "texts", 60), tmp_path / "pictures"
    (source / "0.txt").write_text("pink")
    with pytest.raises(ConversionError):
        convert_tree(grey(seconds=0.05), source, target=target, jobs=2, strict=True)
    before = times(target)
    assert len(before) < 60
    assert not list(target.rglob("*" + PART))
    time.sleep(0.3)
    assert times(target) == before


def test_what_cannot_be_sent_to_processes_is_refused(tmp_path, clips):
    converter = Sound()
    object.__setattr__(converter, "lock", Lock())
    with pytest.raises(DataError, match="cannot be sent to other processes .*jobs=1"):
        convert_tree(converter, clips, target=tmp_path / "pictures", jobs=2)
    assert not (tmp_path / "pictures").exists()


def test_what_is_no_converter_is_refused(tmp_path, clips):
    with pytest.raises(ToolkitError, match="a converter is an instance of a frozen dataclass"):
        convert_tree(Sound, clips, target=tmp_path / "pictures")


def test_a_crash_of_a_worker_is_said_and_names_the_item(grey, tmp_path, monkeypatch):
    source, target = texts(tmp_path / "texts", 8), tmp_path / "pictures"
    module = Path(sys.modules[grey.__module__].__file__)
    module.write_text(SOMEBODYS.replace("time.sleep(self.seconds)", "if source.name == '5.txt': __import__('os').abort()"))
    with pytest.raises(ToolkitError, match=r"a worker was killed.*5\.txt\.png"):
        convert_tree(grey(), source, target=target, jobs=2)
    assert not list(target.rglob("*" + PART))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["smell", "CLIPS", "TARGET"], "no converter is registered as 'smell'; known: "),
        (["sound", "nowhere", "TARGET"], "nowhere: no such folder"),
        (["sound", "CLIPS/none", "TARGET"], "no file ends in one of .wav .flac"),
        (["sound", "CLIPS", "CLIPS"], "name a folder other than"),
        (["sound", "CLIPS", "TARGET", "--set", "mel=64"], "no setting is called 'mel'"),
        (["sound", "CLIPS", "TARGET", "--set", "mels=many"], "expected a whole number, received 'many'"),
        (["sound", "CLIPS", "TARGET", "--jobs", "0"], "jobs 0: expected 1 or more"),
    ],
)
def test_wrong_arguments_are_refused(clips, tmp_path, arguments, words):
    (clips / "none").mkdir()
    with pytest.raises(ToolkitError, match=re.escape(words)):
        main([word.replace("CLIPS", str(clips)).replace("TARGET", str(tmp_path / "target")) for word in arguments])
    assert not (tmp_path / "target").exists()


def test_a_pass_that_another_has_followed_records_nothing(tmp_path):
    first = Manifest.begin(tmp_path / "record", tmp_path)
    first.add("a.png", "1")
    worker = pickle.loads(pickle.dumps(first))
    worker.add("b.png", "1")
    second = Manifest.begin(tmp_path / "record", tmp_path)
    for earlier in (first, worker):
        with pytest.raises(RunError, match="another pass has begun there"):
            earlier.add("a.png", "2")
    assert second.key("a.png") == "1"
    assert sorted(second.not_of_this_pass()) == ["a.png", "b.png"]
    for each in (first, worker, second):
        each.close()


@pytest.mark.skipif(os.name != "posix", reason="kills are made with POSIX means")
def test_after_kills_nothing_is_made_again_and_nothing_is_missing(grey, tmp_path):
    source, target = texts(tmp_path / "texts", 300), tmp_path / "pictures"
    code = "import sys; from grey_of_text import Grey; from toolkit.data.convert import convert_tree; "
    code += "convert_tree(Grey(seconds=0.01), sys.argv[1], target=sys.argv[2], jobs=2)"
    line = [sys.executable, "-c", code, str(source), str(target)]
    paths = os.pathsep.join([str(ROOT), str(tmp_path / "somebodys")])
    chance = random.Random(3)
    for whole_group in (True, False, True):
        before = times(target) if target.exists() else {}
        process = subprocess.Popen(line, env={**os.environ, "PYTHONPATH": paths}, start_new_session=True)
        wanted = len(before) + chance.randint(10, 60)
        while process.poll() is None and len(times(target) if target.exists() else {}) < wanted:
            time.sleep(0.005)
        time.sleep(chance.random() / 50)
        (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert before.items() <= times(target).items()
    before = times(target)
    assert subprocess.run(line, env={**os.environ, "PYTHONPATH": paths}, check=False, timeout=120).returncode == 0
    assert before.items() <= times(target).items()
    assert len(times(target)) == 300
    assert not list(target.rglob("*" + PART))
    assert all(np.array_equal(Image.open(target / path), np.zeros((8, 8, 3))) for path in times(target))
