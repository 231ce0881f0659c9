"""The report of a model of tables: what every recipe shares, whether it can be trusted, for whom it works, what it goes by."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.data.items import PARTS
from toolkit.data.tabular.labelled import LabelledTabular
from toolkit.evaluation.bootstrap import Interval
from toolkit.evaluation.scores import ACCURACY
from toolkit.evaluation.tabular.baselines import BOOSTED
from toolkit.evaluation.tabular.metrics import MAE, R2, RMSE, ROC_AUC
from toolkit.evaluation.tabular.scores import BLENDED, TREES, TabularScores
from toolkit.files import read_json
from toolkit.learning.runs import Run
from toolkit.program.tabular.program import TabularProgram
from toolkit.reports import sections
from toolkit.reports.charts import MOST_NAMED, drawable
from toolkit.reports.interval_marks import IntervalMark, IntervalMarks
from toolkit.reports.page import Figure, Section, Table, Text, drawn, write_page
from toolkit.reports.tabular.charts import MOST_DRAWN, against_truth, reliability, residuals, roc
from toolkit.reports.tabular.insight import amount, column_sections, embedding_sections, row_section

if TYPE_CHECKING:
    from fastai.learner import Learner

GIVEN = "with a column for each category, gradient-boosted trees (LightGBM at its defaults) with categories as they are"
HIDDEN = "a few cells are hidden on purpose, so that missing ones and new categories are met too,"
BESIDE = (ACCURACY, "macro F1", "log loss", RMSE)  # metrics of a group, of which the first two are listed that are not drawn
MOST_LISTED, MOST_CLASSES = 60, 200  # columns and classes in a table


def write_tabular_report(
    learn: Learner, scores: TabularScores, *, log: list[dict[str, Any]], run: Run, program: TabularProgram
) -> Path:
    """Write report.html into the run folder. `log` is what `fit` returned, `program` what `export` did. Returns the report's
    path."""
    described = read_json(run.folder / "run.json", "a run")
    labelled: LabelledTabular = learn.dls.labelled
    metrics = [metric.name for metric in learn.metrics]
    page = sections.page_of(
        run.folder.name,
        scores,
        data=labelled.describe().splitlines()[0],
        parts=[
            sections.score_section(scores, GIVEN, noun="rows", further=_about_scores(scores, labelled, program=program)),
            *_group_sections(scores),
            sections.curve_section(log, metrics, best_epoch=described.get("best_epoch"), altered=HIDDEN, noun="rows"),
            *(_value_sections if labelled.regression else _class_sections)(scores, labelled),
            *column_sections(scores, labelled, program=program),
            row_section(scores, labelled, program=program),
            *embedding_sections(scores, labelled, embeds=learn.model.embeds),
            _data_section(labelled),
            _taken_for_section(labelled),
            sections.settings_section(_settings(described)),
        ],
    )
    path = run.folder / "report.html"
    write_page(path, page)
    return path


def _about_scores(scores: TabularScores, labelled: LabelledTabular, *, program: TabularProgram) -> list[Text]:
    """What the metrics are, what the program answers with, and what to do where boosted trees are better."""
    if labelled.regression:
        told = (
            "R² is the share of the variance that is explained: 1 where every answer is right, 0 where they are no better than "
            f"always the mean, below 0 where they are worse. RMSE and MAE, in the unit of {labelled.target.name}, say how far "
            "answers are off: the root of the mean square, and the mean."
        )
    elif scores.positive:
        told = (
            f"ROC AUC is the chance that of two rows, one of {scores.positive!r} and one not, the first gets the higher "
            "probability: 0.5 is guessing. Average precision is how clean a list is that begins with the likeliest, averaged "
            "over its lengths. Of log loss and calibration error less is better."
        )
    else:
        told = "ROC AUC and average precision are means over the classes. Of log loss and calibration error less is better."
    found = [Text(told)]
    if scores.answers == BLENDED:
        told = (
            f"Gradient-boosted trees were averaged in: {100 * program.trees:.0f} % of the answer is from these, as the "
            f"validation rows had it. They are the {TREES!r} below, fitted to train; the {BOOSTED!r} are a "
            "simple method, fitted to train and valid."
        )
        found.append(Text(told))
    if scores.best_simple == BOOSTED and scores.difference.value < 0:
        found.append(Text(_of_trees(scores)))
    return found


def _of_trees(scores: TabularScores) -> str:
    off = f"gradient-boosted trees alone reach {scores.table[BOOSTED][scores.headline].value:.3f} {scores.headline}"
    if scores.difference.high >= 0:
        return f"On this table {off}, more than the program's {scores.answers}, though by no more than chance explains."
    what = "blending could not make up for it" if scores.answers != "network" else "--blend averages some in"
    return f"On this table {off} and are the better choice, as they often are on tables: {what}."


def _group_sections(scores: TabularScores) -> list[Section]:
    """Scores for each value of the columns that were asked for."""
    if not scores.by_group:
        return []
    whole = scores.table[scores.answers]
    shown = [R2, MAE] if scores.regression else [scores.headline]
    beside = [name for name in BESIDE if name in whole and name not in shown][:2]
    blocks: list = [
        Text(
            "The scores of what the program answers, for test rows with each value of a column; the line is the figure of all "
            "test rows. Few rows make wide intervals, and of many groups one is the lowest by chance alone. All metrics with "
            "their intervals are in scores.json."
            + (
                " R² holds a group's errors against the spread within it, MAE does not: look at both."
                if scores.regression
                else ""
            )
        )
    ]
    for column, groups in scores.by_group.items():
        for metric in shown:
            lines = [_group_mark(value, each, metric=metric) for value, each in groups.items()]
            blocks.append(Text(f"By {column}. {_worst(metric, whole[metric], groups=groups)}"))
            blocks.append(IntervalMarks.of(lines, dots=True, line=whole[metric].value))
        rows = [
            [value, str(each["n"]), *(sections.cell(each["metrics"][name])[0] for name in beside)]
            for value, each in groups.items()
        ]
        blocks.append(Table([column, "rows", *beside], rows))
    return [Section("For whom it works", blocks)]


def _known(metric: str, found: Interval) -> bool:
    """Whether a group's figure says anything: ranking needs both classes, R² values that differ."""
    if metric == ROC_AUC:
        return (found.value, found.low, found.high) != (0.5, 0.0, 1.0)
    return metric != R2 or (found.value, found.low, found.high) != (0.0, 0.0, 0.0)


