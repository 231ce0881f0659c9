"""The report of a learner of ratings or interactions: how well users are served beside simple methods, and what was learnt of
items.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.data.collab.labelled import LabelledCollab
from toolkit.data.items import PARTS
from toolkit.evaluation.collab.metrics import COVERAGE, CURVES, MAP, NDCG, NOVELTY, PRECISION, RECALL
from toolkit.evaluation.collab.scores import CollabScores
from toolkit.evaluation.tabular.metrics import MAE, RMSE
from toolkit.files import read_json
from toolkit.learning.runs import Run
from toolkit.program.collab.program import Recommender
from toolkit.reports import sections
from toolkit.reports.charts import bars
from toolkit.reports.collab.charts import error_bars, ranking_curves
from toolkit.reports.collab.insight import bias_section, map_sections, similar_section
from toolkit.reports.collab.users import user_sections
from toolkit.reports.interval_marks import IntervalMark, IntervalMarks
from toolkit.reports.page import Block, Figure, Section, Table, Text, drawn, write_page

if TYPE_CHECKING:
    from fastai.learner import Learner

ERRORS, RANKS = (RMSE, MAE), (NDCG, RECALL, PRECISION, MAP, COVERAGE, NOVELTY)
ALTERED = {
    ("rating", "dot"): "some products of factors are left out at random (dropout)",
    ("ranking", "dot"): "other items of each person are hidden each time",
    ("rating", "neural"): "batch norm goes by each batch",
    ("ranking", "neural"): "other items are drawn as not chosen each time",
}
WAYS = {
    "random": "Of each person a share of the rows, drawn at random, is held out.",
    "time": "The latest rows of all are the test, those before them valid.",
    "last": "The latest row of each person is in the test, the one before it in valid.",
    "user": "Whole people are held out. Half of their rows are given, so that they can be known; the other half is asked for.",
    "file": "The test is a file of its own.",
}
GROUPED = {"users": "By whether training knew the user", "items": "By whether training knew the item"}


def write_collab_report(
    learn: Learner, scores: CollabScores, *, log: list[dict[str, Any]], run: Run, program: Recommender
) -> Path:
    """Write report.html into the run folder. `log` is what `fit` returned, `program` what `export` did. Returns the report's
    path."""
    described = read_json(run.folder / "run.json", "a run")
    labelled: LabelledCollab = learn.dls.labelled
    metrics = [metric.name for metric in learn.metrics]
    altered = ALTERED.get((labelled.objective, described["about"].get("form")), "the weights are being regularised")
    page = sections.page_of(
        run.folder.name,
        scores,
        data=labelled.describe().splitlines()[0],
        parts=[
            _score_section(scores),
            *_curve_sections(scores),
            _group_section(scores),
            sections.curve_section(log, metrics, best_epoch=described.get("best_epoch"), altered=altered, noun="rows"),
            *map_sections(program),
            bias_section(learn, program),
            similar_section(program),
            *user_sections(learn, scores, program=program),
            _data_section(labelled),
            sections.settings_section(_settings(described)),
        ],
    )
    path = run.folder / "report.html"
    write_page(path, page)
    return path


def _score_section(scores: CollabScores) -> Section:
    """The network beside itself untrained and simple methods."""
    found = {name: row[scores.headline] for name, row in scores.table.items() if scores.headline in row}
    values = {name: (each.value, each.low, each.high) for name, each in found.items()}
    drawing = (bars if scores.ranking else error_bars)(values, scores.headline, highlighted=scores.answers)
    of = f"{scores.n_test} users, whose held-out choices" if scores.ranking else f"{scores.n_test} held-out ratings, which"
    told = (
        f"Measured on {of} training never saw. In brackets, the range that holds the true figure with 95 % confidence (bootstrap "
        "over test users). All methods know of a user what the network knows; simple ones are fitted to train and valid. A dash "
        "stands where a method does not answer the question."
    )
    said = f"{scores.headline}: {', '.join(f'{name} {each.value:.3f}' for name, each in found.items())}"
    blocks: list[Block] = [
        Text(told),
        *(Text(f"{note[0].upper()}{note[1:]}.") for note in scores.notes),
        Figure([drawn(drawing, said)]),
    ]
    about_errors = (
        "How many stars: RMSE and MAE say how far an expected rating is off, the root of the mean square and the mean, in stars. "
        "Less is better."
    )
    about_ranks = (
        "What is shown first, of all that a user has not seen, users counting alike. nDCG@10 is 1 where all that they chose "
        "stands at the top of ten; recall is the share of it that is among the ten, precision the share of the ten that they "
        "chose; mean average precision looks at the whole ranking. Coverage is the share of the catalogue that somebody is "
        "shown; novelty is higher the rarer what is shown (bits). Of these two more is not always better."
    )
    for names, about in ((ERRORS, about_errors), (RANKS, about_ranks)):
        there = [name for name in names if name in scores.metrics]
        rows = [
            [method, *(sections.cell(row.get(name)) for name in there)]
            for method, row in scores.table.items()
            if any(name in row for name in there)
        ]
        blocks += [Text(about), Table(["method", *there], rows)] if rows else []
    return Section("Scores", blocks)


def _curve_sections(scores: CollabScores) -> list[Section]:
    """What is found among the first items of each method's ranking."""
    pictures = []
    for name in CURVES[::-1]:
        lines = {method: each[name] for method, each in scores.curves.items() if each.get(name)}
        if not lines:
            continue
        ends = {method: values[-1] for method, values in lines.items()}
        longest = max(map(len, lines.values()))
        said = ", ".join(f"{method} {value:.3f}" for method, value in ends.items())
        pictures.append(drawn(ranking_curves(lines, name), f"{name} of the first {longest} items: {said}"))
    if not pictures:
        return []
    told = (
        "Recall is the share of what users really chose that is among the first N items they are shown; nDCG counts more what "
        "stands higher. How many are shown is yours to choose: look where the lines lie for your N."
    )
    return [Section("Ranking curves", [Text(told), Figure(pictures)])]


