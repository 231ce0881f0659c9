"""The command line of a program that recognises pictures, or what becomes pictures: a line an item."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ConversionError
from toolkit.program.options import MOST_PROBABLE, add_top

if TYPE_CHECKING:
    from toolkit.program.images.program import ImageProgram
    from toolkit.program.outputs import Moment

DOES = "recognise items and answer in words"
TAKES = "predicts from files"
HINT = "files"
MOST_STRETCHES = 20  # lines of one item


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only programs that recognise are asked."""
    add_top(parser)


def asked(chosen: argparse.Namespace) -> bool:
    """Whether something is to be predicted."""
    return bool(chosen.items)


def wrong_use(chosen: argparse.Namespace) -> str:
    """What is wrong with a combination of options: nothing can be."""
    return ""


def answer(program: ImageProgram, chosen: argparse.Namespace) -> int:
    """Predict each file; return the exit status, 1 where one could not be read."""
    failed, top = 0, chosen.top or MOST_PROBABLE
    results = program.predict_many(map(Path, chosen.items), strict=chosen.strict)
    for item, result in zip(chosen.items, results, strict=True):
        if isinstance(result, ConversionError):
            failed += 1
            if chosen.json:
                print(json.dumps({"item": item, "error": result.reason}, ensure_ascii=False), flush=True)
            print(f"error: {result}", file=sys.stderr)
        elif chosen.json:
            likeliest = dict(list(result.probabilities.items())[:top])
            line = {"item": item, "label": result.label, "probability": result.probability, "probabilities": likeliest}
            if program.input.windowed:
                line["timeline"] = [asdict(moment) for moment in result.timeline]
            print(json.dumps(line, ensure_ascii=False), flush=True)
        else:
            print(f"{item}  {result.text(top)}", flush=True)
            for stretch in _stretches(result.timeline):
                print(stretch, flush=True)
    return 1 if failed else 0


def _stretches(timeline: tuple[Moment, ...]) -> Iterator[str]:
    """What was recognised over time in a few lines: windows in a row that say the same are one."""
    if len(timeline) < 2:
        return
    found = [(label, list(moments)) for label, moments in groupby(timeline, key=lambda moment: moment.label)]
    for label, moments in found[:MOST_STRETCHES]:
        mean = sum(moment.probability for moment in moments) / len(moments)
        yield f"    {moments[0].start:8.2f} to {moments[-1].stop:8.2f} s  {label} {mean:.3f}"
    if len(found) > MOST_STRETCHES:
        yield f"    … {len(found) - MOST_STRETCHES} more: --json has all {len(timeline)} windows"
