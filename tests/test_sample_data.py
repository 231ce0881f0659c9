"""The samples are what `sample_data/make.py` makes, to the byte."""

import filecmp
import subprocess
import sys

from conftest import ROOT


def test_making_the_samples_again_gives_the_committed_files(tmp_path):
    subprocess.run([sys.executable, str(ROOT / "sample_data" / "make.py"), str(tmp_path)], check=True, capture_output=True)
    made = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    kept = sorted(path.relative_to(ROOT / "sample_data") for path in (ROOT / "sample_data" / "digits").rglob("*.png"))
    assert made == kept
    assert len(made) == 1797
    _, differing, missing = filecmp.cmpfiles(tmp_path, ROOT / "sample_data", [str(path) for path in made], shallow=False)
    assert (differing, missing) == ([], [])
