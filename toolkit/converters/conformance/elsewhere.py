"""The part of the conformance kit that happens in another process: same pixels there, time and memory, gigabytes.

The other process runs `main` of this file. It is started fresh and not by multiprocessing, which would run the caller's script a
second time.
"""

from __future__ import annotations

import json
import os
import pickle
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

from toolkit.converters.base import Converter, Windowed
from toolkit.converters.conformance.cases import Case, attempt, print_of, told, wrong_answer

CODE = f"import sys, json; sys.path[:] = json.loads(sys.argv[1]); from {__name__} import main; main(sys.argv[2])"
HUGE = 3 * 2**30  # bytes of a file, nearly all of them a hole
MEMORY = 2**30  # bytes that a converter may take beyond what it holds after small items
START = 2**20  # bytes of a sample that a huge file begins with
PATIENCE = 120  # seconds
TIMED, TIMING = 5, 2.0  # readings of a sample at most, and seconds of them together
WINDOWS = 20  # of a huge file
KEPT = 16 * 2**20  # bytes by which memory may grow from the first window to the last


def in_another_process(case: Case) -> Iterator[str]:
    """Problems that show in a fresh process. `case` learns how long an item took, and how much memory."""
    kind = type(case.converter)
    if kind.__module__ == "__main__":
        yield f"{kind.__name__} is defined in __main__, which no other process can import: move it into a module of its own"
        return
    pickled = attempt(pickle.dumps, case.converter)
    if isinstance(pickled, Exception):
        yield f"cannot be pickled, and so not reach another process: {told(pickled)}: define the class at the top of a module"
        return
    home = case.folder / "process"
    (home / "cwd").mkdir(parents=True)
    (home / "converter.pickle").write_bytes(pickled)
    job = {
        "samples": [str(sample) for sample in case.prints],
        "huge": [str(path) for path in _huge_files(case)],
        "windowed": case.windowed,
    }
    (home / "job.json").write_text(json.dumps(job))
    path = json.dumps([os.path.abspath(entry) for entry in sys.path])
    try:
        done = subprocess.run(
            [sys.executable, "-c", CODE, path, str(home)],
            cwd=home / "cwd", stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=PATIENCE,
            check=False,
        )  # fmt: skip
        failure = (done.stderr.strip().splitlines() or ["no message"])[-1] if done.returncode else ""
        if done.returncode < 0:
            failure = f"ended by signal {-done.returncode}"
    except subprocess.TimeoutExpired:
        failure = f"not done after {PATIENCE} s"
    answers = [json.loads(line) for line in (home / "answers").read_text().splitlines()] if (home / "answers").exists() else []
    if failure:
        step = answers[-1]["step"] if answers else "starting"
        yield f"another process failed while {step}: {failure[:300]}: it must be able to import the class, and outlive any input"
    for answer in answers:
        yield answer.get("problem", "")
        sample = Path(answer.get("sample", ""))
        if sample in case.prints and answer["print"] != case.prints[sample]:
            yield f"sample {sample.name}: another picture in another process: depend on nothing but the source and the settings"
        case.seconds, case.peak = answer.get("seconds", case.seconds), answer.get("peak", case.peak)
        case.left_out |= answer.get("left out", {})
    if left := sorted(os.listdir(home / "cwd")):
        yield f"left {', '.join(left[:5])} in the working directory: write nothing, or into tempfile.TemporaryDirectory()"


