"""Make every sample here, deterministically: `python sample_data/make.py`. What is real and what is made: SOURCE.md.

What it made is committed, so nobody has to run it; a test runs it and compares.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent


def digits(folder: Path) -> int:
    """scikit-learn's `load_digits`: 1,797 scanned digits, 8x8 pixels of 17 grey levels, white on black."""
    from sklearn.datasets import load_digits

    data = load_digits()
    for index, (levels, label) in enumerate(zip(data.images, data.target, strict=True)):
        target = folder / str(label) / f"{index:04d}.png"
        target.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.round(levels * (255 / 16)).astype(np.uint8)).save(target, optimize=True)
    return len(data.images)


def main(folder: Path = HERE) -> None:
    """Write all samples below `folder`."""
    print(f"digits: {digits(folder / 'digits')} pictures")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE)
