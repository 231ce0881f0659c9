"""Methods on the raw input (samples, events), where the network sees pictures of it: experts' features and a classifier.

It is the hardest test for a converter: what does the picture show that a page of hand-crafted features does not?
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin, clone
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from toolkit.converters.mouse_log import DRAGGED, PRESSED, SCROLLED
from toolkit.data.reading import in_threads
from toolkit.errors import DataError
from toolkit.evaluation.bootstrap import FEWEST_WINDOWED, Bootstrap, Interval, interval
from toolkit.evaluation.images.baselines import MOST_ITEMS
from toolkit.evaluation.sampling import sample_rows
from toolkit.needs import require

if TYPE_CHECKING:
    from toolkit.converters.mouse import Mouse
    from toolkit.converters.mouse_log import Events
    from toolkit.converters.sound import Sound
    from toolkit.data.images.labelled import LabelledImages

MFCCS, TREES, FOLDS = 20, 300, 5
MOST_CROSSED = 5000  # items that are cross-validated: enough to tell two ways of splitting apart
QUANTILES = (5, 25, 50, 75, 95)  # percent


@dataclass(frozen=True)
class SplitGap:
    """What leaking would have claimed: the cross-validated accuracy of a simple `method` where items of one group stood on both
    sides of the split (`random`), and where they did not (`grouped`)."""

    method: str
    random: Interval
    grouped: Interval

    def __str__(self) -> str:
        return f"{self.method}: {self.random} if split at random, {self.grouped} with groups kept together"


@dataclass(frozen=True)
class HandCraftedFeatures:
    """`features(path)` gives float (windows, features) for a file, one row where it is seen at once; `method` is an unfitted
    scikit-learn classifier."""

    name: str
    features: Callable[[Path], np.ndarray]
    method: ClassifierMixin


def mfcc_and_svm(sound: Sound, windowed: bool = False) -> HandCraftedFeatures:
    """Mean and spread of 20 mel-frequency cepstral coefficients (librosa's) and of their steps, and a support vector machine.
    They are of the very samples that `sound` draws."""
    require("librosa", why="for the MFCC baseline", extra="train")

    def features(path: Path) -> np.ndarray:
        pieces = (samples for _, _, samples in sound.segments(path)) if windowed else [sound.samples(path)]
        return np.stack([_mfcc_statistics(samples, sound) for samples in pieces])

    return HandCraftedFeatures("MFCC statistics + SVM", features, make_pipeline(StandardScaler(), SVC(C=10, break_ties=True)))


def kinematics_and_forest(mouse: Mouse, windowed: bool = False, *, seed: int = 0) -> HandCraftedFeatures:
    """Quantiles of speed, acceleration, turning and pauses, counts of clicks, drags and wheel turns, and a random forest."""

    def features(path: Path) -> np.ndarray:
        pieces: Iterable[Events] = (events for _, _, events in mouse.segments(path)) if windowed else [mouse.read(path)]
        return np.stack([kinematics(events) for events in pieces])

    forest = RandomForestClassifier(TREES, random_state=seed, n_jobs=os.cpu_count())
    return HandCraftedFeatures("kinematic features + random forest", features, forest)


def hand_crafted_probabilities(
    hand_crafted: HandCraftedFeatures,
    labelled: LabelledImages,
    *,
    classes: tuple[str, ...],
    seed: int = 0,
    gap: bool = True,
) -> tuple[np.ndarray, SplitGap | None]:
    """The test probabilities (items, classes) of `hand_crafted` fitted on the train and valid parts; and with `gap`, where items
    have groups, how much better it would have looked on a random split.

    Raises `DataError` where it has other than one row of features for each test item.
    """
    table = labelled.table.drop_duplicates("path")
    found = list(in_threads(hand_crafted.features, table.path.tolist(), what=hand_crafted.name))
    counts = [len(rows) for rows in found]
    features = np.nan_to_num(np.concatenate(found), posinf=1e9, neginf=-1e9)
    labels, groups, parts = (np.repeat(table[name].to_numpy(), counts) for name in ("label", "group", "split"))
    targets, test = np.searchsorted(classes, labels.astype(str)), parts == "test"
    if test.sum() != (labelled.table.split == "test").sum():
        raise DataError(
            f"{hand_crafted.name}: {test.sum()} rows of features for {(labelled.table.split == 'test').sum()} test items"
        )

    known = np.flatnonzero(~test)
    known = known[sample_rows(len(known), MOST_ITEMS, seed=seed)]
    fitted = _fitted(hand_crafted, features[known], targets=targets[known])
    answer = _probabilities(fitted, features[test], classes=len(classes))
    return answer, _gap(hand_crafted, features, targets=targets, groups=groups, seed=seed) if gap else None


def _gap(
    hand_crafted: HandCraftedFeatures, features: np.ndarray, *, targets: np.ndarray, groups: np.ndarray, seed: int
) -> SplitGap | None:
    """Cross-validated accuracy over all items, in folds drawn at random and in folds of whole groups; None without groups."""
    known = not any(group is None for group in groups)
    some = sample_rows(len(targets), MOST_CROSSED, seed=seed)
    features, targets, groups = features[some], targets[some], groups[some]
    folds = min(FOLDS, len(set(groups)), int(np.bincount(targets).max()))
    if not known or len(set(groups)) == len(groups) or folds < 2:
        return None
    found = []
    for kind in (StratifiedKFold, StratifiedGroupKFold):
        right = np.zeros(len(targets))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # a fold of groups may lack a class
            for train, test in kind(folds, shuffle=True, random_state=seed).split(features, targets, groups):
                if len(test) and len(train):  # of few groups one fold may get none
                    right[test] = (
                        _fitted(hand_crafted, features[train], targets=targets[train]).predict(features[test]) == targets[test]
                    )
        bootstrap = Bootstrap.draw(
            len(right), groups.astype(str) if kind is StratifiedGroupKFold else None, seed=seed, fewest=FEWEST_WINDOWED
        )
        found.append(interval(bootstrap.mean(right)))
    return SplitGap(hand_crafted.name, *found)


def _fitted(hand_crafted: HandCraftedFeatures, features: np.ndarray, *, targets: np.ndarray) -> Any:
    """The method fitted; where there is only one class to learn, what always answers with it."""
    method = clone(hand_crafted.method) if len(set(targets)) > 1 else DummyClassifier(strategy="prior")
    return method.fit(features, targets)


def kinematics(events: Events) -> np.ndarray:
    """How a hand moved, float (46,): quantiles, mean and spread of speed, acceleration, angular velocity, pauses and step
    lengths (Gamboa and Fred 2004 use such), counts of presses, drags and wheel turns, and the time taken."""
    pauses = np.maximum(np.diff(events.time), 1e-3)
    dx, dy = np.diff(events.x), np.diff(events.y)
    speed = np.hypot(dx, dy) / pauses
    acceleration = np.diff(speed) / pauses[1:]
    turning = np.diff(np.unwrap(np.arctan2(dy, dx))) / pauses[1:]
    described = [_described(values) for values in (speed, acceleration, turning, pauses, np.abs(dx), np.abs(dy))]
    counts = [float((events.state == state).sum()) for state in (PRESSED, DRAGGED, SCROLLED)]
    counts.append(float(events.time[-1] - events.time[0]) if len(events) else 0.0)
    return np.concatenate([*described, counts])


def _described(values: np.ndarray) -> np.ndarray:
    if not len(values):
        return np.zeros(len(QUANTILES) + 2)
    return np.r_[np.percentile(values, QUANTILES), values.mean(), values.std()]


def _mfcc_statistics(samples: np.ndarray, sound: Sound) -> np.ndarray:
    import librosa

    heard = np.flatnonzero(samples)  # without the silence that was put around it
    samples = samples[heard[0] : heard[-1] + 1] if len(heard) else samples
    found = librosa.feature.mfcc(y=samples, sr=sound.rate, n_mfcc=MFCCS, n_fft=2 * sound.fft, hop_length=2 * sound.hop)
    steps = np.diff(found, axis=1) if found.shape[1] > 1 else found * 0
    return np.r_[found.mean(axis=1), found.std(axis=1), steps.std(axis=1)]


def _probabilities(fitted: Any, features: np.ndarray, *, classes: int) -> np.ndarray:
    """Probabilities (items, classes); a support vector machine's margins, through a softmax, are no calibrated ones."""
    if hasattr(fitted, "predict_proba"):
        answer = fitted.predict_proba(features)
    else:
        margins = fitted.decision_function(features)
        answer = softmax(margins if margins.ndim == 2 else np.stack([-margins, margins], axis=1), axis=1)
    known = np.zeros((len(features), classes))
    known[:, fitted.classes_] = answer
    return known
