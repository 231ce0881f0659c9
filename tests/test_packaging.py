"""The wheel installs into a fresh environment, and a program runs in one that holds its three packages and nothing else."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest
from helpers import ROOT

import toolkit

pytest_plugins = ["helpers.tabular_runs"]

NEEDS = ("numpy", "pillow", "onnxruntime")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, check=True, timeout=600, **options)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel, built from the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def fresh(tmp_path_factory) -> Path:
    """The Python of a fresh environment with what a program needs and nothing else."""
    folder = tmp_path_factory.mktemp("fresh") / "env"
    venv.create(folder, with_pip=True)
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    run(python, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", *NEEDS)
    return python


def test_the_wheel_holds_the_two_packages_and_nothing_beside_them(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = archive.read(next(name for name in names if name.endswith("METADATA"))).decode()
    assert {"toolkit/reports/page.html", "toolkit/py.typed", "recipes/py.typed"} <= set(names)
    assert f"\nVersion: {toolkit.__version__}\n" in metadata
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"toolkit", "recipes"}
    required = [line for line in metadata.splitlines() if line.startswith("Requires-Dist") and "extra ==" not in line]
    assert {line.split()[1].split(">")[0] for line in required} == set(NEEDS)


def test_a_program_predicts_where_only_its_three_packages_are_installed(fresh, trained, tmp_path):
    program = tmp_path / "elsewhere" / "program.pyz"
    program.parent.mkdir()
    program.write_bytes((trained[1] / "program.pyz").read_bytes())
    picture = trained[0].dls[2].dataset.items[0]
    done = run(fresh, "-I", program, picture, "--top", "1", cwd=tmp_path)
    assert done.stdout.split()[1] == trained[2].predictions.predicted[0]
    assert "answered as at export" in run(fresh, "-I", program, "--selftest", cwd=tmp_path).stdout


def test_a_program_of_tables_predicts_there_and_loads_no_pillow(fresh, planner, tmp_path):
    program = tmp_path / "program.pyz"
    program.write_bytes(planner.path.read_bytes())
    (tmp_path / "people.csv").write_bytes(planner.csv.read_bytes())
    code = f"""
import runpy, sys
sys.argv = [{str(program)!r}, "people.csv", "--out", "-"]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    print(end.code, "PIL" in sys.modules)
"""
    lines = run(fresh, "-I", "-c", code, cwd=tmp_path).stdout.splitlines()
    assert len(lines) == 1 + 300 + 1
    assert lines[-1] == "0 False"
    assert "answered as at export" in run(fresh, "-I", program, "--selftest", cwd=tmp_path).stdout


def test_a_program_that_hears_asks_for_what_it_needs_and_then_runs(fresh, listener, recordings, tmp_path):
    program = tmp_path / "program.pyz"
    program.write_bytes((listener[1] / "program.pyz").read_bytes())
    sound = recordings / "low" / "low_0.wav"
    lacking = subprocess.run([fresh, "-I", program, sound], capture_output=True, text=True, check=False)
    assert lacking.returncode == 1
    assert "needs scipy, soundfile: pip install scipy soundfile" in lacking.stderr
    run(fresh, "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt", "scipy", "soundfile")
    assert run(fresh, "-I", program, sound, cwd=tmp_path).stdout.split()[1] == "low"


def test_the_wheel_installs_and_runs_in_a_fresh_environment(fresh, wheel, trained, tmp_path):
    run(fresh, "-m", "pip", "install", "--quiet", "--no-deps", wheel)
    assert "recipes.image_classification" in run(fresh, "-m", "recipes", cwd=tmp_path).stdout
    picture = trained[0].dls[2].dataset.items[0]
    code = f"from toolkit.program import load; print(load({str(trained[1] / 'program.pyz')!r}).predict({str(picture)!r}).label)"
    assert run(fresh, "-I", "-c", code, cwd=tmp_path).stdout.strip() == trained[2].predictions.predicted[0]
    assert run(fresh, "-m", "toolkit.program", trained[1] / "program.pyz", picture, cwd=tmp_path).stdout.startswith(str(picture))
