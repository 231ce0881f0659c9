"""What explains the answers of a run: the explainer of its task, or a word on what does instead."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toolkit.errors import RunError
from toolkit.program.archive import Archive
from toolkit.tasks import task_of_card


def explainer_of(run: Path | str, converter: object = None) -> Any:
    """What explains items of a finished run. Raises `RunError` where it is none, or its task has other ways."""
    program = Path(run) / "program.pyz"
    if not program.is_file():
        raise RunError(f"{run}: not a finished run (no program.pyz)")
    card = Archive(program).card
    task = task_of_card(card, program)
    if not task.explain:
        raise RunError(f"{run}: a run of {card['task'].replace('_', ' ')}: {task.instead.format(program=program)}")
    return task.part("explain")(run, converter)
