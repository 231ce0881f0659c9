"""Good files for every registered converter, made small: what the conformance test and the command lines read."""

import math
import struct
import wave
from pathlib import Path

import numpy as np

SAMPLE_RATE = 16_000


def sample_files(name: str, folder: Path) -> list[Path]:
    """Two or more files that the converter registered as `name` reads, written into `folder`."""
    assert name in MAKERS, f"no samples for the converter {name!r}: add a function that writes some to MAKERS in {__file__}"
    folder.mkdir(parents=True, exist_ok=True)
    return MAKERS[name](folder)


def _sounds(folder: Path) -> list[Path]:
    paths = [folder / "short.wav", folder / "long.wav"]
    for path, seconds, pitch in zip(paths, (0.5, 3.2), (440, 880), strict=True):
        levels = [round(12_000 * math.sin(2 * math.pi * pitch * i / SAMPLE_RATE)) for i in range(int(seconds * SAMPLE_RATE))]
        with wave.open(str(path), "wb") as sound:
            sound.setnchannels(1)
            sound.setsampwidth(2)
            sound.setframerate(SAMPLE_RATE)
            sound.writeframes(struct.pack(f"<{len(levels)}h", *levels))
    return paths


def _mouse_logs(folder: Path) -> list[Path]:
    paths = [folder / "circle.csv", folder / "loops.csv"]
    for path, turns in zip(paths, (1, 7), strict=True):
        angles = [turn / 50 * 2 * math.pi for turn in range(50 * turns)]
        rows = [f"{i * 0.02:.2f},{400 + 200 * math.cos(a):.0f},{300 + 150 * math.sin(a):.0f}," for i, a in enumerate(angles)]
        events = [row + ("Left,Pressed" if i % 25 == 10 else "NoButton,Move") for i, row in enumerate(rows)]
        path.write_text("\n".join(["time,x,y,button,state", *events]))
    return paths


def _series(folder: Path) -> list[Path]:
    paths = [folder / "waves.csv", folder / "waves.tsv"]
    for path, separator in zip(paths, ",\t", strict=True):
        rows = [(i, f"{math.sin(i / 9):.4f}", "" if i % 7 == 0 else f"{math.cos(i / 5):.4f}") for i in range(300)]
        path.write_text("\n".join(separator.join(map(str, row)) for row in [("time", "left", "right"), *rows]))
    return paths


def _binaries(folder: Path) -> list[Path]:
    paths = [folder / "small.bin", folder / "large.dat"]
    for path, length in zip(paths, (777, 50_000), strict=True):
        path.write_bytes(np.random.default_rng(length).bytes(length))
    return paths


# settings with which a converter gives windows
WINDOWED = {"sound": {"duration": 1.0}, "mouse": {"length": 40}}
MAKERS = {"sound": _sounds, "mouse": _mouse_logs, "series": _series, "bytes": _binaries}
