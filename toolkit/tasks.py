"""The table of tasks: what each of them is in every room, by dotted name.

It is the one place that knows them all. What tasks share asks here for a task's part, which is imported only then: a program of
tables never imports what only pictures need. One more task is a wing in each room and one entry here.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from toolkit.errors import ProgramError


@dataclass(frozen=True)
class Task:
    """One task: `wing` is the name of its wings, `names` what its runs, scores and programs are called in run folders and cards,
    `input_kind` the kind of input that its programs' cards tell.

    The other fields are its parts, "module:name" or "module"; "" where it has none. `program` opens an archive, `command` is the
    module of its command line (see `toolkit.program.cli`), `about` that of what is told of its card, `selftest` replays golden
    items. `evaluate` makes its `scores`, `export` its programs, `calibrate` comes after training, `explain` looks into a run;
    where it is "", `instead` says what does (`{program}` stands for the path). `doctor` is what its data is checked by, as a
    command.
    """

    wing: str
    names: tuple[str, ...]
    input_kind: str
    program: str
    command: str
    about: str
    selftest: str
    evaluate: str
    scores: str
    export: str
    calibrate: str = ""
    explain: str = ""
    instead: str = ""
    doctor: str = ""

    def part(self, which: str) -> Any:
        """The part of that name, imported: what stands under `name` in `module`, or the module."""
        module, _, name = getattr(self, which).partition(":")
        found = import_module(module)
        return getattr(found, name) if name else found


TASKS = {
    "images": Task(
        "images",
        ("image_classification", "sound_classification", "mouse_classification"),
        "image",
        program="toolkit.program.images.program:ImageProgram",
        command="toolkit.program.images.cli",
        about="toolkit.program.images.about",
        selftest="toolkit.program.images.selftest:selftest",
        evaluate="toolkit.evaluation.images.scores:evaluate_images",
        scores="toolkit.evaluation.images.scores:ImageScores",
        export="toolkit.export.images:ImageExport",
        calibrate="toolkit.learning.images.calibration:calibrate",
        explain="toolkit.reports.images.explain:Explainer",
    ),
    "segmentation": Task(
        "segmentation",
        ("segmentation",),
        "scene",
        program="toolkit.program.segmentation.program:SegmentationProgram",
        command="toolkit.program.segmentation.cli",
        about="toolkit.program.segmentation.about",
        selftest="toolkit.program.segmentation.selftest:selftest",
        evaluate="toolkit.evaluation.segmentation.scores:evaluate_segmentation",
        scores="toolkit.evaluation.segmentation.scores:SegmentationScores",
        export="toolkit.export.segmentation:SegmentationExport",
        calibrate="toolkit.learning.segmentation.calibration:calibrate",
        instead="a run of segmentation: explain is for recognisers, which give a picture one class; report.html shows its masks",
        doctor="toolkit.data.segmentation.doctor",
    ),
    "tabular": Task(
        "tabular",
        ("tabular_classification", "tabular_regression"),
        "table",
        program="toolkit.program.tabular.program:TabularProgram",
        command="toolkit.program.tabular.cli",
        about="toolkit.program.tabular.about",
        selftest="toolkit.program.tabular.selftest:selftest",
        evaluate="toolkit.evaluation.tabular.scores:evaluate_tabular",
        scores="toolkit.evaluation.tabular.scores:TabularScores",
        export="toolkit.export.tabular.export:TabularExport",
        calibrate="toolkit.learning.tabular.calibration:calibrate",
        instead="a run on a table: python {program} --row '{{…}}' --why explains one row, report.html some of the test",
    ),
    "collab": Task(
        "collab",
        ("collaborative_filtering",),
        "ratings",
        program="toolkit.program.collab.program:Recommender",
        command="toolkit.program.collab.cli",
        about="toolkit.program.collab.about",
        selftest="toolkit.program.collab.selftest:selftest",
        evaluate="toolkit.evaluation.collab.scores:evaluate_collab",
        scores="toolkit.evaluation.collab.scores:CollabScores",
        export="toolkit.export.collab:CollabExport",
        instead=(
            "a run on ratings or choices: python {program} --likes TITLE gives its reason with each item, "
            "report.html has examples"
        ),
    ),
}
FIRST = "images"  # what a learner without labelled data of ours, or a task of somebody's own naming, is taken for


def task_of_card(card: dict[str, Any], path: object) -> Task:
    """The task of a program by its card (program.json). Raises `ProgramError` where its input is of no kind that is known."""
    taken = card.get("input")
    kind = taken.get("kind") if isinstance(taken, dict) else None
    for task in TASKS.values():
        if task.input_kind == kind:
            return task
    raise ProgramError(f"{path}: its program.json lacks or garbles the kind of its input ({kind!r}): export it again")


def task_of_learner(learn: Any) -> Task:
    """The task of a learner, by its labelled data."""
    return TASKS[getattr(getattr(learn.dls, "labelled", None), "wing", FIRST)]


def task_named(name: str) -> Task:
    """The task that runs and scores of this name belong to."""
    return next((task for task in TASKS.values() if name in task.names), TASKS[FIRST])
