"""What a learner was built as: chosen by the recipe, read by fitting, evaluation, export and reports, and written down by a
run."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fastai.learner import Learner

RANDOM = "random"


@dataclass(frozen=True, kw_only=True)
class Spec:
    """What every learner of ours was built as: `learn.spec`. The wings add what is theirs.

    `task` is what its scores and its program are named by, `arch` its architecture, `weights` where the first weights came from.
    `epochs` and `lr` (the highest rate) are what `fit` takes unless told otherwise, None as it has them for all. `select_after`
    is the share of the cycle after which the best epoch is looked for. `seed` is that of split, first weights and training.
    """

    task: str
    arch: str
    weights: str = RANDOM
    seed: int = 42
    epochs: int | None = None
    lr: float | None = None
    select_after: float | None = None

    @property
    def transferred(self) -> bool:
        """Whether the first weights of the body were learnt elsewhere."""
        return self.weights != RANDOM

    @property
    def fine_tuned(self) -> bool:
        """Whether `fit` fine-tunes it unless told otherwise: a body that has learnt from millions of pictures. One of ours has
        learnt from thousands, and goes on learning at the full rate."""
        return self.transferred

    def settings(self) -> dict[str, Any]:
        """All that was set, as plain values by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def line(self, *names: str) -> str:
        """Some of it for a reader: "arch small, weights random"."""
        settings = self.settings()
        return ", ".join(f"{name} {settings[name]}" for name in names)


def spec_of(learn: Learner) -> Spec:
    """The spec of a learner; of one that no recipe built, one that tells its task alone."""
    found = getattr(learn, "spec", None)
    return found if isinstance(found, Spec) else Spec(task="image_classification", arch="")
