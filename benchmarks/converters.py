"""The cost of making pictures, beside librosa and matplotlib, and of making many: `python -m benchmarks.converters`.

Clips of `sounds_fsdd` and a session of `mouse_balabit` are read below --data; without them, made ones are used.
"""

from __future__ import annotations

import csv
import io
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):  # one thread on either side
    os.environ.setdefault(name, "1")

import librosa  # noqa: E402
import numpy as np  # noqa: E402
import scipy.fft  # noqa: E402
import soundfile  # noqa: E402
from numpy.lib.stride_tricks import sliding_window_view  # noqa: E402

from benchmarks.converting import kills, speed_and_memory  # noqa: E402
from benchmarks.harness import Figure, in_turn, options, report  # noqa: E402
from toolkit.converters.mouse import Mouse  # noqa: E402
from toolkit.converters.sound import Sound  # noqa: E402

FRESH = """
import time
began = time.perf_counter()
import sys
from toolkit.converters import find_converter
find_converter("sound")(sys.argv[1])
print(time.perf_counter() - began)
"""


def main() -> int:
    """Measure everything, print the table, return the exit status."""
    chosen = options(__doc__)
    figures: list[Figure] = []
    rounds = 5 if chosen.short else 30
    spectrograms(figures, chosen.data, rounds)
    fresh_process(figures, 3 if chosen.short else 9)
    drawings(figures, chosen.data, rounds)
    return report([*figures, *speed_and_memory(chosen.short), *kills(chosen.short)], chosen)


