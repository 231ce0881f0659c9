"""The peers for tables: what a fastai user writes by hand, and LightGBM at its defaults.

It is a file of its own so that both can be read beside our recipe, and so that they borrow nothing from it.
"""

from __future__ import annotations

import time
import warnings
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd
from fastai.data.transforms import Normalize
from fastai.metrics import accuracy
from fastai.tabular.core import Categorify, FillMissing, cont_cat_split
from fastai.tabular.data import TabularDataLoaders
from fastai.tabular.learner import TabularLearner, tabular_learner
from fastai.torch_core import set_seed

TARGET = "classification"


def read(file: Path) -> pd.DataFrame:
    """A file of Adult as pandas reads it by hand: blanks after commas, ? for missing."""
    return pd.read_csv(file, skipinitialspace=True, na_values="?")


def train_fastai(train: pd.DataFrame, epochs: int = 5, *, seed: int = 42) -> tuple[TabularLearner, float]:
    """`tabular_learner` on `Categorify`, `FillMissing` and `Normalize`, batch 512, one cycle; and the seconds it took."""
    set_seed(seed, True)
    began = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cont, cat = cont_cat_split(train, 20, dep_var=TARGET)
        procs = [Categorify, FillMissing, Normalize]
        dls = TabularDataLoaders.from_df(train, y_names=TARGET, cat_names=cat, cont_names=cont, procs=procs, bs=512)
        learn = tabular_learner(dls, metrics=accuracy)
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(epochs, 1e-2)
    return learn, time.perf_counter() - began


def fastai_probabilities(learn: TabularLearner, test: pd.DataFrame) -> np.ndarray:
    """The probability of the second class for each row."""
    with warnings.catch_warnings(), learn.no_bar(), learn.no_logging():
        warnings.simplefilter("ignore")
        return learn.get_preds(dl=learn.dls.test_dl(test))[0].numpy()[:, 1]


def train_lightgbm(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, float]:
    """The probability of the second class for each test row from LightGBM's defaults on pandas' categories; and the seconds."""
    known, unknown = train.drop(columns=TARGET), test.drop(columns=TARGET)
    for name in known:
        if not pd.api.types.is_numeric_dtype(known[name]):
            categories = known[name].astype("category").cat.categories
            known[name], unknown[name] = (pd.Categorical(frame[name], categories=categories) for frame in (known, unknown))
    began = time.perf_counter()
    model = lgb.LGBMClassifier(verbose=-1).fit(known, (train[TARGET] == train[TARGET].max()).astype(int))
    return model.predict_proba(unknown)[:, 1], time.perf_counter() - began
