"""The program's own command line: `python program.pyz photo.jpg`.

What every program is asked stands here, what only those of one task are asked in the `cli` of its wing: a module with `DOES` and
`TAKES` (what such programs do and take, in words), `add_options(parser)`, `asked(chosen)` (whether something is to be predicted),
`wrong_use(chosen)` (what is wrong with a combination of options, "" where nothing is) and `answer(program, chosen)` (the exit
status).
"""

from __future__ import annotations

import argparse
import io
import json
import sys

from toolkit.errors import ToolkitError
from toolkit.program.archive import Archive
from toolkit.program.base import Program
from toolkit.tasks import TASKS, Task, task_of_card


def main(archive: str, arguments: list[str] | None = None) -> int:
    """Run the command line of the program file `archive`; return the exit status.

    0: every item was predicted; 1: an item, the self-test or the program failed; 2: wrong usage.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that this terminal's encoding lacks must not stop the rest
            stream.reconfigure(errors="backslashreplace")
    try:
        return _run(Archive(archive), arguments)
    except ToolkitError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped: what was not finished is not written", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader (head, less) has seen enough
        sys.stderr.close()
        return 0


def _run(archive: Archive, arguments: list[str] | None) -> int:
    task = task_of_card(archive.card, archive.path)
    command = task.part("command")
    parser = _parser(archive.path.name)
    command.add_options(parser)
    chosen, unknown = parser.parse_known_args(arguments)
    if unknown:
        parser.error(_not_known(unknown, task))
    if not (command.asked(chosen) or chosen.about or chosen.selftest):
        parser.error(f"name at least one item to predict, or --about or --selftest ({command.HINT})")
    if wrong := command.wrong_use(chosen):
        parser.error(wrong)
    if chosen.about:
        from toolkit.program.about import about

        print(json.dumps(archive.card, indent=2, ensure_ascii=False) if chosen.json else about(archive.card, archive.path))
        return 0
    program = task.part("program")(archive)
    return _selftest(program, task) if chosen.selftest else command.answer(program, chosen)


def _parser(name: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python {name}", description="Predict with a trained model.")
    parser.add_argument("items", nargs="*", metavar="FILE", help="what to predict: any number of files")
    parser.add_argument("--json", action="store_true", help="print one JSON object for each item")
    parser.add_argument("--strict", action="store_true", help="stop at the first item that cannot be read")
    parser.add_argument("--about", action="store_true", help="show what this program is, its scores, and what it needs")
    parser.add_argument("--selftest", action="store_true", help="check that it answers here as it did when it was made")
    return parser


def _not_known(unknown: list[str], task: Task) -> str:
    """What to say of options that programs of this task do not take."""
    option = next((argument.partition("=")[0] for argument in unknown if argument.startswith("--")), "")
    for other in TASKS.values():
        parser = argparse.ArgumentParser(add_help=False)
        other.part("command").add_options(parser)
        if any(option in action.option_strings for action in parser._actions):
            return f"{option} is for programs that {other.part('command').DOES}; this one {task.part('command').TAKES}"
    return f"unrecognized arguments: {' '.join(unknown)}"


def _selftest(program: Program, task: Task) -> int:
    problems = task.part("selftest")(program)
    count = len(program.card.get("golden", []))
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    if not count:
        print("no golden inputs were exported with this program: nothing to compare", file=sys.stderr)
        return 1
    print(f"{count} golden inputs: {f'{len(problems)} differences' if problems else 'answered as at export'}")
    return 1 if problems else 0
