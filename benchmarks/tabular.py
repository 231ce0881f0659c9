"""Tables beside plain fastai and LightGBM: `python -m benchmarks.tabular`.

Needs `tabular_adult/train.csv` and `test.csv` below --data: Adult's rows as published, with a header that calls the last column
classification (https://archive.ics.uci.edu/dataset/2/adult). Without it only the sample tables are measured. Takes about
five minutes.
"""

from __future__ import annotations

import csv
import itertools
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from fastai.learner import Learner
from sklearn.metrics import accuracy_score, roc_auc_score

from benchmarks import plain_tabular
from benchmarks.harness import Figure, options, report
from recipes.tabular import build_learner
from toolkit.evaluation import evaluate
from toolkit.evaluation.tabular.scores import tabular_answers
from toolkit.export import export
from toolkit.learning.fitting import fit
from toolkit.learning.tabular.learner import blend_trees
from toolkit.program.tabular.columns import FIRST
from toolkit.program.tabular.program import TabularProgram

SAMPLES = Path(__file__).resolve().parent.parent / "sample_data"
TABLES = {"breast_cancer": "diagnosis", "admissions": "admitted", "income": "income"}  # file -> what is predicted
TARGET = plain_tabular.TARGET
SEEDS = (42, 0, 1)
AT_ONCE = 100  # predictions of ours timed together: one is too short to time
# the peak of the process itself: getrusage would count its parent's, from before it was replaced
MEASURE = """
import re, runpy, sys
peak, *sys.argv = sys.argv[1:]
try:
    runpy.run_path(sys.argv[0], run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
status = open("/proc/self/status").read()
open(peak, "w").write(re.search(r"VmHWM:\\s+(\\d+)", status)[1])
"""
SLACK = 30  # MB, or a tenth: what may come on top for ten times the rows


def main() -> int:
    """Measure everything, print the table, return the exit status."""
    chosen = options(__doc__)
    figures: list[Figure] = []
    samples(figures, chosen.short)
    adult = chosen.data / "tabular_adult"
    if adult.is_dir():
        with tempfile.TemporaryDirectory() as name:
            on_adult(figures, adult, folder=Path(name), short=chosen.short)
    else:
        print(f"left out: no {adult} (see --help)")
    return report(figures, chosen)


def samples(figures: list[Figure], short: bool) -> None:
    """The sample tables, the recipe as it comes: the network beside the best simple method."""
    for name, target in TABLES.items():
        learn = build_learner(SAMPLES / f"{name}.csv", target)
        began = time.perf_counter()
        fit(learn, epochs=2 if short else 0)
        seconds = time.perf_counter() - began
        scores = evaluate(learn)
        others = {method: row[scores.headline].value for method, row in scores.table.items() if "network" not in method}
        note = f"{seconds:.0f} s; " + ", ".join(f"{method} {value:.3f}" for method, value in others.items())
        ours = scores.table["network"][scores.headline].value
        figures.append(Figure(f"{name}: test {scores.headline}", [ours], [others[scores.best_simple]], note=note))


