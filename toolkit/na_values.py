"""The words that mean a missing value, wherever a table is read. All are in lower case, "" among them."""

from __future__ import annotations

# what nobody is called: a title or a name may be "Missing", "Nil" or "?"
UNMISTAKABLE = frozenset(("", "nan", "na", "n/a", "null", "none", "<na>", "#n/a", "nat"))
NA_VALUES = UNMISTAKABLE | frozenset(("?", "n.a.", "-nan", "nil", "missing", "#na", "-", "--", "."))
