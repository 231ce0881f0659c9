"""How far a program may answer from its learner."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    pass


TOLERANCE = 1e-4  # of a probability