def on_adult(figures: list[Figure], adult: Path, *, folder: Path, short: bool) -> None:
    """Adult's official split: scores beside the peers', parity of the programs, speed for one row and for a million."""
    train, test = (plain_tabular.read(adult / f"{part}.csv") for part in ("train", "test"))
    truth = (test[TARGET] == test[TARGET].max()).to_numpy()
    plain, plain_seconds = plain_tabular.train_fastai(train, 1 if short else 5)
    trees, trees_seconds = plain_tabular.train_lightgbm(train, test)
    boosted = float(roc_auc_score(truth, trees))
    by_hand = float(roc_auc_score(truth, plain_tabular.fastai_probabilities(plain, test)))
    programs: dict[str, TabularProgram] = {}
    for arch, target in (("plain", 0.0), ("tabm", 0.924)):
        learners, found, seconds, epochs = [], [], [], 0
        for seed in SEEDS[:1] if short else SEEDS:
            began = time.perf_counter()
            learn = build_learner(adult / "train.csv", TARGET, test=str(adult / "test.csv"), arch=arch, seed=seed)
            epochs = fit(learn, epochs=1 if short else 0)[-1]["epoch"]
            seconds.append(time.perf_counter() - began)
            learners.append(learn)
            found.append(_measured(learn, truth))
        aucs, note = [auc for auc, _ in found], f"{epochs} epochs, accuracy {', '.join(f'{hit:.4f}' for _, hit in found)}"
        judged = bool(target) and not short
        figures += [
            Figure(f"Adult, {arch}: test ROC AUC, the network alone", aucs, [by_hand] * len(aucs),
                   target=f"at least {target}" if target else "", reached=min(aucs) >= target if judged else None,
                   note=f"peer: plain fastai; {note}"),
            Figure(f"Adult, {arch}: test ROC AUC, the network alone", aucs, [boosted] * len(aucs),
                   note=f"peer: LightGBM, default, {trees_seconds:.1f} s"),
            Figure(f"Adult, {arch}: seconds of training, reading included", seconds, [plain_seconds] * len(seconds), "s", True,
                   target="at most 120" if target else "", reached=max(seconds) <= 120 if judged else None,
                   note="peer: plain fastai"),
        ]  # fmt: skip
        programs[arch] = export(learners[0], folder / f"{arch}.pyz")
        agreement(figures, arch, learn=learners[0], program=programs[arch])
    blended(figures, learners, truth=truth, lightgbm=boosted, folder=folder, short=short)
    one_row(figures, programs, plain=plain, test=test, short=short)
    many_rows(figures, programs, source=adult / "test.csv", folder=folder, short=short)
    guardrails(figures, programs["tabm"])


def _measured(learn: Learner, truth: np.ndarray) -> tuple[float, float]:
    """ROC AUC and accuracy of the network on the test rows, of which `truth` says which are of the second class."""
    answers = tabular_answers(learn)["network"]
    assert np.array_equal(learn.dls.labelled.targets[learn.dls.labelled.rows_of("test")] == 1, truth)
    return float(roc_auc_score(truth, answers[:, 1])), float(accuracy_score(truth, answers.argmax(axis=1) == 1))


def blended(
    figures: list[Figure], learners: list[Learner], *, truth: np.ndarray, lightgbm: float, folder: Path, short: bool
) -> None:
    """The network with trees averaged in, as `--blend` does, beside LightGBM's own score; and the scores by group."""
    aucs, said, seconds = [], [], []
    for learn in learners:
        began = time.perf_counter()
        said.append(blend_trees(learn).partition(",")[0].removeprefix("blend: "))
        seconds.append(time.perf_counter() - began)
        program = export(learn, folder / "blend.pyz")
        labelled = learn.dls.labelled
        rows = labelled.rows_of("test")
        answers = program.run(labelled.codes[rows], labelled.numbers[rows])
        aucs.append(float(roc_auc_score(truth, answers[:, 1])))
    figures.append(
        Figure("Adult, blend: test ROC AUC, the program", aucs, [lightgbm] * len(aucs), target="above LightGBM's own",
               reached=None if short else min(aucs) > lightgbm, note=f"{'; '.join(said)}; {max(seconds):.1f} s more")
    )  # fmt: skip
    agreement(figures, "blend", learn=learn, program=program)
    print(evaluate(learn))


def agreement(figures: list[Figure], name: str, *, learn: Learner, program: TabularProgram) -> None:
    """The furthest that the program's probabilities, from the cells as they are in the file, lie from the learner's."""
    labelled = learn.dls.labelled
    rows = labelled.rows_of("test")
    prepared = program.input.prepare({column: labelled.frame[column].iloc[rows] for column in program.input.names}, text=True)
    answers = tabular_answers(learn)
    parts = {"network": program.run_network, **({"trees": program.run_trees} if "trees" in answers else {})}
    apart = {part: float(np.abs(run(prepared.codes, prepared.numbers) - answers[part]).max()) for part, run in parts.items()}
    note = f"{len(rows)} rows; " + ", ".join(f"{part} {value:.1e}" for part, value in apart.items())
    worst = max(apart.values())
    title = f"Adult, {name}: program and learner apart, at most"
    figures.append(Figure(title, [worst], target="within 1e-4", reached=worst <= 1e-4, note=note))