def clips(data: Path, count: int = 50) -> list[np.ndarray]:
    """Spoken digits at 8 kHz, float32."""
    files = sorted((data / "sounds_fsdd").glob("*.wav"))
    if files:
        return [soundfile.read(file, dtype="float32")[0] for file in files[:: len(files) // count]]
    rng = np.random.default_rng(0)
    return [rng.standard_normal(int(length)).astype(np.float32) / 9 for length in rng.integers(2000, 5000, count)]


def spectrograms(figures: list[Figure], data: Path, rounds: int) -> None:
    """Samples to a log-mel array of 128 bands: librosa, torchaudio where it imports, and the bare transform."""
    long = np.random.default_rng(0).standard_normal(5 * 44_100).astype(np.float32) / 9
    cases = [
        ("FSDD clips", clips(data), {"rate": 8000, "fft": 512, "hop": 128}, "at least 10 times as fast", 10),
        ("5 s at 44.1 kHz", [long], {"rate": 44_100, "fft": 2048, "hop": 512}, "at least 2.3 times as fast", 2.3),
    ]
    for what, samples, settings, target, least in cases:
        sound = Sound(mels=128, fmin=0, decibels=80, **settings)
        rate, fft, hop = sound.rate, sound.fft, sound.hop

        def ours(samples=samples, sound=sound):
            return [sound.levels(one) for one in samples]

        def theirs(samples=samples, rate=rate, fft=fft, hop=hop):
            return [
                librosa.power_to_db(
                    librosa.feature.melspectrogram(y=one, sr=rate, n_fft=fft, hop_length=hop, n_mels=128), ref=np.max
                )
                for one in samples
            ]

        apart = max(float(np.abs(a - b).max()) for a, b in zip(ours(), theirs(), strict=True))
        figure = compared(f"log-mel, {what}", in_turn(ours, theirs, rounds=rounds), len(samples))
        figure.target, figure.reached = target, figure.ratio >= least
        figure.note = f"peer: librosa; {apart:.1e} dB apart"
        figures.append(figure)
        frames = [framed(one, fft, hop) for one in samples]

        def bare(frames=frames):
            return [scipy.fft.rfft(each, axis=1) for each in frames]

        figure = compared(f"log-mel, {what}", in_turn(ours, bare, rounds=rounds), len(samples))
        within = 1 / figure.ratio
        figure.note = f"peer: the bare real transform of the same frames; {within:.2f} times its time"
        if what != "FSDD clips":
            figure.target, figure.reached = "within 2.2 times its time", within <= 2.2
        figures.append(figure)
        beside_torchaudio(figures, what, samples, settings, ours, rounds)


def beside_torchaudio(figures: list[Figure], what: str, samples: list, settings: dict, ours, rounds: int) -> None:
    """The same in torchaudio, where it can be imported."""
    try:
        import torch
        import torchaudio
    except (ImportError, OSError, RuntimeError):
        figures.append(Figure(f"log-mel, {what}", [], note="torchaudio does not import here: not compared"))
        return
    torch.set_num_threads(1)
    mel = torchaudio.transforms.MelSpectrogram(
        settings["rate"], settings["fft"], hop_length=settings["hop"], n_mels=128, norm="slaney", mel_scale="slaney",
        pad_mode="constant",
    )  # fmt: skip
    to_db = torchaudio.transforms.AmplitudeToDB(top_db=80)
    tensors = [torch.from_numpy(one) for one in samples]
    figure = compared(
        f"log-mel, {what}", in_turn(ours, lambda: [to_db(mel(one)) for one in tensors], rounds=rounds), len(samples)
    )
    figure.target, figure.reached, figure.note = "not slower", figure.ratio >= 1, "peer: torchaudio"
    figures.append(figure)


def compared(name: str, timed: tuple[list[float], list[float]], items: int) -> Figure:
    """Milliseconds an item, ours and the peer's."""
    ours, peer = ([1e3 * seconds / items for seconds in samples] for samples in timed)
    return Figure(name, ours, peer, "ms", True)


def framed(samples: np.ndarray, fft: int, hop: int) -> np.ndarray:
    """The windowed frames, ready to be transformed, float32 (frames, fft)."""
    padded = np.pad(samples, fft // 2)
    return np.ascontiguousarray(sliding_window_view(padded, fft)[::hop] * np.hanning(fft + 1)[:-1].astype(np.float32))


def fresh_process(figures: list[Figure], rounds: int) -> None:
    """From nothing imported to the first picture of a sound at another rate than the picture's."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.wav"
        soundfile.write(path, clips(Path(folder), 1)[0], 44_100)
        seconds = [
            float(subprocess.run([sys.executable, "-c", FRESH, str(path)], capture_output=True, text=True, check=True).stdout)
            for _ in range(rounds + 1)
        ][1:]
    median = statistics.median(seconds)
    figures.append(
        Figure(
            "first picture of a fresh process, imports included", seconds, unit="s", target="under 0.5 s", reached=median < 0.5
        )
    )


def drawings(figures: list[Figure], data: Path, rounds: int) -> None:
    """1,000 mouse events from the CSV file to a picture of 128x128, antialiased: csv.DictReader and matplotlib beside it."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure as Drawing

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.csv"
        path.write_text(log(data))

        def theirs():
            with open(path, newline="") as stream:
                rows = list(csv.DictReader(stream))
            x, y = (np.array([float(row[name]) for row in rows]) for name in "xy")
            drawing = Drawing(figsize=(1.28, 1.28), dpi=100)
            FigureCanvasAgg(drawing)
            axes = drawing.add_axes((0, 0, 1, 1))
            points = np.stack([x, y], axis=1)
            axes.add_collection(LineCollection(np.stack([points[:-1], points[1:]], axis=1), linewidths=1))
            pressed = [row["state"] == "Pressed" for row in rows]
            axes.scatter(x[pressed], y[pressed], s=9, facecolors="none", edgecolors="red")
            axes.autoscale()
            axes.axis("off")
            stream = io.BytesIO()
            drawing.savefig(stream, format="raw")
            return stream.getvalue()

        for channels in ("plain", "speed", "rhythm"):
            mouse = Mouse(size=128, channels=channels, antialias=True)
            figure = compared(f"1,000 mouse events, {channels}", in_turn(lambda m=mouse: m(path), theirs, rounds=rounds), 1)
            figure.target, figure.reached = "at least 5 times as fast", figure.ratio >= 5
            figure.note = "peer: csv.DictReader and matplotlib's LineCollection"
            figures.append(figure)


def log(data: Path) -> str:
    """A pointer log of 1,000 events as CSV text."""
    sessions = sorted((data / "mouse_balabit").glob("*/*.csv"))
    if sessions:
        return "".join(sessions[0].read_text().splitlines(keepends=True)[:1001])
    rng = np.random.default_rng(0)
    track = np.cumsum(rng.normal(0, 12, (1000, 2)), axis=0) + 900
    rows = [f"{i / 60:.3f},NoButton,{'Pressed' if i % 97 == 0 else 'Move'},{x:.0f},{y:.0f}" for i, (x, y) in enumerate(track)]
    return "\n".join(["time,button,state,x,y", *rows])


if __name__ == "__main__":
    raise SystemExit(main())
