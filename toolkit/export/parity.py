"""How far a program may answer from its learner."""

from __future__ import annotations

TOLERANCE = 1e-4  # of a probability