def one_row(figures: list[Figure], programs: dict, *, plain: Learner, test: pd.DataFrame, short: bool) -> None:
    """One prediction from a row, beside `learn.predict` of plain fastai: the same rows in turn."""
    rows = [row for _, row in test.drop(columns=TARGET).head(10 if short else 60).iterrows()]
    cells = [row.to_dict() for row in rows]
    for arch, times in (("plain", 200), ("tabm", 20)):
        program, ours, peer = programs[arch], [], []
        with plain.no_bar():
            for row, one in zip(rows, cells, strict=True):
                began = time.perf_counter()
                for _ in range(AT_ONCE):
                    program.predict(one)
                ours.append((time.perf_counter() - began) / AT_ONCE)
                began = time.perf_counter()
                plain.predict(row)
                peer.append(time.perf_counter() - began)
        figure = Figure(f"Adult, {arch}: one row", ours[1:], peer[1:], "s", True, target=f"{times} times as fast")
        figure.reached = None if short else figure.ratio >= times
        figure.note = "peer: learn.predict of plain fastai; guardrails included"
        figures.append(figure)


def many_rows(figures: list[Figure], programs: dict, *, source: Path, folder: Path, short: bool) -> None:
    """A million rows from CSV to CSV by the program's command line: rows a second, and memory beside that for a tenth of them."""
    with open(source, encoding="utf-8") as stream:
        header, *lines = stream.read().splitlines()
    counts = (2_000, 20_000) if short else (100_000, 1_000_000)
    for arch, target in (("plain", 50_000), ("tabm", 0)):
        program = programs[arch]
        rates, peaks = [], []
        for count in counts:
            table = folder / f"{count}.csv"
            if not table.exists():
                endless = itertools.islice(itertools.cycle(lines), count)
                table.write_text("\n".join([header, *endless]) + "\n", encoding="utf-8")
            out = folder / "predicted.csv"
            seconds, peak = _run(program.archive.path, [str(table), "--out", str(out)], folder=folder)
            rates.append(count / seconds)
            peaks.append(peak)
        with open(out, encoding="utf-8", newline="") as stream:
            assert sum(1 for _ in csv.reader(stream)) == counts[-1] + 1
        figures += [
            Figure(f"Adult, {arch}: {counts[-1]:,} rows from CSV to CSV, rows a second", rates[-1:],
                   target=f"at least {target:,}" if target else "",
                   reached=None if short or not target else rates[-1] >= target, note="a fresh process, its start included"),
            Figure(f"Adult, {arch}: peak memory for {counts[-1]:,} rows", peaks[1:], peaks[:1], "MB", True,
                   target=f"flat: within a tenth or {SLACK} MB", note=f"peer: {counts[0]:,} rows",
                   reached=peaks[1] <= max(1.1 * peaks[0], peaks[0] + SLACK)),
        ]  # fmt: skip


def _run(program: Path, arguments: list[str], *, folder: Path) -> tuple[float, float]:
    """Seconds and peak memory in MB of a process that runs a program, which has to end well."""
    peak = folder / "peak"
    began = time.perf_counter()
    command = [sys.executable, "-c", MEASURE, str(peak), str(program), *arguments]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began, int(peak.read_text()) * 1024 / 1e6


def guardrails(figures: list[Figure], program: TabularProgram) -> None:
    """Rows on which each guardrail acts: how many are answered and say what was done."""
    ordinary = {
        column.name: column.fill if column.kind == "number" else column.values[column.mode - FIRST]
        for column in program.input.columns
    }
    number = next(column.name for column in program.input.columns if column.kind == "number")
    category = next(column.name for column in program.input.columns if column.kind == "category")
    rows = {
        "missing number": {**ordinary, number: None},
        "missing category": {**ordinary, category: None, "sex": None},
        "unseen category": {**ordinary, category: "never seen"},
        "missing column": {name: cell for name, cell in ordinary.items() if name != number},
        "additional column": {**ordinary, "shoe size": 43},
        "other order": dict(reversed(ordinary.items())),
        "text for a number": {**ordinary, number: str(ordinary[number])},
        "no number": {**ordinary, number: "many"},
        "stray blanks": {**ordinary, category: f" {ordinary[category]} "},
        "infinite": {**ordinary, number: float("inf")},
        "far out of range": {**ordinary, number: 1e12},
    }
    assert program.predict(ordinary).notes == ()
    answered = {}
    for what, row in rows.items():
        prediction = program.predict(row)
        answered[what] = bool(prediction.notes) and np.isfinite(prediction.probability)
    figures.append(
        Figure("Adult, tabm: odd rows answered, with a note", [sum(answered.values())], target=f"all {len(rows)}",
               reached=all(answered.values()), note=", ".join(rows))
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
