"""The command line of a program that reads texts."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from toolkit.program.options import MOST_PROBABLE, add_top

if TYPE_CHECKING:
    from toolkit.program.texts.program import TextProgram

DOES = "read texts"
TAKES = "reads texts"
HINT = "--text"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only programs of texts are asked."""
    add_top(parser)
    parser.add_argument("--text", help="the text to judge")


def asked(chosen: argparse.Namespace) -> bool:
    """Whether something is to be predicted."""
    return bool(chosen.items) or chosen.text is not None


def wrong_use(chosen: argparse.Namespace) -> str:
    """What is wrong with a combination of options."""
    return "this program takes no files: --text" if chosen.items else ""


def answer(program: TextProgram, chosen: argparse.Namespace) -> int:
    """Answer one text; return the exit status."""
    print(program.predict(chosen.text).text(chosen.top or MOST_PROBABLE))
    return 0
