"""A made table of people, for the tests of the recipe."""

import numpy as np
import pandas as pd


def made(rows: int = 240, seed: int = 0) -> pd.DataFrame:
    """Rows whose `bought` follows from age and work, and whose `paid` from age and weight."""
    rng = np.random.default_rng(seed)
    age, work = rng.integers(18, 80, rows), rng.choice(["farm", "office", "sea"], rows)
    weight = np.where(rng.random(rows) < 0.1, np.nan, rng.normal(70, 10, rows).round(1))
    score = (age - 45) / 10 + 2 * (work == "sea") + rng.normal(0, 0.5, rows)
    return pd.DataFrame(
        {
            "age": age,
            "weight": weight,
            "work": work,
            "joined": pd.Timestamp("2020-01-01") + pd.to_timedelta(rng.integers(0, 900, rows), "D"),
            "house": rng.integers(0, 40, rows),
            "bought": np.where(score > 0, "yes", "no"),
            "paid": (3 * age + np.nan_to_num(weight, nan=70) + rng.normal(0, 5, rows)).round(2),
        }
    )
