"""Tables of ratings to read, and what is told of them."""

import numpy as np
import pandas as pd

from toolkit.data.collab.labelled import labelled_collab
from toolkit.data.collab.options import as_collab_options
from toolkit.data.splitting import SplitOptions


def ratings(rows=300, users=30, items=25):
    rng = np.random.default_rng(0)
    pairs = rng.permutation(users * items)[:rows]
    return pd.DataFrame(
        {
            "user": pairs // items,
            "item": pairs % items,
            "rating": rng.integers(1, 6, rows),
            "time": 10**9 + rng.permutation(rows),
        }
    )


def labelled(data, seed=42, strict=False, **options):
    return labelled_collab(data, as_collab_options(**options), split=SplitOptions(seed=seed), strict=strict)


def written(folder, content, name="ratings.csv"):
    path = folder / name
    path.write_text(content, encoding="utf-8")
    return path


def told(found, words):
    return [note for note in found.notes if words in note]
