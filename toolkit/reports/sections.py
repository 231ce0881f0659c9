"""The sections that every recipe's report shares: scores, loss curves, confusions, the data's split, the settings.

None of them knows what the items are. Every number comes from `Scores`, the log or the run's settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from toolkit.evaluation.bootstrap import Interval
from toolkit.evaluation.classification import ClassScores
from toolkit.evaluation.scores import NETWORK, NONE, UNTRAINED, Scores
from toolkit.reports.charts import LEAST_DRAWN, MOST_NAMED, MOST_NUMBERED, bars, confusion, curves, drawable
from toolkit.reports.page import Figure, Page, Section, Table, Text, drawn

NOT_SETTINGS = {"set_aside", "notes", "versions", "about", "items", "format", "cache"}  # of run.json
RESAMPLED = {"items": "test items", "groups": "groups of test items", "users": "test users"}
METRIC_NAMES = {"_rmse": "RMSE", "mae": "MAE", "roc_auc": "ROC AUC", "ndcg_10": "nDCG@10"}  # of fastai's that have others here
ALTERED = "the pictures are being altered (augmentation)"


def cell(interval: Interval | None) -> tuple[str, str] | str:
    """A figure and its interval, as a cell of a table; a dash for None."""
    if interval is None:
        return NONE
    value, low, high = interval.figures
    return value, f"[{low}, {high}]"


def page_of(name: str, scores: Scores, *, data: str, parts: Sequence[Section]) -> Page:
    """A run's report: the verdict first, one line on the data and what training brought, then its `parts`."""
    return Page(
        title=f"{name}: {scores.task.replace('_', ' ')}",
        verdict=scores.verdict[0].upper() + scores.verdict[1:] + ".",
        about=f"{data}; {gain_over_untrained(scores)}.",
        sections=parts,
    )


def score_section(scores: Scores, given: str = "", *, noun: str = "items", further: Sequence[Text] = ()) -> Section:
    """The network beside itself untrained and simple methods. `given` says how these see the data, `noun` what was held out."""
    metrics = scores.metrics
    found = {name: row[scores.headline] for name, row in scores.table.items() if scores.headline in row}
    values = {name: (value.value, value.low, value.high) for name, value in found.items()}
    drawing = bars(values, scores.headline, highlighted=scores.answers)
    what, drew = scores.headline[0].upper() + scores.headline[1:], RESAMPLED[scores.resampled].replace("items", noun)
    said = f"{what} on held-out {noun}: {', '.join(f'{name} {value.value:.3f}' for name, value in found.items())}"
    simple = given or "as small pixels, those named for their features the raw input"
    below = [name for name, value in found.items() if value.value < LEAST_DRAWN]
    caption = f"Off the drawing, far below zero: {', '.join(below)}." if below else ""
    return Section(
        "Scores",
        [
            Text(
                f"Measured on {scores.n_test} held-out {noun} that training never saw. In brackets, the range that holds the "
                f"true figure with 95 % confidence (bootstrap over {drew}). Simple methods see the same data {simple}; "
                "the untrained network shows what its architecture knows by itself."
            ),
            *further,
            Figure([drawn(drawing, said)], caption),
            Table(
                ["method", *metrics],
                [[name, *(cell(row.get(metric)) for metric in metrics)] for name, row in scores.table.items()],
            ),
        ],
    )


def percent(share: float) -> str:
    """A share as a reader wants it: 0 and 100 % stand for none and all."""
    return "< 0.1 %" if 0 < share < 0.0005 else "> 99.9 %" if 0.9995 <= share < 1 else f"{100 * share:.1f} %"


def item_name(item: Any) -> str:
    """What a row of the predictions (of `itertuples`) is called: its file, and from when to when where it is a window."""
    span = f" {item.start:.2f}-{item.stop:.2f} s" if hasattr(item, "start") else ""
    return Path(item.path).name + span


def curve_section(
    log: Sequence[dict[str, Any]], metrics: Sequence[str], *, best_epoch: int | None, altered: str = ALTERED, noun: str = "items"
) -> Section:
    """Training and validation loss, and each metric, from the untrained network on. `log` is what `fit` returns; `altered` says
    what is done to the data in training."""
    epochs = [int(row["epoch"]) for row in log]
    losses = {
        name: (epochs, [row[key] for row in log]) for name, key in (("training", "train_loss"), ("validation", "valid_loss"))
    }
    first, last = log[0]["valid_loss"], log[-1]["valid_loss"]
    drawings = [drawn(curves(losses, "loss", best=best_epoch), f"Validation loss from {first:.3f} untrained to {last:.3f}")]
    for name in metrics:
        known = METRIC_NAMES.get(name, name)
        line = {f"validation {known}": (epochs, [row[name] for row in log])}
        said = f"Validation {known} from {log[0][name]:.3f} untrained to {log[-1][name]:.3f}"
        drawings.append(drawn(curves(line, known, best=best_epoch), said))
    told = (
        f"One point an epoch, a pass over the training part; epoch 0 is the untrained network. Validation {noun} choose the "
        "epoch whose weights are kept (lowest validation loss) and take no part in the scores above. Training loss is measured "
        f"while {altered} and the weights are still moving, so it can lie above the validation loss."
    )
    return Section("How it learnt", [Text(told), Figure(drawings)])


