"""`python -m toolkit.converters`: list what reads which files, show what a network sees, hold a converter to its promises.

Arguments are read here, and work is done elsewhere.
"""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from textwrap import fill

from toolkit.converters import converter_class, converter_names, find_converter
from toolkit.converters.base import Converter, settings_of
from toolkit.converters.conformance import check
from toolkit.converters.contact_sheet import files_among, labels, sheet, strip_of
from toolkit.converters.settings import defaults, parse_settings
from toolkit.errors import ConversionError, MissingPackage, ToolkitError
from toolkit.needs import missing

MOST = 24  # files on a sheet
WINDOWS = 8


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns 0, or 1 where a file could not be read, a promise is broken or a package is missing."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file's name may hold bytes that are no text
    if asked.command == "list":
        return _list()
    try:
        converter = _converter(asked.name, asked.set)
        if asked.command == "show" and asked.out.suffix.lower() != ".png":
            raise ToolkitError(f"--out {asked.out}: expected a name that ends in .png")
        if asked.command == "show" and asked.windows and not hasattr(converter, "windows"):
            raise ToolkitError(f"converter {asked.name!r} has no windows: leave --windows out")
    except MissingPackage as error:
        return _failed(error)
    except ToolkitError as error:
        parser.error(str(error))
    try:
        return _show(converter, asked) if asked.command == "show" else _check(converter, asked)
    except ToolkitError as error:
        return _failed(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m toolkit.converters", description="Raw input -> image.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="list | show | check")
    commands.add_parser("list", help="every converter that is registered here, with its settings")
    show = commands.add_parser("show", help="draw a sheet of pictures as the network sees them")
    held = commands.add_parser("check", help="hold a converter against what converters promise")
    for command, what in ((show, "a file, or a folder to be searched for the converter's suffixes"), (held, "a good file")):
        command.add_argument("name", metavar="NAME", help="a converter's name, see list")
        command.add_argument("files", metavar="FILE", nargs="+", type=Path, help=what)
        command.add_argument("--set", metavar="NAME=VALUE", action="append", default=[], help="a setting; may be repeated")
    show.add_argument("--out", metavar="FILE.png", type=Path, default=Path("sheet.png"), help="the sheet (default: sheet.png)")
    show.add_argument("--channels", action="store_true", help="each channel in grey beside the picture, where they differ")
    show.add_argument(
        "--windows", metavar="N", type=_count, nargs="?", const=WINDOWS, default=0,
        help=f"the first N windows of each file instead of one picture ({WINDOWS} without N)",
    )  # fmt: skip
    show.add_argument("--most", metavar="N", type=_count, default=MOST, help=f"files on the sheet at most (default: {MOST})")
    return parser


def _converter(name: str, texts: list[str]) -> Converter:
    kind = converter_class(name) if name in converter_names() else None
    try:
        return find_converter(name, parse_settings(kind, texts) if kind else None)
    except ValueError as error:  # another package's way to refuse a setting
        raise ToolkitError(f"converter {name!r} refuses its settings: {error}") from error


def _list() -> int:
    for name in converter_names():
        print(name)
        try:
            kind = converter_class(name)
        except Exception as error:  # another package may fail in any way while it is imported
            print(f"    cannot be loaded: {type(error).__name__} ({error})")
            continue
        needs = tuple(getattr(kind, "needs", ()))
        absent = missing(list(needs))
        about = " ".join((kind.__doc__ or "").partition("\n\n")[0].split())
        print(_indented("", about))
        print(_indented("reads     ", " ".join(kind.suffixes)))
        print(_indented("settings  ", "  ".join(defaults(kind)) or "none"))
        print(_indented("needs     ", ", ".join(("numpy", "pillow", *needs))))
        if absent:
            print(_indented("missing   ", f"{', '.join(absent)}: pip install {' '.join(absent)}"))
    return 0


def _show(converter: Converter, asked: argparse.Namespace) -> int:
    found, more = files_among(asked.files, converter.suffixes, most=asked.most)
    if not found:
        raise ToolkitError(f"{', '.join(map(str, asked.files))}: no file in it ends in {', '.join(converter.suffixes)}")
    if more:
        print(f"there are more than {asked.most} files: {asked.most} are shown (--most N shows more)", file=sys.stderr)
    shown, failed = [], 0
    for path, name in found.items():
        try:
            shown.append(strip_of(converter, path, name=name, channels=asked.channels, windows=asked.windows))
        except ConversionError as error:
            failed = _failed(error)
    if not shown:
        return _failed("none of the files became a picture: no sheet is written")
    settings = " ".join(f"{setting}={value}" for setting, value in settings_of(converter).items())
    from toolkit.files import replacing  # not in a program, which carries this file too

    with replacing(asked.out) as temporary:
        sheet(shown, title=asked.name, settings=settings).save(temporary, "PNG")
    for label, strip in zip(labels(shown), shown, strict=True):
        if label != strip.name:
            print(f"{label} is {strip.name!r}")
    print(f"{asked.out}: {len(shown)} {'file' if len(shown) == 1 else 'files'}")
    return failed


def _check(converter: Converter, asked: argparse.Namespace) -> int:
    print(check(converter, asked.files))
    return 0


def _failed(error: object) -> int:
    print(f"error: {error}", file=sys.stderr)
    return 1


def _indented(head: str, text: str) -> str:
    return fill(text, 110, initial_indent="    " + head, subsequent_indent=" " * (4 + len(head)), break_on_hyphens=False)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number from 1")
    return int(text)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenPipeError:  # the reader (head, less) has seen enough
        sys.stderr.close()
