"""What a program of tables says of what it takes and answers, and of its scores."""

from __future__ import annotations

import json
from typing import Any

from toolkit.program.about import classes_line

MOST_COLUMNS = 40  # that are listed


def described(card: dict[str, Any]) -> list[str]:
    """Lines on input and output."""
    columns = card["input"]["columns"]
    lines = [f"input: row of a table with {len(columns)} column{'' if len(columns) == 1 else 's'}:"]
    lines += [f"       {_column(column)}" for column in columns[:MOST_COLUMNS]]
    more = len(columns) - MOST_COLUMNS
    lines += [f"       … {more} more: the schema below has all"] if more > 0 else []
    return [*lines, _output(card["output"], card.get("target"))]


def scored(scores: dict[str, Any]) -> tuple[str, list[str]]:
    """What was held out, and lines on scores of its own."""
    return "held-out items", []


def closing(card: dict[str, Any]) -> list[str]:
    """Lines at the end: the schema of a row."""
    told = "a row that needs no note, as a JSON schema (others are answered too, and say what was done):"
    return ["", told, json.dumps(card["schema"], ensure_ascii=False, indent=1)]


def _column(card: dict[str, Any]) -> str:
    """A column of a table in words."""
    if card["kind"] == "number":
        what = f"number, {card['low']:.6g} to {card['high']:.6g} in training"
    elif card["kind"] == "date":
        what = "date" if card["form"] == "iso" else f"date written as {card['form']}"
    else:
        values = card["values"]
        what = f"one of {', '.join(values[:8])}" + (f", … ({len(values)} in all)" if len(values) > 8 else "")
    return f"{card['name']}: {what}{'; may be missing' if card['had_missing'] else ''}"


def _output(card: dict[str, Any], target: str | None) -> str:
    trees = f" ({100 * card['trees']:.0f} % gradient-boosted trees, the rest the network)" if card.get("trees") else ""
    if card["kind"] == "value":
        return f"output: a number, {card['name']}{trees}"
    return f"output: {f'{target}, ' if target else ''}{classes_line(card)}{trees}"
