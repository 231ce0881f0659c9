"""Shrinking beside plain Pillow: `python -m benchmarks.shrink`.

Photos are drawn here (noise at every scale, as photos have; 12 megapixels, JPEG quality 90, about 3 MB) and stand on disk
under many names: no data is needed. Both sides write the shrunk picture. Takes about five minutes and 400 MB of disk.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.harness import Figure, options, report
from recipes.image_classification import build_learner
from toolkit.data.shrink import shrink_tree

SIZE = 256  # pixels of the shorter side
DRAWN = 20  # different photos; the rest are the same files under other names
# the peak of the process itself: getrusage would count its parent's, from before it was replaced
MEASURE = """
import re, sys
from toolkit.data.shrink import main
main(sys.argv[1:])
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""


def main() -> int:
    """Measure everything, print the table, return the exit status."""
    chosen = options(__doc__)
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        large(figures, Path(folder), 40 if chosen.short else 2000)
        small(figures, Path(folder), (100, 1000) if chosen.short else (2000, 20_000))
        again(figures, Path(folder), 40 if chosen.short else 400)
    return report(figures, chosen)


def large(figures: list[Figure], folder: Path, count: int, rounds: int = 10) -> None:
    """Photos of 12 megapixels: our command's tree, and plain Pillow in one process, in turn."""
    photos = [folder / "photos" / str(part) for part in range(rounds)]
    tree(folder / "drawn", photos, count // rounds, (4000, 3000))
    ours, peer = [], []
    for part in photos:
        began = time.perf_counter()
        outcome = shrink_tree(part, folder / "ours" / part.name, size=SIZE)
        ours.append(time.perf_counter() - began)
        assert outcome.counts["shrunk"] == count // rounds
        began = time.perf_counter()
        plain_pillow(part, folder / "peer" / part.name)
        peer.append(time.perf_counter() - began)
    figure = Figure(f"{count} photos of 12 megapixels, in {rounds} parts", ours, peer, "s", True, "4 times as fast")
    figure.reached, figure.note = figure.ratio >= 4, "peer: Image.open, resize, save in one process"
    apart = difference(folder / "ours" / "0", folder / "peer" / "0")
    figures += [
        figure,
        Figure("shrunk pictures apart, grey levels of 255", [apart], note="mean over pixels, ours and the peer's"),
    ]


def plain_pillow(source: Path, target: Path) -> None:
    """What is written by hand: open each, resize, save."""
    target.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        with Image.open(path) as image:
            scale = SIZE / min(image.size)
            image.resize((round(image.width * scale), round(image.height * scale))).save(target / path.name, quality=92)


def difference(ours: Path, peer: Path) -> float:
    """The mean absolute difference of the pictures in two folders, in grey levels."""
    pairs = [(np.asarray(Image.open(path), dtype=int), np.asarray(Image.open(peer / path.name))) for path in ours.glob("*.jpg")]
    return float(np.mean([np.abs(one - other).mean() for one, other in pairs]))


def small(figures: list[Figure], folder: Path, counts: tuple[int, int]) -> None:
    """Peak memory of the command on few and on many small pictures."""
    peaks = []
    for count in counts:
        tree(folder / "drawn_small", [folder / f"small_{count}"], count, (320, 240))
        command = [sys.executable, "-c", MEASURE, str(folder / f"small_{count}"), str(folder / f"shrunk_{count}"), "--size", "64"]
        began = time.perf_counter()
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        seconds = time.perf_counter() - began
        peaks.append(int(done.stdout.split()[-1]) / 1024)
    figure = Figure(f"peak memory on {counts[1]} small pictures", [peaks[1]], [peaks[0]], "MB", True, "flat: within a tenth")
    figure.reached, figure.note = peaks[1] <= 1.1 * peaks[0], f"peer: the same on {counts[0]}; {seconds:.0f} s"
    figures.append(figure)


def again(figures: list[Figure], folder: Path, count: int) -> None:
    """The recipe on large photos: reading them for the first run, and for the next one from the cache."""
    photos = [folder / "classes" / name for name in ("one", "two")]
    tree(folder / "drawn", photos, count // 2, (4000, 3000), different=True)
    times = []
    for _ in range(2):
        began = time.perf_counter()
        build_learner(folder / "classes", cache=folder / "cache", weights="random")
        times.append(time.perf_counter() - began)
    figure = Figure(f"recipe: reading {count} photos, second run", times[1:], times[:1], "s", True, note="peer: the first run")
    figures.append(figure)


def tree(drawn: Path, folders: list[Path], count: int, size: tuple[int, int], different: bool = False) -> None:
    """`count` JPEG files of `size` in each of `folders`; with `different`, no two files are the same."""
    if not drawn.exists():
        drawn.mkdir(parents=True)
        for number in range(DRAWN):
            draw(np.random.default_rng(number), size).save(drawn / f"{number}.jpg", quality=90)
    files = sorted(drawn.iterdir())
    for part, folder in enumerate(folders):
        folder.mkdir(parents=True)
        for number in range(count):
            name = folder / f"{number:05d}.jpg"
            if different:  # bytes after a JPEG's end are not part of the picture
                shutil.copy(files[number % len(files)], name)
                with open(name, "ab") as stream:
                    stream.write(f"{part} {number}".encode())
            else:
                os.link(files[number % len(files)], name)


def draw(rng: np.random.Generator, size: tuple[int, int]) -> Image.Image:
    """Noise whose strength grows with its scale: as many bytes as a photo, and as smooth when it is shrunk."""
    whole = np.zeros((size[1], size[0], 3), dtype=np.float32)
    for octave in range(8):
        side = 2**octave
        coarse = rng.normal(0, side**0.6, (size[1] // side + 1, size[0] // side + 1, 3)).astype(np.float32)
        channels = [Image.fromarray(coarse[..., i]).resize(size, Image.Resampling.BILINEAR) for i in range(3)]
        whole += np.stack([np.asarray(channel) for channel in channels], axis=2)
    return Image.fromarray((128 + 50 * (whole - whole.mean()) / whole.std()).clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    sys.exit(main())
