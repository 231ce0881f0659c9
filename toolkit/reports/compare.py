"""Runs side by side, as text and as a page: scores, the interval of each difference, curves, and what was set differently.

It reads finished run folders, and needs neither torch nor the data.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from toolkit.errors import DataError, RunError
from toolkit.evaluation.comparison import Comparison, compare
from toolkit.evaluation.scores import Scores
from toolkit.files import read_json
from toolkit.reports.charts import curves, drawable
from toolkit.reports.page import Figure, Page, Section, Table, Text, drawn
from toolkit.reports.sections import NOT_SETTINGS, RESAMPLED, cell


def compare_runs(folders: Sequence[Path | str]) -> tuple[Comparison, Page]:
    """Compare finished runs with the first of them. Raises `RunError` and `DataError`."""
    runs = dict(zip(_names(folders), map(Path, folders), strict=True))
    comparison = compare({name: Scores.load(folder) for name, folder in runs.items()})
    told = (
        f"On the {comparison.n_common} test items that all of them were scored on. In brackets, the range that holds the true "
        f"figure with 95 % confidence (bootstrap over {RESAMPLED[comparison.resampled]}). A difference is taken item by item, so "
        "its range is narrower than the two scores suggest; where it holds zero, no difference can be told."
    )
    metrics = list(next(iter(comparison.table.values())))
    first = next(iter(runs))
    scores = [[name, *(cell(values[metric]) for metric in metrics)] for name, values in comparison.table.items()]
    gaps = [[f"{name} less {first}", *(cell(v[metric]) for metric in metrics)] for name, v in comparison.differences.items()]
    sections = [
        Section("Scores", [Text(told), Table(["run", *metrics], scores), Table(["difference", *metrics], gaps)]),
        _curves(runs),
        _settings(runs),
    ]
    return comparison, Page(
        f"Comparison of {', '.join(runs)}", "; ".join(comparison.verdicts) + ".", _about(comparison), sections
    )


def as_text(comparison: Comparison) -> str:
    """The comparison for a terminal."""
    first = next(iter(comparison.table))
    rows = {**comparison.table, **{f"{name} less {first}": values for name, values in comparison.differences.items()}}
    metrics = list(comparison.table[first])
    width = max(map(len, rows)) + 2
    lines = [_about(comparison), "".ljust(width) + "".join(metric.ljust(25) for metric in metrics)]
    lines += [name.ljust(width) + "".join(str(values[metric]).ljust(25) for metric in metrics) for name, values in rows.items()]
    return "\n".join(line.rstrip() for line in [*lines, *(f"verdict: {verdict}" for verdict in comparison.verdicts)])


def _about(comparison: Comparison) -> str:
    left = f"; {comparison.left_out} that not all share are left out" if comparison.left_out else ""
    about = f"{comparison.n_common} test items in common{left}, 95 % intervals over {comparison.resampled}"
    return "; ".join([about, *comparison.notes])


def _names(folders: Sequence[Path | str]) -> list[str]:
    """The shortest ends of the paths that tell the folders apart."""
    paths = [Path(folder).resolve() for folder in folders]
    if len(set(paths)) < len(paths):
        raise DataError("the same run is named twice: name different run folders to compare")
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ["/".join(path.parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def _log(folder: Path) -> list[dict[str, Any]]:
    try:
        with open(folder / "log.csv", encoding="utf-8", newline="") as stream:
            rows = [{name: float(text) if text else None for name, text in row.items()} for row in csv.DictReader(stream)]
    except (OSError, ValueError, TypeError) as error:
        raise RunError(f"{folder}: its log.csv cannot be read ({error}): run it again") from error
    if not rows or not {"epoch", "seconds"} <= set(rows[0]):
        raise RunError(f"{folder}: its log.csv lacks its first row or columns: run it again")
    return rows


def _curves(runs: dict[str, Path]) -> Section:
    logs = {name: _log(folder) for name, folder in runs.items()}
    shared = set.intersection(*(set(rows[0]) for rows in logs.values())) - {"epoch", "train_loss", "seconds"}
    order = [name for name in next(iter(logs.values()))[0] if name in shared]
    drawings = []
    for metric in order:
        lines = {name: ([row["epoch"] for row in rows], [row[metric] for row in rows]) for name, rows in logs.items()}
        what = metric.replace("_", " ")
        drawings.append(drawn(curves(lines, what, noun="run"), f"{what} of each run over its epochs"))
    seconds = [[name, str(len(rows) - 1), f"{sum(row['seconds'] or 0 for row in rows):.1f}"] for name, rows in logs.items()]
    named = zip(drawable(list(logs), longest=32, noun="run"), logs, strict=True)
    other = [f"{short}: {name}" for short, name in named if short != name]
    caption = f"In full: {'; '.join(other)}." if other else ""
    return Section("How they learnt", [Figure(drawings, caption), Table(["run", "epochs", "seconds of training"], seconds)])


def _settings(runs: dict[str, Path]) -> Section:
    described = {name: read_json(folder / "run.json", "a run") for name, folder in runs.items()}
    set_in = {
        name: {**{key: v for key, v in whole.items() if key not in NOT_SETTINGS}, **whole.get("about", {})}
        | {"items and split (a digest)": str(whole.get("items", ""))[:8]}
        for name, whole in described.items()
    }
    keys = list(dict.fromkeys(key for settings in set_in.values() for key in settings if key != "stats"))
    rows = [[key, *(str(settings.get(key, "not recorded")) for settings in set_in.values())] for key in keys]
    rows = [row for row in rows if len(set(row[1:])) > 1]
    if not rows:
        return Section("What was set differently", [Text("Nothing: these runs differ in chance alone, or in versions.")])
    return Section("What was set differently", [Table(["setting", *set_in], rows)])
