"""What a program of texts says of what it takes and answers, and of its scores."""

from __future__ import annotations

from typing import Any

from toolkit.program.about import classes_line


def described(card: dict[str, Any]) -> list[str]:
    """Lines on input and output."""
    return [
        f"input: text, of which {len(card['input']['letters'])} letters are counted",
        f"output: {classes_line(card['output'])}",
    ]


def scored(scores: dict[str, Any]) -> tuple[str, list[str]]:
    """What was held out, and lines on scores of its own."""
    return "held-out texts", []


def closing(card: dict[str, Any]) -> list[str]:
    """Lines at the end: none."""
    return []
