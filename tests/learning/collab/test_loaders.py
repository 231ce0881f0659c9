"""Loaders of ratings and of people: each training row once an epoch, and in held-out parts what is asked and what is known."""

import numpy as np
import pandas as pd
import pytest
import torch
from helpers.collab_learners import made_ratings
from helpers.collab_programs import KINDS

from recipes.collaborative_filtering import build_learner
from toolkit.errors import DataError
from toolkit.learning.collab.loaders import coded
from toolkit.learning.fitting import fit

IN_ROWS = pytest.mark.parametrize(("objective", "form"), [kind for kind in KINDS if kind != ("ranking", "dot")])


@pytest.fixture(scope="module")
def frame():
    return made_ratings()


@IN_ROWS
@pytest.mark.parametrize("batch_size", [2, 7, 0, 657, 10_000])  # of 658 rows: 657 leaves one over
def test_each_training_row_is_seen_once_an_epoch(frame, objective, form, batch_size):
    learn = build_learner(frame, objective=objective, form=form, batch_size=batch_size)
    labelled = learn.dls.labelled
    rows = labelled.rows_of("train")
    expected = sorted(map(tuple, np.column_stack([coded(labelled)[rows], labelled.values[rows]]).tolist()))
    orders = []
    for _ in range(2):
        batches = [(codes, targets) for codes, targets in learn.dls.train]
        assert min(len(codes) for codes, _ in batches) > 1
        seen = torch.cat([torch.cat([codes, targets], dim=1) for codes, targets in batches])
        if objective == "ranking":
            assert (seen[:, 2] == 1).all()
            expected = [(*each[:2], 1.0) for each in expected]
        assert sorted(map(tuple, seen.tolist())) == expected
        orders.append(seen)
    assert not torch.equal(*orders)


def test_rows_one_by_one_are_learnt_from_too(frame):
    learn = build_learner(frame.head(60), batch_size=1)
    assert [len(codes) for codes, _ in learn.dls.train] == [1] * len(learn.dls.labelled.rows_of("train"))
    before = learn.model.i_weight.weight.clone()
    fit(learn, 1)
    assert not torch.equal(before, learn.model.i_weight.weight)
    with pytest.raises(DataError, match="batch_size 1: the neural form has batch norms.*2 or more"):
        build_learner(frame, form="neural", batch_size=1)


@pytest.mark.parametrize("batch_size", [1, 7, 0, 59, 10_000])
@pytest.mark.parametrize("liked_from", [0, 4])
def test_each_person_is_seen_once_an_epoch_with_all_that_they_chose(frame, batch_size, liked_from):
    learn = build_learner(frame, objective="ranking", batch_size=batch_size, liked_from=liked_from)
    labelled = learn.dls.labelled
    rows = labelled.rows_of("train")
    rows = rows[labelled.positive[rows]]
    chosen = {}
    for user, item in coded(labelled)[rows].tolist():
        chosen.setdefault(user, []).append(item)
    epochs = []
    for _ in range(2):
        shown, found = [], []
        for known, every, wanted in learn.dls.train:
            assert known.shape == every.shape == wanted.shape
            for here, there, counted in zip(known, every, wanted, strict=True):
                hidden = there[counted > 0].tolist()
                assert set(hidden).isdisjoint(here[here > 0].tolist())
                assert (there[counted < 0] == 0).all()
                shown.append(tuple(here[here > 0].tolist()))
                found.append(sorted([*shown[-1], *hidden]))
        assert sorted(found) == sorted(map(sorted, chosen.values()))
        epochs.append(sorted(shown))
    assert epochs[0] != epochs[1], "other items are hidden each time"
    assert sum(map(len, epochs[0])) < sum(map(len, chosen.values()))


@pytest.mark.parametrize("split", ["random", "user"])
def test_held_out_people_are_asked_for_their_part_and_shown_what_is_known_of_them(frame, split):
    learn = build_learner(frame, objective="ranking", split=split)
    labelled = learn.dls.labelled
    for part, loader in (("valid", learn.dls.valid), ("test", learn.dls[2])):
        asked = labelled.held_out(part)
        asked = asked[labelled.item_codes[asked] < labelled.n_items]
        expected = {
            (tuple(sorted(labelled.seen(part)[[user]][:, : labelled.n_items].indices + 1)), tuple(sorted(rows)))
            for user, rows in pd.Series(labelled.item_codes[asked] + 1).groupby(labelled.user_codes[asked])
        }
        found = set()
        for known, every, wanted in loader:
            for here, there, counted in zip(known, every, wanted, strict=True):
                found.add((tuple(sorted(here[here > 0].tolist())), tuple(sorted(there[counted > 0].tolist()))))
        assert found == expected


def test_rows_below_what_counts_as_liked_are_not_learnt_as_choices(frame):
    learn = build_learner(frame, objective="ranking", form="neural", liked_from=4)
    labelled = learn.dls.labelled
    for loader, part in zip(learn.dls.loaders, ("train", "valid", "test"), strict=True):
        rows = labelled.rows_of(part)
        assert torch.equal(loader.dataset.held[1][:, 0], torch.from_numpy(labelled.positive[rows]).float())
        assert 0 < labelled.positive[rows].mean() < 1