def main(home: str) -> None:
    """What the other process does: read the samples, then, with little memory left, huge files. Answers go to a file, since
    a converter may print."""
    folder = Path(home)
    job = json.loads((folder / "job.json").read_text())
    with open(folder / "answers", "w", encoding="utf-8") as answers:

        def tell(**answer: object) -> None:
            print(json.dumps(answer), file=answers, flush=True)

        tell(step="unpickling the converter")
        converter = pickle.loads((folder / "converter.pickle").read_bytes())  # the parent wrote it a moment ago
        seconds: list[float] = []
        peaks = [0]
        for sample in map(Path, job["samples"]):
            tell(step=f"reading {sample.name}")
            answer = attempt(converter, sample)
            tell(step=f"timing {sample.name}", sample=str(sample), print=print_of(answer))
            seconds += _seconds(converter, sample)
            peaks.append(_peak(converter, sample))
            if job["windowed"]:
                tell(step=f"reading windows of {sample.name}")
                tell(step=f"read windows of {sample.name}", problem=_growing(converter, sample))
        tell(step="limiting memory", seconds=statistics.median(seconds or [0.0]), peak=max(peaks))
        if job["huge"] and not _limit_memory():
            tell(step="", **{"left out": {"bounded memory": "this system sets no limit to it; huge files were read without one"}})
        for path in map(Path, job["huge"]):
            tell(step=f"reading {path.stem}")
            tell(step=f"read {path.stem}", problem=_judged(converter, path.stem, source=path, convert=converter))
            if job["windowed"]:
                tell(step=f"reading windows of {path.stem}")
                what = f"windows of {path.stem}"
                tell(
                    step=f"read {what}",
                    problem=_judged(converter, what, source=path, convert=lambda source: _last_window(converter, source)),
                )


def _huge_files(case: Case) -> list[Path]:
    """A hole of gigabytes, and a sample's start before such a hole; none where the disk or its file system refuses."""
    suffix = case.samples[0].suffix
    files = {
        f"{HUGE >> 30} GiB of zeros": b"",
        f"a sample's start and {HUGE >> 30} GiB of zeros": case.samples[0].read_bytes()[:START],
    }
    paths = []
    try:
        for name, start in files.items():
            paths.append(case.folder / f"{name}{suffix}")
            with open(paths[-1], "wb") as stream:
                stream.write(start)
                stream.truncate(HUGE)
    except OSError as error:
        case.left_out["gigabytes"] = f"such a file cannot be made here ({error.strerror or error})"
        return []
    return paths


def _seconds(converter: Converter, sample: Path) -> list[float]:
    taken: list[float] = []
    while len(taken) < TIMED and sum(taken) < TIMING:
        start = time.perf_counter()
        attempt(converter, sample)
        taken.append(time.perf_counter() - start)
    return taken


def _peak(converter: Converter, sample: Path) -> int:
    tracemalloc.start()
    try:
        attempt(converter, sample)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _growing(converter: Windowed, sample: Path) -> str:
    """A problem where memory grows with the number of windows."""
    tracemalloc.start()
    try:
        peaks = [tracemalloc.get_traced_memory()[1] for _ in converter.windows(sample)]
    except Exception:
        return ""  # the process that tests has said so
    finally:
        tracemalloc.stop()
    if peaks and peaks[-1] > 2 * peaks[0] + KEPT:
        grown = f"from {peaks[0] / 1e6:.0f} to {peaks[-1] / 1e6:.0f} MB"
        return f"windows of {sample.name}: memory grew {grown} over {len(peaks)}: read in pieces, and keep what one window needs"
    return ""


def _last_window(converter: Windowed, source: Path) -> object:
    """The last of the first windows of a huge file."""
    images = deque((image for _, _, image in islice(converter.windows(source), WINDOWS)), maxlen=1)
    return images.pop() if images else None


def _limit_memory() -> bool:
    """Let this process take `MEMORY` more, if the system can. RLIMIT_DATA and not RLIMIT_AS: a file that is mapped, however
    long, takes addresses but no memory of its own."""
    try:
        import resource

        used = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmData:"))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (int(used.split()[1]) * 1024 + MEMORY, hard))
    except (ImportError, OSError, ValueError, StopIteration):  # Windows; systems without /proc; a lower limit is set
        return False
    return True


def _judged(converter: Converter, what: str, *, source: Path, convert: Callable[[Path], object]) -> str:
    answer = attempt(convert, source)
    cause: BaseException | None = answer if isinstance(answer, Exception) else None
    while cause is not None:
        if isinstance(cause, MemoryError):
            return f"{what}: took over {MEMORY >> 30} GiB of memory: read in pieces, or refuse its size with a ConversionError"
        cause = cause.__cause__ or cause.__context__
    return wrong_answer(converter, what, source=source, answer=answer)
