"""Learner -> `program.pyz`: one file that runs without fastai and gives the learner's answers, or no file at all.

This is the one room that knows both sides: torch's network and the runtime's format. What differs from one task to the next
stands in its wing: a class with `input`, `output`, `described` and `needs` for the card, `members()`, `golden(count, path)` and
`check(program)`.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from toolkit.evaluation.scores import Scores
from toolkit.export.archive import write_program
from toolkit.files import replacing
from toolkit.learning.runs import versions
from toolkit.program import load
from toolkit.program.archive import FORMAT, card_digest
from toolkit.spec import spec_of
from toolkit.tasks import task_of_learner

if TYPE_CHECKING:
    from fastai.learner import Learner

__all__ = ["export"]


def export(
    learn: Learner, path: Path | str, *, scores: Scores | None = None, name: str = "", golden: int = 3, **choices: bool
) -> Any:
    """Write `learn` as a program to `path` and return it, loaded, as the program of its task.

    Normalisation and softmax are inside its graph. Before the file is moved into place, held-out items are replayed from their
    raw files or cells through both: a probability off by more than 1e-4, or another answer (see the `check` of each wing), raises
    `ExportError` and leaves what was at `path`. `scores` becomes the score card. `golden` items of the test set, as raw files or
    rows with the answers, travel inside for the self-test; 0 for none, where they are private. `choices` are those of one kind:
    `users=False` ships a recommender without anybody's history.
    """
    exported = task_of_learner(learn).part("export")(learn, **choices)
    members = exported.members()
    goldens = exported.golden(golden, path)
    for item in goldens:
        members.update(item.pop("members", {}))
    card = {
        "format": FORMAT,
        "task": spec_of(learn).task,
        "name": name or Path(path).stem,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "input": exported.input.card(),
        "output": exported.output,
        **exported.described,
        "needs": exported.needs,
        "scores": scores.card() if scores else None,
        "versions": versions(),
        "golden": goldens,
        "sha256": {member: hashlib.sha256(data).hexdigest() for member, data in members.items()},
    }
    card["digest"] = card_digest(card)
    converter = getattr(exported.input, "converter", None)
    with replacing(path) as temporary:
        write_program(temporary, card, members=members)
        exported.check(load(temporary, converter))
        temporary.chmod(0o755)
    return load(path, converter)