def _group_section(scores: CollabScores) -> Section:
    """The network's scores by what was known."""
    whole, counted = scores.table[scores.answers][scores.headline], "users" if scores.ranking else "rows"
    better = "higher" if scores.ranking else "lower"
    blocks: list[Block] = [
        Text(
            f"The {scores.headline} of what the network answers, {better} is better; the line is that of all. Warm users have "
            "rows in training, cold ones have not: of some likes are given when they are asked about, of others nothing is "
            "known, and they get what anyone would. Few users make wide intervals."
        )
    ]
    for column, groups in scores.by_group.items():
        marks = []
        for value, each in groups.items():
            found, count = each["metrics"][scores.headline], each["n"]
            rows = f"{count} {counted if count != 1 else counted[:-1]}"
            marks.append(IntervalMark(value, found.value, str(found), rows, found.low, found.high))
        blocks.append(Text(f"{GROUPED.get(column, f'By {column}')}:"))
        blocks.append(IntervalMarks.of(marks, dots=True, line=whole.value))
    return Section("For whom it works", blocks)


def _data_section(labelled: LabelledCollab) -> Section:
    told = (
        f"{WAYS.get(labelled.way, '')} Training learns from train, valid chooses the epoch, test is for the scores and nothing "
        "else. Each pair of user and item counts once."
    ).strip()
    rows = []
    for part in PARTS:
        some = labelled.rows_of(part)
        users, items = (len(np.unique(codes[some])) for codes in (labelled.user_codes, labelled.item_codes))
        row = [part, str(len(some)), str(len(labelled.held_out(part))), str(users), str(items)]
        if labelled.rated:
            row.append(f"{labelled.values[some].mean(dtype=np.float64):.2f}" if len(some) else "–")
        rows.append(row)
    table = Table(["part", "rows", "of them asked", "users", "items", *(["mean rating"] if labelled.rated else [])], rows)
    return Section("How the data was split", [Text(told), table, *sections.left_out(labelled.rejected, labelled.notes)])


def _settings(described: dict[str, Any]) -> dict[str, Any]:
    """Those of a run, without what other sections list."""
    return {**described, "about": {name: value for name, value in described["about"].items() if name != "rows"}}
