"""What a program says of itself: its task, its scores, what it needs installed.

It is a file of its own because it is prose: the command line and a web page show the same text.
"""

from __future__ import annotations

import json

MOST_COLUMNS = 40  # that are listed


def about(card: dict) -> str:
    """The card of a program (program.json) as text for a reader."""
    needs = card.get("needs", [])
    lines = [f"{card.get('name', 'program')}: {card['task'].replace('_', ' ')}, made {card.get('created', 'at an unknown time')}"]
    lines += _input(card["input"]) + _output(card["output"], card.get("target"))
    lines += _scores(card.get("scores"))
    lines += ["", f"needs: Python 3.11 or newer, {', '.join(needs)}", f"       pip install {' '.join(needs)}"]
    versions = ", ".join(f"{name} {version}" for name, version in card.get("versions", {}).items())
    lines += [f"made with: {versions}"] if versions else []
    golden = len(card.get("golden", []))
    lines += [f"golden inputs inside: {golden} (--selftest replays them)"]
    if card["input"]["kind"] == "table":
        lines += ["", "a row that needs no note, as a JSON schema (others are answered too, and say what was done):"]
        lines.append(json.dumps(card["schema"], ensure_ascii=False, indent=1))
    return "\n".join(lines)


def _input(card: dict) -> list[str]:
    if card["kind"] == "table":
        count = len(card["columns"])
        lines = [f"input: row of a table with {count} column{'' if count == 1 else 's'}:"]
        lines += [f"       {_column(column)}" for column in card["columns"][:MOST_COLUMNS]]
        more = count - MOST_COLUMNS
        return lines + ([f"       … {more} more: the schema below has all"] if more > 0 else [])
    if card["kind"] == "ratings":
        return _ratings(card)
    if card["kind"] == "scene":
        scale = f"brought to a shorter side of {card['size']} pixels" if card["size"] else "in its own pixels"
        return [f"input: picture of any size, seen {scale}, in tiles of {card['tile']} pixels where it is larger"]
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


def _ratings(card: dict) -> list[str]:
    """What a recommender takes, and whose history it carries."""
    named = "titles or ids" if card["titles"] else "ids"
    if not card["users"]:
        return [
            f"input: what somebody likes, by {named} of {card['items']} items",
            "       inside are the factors of items only: nobody's history, no users (--no-users)",
            "       an item that one person alone chose is among them",
        ]
    return [
        f"input: what somebody likes, by {named} of {card['items']} items, or the id of one of {card['users']} known users",
        "       inside are the factors of items, and each user's id, taste and history: keep it as private as the table it "
        "was learnt from",
    ]


def _column(card: dict) -> str:
    """A column of a table in words."""
    if card["kind"] == "number":
        what = f"number, {card['low']:.6g} to {card['high']:.6g} in training"
    elif card["kind"] == "date":
        what = "date" if card["form"] == "iso" else f"date written as {card['form']}"
    else:
        values = card["values"]
        what = f"one of {', '.join(values[:8])}" + (f", … ({len(values)} in all)" if len(values) > 8 else "")
    return f"{card['name']}: {what}{'; may be missing' if card['had_missing'] else ''}"


def _output(card: dict, target: str | None) -> list[str]:
    if card["kind"] == "recommendations":
        ranked = card["low"] is None
        score = "a score, which only ranks," if ranked else f"the rating expected, {card['low']:g} to {card['high']:g},"
        return [f"output: items that they have not seen, each with {score} and the reason"]
    trees = f" ({100 * card['trees']:.0f} % gradient-boosted trees, the rest the network)" if card.get("trees") else ""
    if card["kind"] == "value":
        return [f"output: a number, {card['name']}{trees}"]
    classes = card.get("classes", [])
    shown = ", ".join(classes[:20]) + (f", … ({len(classes)} in all)" if len(classes) > 20 else "")
    each = "for each pixel " if card["kind"] == "mask" else ""
    named = f"{target}, " if target else ""
    return [f"output: {named}{each}one of {len(classes)} classes: {shown}{trees}"]


def _scores(scores: dict | None) -> list[str]:
    if not scores:
        return ["", "scores: none were measured for this program"]
    files = scores.get("n_whole")
    of = {"nDCG@10": "users with held-out choices", "RMSE": "held-out ratings"}.get(scores.get("headline"), "held-out items")
    items = f"windows of {files} held-out files" if files else of
    lines = ["", f"scores on {scores['n_test']} {items} that training never saw, with 95 % intervals:"]
    for name, metrics in scores["table"].items():
        cells = [f"{metric} {value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]" for metric, value in metrics.items()]
        lines.append(f"  {name}: {'; '.join(cells)}")
    for name, metrics in (scores.get("whole") or {}).items():
        value = metrics["accuracy"]
        lines.append(f"  {name}: accuracy of whole files {value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]")
    for name, classes in (scores.get("per_class") or {}).items():
        shown = ", ".join(f"{label} {value['value']:.3f}" for label, value in list(classes.items())[:20])
        lines.append(f"  {name}, IoU of each class: {shown}" + (f", … ({len(classes)} in all)" if len(classes) > 20 else ""))
    lines += [f"note: {note}" for note in scores.get("notes") or []]
    return [*lines, f"verdict: {scores['verdict']}"]
