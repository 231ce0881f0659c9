"""Options of command lines that more than one task has."""

from __future__ import annotations

import argparse

MOST_PROBABLE = 3  # classes that are shown


def at_least_one(text: str) -> int:
    """A whole number from 1, as an option's type."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1")
    return int(text)


def add_top(parser: argparse.ArgumentParser) -> None:
    """Add `--top`, of answers that are classes."""
    parser.add_argument(
        "--top", type=at_least_one, metavar="N", help=f"show the N most probable classes (default: {MOST_PROBABLE})"
    )
