"""What one cell of a table says: is it missing, which number, which moment, which text. Training and program read every cell
alike, however it was written or typed."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

import numpy as np

from toolkit.na_values import NA_VALUES

TRUE, FALSE = frozenset(("true", "yes", "y", "t", "1", "on")), frozenset(("false", "no", "n", "f", "0", "off"))
CURRENCIES = "$€£¥₹ \u00a0\u202f%"
SIGN = re.compile(r"([+-]?)[$€£¥₹ ]*(.*?)[$€£¥₹ %]*", re.DOTALL)  # -$5
GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")  # 1,234,567.8
GROUPED_BY_POINTS = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d*)?")
GAPS = re.compile(r"(?<=\d)[ '’_\u00a0\u202f](?=\d{3})")  # 1 234 567
ISO = "iso"
FORMATS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%Y%m%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y")
TIMES = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
HUGE = 1e300  # beyond which a whole number is no number that a float holds

Cells = Sequence[Any] | np.ndarray  # of a column; a pandas Series goes, too


def is_missing(cell: object, na_values: frozenset[str] = NA_VALUES) -> bool:
    """Whether a cell of any type holds nothing; `na_values`, in lower case, are the texts that mean so."""
    if cell is None or (isinstance(cell, float) and cell != cell):
        return True
    if isinstance(cell, str):
        return cell.strip().lower() in na_values
    if isinstance(cell, (int, float)) and na_values is not NA_VALUES:
        return text_of(cell) in na_values  # 999, say
    return type(cell).__name__ in ("NAType", "NaTType") or (isinstance(cell, np.generic) and str(cell) in ("NaT", "nan"))


def python_value(cell: object) -> object:
    """A numpy scalar, or a decimal number, as one of Python's usual types."""
    decimal = sys.modules.get("decimal")  # where nobody has imported it, no cell is of it
    if decimal is not None and isinstance(cell, decimal.Decimal):
        return float(cell)
    if not isinstance(cell, np.generic):
        return cell
    value = cell.item()
    # in nanoseconds numpy gives an int for a moment
    return datetime.fromisoformat(str(cell)[:26]) if isinstance(value, int) and cell.dtype.kind == "M" else value


def as_sequence(cells: Any) -> Cells:
    """A column of cells as a list, or as an array where numpy holds them as numbers."""
    if isinstance(cells, (list, tuple)):
        return cells
    kind = getattr(cells, "dtype", None)
    if isinstance(kind, np.dtype) and kind.kind in "iuf":
        return np.asarray(cells)
    listed = getattr(cells, "tolist", None)
    return list(cells) if listed is None else listed()


def float_of(number: float) -> float:
    """A number as a float; a whole number too large for one as 1e300."""
    return float(min(max(number, -HUGE), HUGE)) if isinstance(number, int) else number


def number_of(text: str, decimal: str = ".") -> float | None:
    """The number that a text says, None where it says none: "12", "1,234.5", "1 234", "-$5", "(5.00)", "45 %"; with decimal ","
    "1.234,5" and "3,5"."""
    if decimal == ".":
        try:
            return float(text)
        except ValueError:
            pass
    bare = text.strip().strip(CURRENCIES).replace("\u2212", "-")
    if bare.startswith("(") and bare.endswith(")"):  # as accountants write what is owed
        bare = f"-{bare[1:-1]}"
    sign = SIGN.fullmatch(bare)
    bare = GAPS.sub("", "".join(sign.groups()) if sign else bare)
    if decimal == ",":
        if "," in bare or GROUPED_BY_POINTS.fullmatch(bare):
            bare = bare.replace(".", "").replace(",", ".")
    elif GROUPED.fullmatch(bare):
        bare = bare.replace(",", "")
    try:
        return float(bare)
    except ValueError:
        return None


def moment_of(cell: object, form: str = ISO) -> datetime | None:
    """The moment that a cell says, without its time zone; None where it says none. `form` is "iso" or one of `FORMATS`, with or
    without a time behind it."""
    if isinstance(cell, datetime):
        return cell.replace(tzinfo=None)
    if isinstance(cell, int) and not isinstance(cell, bool):
        cell = str(cell)  # 20241231
    if isinstance(cell, date):
        return datetime(cell.year, cell.month, cell.day)
    if not isinstance(cell, str):
        return None
    text = cell.strip()
    if form == ISO:
        try:
            return datetime.fromisoformat(text).replace(tzinfo=None)
        except ValueError:
            return None
    for time in TIMES:
        try:
            return datetime.strptime(text, form + time)
        except ValueError:
            continue
    return None


def text_of(cell: object) -> str:
    """A cell as the name of a category: 1 and 1.0 are "1"."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return cell if isinstance(cell, str) else str(cell)


def quoted(value: object) -> str:
    """A value as a note quotes it: short."""
    if isinstance(value, float):
        return f"{value:.6g}"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 40 else f"{text[:36]}…{text[-1]}"
