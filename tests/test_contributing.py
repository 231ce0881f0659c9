"""CONTRIBUTING's walk from nothing to a trained recogniser, followed to the letter with a separately installed package."""

import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from helpers import ROOT

from toolkit.program.archive import Archive

WALK = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").partition("## A converter, from nothing")[2].partition("\n## ")[0]


def block(kind):
    """The lines of the walk's only block of a kind."""
    (found,) = re.findall(rf"```{kind}\n(.*?)```", WALK, re.DOTALL)
    return found


@pytest.fixture(scope="module")
def walked(tmp_path_factory):
    """The folder after the walk, and what each command said: {command: completed process}."""
    home = tmp_path_factory.mktemp("walk")
    rng = np.random.default_rng(0)
    for label, spread in (("steady", 0.02), ("irregular", 0.2)):
        (home / "beats" / label).mkdir(parents=True)
        for number in range(20):
            beats = np.cumsum(np.clip(rng.normal(0.8, spread, 60), 0.3, 1.6))
            (home / "beats" / label / f"{number}.beats").write_text("\n".join(f"{beat:.3f}" for beat in beats))
    (home / "heartbeats").mkdir()
    (home / "heartbeats" / "pyproject.toml").write_text(block("toml"))
    (home / "heartbeats" / "heartbeats.py").write_text(block("python"))
    # into a folder of its own, not into the environment of the tests; no network
    packages = home / "packages"
    install = ["install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation", "--target", packages, "./heartbeats"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(packages), str(ROOT)])}
    said = {}
    for command in block("sh").strip().splitlines():
        name, *arguments = command.split()
        arguments = ["-m", "pip", *install] if name == "pip" else arguments
        said[command] = subprocess.run(
            [sys.executable, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=home, env=env
        )
    return home, said


def test_it_takes_less_than_forty_lines():
    assert sum(len(block(kind).strip().splitlines()) for kind in ("toml", "python", "sh")) < 40


def test_each_command_does_what_it_should(walked):
    home, said = walked
    for command, done in said.items():
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    *_, training, predicting = said.values()
    assert "40 items of 2 classes" in training.stdout
    assert predicting.stdout.split()[1] == "steady"
    assert list(home.glob("*.png"))


def test_the_program_carries_the_package_by_name_and_version_and_asks_for_it_where_it_is_missing(walked):
    program = walked[0] / "run" / "program.pyz"
    card = Archive(program).card
    assert card["input"]["converter"]["package"] == {"name": "heartbeats", "version": "1.0"}
    assert card["needs"][-1] == "heartbeats"

    def ask(path, *arguments):
        env = {**os.environ, "PYTHONPATH": str(path)}
        command = [sys.executable, str(program), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=walked[0], env=env)

    missing = ask("", "beats/steady/1.beats")
    assert missing.returncode == 1
    assert "pip install" in missing.stderr
    assert "heartbeats" in missing.stderr
    assert "converter heartbeat of heartbeats 1.0" in ask(walked[0] / "packages", "--about").stdout

    newer = walked[0] / "newer"
    shutil.copytree(walked[0] / "packages", newer)
    (info,) = newer.glob("heartbeats-1.0.dist-info")
    (info / "METADATA").write_text((info / "METADATA").read_text().replace("Version: 1.0", "Version: 2.0"))
    assert "made with heartbeats 1.0, here is heartbeats 2.0" in ask(newer, "beats/steady/1.beats").stderr


def test_no_code_of_the_package_is_in_the_program(walked):
    assert b"class Heartbeat" not in (walked[0] / "run" / "program.pyz").read_bytes()
