"""Converting a tree of sounds: how it scales, whether its memory is flat, and what kills cost.

It is a file of its own because it measures the way, not the picture: `python -m benchmarks.converting`. The clips are made
here (a second at 16 kHz: two tones that rise, and noise) and stand on disk under many names: no data is needed. Takes about
ten minutes on two cores that have nothing else to do: where others work on them, look at the second figure.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import wave
from pathlib import Path

import numpy as np

from benchmarks.harness import Figure, options, report
from toolkit.data.convert import convert_tree
from toolkit.files import PART

RATE = 16_000
MADE = 200  # different clips; the rest are the same files under other names
FOLDERS = 20
MANY = 20_000
COMMAND = [sys.executable, "-m", "toolkit.data.convert", "sound"]


def main() -> int:
    """Measure everything, print the table, return the exit status."""
    chosen = options(__doc__)
    return report([*speed_and_memory(chosen.short), *kills(chosen.short)], chosen)


def speed_and_memory(short: bool) -> list[Figure]:
    """Two processes, one, and two commands with a half of the clips each, in turn; then the peaks of the command and of its
    workers on few clips and on many."""
    count, rounds = (400, 1) if short else (MANY, 3)
    with tempfile.TemporaryDirectory() as folder:
        clips = make_clips(Path(folder, "clips", "0"), count // 2).parent
        make_clips(clips / "1", count // 2)
        ways = {
            "2": lambda made: convert_tree("sound", clips, target=made, jobs=2),
            "1": lambda made: convert_tree("sound", clips, target=made, jobs=1),
            "halves": lambda made: _at_once([[*COMMAND, clips / part, made / part, "--jobs", "1"] for part in ("0", "1")]),
        }
        seconds, work = {way: [] for way in ways}, dict.fromkeys(ways, 0.0)
        ways["1"](Path(folder, "warm"))  # nothing is removed before the end: where files just were, ext4 makes new ones slowly
        for turn in range(rounds):
            for way, call in ways.items():
                made = Path(folder, f"{way}_{turn}")
                began, before = time.perf_counter(), sum(os.times()[:4])
                call(made)
                seconds[way].append(time.perf_counter() - began)
                work[way] += sum(os.times()[:4]) - before
                assert _count(made / "0") + _count(made / "1") >= count
        peaks = [_peaks(make_clips(Path(folder, f"clips_{many}"), many), folder) for many in (count // 10, count)]
    speed = Figure(f"{count} clips: jobs=2 against jobs=1", seconds["2"], seconds["1"], "s", True, "1.7 times as fast")
    speed.note = f"processor time of both workers and the parent: {work['2'] / work['1']:.2f} times that of jobs=1"
    speed.reached = None if short else speed.ratio >= 1.7
    bound = Figure(f"{count} clips: jobs=2 against two commands", seconds["2"], seconds["halves"], "s", True)
    bound.note = "peer: a half of the clips each, at once: what two cores give here (their start, half a second, counts)"
    figures = [speed, bound]
    for what, few, many in zip(("the command", "its largest worker"), *peaks, strict=True):
        name = f"peak memory of {what} on {count} clips"
        figure = Figure(name, [many], [few], "MB", True, "flat: within a tenth", note=f"peer: on {count // 10}")
        figure.reached = None if short else many <= 1.1 * few
        figures.append(figure)
    return figures


def kills(short: bool) -> list[Figure]:
    """The command killed at random moments, with its workers or alone, and started again at once."""
    count, times, chance = (400, 3, random.Random(0)) if short else (MANY, 10, random.Random(0))
    again = lost = 0
    with tempfile.TemporaryDirectory() as folder:
        clips, target = make_clips(Path(folder, "clips"), count), Path(folder, "pictures")
        finished: dict[str, int] = {}
        for number in range(times + 1):
            process = subprocess.Popen([*COMMAND, clips, target], start_new_session=True, **_QUIET)
            if number < times:
                wanted = len(finished) + chance.randrange(count // (times + 2))
                while _count(target) <= wanted and process.poll() is None:
                    time.sleep(0.02)
                time.sleep(chance.random() / 20)
                (os.kill if number % 2 else os.killpg)(process.pid, signal.SIGKILL)
            process.wait()
            now = _written(target)
            lost += len(finished.keys() - now.keys())
            again += sum(now.get(path, written) != written for path, written in finished.items())
            finished = now
        missing = count - len(finished)
        parts = sum(1 for _ in target.rglob(f"*{PART}"))
    named = {"made again": again, "lost": lost, "missing at the end": missing, "temporary files left": parts}
    return [
        Figure(f"{times} kills over {count} clips: pictures {what}", [number], target="none", reached=number == 0)
        for what, number in named.items()
    ]


_QUIET = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}


def make_clips(folder: Path, count: int) -> Path:
    """`count` WAV files in some folders below `folder`, of `MADE` different sounds."""
    if not folder.exists():
        rng = np.random.default_rng(0)
        at = np.arange(RATE) / RATE
        for number in range(count):
            path = folder / str(number % FOLDERS) / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            if number >= MADE:
                os.link(folder / str(number % MADE % FOLDERS) / f"{number % MADE}.wav", path)
                continue
            low, high = rng.uniform(100, 6000, 2)
            tones = np.sin(2 * np.pi * (low + 500 * at) * at) + np.sin(2 * np.pi * (high + 200 * at) * at)
            sound = 6000 * tones + rng.normal(0, 800, RATE)
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, RATE, 0, "NONE", ""))
                file.writeframes(sound.astype("<i2").tobytes())
    return folder


def _at_once(lines: list[list]) -> None:
    processes = [subprocess.Popen(line, **_QUIET) for line in lines]
    assert [process.wait() for process in processes] == [0] * len(lines)


def _peaks(clips: Path, folder: str) -> tuple[float, float]:
    """The peak memory of the command and of the largest process it starts, in megabytes, as the kernel counts it."""
    process = subprocess.Popen([*COMMAND, clips, Path(folder, f"of_{clips.name}"), "--jobs", "2"], **_QUIET)
    command = worker = 0
    while process.poll() is None:
        for path in Path("/proc").glob("[0-9]*/status"):
            try:
                status = path.read_text()
            except OSError:  # it ended
                continue
            peak = int((re.search(r"VmHWM:\s+(\d+)", status) or [0, 0])[1])
            if path.parent.name == str(process.pid):
                command = max(command, peak)
            elif re.search(rf"PPid:\s+{process.pid}\n", status):
                worker = max(worker, peak)
        time.sleep(0.1)
    return command / 1024, worker / 1024


def _count(target: Path) -> int:
    return sum(len(names) for _, _, names in os.walk(target))


def _written(target: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in target.rglob("*.png")}


if __name__ == "__main__":
    sys.exit(main())
