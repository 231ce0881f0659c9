"""What a program of pictures says of what it takes and answers, and of its scores."""

from __future__ import annotations

from typing import Any

from toolkit.program.about import classes_line, interval_of


def described(card: dict[str, Any]) -> list[str]:
    """Lines on input and output."""
    return [*_input(card["input"]), f"output: {classes_line(card['output'])}"]


def scored(scores: dict[str, Any]) -> tuple[str, list[str]]:
    """What was held out, and lines on scores of its own."""
    files = scores.get("n_whole")
    whole = [
        f"  {name}: accuracy of whole files {interval_of(metrics['accuracy'])}"
        for name, metrics in (scores.get("whole") or {}).items()
    ]
    return f"windows of {files} held-out files" if files else "held-out items", whole


def closing(card: dict[str, Any]) -> list[str]:
    """Lines at the end: none."""
    return []


def _input(card: dict[str, Any]) -> list[str]:
    height, width = card["size"]
    converter = card.get("converter")
    if not converter:
        return [f"input: picture brought to {width}x{height} pixels ({card['resize']})"]
    package = converter.get("package")
    of = f" of {package['name']} {package['version']}" if package else ""
    settings = ", ".join(f"{name} {value}" for name, value in converter["settings"].items())
    how = "long items window by window, " if card.get("windowed") else ""
    return [
        f"input: {how}made a picture of {width}x{height} pixels by the converter {converter['name'] or converter['class']}{of}",
        f"       ({settings})",
    ]
