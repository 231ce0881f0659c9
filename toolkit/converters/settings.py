"""Settings of a converter as they are typed: `mels=64` on a command line becomes the field's value.

Several command lines take settings, and read and refuse them alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, Field, fields
from typing import Any

from toolkit.errors import ToolkitError

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
EXPECTED = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}


def parse_settings(converter_class: type, texts: Iterable[str]) -> dict[str, object]:
    """`["mels=64", "part=start"]` as {name: value}, for the fields of a converter's class.

    A value is read as its field is annotated (`bool`, `int`, `float`, `str`), or else as its default's type says; "none" as
    None where that is the default, or allowed by the annotation. Of a field that is named twice the last value counts.
    Raises `ToolkitError` for what is not NAME=VALUE, for an unknown name (and lists the known ones), and for a value that is
    no such number.
    """
    known = {field.name: field for field in fields(converter_class) if field.init}
    found = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip()
        if not equals:
            raise ToolkitError(
                f"setting {text!r}: expected NAME=VALUE, such as {next(iter(defaults(converter_class)), 'size=64')}"
            )
        if name not in known:
            there = ", ".join(defaults(converter_class)) or "it has none"
            raise ToolkitError(f"no setting is called {name!r}; the settings and their defaults: {there}")
        found[name] = _value(known[name], value.strip())
    return found


def defaults(converter_class: type) -> list[str]:
    """Each setting as `parse_settings` takes it, with its default: `["size=64", …]`."""
    return [f"{field.name}={_text(field.default)}" for field in fields(converter_class) if field.init]


def _text(default: object) -> str:
    if default is MISSING:
        return "…"
    return str(default).lower() if isinstance(default, bool) or default is None else str(default)


def _value(field: Field[Any], text: str) -> object:
    annotation = field.type if isinstance(field.type, str) else getattr(field.type, "__name__", str(field.type))
    names = {part.strip() for part in annotation.split("|")}
    if text.lower() == "none" and ("None" in names or field.default is None):
        return None
    kinds = [kind for kind in EXPECTED if kind.__name__ in names] or [type(field.default)]
    for kind in kinds:
        try:
            if kind is bool:
                return _truth(text)
            return kind(text) if kind in EXPECTED else text
        except ValueError:
            continue
    raise ToolkitError(f"setting {field.name}: expected {' or '.join(EXPECTED[kind] for kind in kinds)}, received {text!r}")


def _truth(text: str) -> bool:
    if text.lower() not in TRUE + FALSE:
        raise ValueError(text)
    return text.lower() in TRUE
