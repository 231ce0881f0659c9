"""The command line of a program that recommends: somebody's likes or id in, items with reasons out, or a CSV for everyone."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.errors import ConversionError, ProgramError
from toolkit.files import STANDARD, writing
from toolkit.program.collab.outputs import Recommendations
from toolkit.program.options import at_least_one

if TYPE_CHECKING:
    from toolkit.program.collab.outputs import Standing
    from toolkit.program.collab.program import Recommender
    from toolkit.program.outputs import Estimate

DOES = "recommend"
TAKES = "recommends and takes no files"
HINT = "--likes, --user"
TOP = 10
EVERYONE = "recommendations.csv"
COLUMNS = ("user", "rank", "item", "title", "score", "reason")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only programs that recommend are asked."""
    group = parser.add_argument_group("of a program that recommends")
    group.add_argument("--likes", nargs="+", metavar="TITLE", help="recommend to somebody new who likes these titles (or ids)")
    group.add_argument("--user", metavar="ID", help="recommend to a known user")
    group.add_argument("--similar", metavar="TITLE", help="items that are like this one")
    group.add_argument(
        "--predict", nargs="+", metavar=("USER", "ITEM"), help="what a user will think of an item; with --likes: ITEM alone"
    )
    group.add_argument("--everyone", action="store_true", help="recommend to all known users, into a CSV (see --out)")
    group.add_argument("--top", type=at_least_one, metavar="N", help=f"show N items (default: {TOP})")
    group.add_argument(
        "--out", metavar="CSV", help=f"with --everyone: the CSV to write (default: {EVERYONE}; -: standard output)"
    )


def asked(chosen: argparse.Namespace) -> bool:
    """Whether something is to be answered, or files were given by mistake."""
    return bool(chosen.items or _questions(chosen))


def _questions(chosen: argparse.Namespace) -> list[str]:
    """Which of the options that only programs that recommend take were given."""
    return [
        f"--{name}" for name in ("likes", "user", "similar", "predict", "everyone") if getattr(chosen, name) not in (None, False)
    ]


def wrong_use(chosen: argparse.Namespace) -> str:
    """What is wrong with a combination of options, "" where nothing is."""
    questions = _questions(chosen)
    if not questions:
        ask = "ask with --likes, --user, --similar, --predict, --everyone"
        return f"this program recommends and takes no files: {ask}" if chosen.items else ""
    if chosen.items:
        return f"{questions[0]} is asked without files; quote a title that has spaces: --likes 'Demon Slayer' 'Chainsaw Man'"
    if questions == ["--likes", "--predict"]:
        return "" if len(chosen.predict) == 1 else "--predict with --likes takes one title (or id); quote it where it has spaces"
    if len(questions) > 1:
        return f"{' and '.join(questions)} are different questions: ask one at a time"
    if chosen.predict and len(chosen.predict) != 2:
        return "--predict takes a user and an item; quote a title that has spaces, or give --likes in place of the user"
    if chosen.out is not None and not chosen.everyone:
        return f"--out is for --everyone; {questions[0]} answers in words, or with --json"
    if chosen.out is not None and chosen.json:
        return "--json prints to standard output: leave out --out"
    return ""


def answer(program: Recommender, chosen: argparse.Namespace) -> int:
    """Answer what was asked; return the exit status. Raises `ConversionError` for unknown users and titles."""
    n = chosen.top or TOP
    if chosen.everyone:
        return everyone(program, chosen.out or EVERYONE, n=n, as_json=chosen.json)
    try:
        found: Recommendations | Estimate | Standing
        if chosen.predict:
            *user, item = chosen.predict
            found = program.predict(user[0] if user else None, item, likes=chosen.likes, strict=chosen.strict)
        elif chosen.similar is not None:
            found = program.similar(chosen.similar, n, strict=chosen.strict)
        else:
            found = program.recommend(chosen.user, chosen.likes, n=n, strict=chosen.strict)
    except ConversionError as error:
        if error.source == "likes":
            raise ConversionError("--likes", error.reason) from error
        raise
    if isinstance(found, Recommendations):
        said, text = found.to_json(), found.text()
    else:
        said = {**vars(found), "notes": list(found.notes)}
        text = "\n".join([found.text(), *(f"  note: {note}" for note in found.notes)])
    print(json.dumps(said, ensure_ascii=False) if chosen.json else text)
    return 0


def everyone(program: Recommender, out: Path | str, *, n: int, as_json: bool = False) -> int:
    """Write what to show each known user, `n` rows a user, to the CSV `out` ("-": standard output), as it is found; with
    `as_json` a JSON object a user to standard output. Return the exit status."""
    answers = ((user, found) for user, found in program.recommend_many(n=n) if isinstance(found, Recommendations))
    if as_json:
        for user, found in answers:
            print(json.dumps({"user": user, **found.to_json()}, ensure_ascii=False))
        return 0
    if Path(out).is_dir():
        raise ProgramError(f"{out}: a folder: name the CSV to write with --out")
    if not program.users:  # before a file is begun
        next(answers)
    short = 0
    with writing(out) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for user, found in answers:
            short += len(found) < n
            writer.writerows(
                (user, rank, each.item, each.title, f"{each.score:.6g}", each.reason) for rank, each in enumerate(found, start=1)
            )
    where = "" if out == STANDARD else f", written to {out}"
    print(f"{len(program.users)} users, up to {n} items for each{where}", file=sys.stderr)
    if short:
        print(f"  {short} of them have fewer than {n} items left that they have not seen", file=sys.stderr)
    return 0
