"""What an evaluation found: the one source of every number in a report or on a program's card.

It is a file of its own because it is read by rooms that know nothing of how the numbers came about.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import floor, log10
from pathlib import Path

import pandas as pd

from toolkit.errors import RunError
from toolkit.files import read_json, write_json, write_text

NETWORK, UNTRAINED = "network", "untrained network"
TREES, BLENDED = "trees", "network and trees"  # of a program that answers with both
TABLES = ("table", "whole", "per_class")  # fields of `Scores` that map a method to its intervals
TEXTS = ("path", "label", "predicted", "content", "group", "worst class", "user", "item")  # columns of predictions: no numbers
MEAN_IOU, PIXEL_ACCURACY, BOUNDARY_F1 = PICTURE_METRICS = ("mean IoU", "pixel accuracy", "boundary F1")  # of pixels
ACCURACY = "accuracy"
ROC_AUC, AVERAGE_PRECISION = "ROC AUC", "average precision"  # of ranked rows
R2, RMSE, MAE = "R²", "RMSE", "MAE"  # of numbers
NDCG, RECALL, PRECISION = "nDCG@10", "recall@10", "precision@10"  # of recommendations, with the next line
MAP, COVERAGE, NOVELTY = "mean average precision", "catalogue coverage@10", "novelty@10"
OF_USERS = (NDCG, RECALL, PRECISION, MAP, NOVELTY)  # those that each user has: coverage is of all together
CURVES = ("nDCG", "recall")  # of the first 1, 2, … items of a ranking
NONE = "–"  # in a table, where a metric does not apply to a method


@dataclass(frozen=True)
class Interval:
    """A figure and its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        value, low, high = self.figures
        return f"{value} [{low}, {high}]"

    @property
    def figures(self) -> tuple[str, str, str]:
        """The figure and both ends as text: three decimals, and as many as tell them apart where the unit is such that
        they are far above or below 1."""
        largest = max(abs(self.value), abs(self.low), abs(self.high))
        decimals = 1 - floor(log10(largest)) if self.low > 0 and largest < 1e-3 else 3
        decimals = decimals if largest < 100 else max(0, 4 - floor(log10(largest)))
        numbers = (round(number, decimals) + 0.0 for number in (self.value, self.low, self.high))  # + 0.0: no minus before a zero
        return tuple(f"{number:.{decimals}f}" for number in numbers)

    @property
    def points(self) -> str:
        """The interval in percentage points: "[1.9, 4.4]"."""
        return f"[{100 * self.low:.1f}, {100 * self.high:.1f}]"


@dataclass(frozen=True)
class SplitGap:
    """What leaking would have claimed: the cross-validated accuracy of a simple `method` where items of one group stood on both
    sides of the split (`random`), and where they did not (`grouped`)."""

    method: str
    random: Interval
    grouped: Interval

    def __str__(self) -> str:
        return f"{self.method}: {self.random} if split at random, {self.grouped} with groups kept together"