def confusion_section(scores: ClassScores, pixels: bool = False, *, most: int = 8) -> Section:
    """Which classes are taken for which: counts of items, or with `pixels` shares of pixels, whose counts are huge."""
    counts = np.array(scores.confusion[scores.answers]["counts"])
    wrong = counts - np.diag(np.diag(counts))
    there, everything, right = counts.sum(axis=1), int(counts.sum()), int(np.trace(counts))
    pairs = [divmod(int(i), len(counts)) for i in np.argsort(-wrong, axis=None, kind="stable")[:most]]
    pairs = [pair for pair in pairs if wrong[pair]]
    caption = "Rows are the true classes, columns what was said; the diagonal is right."
    if pixels:
        title, counted, none = "Which pixels are taken for what", "of all pixels", "No pixel was mistaken for another class."
        times = [[percent(wrong[pair] / everything), percent(wrong[pair] / there[pair[0]])] for pair in pairs]
        told_counts = (100 * counts / np.maximum(there, 1)[:, None]).round().astype(int)
        said = f"{percent(right / max(1, everything))} of the pixels are right"
    else:
        title, counted, none = "What is taken for what", "times", "No test item was mistaken for another class."
        times = [[str(wrong[pair]), str(there[pair[0]])] for pair in pairs]
        told_counts, said = counts, f"{right} of {everything} test items are right"
    if len(scores.classes) > MOST_NUMBERED:
        caption += " The darker, the larger the share of the true class."
    elif pixels:
        caption += " Numbers are percent of the pixels of the true class."
    if len(scores.classes) > MOST_NAMED:
        order = "they were given" if pixels else "the split below lists them"
        caption += f" Classes are numbered in the order in which {order}."
    else:
        named = zip(drawable(scores.classes), scores.classes, strict=True)
        other = [f"{short}: {name}" for short, name in named if short != name]
        caption += f" In full: {'; '.join(other)}." if other else ""
    drawing = drawn(confusion(told_counts, scores.classes), f"Confusion matrix: {said}")
    mistakes = [f"{scores.classes[true]} taken for {scores.classes[wrongly]}" for true, wrongly in pairs]
    rows = [[mistake, *numbers] for mistake, numbers in zip(mistakes, times, strict=True)]
    told = Table(["mistake", counted, "of that class"], rows) if rows else Text(none)
    return Section(title, [Figure([drawing], caption), told])


def split_section(table: pd.DataFrame, rejected: Sequence[tuple[str, str]], *, notes: Sequence[str]) -> Section:
    """How the items were divided. `table` has a `label`, `group` and `split` for each."""
    counts = (
        table.groupby(["label", "split"]).size().unstack(fill_value=0).reindex(columns=["train", "valid", "test"], fill_value=0)
    )
    rows = [[str(label), *map(str, row)] for label, row in counts.iterrows()]
    told = (
        "Training learns from train, valid chooses the epoch, test is for the scores and nothing else. Items with identical "
        "content stay on one side."
    )
    groups = table.group.replace("", None).nunique()
    if groups:
        told += f" So do items of one group ({groups} groups)."
    split: list[Text | Table] = [
        Text(told),
        Table(["class", "train", "valid", "test"], [*rows, ["all", *map(str, counts.sum())]]),
    ]
    return Section("How the data was split", [*split, *left_out(rejected, notes)])


def left_out(rejected: Sequence[tuple[str, str]], notes: Sequence[str], *, show: int = 20) -> list[Text | Table]:
    """The notes on the data, and what was set aside of it."""
    blocks: list[Text | Table] = [Text(note) for note in notes]
    if rejected:
        blocks.append(Text(f"Set aside because they could not be used: {len(rejected)}."))
        blocks.append(Table(["item", "reason"], [[str(item), reason] for item, reason in rejected[:show]]))
        if len(rejected) > show:
            blocks.append(Text(f"… and {len(rejected) - show} more, in run.json."))
    return blocks


def settings_section(described: dict[str, Any]) -> Section:
    """What the run was run with; `described` is run.json."""
    chosen = {name: value for name, value in described.get("about", {}).items() if name != "stats"}
    given = {name: value for name, value in described.items() if name not in NOT_SETTINGS and value not in ("", None)}
    rows = []
    for name, value in {**chosen, **given}.items():
        came_out = chosen.get(name, value)
        asked = isinstance(value, (int, float)) and bool(value)  # 0 stands for a choice of the recipe's
        rows.append([name, str(value) if asked or value == came_out else f"{value}: {came_out}"])
    versions = ", ".join(f"{name} {version}" for name, version in described.get("versions", {}).items())
    return Section("What it was run with", [Table(["setting", "value"], rows), Text(f"Versions: {versions}.")])


def confused_pair(scores: ClassScores) -> tuple[int, int, bool]:
    """The two classes the network mistakes for one another most, and True; or the first two and False where it never does."""
    counts = np.array(scores.confusion[NETWORK]["counts"])
    both = np.triu(counts + counts.T, 1)
    first, second = divmod(int(both.argmax()), len(counts))
    return (first, second, True) if both.any() else (0, 1, False)


def gain_over_untrained(scores: Scores) -> str:
    """What training brought, in one sentence."""
    after = scores.table[scores.answers][scores.headline].value
    before = scores.table.get(UNTRAINED, {}).get(scores.headline)
    return f"{scores.headline} {after:.3f}" + (f", from {before.value:.3f} before training" if before else "")
