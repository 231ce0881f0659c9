"""What a model of tables goes by: which columns matter, what moved the answer of single rows, which categories it treats alike.

These sections ask the program for answers, where the others read what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import floor, log10
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from toolkit.data.tabular.labelled import LabelledTabular
from toolkit.evaluation.sampling import sample_rows
from toolkit.evaluation.tabular.groups import MISSING
from toolkit.evaluation.tabular.importance import MOST_ROWS, REPEATS, Dependence, partial_dependence, permutation_importance
from toolkit.evaluation.tabular.scores import TabularScores
from toolkit.program.cells import is_missing, python_value, text_of
from toolkit.program.tabular.columns import FIRST, NONE, OTHER
from toolkit.program.tabular.program import TabularProgram
from toolkit.reports.charts import drawable
from toolkit.reports.interval_marks import Cards, IntervalMark, IntervalMarks
from toolkit.reports.page import Block, Figure, Section, Text, drawn
from toolkit.reports.tabular.charts import COLOURS, LONGEST_CATEGORY, LONGEST_COLUMN, dependence, embedding

if TYPE_CHECKING:
    from torch import nn

MOST_COLUMNS = 20  # whose importance is drawn
AFFORDABLE, FEWEST_ROWS = 15_000_000, 200  # cells that are read to find what columns are worth; test rows at the least
FOLLOWED = 4  # columns whose partial dependence is drawn, and classes in it
REASONS = 6  # columns that are named for a row
LONGEST_CELL = 40
FINEST = 6  # decimals of a value: finer ones are written with an exponent
MOST_NAMED = 40  # categories of an embedding
MOST_EMBEDDED = 4  # columns


def column_sections(scores: TabularScores, labelled: LabelledTabular, *, program: TabularProgram) -> list[Section]:
    """How much the score falls without each column, and how the answer follows the strongest."""
    test = len(labelled.rows_of("test"))
    affordable = AFFORDABLE // len(labelled.tabular_input.names) ** 2  # rows that each column is shuffled in
    repeats = int(np.clip(affordable // min(test, MOST_ROWS), 1, REPEATS))
    rows = int(np.clip(affordable // repeats, FEWEST_ROWS, MOST_ROWS))
    worth = permutation_importance(program.run, labelled, most=rows, repeats=repeats)
    shown = dict(list(worth.items())[:MOST_COLUMNS])
    told = (
        f"By how much the {scores.headline} falls when the cells of a column are shuffled among {min(rows, test)} test rows, so "
        f"that they say nothing any more: the mean of {_counted(repeats, 'shuffle')}, in brackets the range that holds the true "
        "figure with 95 % confidence (permutation importance). Columns that say the same share their worth, for shuffling one "
        f"leaves the other. And it is what this program goes by, not what {labelled.target.name} comes from."
    )
    lines = []
    for name, found in shown.items():
        value, low, high = (amount(number, 1.0) for number in (found.value, found.low, found.high))
        lines.append(IntervalMark(name, found.value, f"{value} [{low}, {high}]", "", found.low, found.high))
    blocks: list[Block] = [Text(told), IntervalMarks.of(lines)]
    if rest := list(worth.values())[MOST_COLUMNS:]:
        most = f"at most {rest[0].value:.3f}" if rest[0].value >= 0.0005 else "less than 0.001"
        blocks.append(Text(f"{_counted(len(rest), 'more column')}, each worth {most}."))
    return [Section("Which columns matter", blocks), _followed(scores, labelled, program=program, columns=list(worth)[:FOLLOWED])]


def _followed(scores: TabularScores, labelled: LabelledTabular, *, program: TabularProgram, columns: Sequence[str]) -> Section:
    found = [partial_dependence(program.run, labelled, column=name) for name in columns]
    if labelled.regression:
        what, numbers = f"mean {labelled.target.name}", [0]
    elif scores.positive:
        what, numbers = f"probability of {scores.positive}", [scores.classes.index(scores.positive)]
    else:
        moved = sum(np.ptp(each.answers, axis=0) for each in found)
        what, numbers = "probability", np.argsort(-moved, kind="stable")[: min(FOLLOWED, len(COLOURS))].tolist()
    names = [scores.classes[number] for number in numbers] if scores.classes else [what]
    seen = np.concatenate([each.answers[:, numbers].ravel() for each in found])
    spare = 0.06 * float(np.ptp(seen)) or 0.05 * abs(float(seen[0])) or 0.01
    span = float(seen.min()) - spare, float(seen.max()) + spare
    short = drawable([what], longest=LONGEST_COLUMN, noun="answer")[0]
    titles = _short([each.column for each in found], LONGEST_COLUMN, noun="column")
    labels = _short(
        [str(value) for each in found if each.kind == "category" for value in each.values], LONGEST_CATEGORY, noun="category"
    )
    pictures = []
    for each in found:
        answers = each.answers[:, numbers]
        values = [labels[str(value)] for value in each.values] if each.kind == "category" else each.values
        lines = dict(zip(names, answers.T, strict=True))
        drawing = dependence(values, lines, kind=each.kind, title=titles[each.column], what=short, span=span)
        pictures.append(drawn(drawing, _ends(each, answers[:, 0], what=names[0])))
    told = (
        "What the program answers on average when the cell of one column is set to one value after the other in up to 500 test "
        f"rows and all others stay (partial dependence): for the {_counted(len(found), 'strongest column')}, on one scale. Small "
        "ticks are quantiles of the training rows: where they are far apart, few rows were learnt from. Where columns go "
        "together, some of these rows are such as never occur. And a curve that rises does not say that "
        "raising the value would raise anything."
    )
    if len(names) > 1 and len(names) < len(scores.classes):
        told += f" Of the {len(scores.classes)} classes these are the {len(names)} whose probability moves most."
    caption = in_full({**titles, **labels}).strip()
    return Section("How the answer follows them", [Text(told), Figure(pictures, caption)])


def _ends(found: Dependence, answers: np.ndarray, *, what: str) -> str:
    least, most = int(answers.argmin()), int(answers.argmax())
    values = [value if isinstance(value, str) else f"{value:.6g}" for value in (found.values[least], found.values[most])]
    ends = [f"{answers[place]:.4g} at {value}" for place, value in zip((least, most), values, strict=True)]
    return f"{found.column}: {what} from {ends[0]} to {ends[1]}"


def _short(labels: Sequence[str], longest: int, *, noun: str) -> dict[str, str]:
    """Labels with what a drawing calls them."""
    labels = list(dict.fromkeys(labels))
    return dict(zip(labels, drawable(labels, longest=longest, noun=noun), strict=True))


def in_full(labels: dict[str, str], most: int = 12) -> str:
    """What the short ones of `labels` stand for, as a sentence; nothing where all are whole."""
    cut = [f"{short}: {whole}" for whole, short in labels.items() if short != whole]
    return f" In full: {'; '.join(cut[:most])}{'; …' if cut[most:] else ''}." if cut else ""


def row_section(scores: TabularScores, labelled: LabelledTabular, *, program: TabularProgram) -> Section:
    """Test rows of three kinds, each with the columns that moved its answer."""
    test = labelled.rows_of("test")
    rows = test[sample_rows(len(test), len(scores.predictions))]  # of more than are scored, the same sample as there
    chosen = _extremes(scores.predictions) if labelled.regression else _surest(scores.predictions)
    spread = float(np.std(labelled.targets, dtype=np.float64)) if labelled.regression else 1.0
    cards = [
        _card(kind, place, row=int(rows[place]), scores=scores, labelled=labelled, program=program, spread=spread)
        for kind, place in chosen
    ]
    of = f"{labelled.target.name}, in its unit," if labelled.regression else "the probability of what was said"
    told = (
        "A typical row has the commonest category and the median in every column. Below is how far each cell of a row moved "
        f"{of} away from the answer for that typical one, the strongest first: blue upwards, brown downwards (Shapley values, "
        "over the orders in which cells may take the typical ones' place). It is this program that is explained, not the world."
    )
    return Section("Rows explained", [Text(told), Cards(cards)])


def _surest(table: pd.DataFrame) -> list[tuple[str, int]]:
    """The surest right and the surest wrong answers, of two classes each where there are, and the least sure ones."""
    right, sure = (table.label == table.predicted).to_numpy(), table.probability.to_numpy()
    falling = np.argsort(-sure, kind="stable")
    found = {
        "right, and sure": _of_two_classes(falling[right[falling]], table),
        "wrong, and sure": _of_two_classes(falling[~right[falling]], table),
    }
    taken = {place for places in found.values() for place in places}
    found["unsure"] = [place for place in falling[::-1].tolist() if place not in taken][:2]
    return [(kind, place) for kind, places in found.items() for place in places]


def _of_two_classes(places: np.ndarray, table: pd.DataFrame) -> list[int]:
    if not len(places):
        return []
    said = table.predicted.to_numpy()
    others = [place for place in places[1:] if said[place] != said[places[0]]] or list(places[1:])
    return [int(place) for place in (places[0], *others[:1])]


def _extremes(table: pd.DataFrame) -> list[tuple[str, int]]:
    """The rows estimated best, worst, and as well as half of them."""
    order = np.argsort((table.predicted - table.label).abs().to_numpy(), kind="stable").tolist()
    middle = len(order) // 2
    found: dict[int, str] = {}
    for kind, places in (("best", order[:2]), ("worst", order[:-3:-1]), ("middling", order[middle : middle + 2])):
        for place in places:
            found.setdefault(place, kind)
    return [(kind, place) for place, kind in found.items()]


def _card(
    kind: str, place: int, *, row: int, scores: TabularScores, labelled: LabelledTabular, program: TabularProgram, spread: float
) -> tuple[list[str], IntervalMarks, list[str]]:
    item, source = scores.predictions.iloc[place], labelled.table.iloc[row]
    cells = {name: labelled.frame[name].iloc[row] for name in labelled.tabular_input.names}
    reasons = program.why(cells)
    if labelled.regression:
        lines = [f"said {amount(item.predicted, spread)}, is {amount(item.label, spread)}"]
    elif item.label == item.predicted:
        lines = [f"{item.predicted} {item.probability:.3f}"]
    else:
        lines = [f"said {item.predicted} {item.probability:.3f}, is {item.label} {item.probability_of_label:.3f}"]
    file = f" of {Path(source.path).name}" if labelled.table.path.nunique() > 1 else ""
    above = [f"{kind}: {lines[0]}", f"row {source.row}{file}"]
    marks = [
        IntervalMark(_cut(reason.column), reason.moved, amount(reason.moved, spread, sign="+"), cell_text(reason.cell, labelled))
        for reason in reasons[:REASONS]
    ]
    below = []
    if rest := reasons[REASONS:]:
        moved = amount(sum(reason.moved for reason in rest), spread, sign="+")
        below.append(f"{_counted(len(rest), 'more column')}{' together' if len(rest) > 1 else ''}: {moved}")
    answer = item.predicted if labelled.regression else item.probability
    said = "" if labelled.regression else f"{item.predicted} "
    below.append(f"a typical row: {said}{amount(answer - sum(reason.moved for reason in reasons), spread)}")
    if not reasons:
        below.append("typical in every column: nothing moved the answer")
    error = amount(max((reason.error for reason in reasons), default=0.0), spread)
    if float(error):
        below.append(f"from a sample of the orders: standard errors up to {error}")
    notes = labelled.tabular_input.prepare({name: [cell] for name, cell in cells.items()}, labelled.text).notes[0]
    return above, IntervalMarks.of(marks), [*below, *(f"note: {note}" for note in notes)]


def cell_text(cell: object, labelled: LabelledTabular) -> str:
    """A cell as a reader wants it, cut where it is long."""
    cell = python_value(cell)
    if is_missing(cell, labelled.tabular_input.na_values):
        return MISSING
    return _cut(f"{cell:.6g}" if isinstance(cell, float) else text_of(cell).strip())


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_CELL else f"{text[: LONGEST_CELL - 1]}…"


def amount(value: float, spread: float, *, sign: str = "") -> str:
    """A value with three digits of what such values differ by, 0.001 where these are probabilities."""
    decimals = int(np.clip(2 - floor(log10(spread)), 0, 12)) if spread > 0 else 3
    decimals = 3 if spread == 1.0 else decimals
    if decimals > FINEST:
        return f"{value:{sign}.2e}"
    return f"{round(value, decimals) + 0.0:{sign}.{decimals}f}"  # the sum: no -0.000


def embedding_sections(scores: TabularScores, labelled: LabelledTabular, *, embeds: nn.ModuleList) -> list[Section]:
    """Where the network has put the categories of the columns that have most of them."""
    columns = labelled.tabular_input.categories
    order = sorted(
        (place for place, column in enumerate(columns) if len(column.values) > 2), key=lambda at: -len(columns[at].values)
    )
    if not order:
        return []
    train = labelled.rows_of("train")
    titles = _short([columns[place].name for place in order[:MOST_EMBEDDED]], LONGEST_COLUMN, noun="column")
    pictures, captions = [], []
    for place in order[:MOST_EMBEDDED]:
        codes = labelled.codes[train, place]
        counts = np.bincount(codes, minlength=labelled.tabular_input.cardinalities[place])
        common = np.argsort(-counts[FIRST:], kind="stable")[:MOST_NAMED] + FIRST
        kept = np.array([NONE, OTHER, *common])
        weights = embeds.get_parameter(f"{place}.weight").detach().cpu().numpy().astype(np.float64)[kept]
        weights -= weights.mean(axis=0)
        left, sizes, _ = np.linalg.svd(weights, full_matrices=False)
        points = np.pad(left * sizes, ((0, 0), (0, 2)))[:, :2]
        held = float((sizes[:2] ** 2).sum() / max((sizes**2).sum(), 1e-12))
        column = columns[place]
        whole = [MISSING, "(others)", *(column.values[code - FIRST] for code in common)]
        names = drawable(whole, longest=LONGEST_CATEGORY, noun="category")
        shades = _shades(scores, labelled, train=train, codes=codes, count=len(counts))
        chosen = None if shades is None else shades[kept]
        drawing, named = embedding(
            points, names, counts=counts[kept], shades=chosen, others=kept < FIRST, title=titles[column.name]
        )
        more = f", the {MOST_NAMED} commonest of {len(column.values)}" if len(column.values) > MOST_NAMED else ""
        unnamed = f"; no room for {_counted(len(kept) - len(named), 'name')}" if len(named) < len(kept) else ""
        title = titles[column.name]
        called = title if title == column.name else f"{title} ({column.name})"
        caption = f"{called}{more}: the two directions hold {100 * held:.0f} % of the differences{unnamed}."
        captions.append(caption + in_full({whole[number]: names[number] for number in sorted(named)}))
        pictures.append(drawn(drawing, f"{column.name}: {len(kept)} categories in two directions"))
    dark = f" The darker, the more often {scores.positive!r} among these rows." if scores.positive else ""
    dark = f" The darker, the higher {labelled.target.name} is in these rows on average." if labelled.regression else dark
    both = " The trees have their own way with categories; this is the network's." if scores.answers != "network" else ""
    told = (
        "To the network each category is a few numbers that it has learnt, a place. Drawn are the two directions in which the "
        "places of a column lie apart most (principal components): those that are near each other it treats alike. The larger a "
        "dot, the more training rows; the place of a small one is still much as it was drawn at random before training. Squares "
        "stand for a missing cell and for categories that were too rare or never met."
    )
    return [Section("Which categories are alike to it", [Text(told + dark + both), Figure(pictures, " ".join(captions))])]


def _shades(
    scores: TabularScores, labelled: LabelledTabular, *, train: np.ndarray, codes: np.ndarray, count: int
) -> np.ndarray | None:
    """For each code how often the positive class is, or the mean value, in its training rows, from 0, the least, to 1; none
    where there are more classes."""
    if labelled.regression:
        values = labelled.targets[train].astype(np.float64)
    elif scores.positive:
        values = (labelled.targets[train] == scores.classes.index(scores.positive)).astype(np.float64)
    else:
        return None
    rows = np.bincount(codes, minlength=count)
    means = np.bincount(codes, values, minlength=count) / np.maximum(rows, 1)
    means[rows == 0] = values.mean()
    return (means - means.min()) / (float(np.ptp(means)) or 1.0)


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' if count > 1 else ''}"