@dataclass(frozen=True)
class Scores:
    """Metrics on the test set, for the network and for what it is held against.

    `table` maps a method ("network", "untrained network", "k-nearest neighbours", …) to its metrics, each an `Interval`.
    `confusion` maps it to `counts`, `low` and `high`, each [true class][predicted class]; `low` and `high` are None over
    100 classes. `difference` is the network's accuracy less that of `best_simple`. `resampled` says what the bootstrap
    drew: "items", or "groups" where items belong together. `predictions` has a row for each test item: path, label,
    predicted, probability (of the predicted class), probability_of_label, and, where the data has them, content (hash of
    the file), group, and start and stop of a window in seconds.

    `headline` is the metric that the verdict, the difference and the drawings are about. Where each pixel is classified it is
    "mean IoU"; then `per_class` maps a method to the IoU of each class that is in the test set, `confusion` counts pixels
    (`low` and `high` are None), and `predictions` has for each picture path, content, group, its own mean IoU, pixel accuracy
    and boundary F1, and worst class, that of the lowest IoU.

    Where items are windows of files, `whole` is a table as `table` for the `n_whole` files, each answered by the pool of its
    windows. `gap` is there where the data has groups and a method on the raw input was tried.

    `answers` names the method that the program answers with: the verdict, the difference and the predictions are its own. Of rows
    of a table the headline is "ROC AUC" for two classes, "accuracy" for more, and "R²" for numbers: then there are no classes, no
    confusion, and label and predicted are numbers. `positive` is, of two classes, the one that average precision and calibration
    are about: the rarer in training. `by_group` maps a column and a value of it to {"n": test rows, "metrics": {name: Interval}}.
    `calibration` has for each bin of answers {"said": mean probability (of `positive`, or of the predicted class of more than
    two), "share": how often it was so, "low", "high": its interval, "count"}.

    Of ratings the headline is "RMSE", the difference is by how much the network's is the lower, and `predictions` has row, user,
    item, content, label and predicted. Of choices, which are ranked, it is "nDCG@10", `n_test` counts users, and in `predictions`
    are user, content (a digest of the user and of what was to be found), known (likes), asked (choices to find), and the user's
    own metrics. Of either the bootstrap draws "users", a method lacks in `table` what it cannot answer, `curves` maps a method to
    the "nDCG" and "recall" of the first 1, 2, … 50 items, and `notes` say which methods were left out, and why.
    """

    task: str
    classes: tuple[str, ...]
    n_test: int
    resampled: str
    table: dict[str, dict[str, Interval]]
    confusion: dict[str, dict[str, list | None]]
    best_simple: str
    difference: Interval
    verdict: str
    predictions: pd.DataFrame
    whole: dict[str, dict[str, Interval]] = field(default_factory=dict)
    n_whole: int = 0
    gap: SplitGap | None = None
    headline: str = "accuracy"
    per_class: dict[str, dict[str, Interval]] = field(default_factory=dict)
    answers: str = NETWORK
    positive: str = ""
    by_group: dict[str, dict[str, dict]] = field(default_factory=dict)
    calibration: list[dict[str, float]] = field(default_factory=list)
    curves: dict[str, dict[str, list[float]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def regression(self) -> bool:
        """Whether what is predicted is a number."""
        return not self.classes and not self.ranking

    @property
    def metrics(self) -> list[str]:
        """The names of all metrics of `table`: not every method need have each."""
        return list(dict.fromkeys(name for row in self.table.values() for name in row))

    @property
    def ranking(self) -> bool:
        """Whether items are ranked for people, and no rating or class is predicted."""
        return self.headline == NDCG

    def card(self) -> dict:
        """What a program carries of this: everything but the confusion matrix, the curves, the single predictions, and what other
        methods than the network score on each class."""
        whole = self.to_json()
        whole["per_class"] = {method: each for method, each in whole["per_class"].items() if method == NETWORK}
        return {name: value for name, value in whole.items() if name not in ("classes", "confusion", "curves")}

    def to_json(self) -> dict:
        """All but the single predictions, as plain values."""
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "predictions"}
        tables = {
            which: {method: {name: asdict(value) for name, value in metrics.items()} for method, metrics in fields[which].items()}
            for which in TABLES
        }
        by_group = {
            column: {
                value: {**each, "metrics": {name: asdict(found) for name, found in each["metrics"].items()}}
                for value, each in values.items()
            }
            for column, values in self.by_group.items()
        }
        others = {"difference": asdict(self.difference), "gap": self.gap and asdict(self.gap), "by_group": by_group}
        return {**fields, "classes": list(self.classes), **tables, **others}

    def save(self, folder: Path | str) -> None:
        """Write scores.json (`to_json`) and predictions.csv (a row for each test item) into `folder`, each atomically."""
        write_json(Path(folder) / "scores.json", self.to_json())
        write_text(Path(folder) / "predictions.csv", self.predictions.to_csv(index=False))

    @classmethod
    def load(cls, folder: Path | str) -> Scores:
        """The scores that `save` wrote into `folder`. Raises `RunError` where they are missing or damaged."""
        folder = Path(folder)
        plain = read_json(folder / "scores.json", "a finished run")
        try:
            plain["classes"] = tuple(plain["classes"])
            plain["difference"] = Interval(**plain["difference"])
            for which in TABLES:
                plain[which] = {
                    method: {name: Interval(**value) for name, value in metrics.items()}
                    for method, metrics in plain.get(which, {}).items()
                }
            if gap := plain.get("gap"):
                plain["gap"] = SplitGap(gap["method"], Interval(**gap["random"]), Interval(**gap["grouped"]))
            for values in plain.get("by_group", {}).values():
                for each in values.values():
                    each["metrics"] = {name: Interval(**value) for name, value in each["metrics"].items()}
            # only the columns of numbers are read as such: a class may be called 1, None or NA
            texts = TEXTS if plain["classes"] else [name for name in TEXTS if name not in ("label", "predicted")]
            table = pd.read_csv(
                folder / "predictions.csv", dtype=dict.fromkeys(texts, str), keep_default_na=False,
                na_values=dict.fromkeys(PICTURE_METRICS, ""),
            )  # fmt: skip
            return cls(**plain, predictions=table)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise RunError(f"{folder}: its scores were written by another version, or damaged ({error}): run it again") from error

    def __str__(self) -> str:
        metrics = self.metrics
        width = max(map(len, self.table)) + 2
        items = f"windows of {self.n_whole} held-out files" if self.whole else "held-out items"
        items = "held-out rows" if "row" in self.predictions else "users with held-out choices" if self.ranking else items
        lines = [f"{self.n_test} {items}, 95 % intervals over {self.resampled}"]
        rows = [[method, *(str(row.get(name, NONE)) for name in metrics)] for method, row in self.table.items()]
        cells = [["", *metrics], *rows]
        broad = max(23, max(len(cell) for row in cells for cell in row[1:]) + 2)
        lines += [first.ljust(width) + "".join(cell.ljust(broad) for cell in rest) for first, *rest in cells]
        for method, row in self.whole.items():
            lines.append(f"whole files ({self.n_whole}), {method}: accuracy {row['accuracy']}")
        for method, each in self.per_class.items():
            if method == NETWORK:
                lines.append(f"IoU of each class, {method}: {', '.join(f'{name} {iou}' for name, iou in each.items())}")
        counted = "users" if self.ranking else "rows"
        for column, values in self.by_group.items():
            told = (f"{value} {each['metrics'][self.headline]} ({each['n']} {counted})" for value, each in values.items())
            lines.append(f"{self.headline} by {column}: {', '.join(told)}")
        lines += [f"the split matters: {self.gap}"] if self.gap else []
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(line.rstrip() for line in [*lines, f"verdict: {self.verdict}"])


def verdict(best_simple: str, difference: Interval, of: str = "") -> str:
    """One sentence: is the network better than the best simple method, and by how much? `of` says what the points are of, where
    it is not accuracy. Of "RMSE" there are no points, but the unit of what is predicted."""
    if of == RMSE:
        value, low, high = difference.figures
        if difference.low > 0:
            return f"better than the best simple method ({best_simple}) by {value} {of} [{low}, {high}]"
        if difference.high < 0:
            return f"worse than {best_simple} by {value.lstrip('-')} {of}: [{low}, {high}]"
        return f"not better than {best_simple}: [{low}, {high}] {of}"
    points = f"points of {of}" if of else "points"
    if difference.low > 0:
        return f"better than the best simple method ({best_simple}) by {100 * difference.value:.1f} {points} {difference.points}"
    if difference.high < 0:
        return f"worse than {best_simple} by {-100 * difference.value:.1f} {points}: {difference.points} points"
    return f"not better than {best_simple}: {difference.points} {points}"
