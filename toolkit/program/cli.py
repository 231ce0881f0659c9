"""The program's own command line: `python program.pyz photo.jpg`.

It is a file of its own because it is the face of every program, whatever its task.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

from toolkit.errors import ConversionError, ToolkitError
from toolkit.program.collab.cli import add_options, answer, asked_of_recommender, wrongly_asked

MOST_PROBABLE = 3  # classes that are shown
MOST_STRETCHES = 20  # lines of one item


def main(archive: str, arguments: list[str] | None = None) -> int:
    """Run the command line of the program file `archive`; return the exit status.

    0: every item was predicted; 1: an item, the self-test or the program failed; 2: wrong usage.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that this terminal's encoding lacks must not stop the rest
            stream.reconfigure(errors="backslashreplace")
    parser = _parser(Path(archive).name)
    chosen = parser.parse_args(arguments)
    row = chosen.row is not None
    asked = asked_of_recommender(chosen)
    if not (chosen.items or row or asked or chosen.about or chosen.selftest):
        parser.error(
            "name at least one item to predict, or --about or --selftest (of a program that recommends: --likes, --user)"
        )
    if wrong := wrongly_asked(chosen):
        parser.error(wrong)
    if row and chosen.items:
        parser.error("--row is a row of its own: give it without files")
    if chosen.why and not row:
        parser.error("--why explains the prediction for a --row")
    try:
        from toolkit.program import load

        if chosen.about:
            from toolkit.program.about import about
            from toolkit.program.archive import Archive

            card = Archive(archive).card
            print(json.dumps(card, indent=2, ensure_ascii=False) if chosen.json else about(card))
            return 0
        program = load(archive)
        if chosen.selftest:
            return _selftest(program)
        if program.card["input"]["kind"] == "ratings":
            if not asked:
                parser.error(
                    "this program recommends and takes no files: ask with --likes, --user, --similar, --predict, --everyone"
                )
            return answer(program, chosen)
        if asked:
            parser.error(f"{asked[0]} is for programs that recommend; this one predicts from files")
        chosen.top = chosen.top or MOST_PROBABLE
        if program.card["input"]["kind"] == "table":
            from toolkit.program.tabular.cli import answer_files, answer_row

            if row:
                return answer_row(program, chosen.row, chosen.json, chosen.top, chosen.why)
            return answer_files(program, chosen.items, chosen.out, chosen.json, chosen.top, chosen.strict)
        if row:
            parser.error("--row is for programs that predict from the rows of a table; this one takes files")
        if program.card["output"]["kind"] == "mask":
            from toolkit.program.segmentation.cli import colour_in

            return colour_in(program, chosen.items, chosen.out or "segmented", chosen.json, chosen.top, chosen.strict)
        if chosen.out:
            parser.error("--out is for programs that answer for each pixel or from tables; this one answers in words")
        return _predict(program, chosen)
    except ToolkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: what was not finished is not written", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (head, less) has seen enough
        sys.stderr.close()
        return 0


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python {name}", description="Predict with a trained model.")
    parser.add_argument(
        "items", nargs="*", metavar="FILE", help="what to predict: any number of files (of tables: CSV; - for standard input)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object for each item")
    parser.add_argument(
        "--top", type=_at_least_one, metavar="N", help="show the N most probable classes (default: 3), or N items (default: 10)"
    )
    parser.add_argument(
        "--out", metavar="PLACE", help="of a program that answers for each pixel: the folder for masks and coloured pictures "
        "(default: segmented; none: nowhere); of one that predicts from tables: the CSV to write (default: NAME.predicted.csv; "
        "-: standard output), or of several the folder; with --everyone: the CSV to write (default: recommendations.csv)",
    )  # fmt: skip
    parser.add_argument(
        "--row", metavar="JSON", help="of a program that predicts from tables: one row, an object of column: cell"
    )
    parser.add_argument("--why", action="store_true", help="which columns moved the prediction for --row, and how far")
    add_options(parser)
    parser.add_argument(
        "--strict", action="store_true", help="stop at the first item that cannot be read, or title that had to be guessed"
    )
    parser.add_argument("--about", action="store_true", help="show what this program is, its scores, and what it needs")
    parser.add_argument("--selftest", action="store_true", help="check that it answers here as it did when it was made")
    return parser


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1")
    return int(text)


def _predict(program, chosen: argparse.Namespace) -> int:
    failed = 0
    results = program.predict_many(map(Path, chosen.items), strict=chosen.strict)
    for item, result in zip(chosen.items, results, strict=True):
        if isinstance(result, ConversionError):
            failed += 1
            if chosen.json:
                print(json.dumps({"item": item, "error": result.reason}, ensure_ascii=False), flush=True)
            print(f"error: {result}", file=sys.stderr)
        elif chosen.json:
            top = dict(list(result.probabilities.items())[: chosen.top])
            line = {"item": item, "label": result.label, "probability": result.probability, "probabilities": top}
            if program.input.windowed:
                line["timeline"] = [asdict(moment) for moment in result.timeline]
            print(json.dumps(line, ensure_ascii=False), flush=True)
        else:
            print(f"{item}  {result.text(chosen.top)}", flush=True)
            for line in _stretches(result.timeline):
                print(line, flush=True)
    return 1 if failed else 0


def _stretches(timeline: tuple) -> Iterator[str]:
    """What was recognised over time in a few lines: windows in a row that say the same are one."""
    if len(timeline) < 2:
        return
    found = [(label, list(moments)) for label, moments in groupby(timeline, key=lambda moment: moment.label)]
    for label, moments in found[:MOST_STRETCHES]:
        mean = sum(moment.probability for moment in moments) / len(moments)
        yield f"    {moments[0].start:8.2f} to {moments[-1].stop:8.2f} s  {label} {mean:.3f}"
    if len(found) > MOST_STRETCHES:
        yield f"    … {len(found) - MOST_STRETCHES} more: --json has all {len(timeline)} windows"


def _selftest(program) -> int:
    kind = program.card["input"]["kind"]
    if kind == "table":
        from toolkit.program.tabular.selftest import selftest
    elif kind == "ratings":
        from toolkit.program.collab.selftest import selftest
    else:
        from toolkit.program.images.selftest import selftest

    problems = selftest(program)
    count = len(program.card.get("golden", []))
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not count:
        print("no golden inputs were exported with this program: nothing to compare", file=sys.stderr)
        return 1
    print(f"{count} golden inputs: {f'{len(problems)} differences' if problems else 'answered as at export'}")
    return 1 if problems else 0
