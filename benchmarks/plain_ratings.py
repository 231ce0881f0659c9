"""The peers for ratings: plain fastai, Surprise, implicit's ALS, EASE, popularity, each as its users write it; one nDCG for all.

It is a file of its own so that they can be read beside our recipe, and so that they borrow nothing from it.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from pathlib import Path

import implicit
import numpy as np
import pandas as pd
import scipy.sparse as sp
from fastai.collab import CollabDataLoaders, collab_learner
from fastai.learner import Learner
from fastai.torch_core import set_seed
from surprise import Dataset, Reader, accuracy

NAMES = ["user", "item", "rating", "time"]
Score = Callable[[np.ndarray], np.ndarray]  # users (n,) -> scores (n, items)


def read(file: Path) -> pd.DataFrame:
    """A file of MovieLens 100K."""
    return pd.read_csv(file, sep="\t", names=NAMES)


def split(ratings: pd.DataFrame, seed: int = 42) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Three quarters of each user's rows, and the others, at random."""
    rng = np.random.default_rng(seed)
    test = np.zeros(len(ratings), bool)
    for rows in ratings.groupby("user").indices.values():
        test[rng.permutation(rows)[: len(rows) // 4]] = True
    return ratings[~test], ratings[test]


def train_fastai(train: pd.DataFrame, epochs: int = 5, *, seed: int = 42) -> tuple[Learner, float]:
    """`collab_learner` with 50 factors on stars, batch 256, one cycle; and the seconds it took."""
    set_seed(seed, True)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dls = CollabDataLoaders.from_df(train[NAMES[:3]], item_name="item", bs=256, valid_pct=0.1, seed=seed)
        learn = collab_learner(dls, n_factors=50, y_range=(0, 5.5))
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(epochs, 5e-3, wd=0.1)
    return learn, time.perf_counter() - began


def fastai_rmse(learn: Learner, test: pd.DataFrame) -> float:
    """The root mean squared error of `train_fastai`'s learner."""
    with warnings.catch_warnings(), learn.no_bar():
        warnings.simplefilter("ignore")
        found, truth = learn.get_preds(dl=learn.dls.test_dl(test[NAMES[:3]], with_labels=True))
    return float(((found.squeeze() - truth.squeeze()) ** 2).mean().sqrt())


def fastai_scores(learn: Learner) -> Score:
    """What to show first by the stars that `train_fastai`'s learner expects; users and items by their numbers in the data."""
    users, items = learn.dls.classes["user"], learn.dls.classes["item"]
    place = {user: code for code, user in enumerate(users)}
    model = learn.model.cpu().eval()
    people, factors = (layer.weight.detach().numpy() for layer in (model.u_weight, model.i_weight))
    bias = model.i_bias.weight.detach().numpy()[:, 0]

    def score(asked: np.ndarray) -> np.ndarray:
        found = np.full((len(asked), max(items[1:]) + 1), -np.inf)
        codes = [place[user] for user in asked]
        found[:, list(items[1:])] = (people[codes] @ factors.T + bias)[:, 1:]
        return found

    return score


def surprise_rmse(method: type, train: pd.DataFrame, *, test: pd.DataFrame) -> tuple[float, float]:
    """The root mean squared error of a method of Surprise at its defaults, and the seconds to fit it."""
    data = Dataset.load_from_df(train[NAMES[:3]], Reader(rating_scale=(1, 5))).build_full_trainset()
    began = time.perf_counter()
    fitted = method(random_state=0).fit(data)
    seconds = time.perf_counter() - began
    rows = list(test[NAMES[:3]].itertuples(index=False, name=None))
    return float(accuracy.rmse(fitted.test(rows), verbose=False)), seconds


def matrix(train: pd.DataFrame, users: int, *, items: int) -> sp.csr_matrix:
    """Who chose what, sparse ones (users, items)."""
    return sp.csr_matrix((np.ones(len(train)), (train.user, train["item"])), (users, items))


def popularity(chosen: sp.csr_matrix) -> Score:
    """What most users chose."""
    counts = np.asarray(chosen.sum(0)).ravel()
    return lambda users: np.tile(counts, (len(users), 1))


def ease(chosen: sp.csr_matrix, penalty: float = 300) -> Score:
    """EASE (Steck 2019)."""
    diagonal = np.diag_indices(chosen.shape[1])
    gram = (chosen.T @ chosen).toarray()
    gram[diagonal] += penalty
    inverse = np.linalg.inv(gram)
    weights = -inverse / np.diag(inverse)
    weights[diagonal] = 0
    return lambda users: np.asarray(chosen[users] @ weights)


def als(chosen: sp.csr_matrix) -> Score:
    """implicit's alternating least squares, 64 factors."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = implicit.als.AlternatingLeastSquares(factors=64, regularization=0.1, alpha=2.0, random_state=0)
        fitted.fit(chosen.astype(np.float32), show_progress=False)
    return lambda users: fitted.user_factors[users] @ fitted.item_factors.T


def ndcg(score: Score, chosen: sp.csr_matrix, *, test: pd.DataFrame, k: int = 10) -> float:
    """nDCG@k over the items that are not in a user's `chosen`, the mean over users with test rows: every test row counts as
    found or missed."""
    found = []
    gains = 1 / np.log2(np.arange(2, k + 2))
    for user, rows in test.groupby("user")["item"]:
        wanted = set(rows)
        scores = score(np.array([user]))[0].astype(np.float64)
        scores[chosen[user].indices] = -np.inf
        top = np.argpartition(-scores, k)[:k]
        top = top[np.argsort(-scores[top])]
        hits = np.array([item in wanted for item in top])
        found.append((hits * gains).sum() / gains[: min(k, len(wanted))].sum())
    return float(np.mean(found))
