"""Learner -> `program.pyz`: one file that runs without fastai and gives the learner's answers, or no file at all.

It is a room of its own because this is the one place that knows both sides: torch's network and the runtime's format.
What differs from one kind of task to the next stands in a file for each: `pictures.py`, `scenes.py`, `tables.py`,
`ratings.py`.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from toolkit.data.collab.labelled import LabelledRatings
from toolkit.data.segmentation.labelled import LabelledScenes
from toolkit.data.tabular.labelled import LabelledTable
from toolkit.evaluation.scores import Scores
from toolkit.export.archive import write_program
from toolkit.export.images import PictureExport
from toolkit.export.segmentation import SceneExport
from toolkit.files import replacing
from toolkit.learning.runs import versions
from toolkit.program import Program, load
from toolkit.program.archive import FORMAT, card_digest

if TYPE_CHECKING:
    from fastai.learner import Learner

    from toolkit.program.collab.program import Recommender
    from toolkit.program.tabular.program import TableProgram

__all__ = ["export"]


def export(
    learn: Learner, path: Path | str, scores: Scores | None = None, name: str = "", golden: int = 3, **choices: bool
) -> Program | TableProgram | Recommender:
    """Write `learn` as a program to `path` and return it, loaded.

    Normalisation and softmax are inside its graph. Before the file is moved into place, held-out items are replayed from their
    raw files or cells through both: a probability off by more than 1e-4, or another answer (see `PictureExport.check`,
    `SceneExport.check`, `TableExport.check`, `RatingExport.check`), raises `ExportError` and leaves what was at `path`. `scores`
    becomes the score card. `golden` items of the test set, as raw files or rows with the answers, travel inside for the
    self-test; 0 for none, where they are private. `choices` are those of one kind: `users=False` ships a recommender without
    anybody's history.
    """
    exported = _kind(getattr(learn.dls, "labelled", None))(learn, **choices)
    members = exported.members()
    goldens = exported.golden(golden, path)
    for item in goldens:
        members.update(item.pop("members", {}))
    card = {
        "format": FORMAT,
        "task": getattr(learn, "about", {}).get("task", "image_classification"),
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
        write_program(temporary, card, members)
        exported.check(load(temporary, converter))
        temporary.chmod(0o755)
    return load(path, converter)


def _kind(labelled: object) -> type:
    if isinstance(labelled, LabelledTable):
        from toolkit.export.tabular.export import TableExport  # here: its networks need packages that pictures do not

        return TableExport
    if isinstance(labelled, LabelledRatings):
        from toolkit.export.collab import RatingExport  # here: what it needs of fastai pictures do not

        return RatingExport
    return SceneExport if isinstance(labelled, LabelledScenes) else PictureExport
