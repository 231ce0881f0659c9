"""What a program that answers for each pixel says of what it takes and answers, and of its scores."""

from __future__ import annotations

from typing import Any

from toolkit.program.about import classes_line


def described(card: dict[str, Any]) -> list[str]:
    """Lines on input and output."""
    taken = card["input"]
    scale = f"brought to a shorter side of {taken['size']} pixels" if taken["size"] else "in its own pixels"
    return [
        f"input: picture of any size, seen {scale}, in tiles of {taken['tile']} pixels where it is larger",
        f"output: {classes_line(card['output'], 'for each pixel ')}",
    ]


def scored(scores: dict[str, Any]) -> tuple[str, list[str]]:
    """What was held out, and lines on scores of its own."""
    lines = []
    for name, classes in (scores.get("per_class") or {}).items():
        shown = ", ".join(f"{label} {value['value']:.3f}" for label, value in list(classes.items())[:20])
        lines.append(f"  {name}, IoU of each class: {shown}" + (f", … ({len(classes)} in all)" if len(classes) > 20 else ""))
    return "held-out items", lines


def closing(card: dict[str, Any]) -> list[str]:
    """Lines at the end: none."""
    return []
