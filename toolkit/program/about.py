"""What a program says of itself: its task, its scores, what it needs installed.

The command line and a web page show the same text. What a task takes and answers is told by the `about` of its wing: a module
with `described(card)`, lines on input and output, `scored(scores)`, lines on the scores, and `closing(card)`, lines at the end.
"""

from __future__ import annotations

from typing import Any

from toolkit.tasks import task_of_card


def about(card: dict[str, Any], path: object = "program") -> str:
    """The card of a program (program.json) as text for a reader; `path` is named in an error."""
    wing = task_of_card(card, path).part("about")
    needs = card.get("needs", [])
    lines = [f"{card.get('name', 'program')}: {card['task'].replace('_', ' ')}, made {card.get('created', 'at an unknown time')}"]
    lines += wing.described(card)
    scores = card.get("scores")
    lines += ["", *(_scores(scores, wing.scored(scores)) if scores else ["scores: none were measured for this program"])]
    lines += ["", f"needs: Python 3.11 or newer, {', '.join(needs)}", f"       pip install {' '.join(needs)}"]
    versions = ", ".join(f"{name} {version}" for name, version in card.get("versions", {}).items())
    lines += [f"made with: {versions}"] if versions else []
    golden = len(card.get("golden", []))
    lines += [f"golden inputs inside: {golden} (--selftest replays them)"]
    return "\n".join([*lines, *wing.closing(card)])


def classes_line(card: dict[str, Any], each: str = "") -> str:
    """What an output of classes answers, `each` way, in one line."""
    classes = card.get("classes", [])
    shown = ", ".join(classes[:20]) + (f", … ({len(classes)} in all)" if len(classes) > 20 else "")
    return f"{each}one of {len(classes)} classes: {shown}"


def interval_of(value: dict[str, float]) -> str:
    """A figure of a card with its interval."""
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"


def _scores(scores: dict[str, Any], wing: tuple[str, list[str]]) -> list[str]:
    items, further = wing
    lines = [f"scores on {scores['n_test']} {items} that training never saw, with 95 % intervals:"]
    for name, metrics in scores["table"].items():
        cells = [f"{metric} {interval_of(value)}" for metric, value in metrics.items()]
        lines.append(f"  {name}: {'; '.join(cells)}")
    lines += [*further, *(f"note: {note}" for note in scores.get("notes") or [])]
    return [*lines, f"verdict: {scores['verdict']}"]