def _group_mark(value: str, each: dict[str, Any], *, metric: str) -> IntervalMark:
    found = each["metrics"][metric]
    rows = f"{each['n']} row{'s' if each['n'] > 1 else ''}"
    if not _known(metric, found):
        return IntervalMark(value, None, "all alike: not known", rows)
    return IntervalMark(value, found.value, str(found), rows, found.low, found.high)


def _worst(metric: str, whole: Interval, *, groups: dict[str, dict[str, Any]]) -> str:
    """Which groups have the lowest and the highest figure, and whether that can be chance; `whole` is that of all test rows."""
    known = {value: each for value, each in groups.items() if _known(metric, each["metrics"][metric])}
    if len(known) < 2:
        return f"There are no two groups whose {metric} is known: nothing to compare."
    least, most = (choose(known, key=lambda value: known[value]["metrics"][metric].value) for choose in (min, max))
    low, high = known[least]["metrics"][metric], known[most]["metrics"][metric]
    ends = f"highest is {most} with {metric} {high}", f"lowest is {least} with {metric} {low}"
    worst, best = ends if metric == MAE else ends[::-1]  # of errors the highest is the worst
    said = f"{worst[0].upper() + worst[1:]}, {best}; on all test rows it is {whole}. "
    if low.high < high.low:
        return said + "The intervals of these two do not overlap: the difference is hardly chance."
    return said + "The intervals of these two overlap: the difference may be chance, and more test rows would tell."


def _class_sections(scores: TabularScores, labelled: LabelledTabular) -> list[Section]:
    table = scores.predictions
    what = f"said: probability of {scores.positive}" if scores.positive else "said: probability of the answer"
    of = f"are of {scores.positive!r}" if scores.positive else "are right"
    short = drawable([what], longest=36, noun="probability")[0]
    picture = drawn(reliability(scores.calibration, short), f"Said and so: {_said_and_so(scores)}")
    told = (
        f"A probability can be trusted where of 100 answers of 70 % about 70 {of}: then the dots lie on the broken "
        "line. Whiskers are 95 % intervals; below, how many rows each dot stands for."
    )
    pictures = [picture]
    if scores.positive:
        hits = (table.label == scores.positive).to_numpy()
        likely = np.where(hits, table.probability_of_label, 1 - table.probability_of_label)
        area = scores.table[scores.answers][ROC_AUC].value
        if hits.any() and not hits.all():
            pictures.append(drawn(roc(likely, hits, area=area), f"ROC curve, area {area:.3f}"))
            told += (
                f" Beside it, what a lower threshold brings: more of {scores.positive!r} found, at the price of more others "
                "taken for it (the ROC curve)."
            )
    return [sections.confusion_section(scores), Section("Can its probabilities be trusted", [Text(told), Figure(pictures)])]


