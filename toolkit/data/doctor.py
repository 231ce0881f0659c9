"""The doctors' command line: `python -m toolkit.data.doctor masks images/ masks/`.

Looking at data before learning from it: what is wrong, in which files, and what to do. A task whose data is looked at has a
module for it in its wing (see `doctor` in `toolkit.tasks`): with `NAME` and `HELP` (what the data is called here, and in words),
`add_options(parser)`, and `run(chosen)`, whose docstring is its help and which gives the exit status.
"""

from __future__ import annotations

import argparse
import sys

from toolkit.errors import report_plainly
from toolkit.tasks import TASKS


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit status: 0 where nothing was found, 1 where something was or a repair failed."""
    parser = argparse.ArgumentParser(
        prog="python -m toolkit.data.doctor", description="Look for what is wrong with data before learning from it."
    )
    doctors = [task.part("doctor") for task in TASKS.values() if task.doctor]
    known = "|".join(doctor.NAME for doctor in doctors)
    what = parser.add_subparsers(title="what to look at", required=True, metavar=known)
    for doctor in doctors:
        command = what.add_parser(doctor.NAME, help=doctor.HELP, description=doctor.run.__doc__)
        doctor.add_options(command)
        command.set_defaults(run=doctor.run)
    chosen = parser.parse_args(arguments)
    status: int = chosen.run(chosen)
    return status


if __name__ == "__main__":
    sys.excepthook = report_plainly
    sys.exit(main())
