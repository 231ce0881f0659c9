"""`python -m toolkit.program FILE …`: run a program file with the installed runtime instead of the one inside it."""

import sys

from toolkit.program.cli import main

if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit("usage: python -m toolkit.program PROGRAM.pyz ITEM …  (PROGRAM.pyz --help lists the options)")
    sys.exit(main(sys.argv[1], sys.argv[2:]))
