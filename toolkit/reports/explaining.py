"""What explains the answers of a run: the explainer of its task, or a word on what does instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit.errors import RunError
from toolkit.program.archive import Archive
from toolkit.tasks import task_named, task_of_card


def explainer_of(run: Path | str, converter: object = None) -> Any:
    """What explains items of a finished run. Raises `RunError` where it is none, or its task has other ways."""
    program = Path(run) / "program.pyz"
    if not program.is_file():
        raise RunError(f"{run}: not a finished run (no program.pyz)")
    card = Archive(program).card
    task = task_of_card(card, program)
    if not task.explain:
        raise not_explained(run, card)
    return task.part("explain")(run, converter)


def not_explained(run: Path | str, card: dict[str, Any]) -> RunError:
    """The error for a run of a task that is explained otherwise, by the card of its program."""
    return RunError(f"{run}: {task_named(card['task']).instead.format(program=Path(run) / 'program.pyz')}")