def _said_and_so(scores: TabularScores) -> str:
    return ", ".join(f"{point['said']:.2f} {point['share']:.2f} ({point['count']} rows)" for point in scores.calibration)


def _value_sections(scores: TabularScores, labelled: LabelledTabular) -> list[Section]:
    table, name = scores.predictions, labelled.target.name
    truth, said = table.label.to_numpy(np.float64), table.predicted.to_numpy(np.float64)
    off = np.abs(said - truth)
    spread = float(np.std(labelled.targets, dtype=np.float64))
    some = np.random.default_rng(0).permutation(len(truth))[:MOST_DRAWN]
    (cloud, beyond), (rest, beyond_too) = against_truth(truth[some], said[some], what=name), residuals(truth[some], said[some])
    half, most, worst = (amount(value, spread) for value in np.quantile(off, (0.5, 0.9, 1.0)))
    side = "high" if said.mean() > truth.mean() else "low"
    told = (
        f"Half of the answers are off by at most {half}, nine in ten by at most {most}, the worst by {worst}; on average they "
        f"lie {amount(abs(float((said - truth).mean())), spread)} too {side}. On the broken line an answer is right. "
        + ("In the second drawing the dark line is the median, around it are eight in ten rows." if len(some) >= 60 else "")
    )
    caption = f"{len(some)} of the {len(truth)} test rows." if len(some) < len(truth) else ""
    caption += f" {max(beyond, beyond_too)} of them lie off the drawings." if beyond or beyond_too else ""
    pictures = [
        drawn(cloud, f"Predicted against true {name}"),
        drawn(rest, f"Predicted less true, against predicted: half within {half}"),
    ]
    return [Section("Predicted against true", [Text(told.strip()), Figure(pictures, caption.strip())])]


def _data_section(labelled: LabelledTabular) -> Section:
    parts = [labelled.targets[labelled.rows_of(part)] for part in PARTS]
    told = (
        "Training learns from train, valid chooses the epoch, test is for the scores and nothing else. What is fitted to the "
        "data (categories, medians, scales) is fitted to train alone."
    )
    groups = labelled.table.group.replace("", None).nunique()
    told += f" Rows of one group stay on one side ({groups} groups)." if groups else ""
    blocks: list = [Text(told)]
    if labelled.regression:
        spread = float(np.std(labelled.targets, dtype=np.float64))
        rows = [
            [part, str(len(values)), *(amount(float(of(values)), spread) for of in (np.min, np.median, np.mean, np.max))]
            for part, values in zip(PARTS, parts, strict=True)
        ]
        blocks.append(Table(["part", "rows", "least", "median", "mean", "most"], rows))
    else:
        counts = [np.bincount(values, minlength=len(labelled.classes)) for values in parts]
        names = list(labelled.classes)
        if len(names) > MOST_NAMED:  # as the confusions above number them
            names = [f"{number} {name}" for number, name in enumerate(names, 1)]
        rows = [[name, *(str(count[number]) for count in counts)] for number, name in enumerate(names)]
        blocks.append(Table(["class", *PARTS], [*rows[:MOST_CLASSES], ["all", *(str(len(values)) for values in parts)]]))
        if rows[MOST_CLASSES:]:
            blocks.append(Text(f"… and {len(rows) - MOST_CLASSES} more classes."))
    return Section("How the data was split", [*blocks, *sections.left_out(labelled.rejected, labelled.notes)])


def _taken_for_section(labelled: LabelledTabular) -> Section:
    """What each column was taken for."""
    told = "A guess from the training rows; the options numbers, categories, dates and leave_out overrule it."
    rows = [[decision.column, f"{decision.kind}: {decision.why}"] for decision in labelled.decisions]
    blocks: list = [Text(told), Table(["column", "taken for"], rows[:MOST_LISTED])]
    if rows[MOST_LISTED:]:
        blocks.append(Text(f"… and {len(rows) - MOST_LISTED} more columns, in run.json."))
    return Section("What each column was taken for", blocks)


def _settings(described: dict[str, Any]) -> dict[str, Any]:
    """Those of a run, without what other sections list."""
    return {**described, "about": {name: value for name, value in described["about"].items() if name not in ("columns", "rows")}}
