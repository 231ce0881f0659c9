"""One table for every benchmark: figure, ours, peer, ratio with its spread, target.

Machines are noisy: quote the ratios, which are taken pair by pair, not the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from toolkit.files import write_json


@dataclass
class Figure:
    """One measured figure.

    `ours` and `peer` are samples, in pairs where both have as many; `ratio` is peer / ours where lower is better (times
    as fast), else ours - peer. `target` is what to reach, in words; `reached` says whether it was, None where no target
    is set or this run was too short to tell.
    """

    name: str
    ours: list[float]
    peer: list[float] = field(default_factory=list)
    unit: str = ""
    lower_is_better: bool = False
    target: str = ""
    reached: bool | None = None
    note: str = ""

    @property
    def ratios(self) -> list[float]:
        """Pair by pair: peer / ours where lower is better, else ours - peer."""
        pairs = zip(self.ours, self.peer, strict=False)
        return [peer / ours if self.lower_is_better else ours - peer for ours, peer in pairs]

    @property
    def ratio(self) -> float:
        """The median of the pairs."""
        return statistics.median(self.ratios)

    def row(self) -> list[str]:
        """The figure as cells of the table."""
        spread = ""
        if self.peer:
            low, high, sign = min(self.ratios), max(self.ratios), "x" if self.lower_is_better else ""
            spread = f"{self.ratio:.3g}{sign} [{low:.3g}, {high:.3g}]"
        state = {True: "reached", False: "MISSED", None: ""}[self.reached]
        return [self.name, self._cell(self.ours), self._cell(self.peer), spread, self.target, state, self.note]

    def _cell(self, samples: list[float]) -> str:
        if not samples:
            return ""
        median = statistics.median(samples)
        return f"{median:.4g}{' ' + self.unit if self.unit else ''}" + (f" (n={len(samples)})" if len(samples) > 1 else "")


def in_turn(ours: Callable[[], object], peer: Callable[[], object], *, rounds: int) -> tuple[list[float], list[float]]:
    """Time two calls in turn, `rounds` times after one warm-up each, so that a slow spell meets both. Seconds."""
    samples: tuple[list[float], list[float]] = ([], [])
    for number in range(rounds + 1):
        for call, kept in zip((ours, peer), samples, strict=True):
            began = time.perf_counter()
            call()
            if number:
                kept.append(time.perf_counter() - began)
    return samples


def options(description: str) -> argparse.Namespace:
    """The command line every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    default = os.environ.get("TOOLKIT_DATA", str(Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=Path(default), help="folder of the public data sets (or $TOOLKIT_DATA)")
    parser.add_argument("--json", type=Path, help="write the figures to this file as well")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--short", action="store_true", help="a quick pass for CI: targets of training are not judged")
    return parser.parse_args()


def report(figures: list[Figure], chosen: argparse.Namespace) -> int:
    """Print the table, write the JSON where asked, return the exit status."""
    header = ["figure", "ours", "peer", "ratio or difference [min, max]", "target", "", "note"]
    rows = [header, *(figure.row() for figure in figures)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(header))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    if chosen.json:
        machine = {"python": platform.python_version(), "processor": platform.processor(), "cores": os.cpu_count()}
        kept = [{**figure.__dict__, "ratios": figure.ratios} for figure in figures]
        plain = json.dumps({"machine": machine, "short": chosen.short, "figures": kept}, default=lambda value: value.item())
        write_json(chosen.json, json.loads(plain))
    missed = [figure.name for figure in figures if figure.reached is False]
    return 1 if chosen.check and missed else 0
