"""`python -m toolkit.reports explain RUN photo.jpg` and `python -m toolkit.reports compare RUN RUN`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from toolkit.errors import ConversionError, RunError, report_plainly


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 1 where an item could not be explained."""
    parser = argparse.ArgumentParser(prog="python -m toolkit.reports", description="Look into finished runs.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    explain = verbs.add_parser("explain", help="what was seen in a photo, and why")
    explain.add_argument("run", type=Path, help="the folder of a finished run")
    explain.add_argument("items", type=Path, nargs="+", metavar="FILE", help="what to explain, any number of files")
    explain.add_argument("--out", type=Path, help="folder for the pages (default: explained/ in the run folder)")
    compare = verbs.add_parser("compare", help="runs beside each other, with the interval of their difference")
    compare.add_argument(
        "runs", type=Path, nargs="+", metavar="RUN", help="folders of finished runs; each is held against the first"
    )
    compare.add_argument("--html", type=Path, metavar="FILE", help="write the comparison as a page too")
    chosen = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a name that this terminal's encoding lacks must not stop the rest
            stream.reconfigure(errors="backslashreplace")
    return _explain(chosen) if chosen.verb == "explain" else _compare(chosen)


def _explain(chosen: argparse.Namespace) -> int:
    from toolkit.reports.explaining import explainer_of
    from toolkit.reports.page import write_page

    explainer, failed = explainer_of(chosen.run), 0
    for item in chosen.items:
        try:
            explanation = explainer.explain(item)
        except ConversionError as error:
            failed += 1
            print(f"error: {error}", file=sys.stderr)
            continue
        print(explanation, flush=True)
        path = (chosen.out or chosen.run / "explained") / explainer.page_name(item)
        try:
            write_page(path, explainer.page(explanation))
        except RunError as error:
            raise RunError(f"{error}; --out names another folder for the pages") from error
        print(f"  written to {path}", flush=True)
    return 1 if failed else 0


def _compare(chosen: argparse.Namespace) -> int:
    from toolkit.reports.compare import as_text, compare_runs
    from toolkit.reports.page import write_page

    comparison, page = compare_runs(chosen.runs)
    print(as_text(comparison))
    if chosen.html:
        write_page(chosen.html, page)
        print(f"written to {chosen.html}")
    return 0


if __name__ == "__main__":
    sys.excepthook = report_plainly
    sys.exit(main())
