"""A learner of ratings is fastai's, sees each training row once an epoch and nothing else, and says what numpy says."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.learner import load_learner
from helpers.collab_learners import made_ratings
from helpers.collab_programs import KINDS, NAMES, named_ratings

from recipes.collaborative_filtering import build_learner
from toolkit.errors import DataError, ToolkitError
from toolkit.evaluation.collab.answers import ranking_answers, rating_answers
from toolkit.learning.collab.fold_in import fold_in_model_of
from toolkit.learning.collab.loaders import coded, padded
from toolkit.learning.collab.networks import ImplicitLoss, ImplicitMF
from toolkit.learning.fitting import fit

pytest_plugins = ["helpers.collab_runs"]

EACH = pytest.mark.parametrize(("objective", "form"), KINDS, ids=NAMES)


@pytest.fixture(scope="module")
def frame():
    return made_ratings()


def weights_of(learn):
    return [*learn.model.parameters(), *learn.model.buffers()]


def quiet(learn, **asked):
    with learn.no_bar(), learn.no_logging():
        return learn.get_preds(**asked)


@EACH
def test_nothing_of_a_test_row_reaches_training(frame, objective, form):
    first = build_learner(frame, objective=objective, form=form)
    test = first.dls.labelled.rows_of("test")
    altered, rng = frame.copy(), np.random.default_rng(0)
    for row in test:  # another item that they have not rated, with other stars
        has = set(altered["item"][altered.user == altered.user[row]])
        altered.loc[row, "item"] = rng.choice([item for item in range(40) if item not in has])
        altered.loc[row, "rating"] = 6 - altered.rating[row]
    second = build_learner(altered, objective=objective, form=form)
    ours, theirs = first.dls.labelled, second.dls.labelled
    assert (ours.table.split == theirs.table.split).all()
    assert not np.array_equal(ours.item_codes[test], theirs.item_codes[test])
    for learn in (first, second):
        fit(learn, 2)
    assert all(map(torch.equal, weights_of(first), weights_of(second)))
    vectors = [learn.fold_in_model() for learn in (first, second)]
    assert np.array_equal(vectors[0].prior, vectors[1].prior)
    assert np.array_equal(vectors[0].vectors, vectors[1].vectors)


@EACH
def test_a_seed_decides_everything(frame, objective, form):
    found = []
    for seed in (1, 1, 2):
        learn = build_learner(frame, objective=objective, form=form, seed=seed)
        fit(learn, 1)
        found.append(learn)
    assert all(map(torch.equal, weights_of(found[0]), weights_of(found[1])))
    assert not torch.equal(next(found[0].model.parameters()), next(found[2].model.parameters()))
    splits = [learn.dls.labelled.table.split.tolist() for learn in found]
    assert splits[0] == splits[1] != splits[2]


def test_rows_are_answered_alike_however_they_are_asked(run, recwarn):
    learn, labelled = run.learn, run.labelled
    rows = labelled.table.iloc[labelled.rows_of("test")[:9]]
    rated = rows[["user", "item"]].assign(rating=3.0)
    expected, targets = quiet(learn, dl=learn.dls.test_dl(rows[["user", "item"]]))
    assert expected.shape == (9, 1)
    assert targets is None
    assert torch.equal(quiet(learn, dl=learn.dls.test_dl(rated))[0], expected)
    for row, wanted in zip(rated.to_dict("records"), expected, strict=True):
        shown, value, tensor = learn.predict(row)
        assert shown == row
        assert tensor.shape == (1,)
        assert value == pytest.approx(float(wanted), abs=1e-5)
        one, _ = quiet(learn, dl=learn.dls.test_dl([{"user": row["user"], "item": row["item"]}]))
        assert one.shape == (1, 1)
        assert float(one) == pytest.approx(value, abs=1e-6)
    assert learn.predict(rated.iloc[0])[1] == pytest.approx(float(expected[0]), abs=1e-5)
    assert not [each for each in recwarn if "not writable" in str(each.message)]


def test_all_test_rows_are_answered_in_order(run):
    learn, labelled = run.learn, run.labelled
    answers, targets = quiet(learn, dl=learn.dls[2])
    if isinstance(learn.model, ImplicitMF):  # of people: a score for each item that is theirs
        shown, every, wanted = (torch.cat(parts) for parts in zip(*learn.dls[2], strict=True))
        assert answers.shape == (len(every), every.shape[1] + 1)
        assert torch.equal(targets, wanted)
        users = learn.dls[2].dataset.users
        scores = ranking_answers(learn, users)[np.arange(len(users))[:, None], every.numpy() - 1]
        there = every > 0
        known = labelled.seen("test", positive=True)[users]
        assert ((shown > 0).sum(1).numpy() == np.diff(known.indptr)).all()
        assert answers[:, :-1][there].numpy() == pytest.approx(scores[there.numpy()], abs=1e-5)
        return
    rows = labelled.held_out("test")
    assert answers.shape == targets.shape == (len(rows), 1)
    assert torch.allclose(quiet(learn, dl=learn.dls[2].new(bs=16))[0], answers, atol=1e-5)
    assert torch.equal(
        targets[:, 0], torch.from_numpy(labelled.values[rows] if run.program.rated else labelled.positive[rows] * 1.0)
    )
    model_of_items, people = learn.fold_in_model(), learn.user_vectors()[labelled.user_codes[rows]]
    expected = model_of_items.ratings(model_of_items.pairs(people, labelled.item_codes[rows]))
    if run.program.rated:
        assert answers[:, 0].clip(labelled.low, labelled.high).numpy() == pytest.approx(expected, abs=1e-5)
    else:
        assert answers[:, 0].logit().numpy() == pytest.approx(expected, abs=1e-4), "get_preds gives the loss's probabilities"


def test_items_that_training_did_not_meet_are_given_what_the_person_gives_on_average(run):
    if not run.program.rated:
        pytest.skip("they cannot be ranked")
    labelled = run.labelled
    rows = labelled.held_out("test")[:20]
    codes = labelled.item_codes.copy()
    codes[rows] = len(labelled.items)
    unmet = replace(labelled, item_codes=codes, items=(*labelled.items, "unmet"), titles=(*labelled.titles, "unmet"))
    learn = SimpleNamespace(
        dls=SimpleNamespace(labelled=unmet), fold_in_model=run.learn.fold_in_model, fold_in_users=run.learn.fold_in_users
    )
    model_of_items = run.learn.fold_in_model()
    people = run.learn.fold_in_users(np.arange(labelled.n_users), labelled.seen("test"))
    expected = [model_of_items.ratings(model_of_items.scores(people[user]).mean()) for user in labelled.user_codes[rows]]
    assert rating_answers(learn, rows) == pytest.approx(np.array(expected), abs=1e-5)


def test_batches_and_results_are_shown_by_ids(run, capsys):
    learn = run.learn
    learn.dls.show_batch()
    said = capsys.readouterr().out
    assert "thing " in said
    assert ("to be found" if isinstance(learn.model, ImplicitMF) else "person-") in said
    with learn.no_bar():
        learn.show_results(max_n=3)
    said = capsys.readouterr().out
    assert "thing " in said
    if not isinstance(learn.model, ImplicitMF):
        first = said.splitlines()[1].split()
        row = {"user": first[1], "item": " ".join(first[2:4])}
        assert row["user"] in run.labelled.users
        predicted = learn.predict(row)[1]
        if run.program.rated:  # of choices fastai shows whether the score is above 0
            assert float(first[-1]) == pytest.approx(predicted, abs=1e-4)


@pytest.mark.filterwarnings("ignore:load_learner")
def test_a_learner_is_saved_and_loaded_as_fastais_are(run, tmp_path):
    row = {"user": run.labelled.users[3], "item": run.labelled.items[5]}
    run.learn.export(tmp_path / "learner.pkl")
    assert load_learner(tmp_path / "learner.pkl").predict(row)[1] == pytest.approx(run.learn.predict(row)[1], abs=1e-6)
    assert run.learn.dls.labelled is run.labelled, "export gives back the data"


def test_who_is_unknown_is_told(run):
    known = {"user": run.labelled.users[0], "item": run.labelled.items[0]}
    for name, count in (("user", run.labelled.n_users), ("item", run.labelled.n_items)):
        for odd in ("somebody else", "#na#", "", None, 7, float("nan")):
            with pytest.raises(DataError, match=f"^{name} .* is none of the {count} that training met"):
                run.learn.predict({**known, name: odd})
        with pytest.raises(DataError, match=f"no column '{name}': expected rows of user and item"):
            run.learn.predict({other: known[other] for other in known if other != name})
    with pytest.raises(DataError, match="'else' is none of"):
        run.learn.dls.test_dl(pd.DataFrame([known, {**known, "user": "else"}]))


def test_ids_are_one_however_they_are_written(frame):
    learn = build_learner(frame)
    values = {learn.predict({"user": user, "item": 3})[1] for user in (1, "1", 1.0, np.int64(1), " 1 ")}
    assert len(values) == 1


def test_weights_and_biases_are_asked_for_as_in_fastais_lesson(run):
    if run.learn.spec.form == "neural":
        pytest.skip("fastai's network has none either")
    model, names = run.learn.model, list(run.labelled.items[:4])
    assert model.weight(names, is_item=True).shape == (4, model.i_weight.weight.shape[1])
    assert model.bias(names, is_item=True).shape == (4,)
    assert model.weight(list(run.labelled.users[:3]), is_item=False).shape[0] == 3
    assert torch.equal(model.weight(names[1:2], is_item=True)[0], model.i_weight.weight[2].cpu())
    model_of_items = run.learn.fold_in_model()
    if run.program.rated:
        found = model_of_items.offset[:4] - model.mean
        assert model.bias(names).numpy() == pytest.approx(found, abs=1e-6)


def test_the_taste_is_that_of_the_weights_as_they_are(frame):
    for objective in ("rating", "ranking"):
        learn = build_learner(frame, objective=objective, factors=8)
        before = learn.fold_in_model()
        assert learn.fold_in_model() is before
        with learn.no_bar(), learn.no_logging():
            learn.fit_one_cycle(1, 1e-2)
        after = learn.fold_in_model()
        assert not np.array_equal(before.vectors, after.vectors)
        assert np.array_equal(after.vectors, fold_in_model_of(learn.model, learn.dls.labelled).vectors)


def test_people_as_numbers_score_as_the_network_does(run):
    learn, labelled, model_of_items = run.learn, run.labelled, run.learn.fold_in_model()
    users = np.arange(labelled.n_users).repeat(3)
    items = np.random.default_rng(0).integers(0, labelled.n_items, len(users))
    if isinstance(learn.model, ImplicitMF):
        learn.validate()  # people as they are known from training rows
        people = learn.model.u_weight.weight[1:].detach().numpy()
    else:
        people = learn.user_vectors()
    with torch.no_grad():
        expected = learn.model.eval()(torch.from_numpy(np.stack([users, items], axis=1) + 1))[:, 0].numpy()
    found = model_of_items.pairs(people[users], items)
    if run.program.rated:
        expected, found = expected.clip(labelled.low, labelled.high), model_of_items.ratings(found)
    assert found == pytest.approx(expected, abs=1e-4)


def test_answers_of_several_members_are_their_mean(frame):
    learn = build_learner(frame, factors=4)
    fit(learn, 1)
    model, rows = learn.model, torch.from_numpy(coded(learn.dls.labelled)[:50])
    assert model.members > 1
    least, most = model.y_range

    def each():
        people, items = model.u_weight(rows[:, 0]) + model._of_seen(rows[:, 0]), model.i_weight(rows[:, 1])
        dots = (people * items).view(len(rows), model.members, -1).sum(2)
        return dots + model.u_bias(rows[:, 0]) + model.i_bias(rows[:, 1]) + model.mean

    with torch.no_grad():
        assert float(each().std(dim=1).min()) > 0, "they learn apart"
        expected = least + (most - least) * torch.sigmoid(each().mean(1, keepdim=True))
        assert torch.allclose(model.eval()(rows), expected, atol=1e-5)
        assert model.train()(rows).shape == (50, model.members)


class TestImplicitMF:
    """What is special about people who are solved for: network, numpy and a plain way of writing it agree."""

    @pytest.fixture(scope="class")
    def learn(self, frame):
        learn = build_learner(frame, objective="ranking", factors=5)
        fit(learn, 2)
        return learn

    def test_network_and_numpy_find_the_same_person(self, learn):
        labelled, model_of_items = learn.dls.labelled, learn.fold_in_model()
        history = labelled.seen("train", positive=True)[:, : labelled.n_items]
        found = learn.fold_in_interactions(history)
        for user in range(len(labelled.users)):
            items = history.indices[history.indptr[user] : history.indptr[user + 1]]
            assert found[user] == pytest.approx(model_of_items.solve(items), abs=1e-5)
        with torch.no_grad():
            learn.model.u_weight.weight.zero_()
        learn.validate()
        assert learn.model.u_weight.weight[1:].detach().numpy() == pytest.approx(found[: labelled.n_users], abs=1e-6)

    def test_a_person_is_where_the_squared_errors_are_least(self, learn):
        model_of_items = learn.fold_in_model()
        items = np.array([1, 4, 9])
        person = model_of_items.solve(items)

        def error(vector):
            return (
                (1 - model_of_items.vectors[items].astype(float) @ vector) ** 2
            ).sum() + vector @ model_of_items.prior @ vector

        for step in 1e-3 * np.vstack([np.eye(5), -np.eye(5)]):
            assert error(person + step) > error(person)

    def test_nobody_is_at_the_centre_and_lists_may_end_early(self, learn):
        lists = torch.tensor([[3, 8, 0, 0], [0, 0, 0, 0], [8, 3, 0, 0]])
        found = learn.model.fold_in(lists)
        assert not found[1].any()
        assert found[0] == pytest.approx(found[2], abs=1e-6)
        assert found[0] == pytest.approx(learn.model.fold_in(torch.tensor([[3, 8]]))[0], abs=1e-6)

    def test_the_loss_is_over_all_items_without_drawing_some(self, learn):
        batch = learn.dls.train.one_batch()
        known, every, wanted = batch
        sizes = learn.dls.train.dataset.lengths().astype(float)
        loss = ImplicitLoss(sizes, 0.3)
        with torch.no_grad():
            found = float(loss(learn.model(known, every), wanted))
            people = torch.from_numpy(learn.model.fold_in(known)).float()
            scores = people @ learn.model.i_weight.weight[1:].T
        total = 0.0
        for row, (items, counted) in enumerate(zip(every, wanted, strict=True)):
            theirs = items[counted >= 0] - 1
            hidden = items[counted > 0] - 1
            others = torch.ones(scores.shape[1], dtype=torch.bool)
            others[theirs] = False
            error = ((1 - scores[row, hidden]) ** 2).sum() + 0.3 * (scores[row, others] ** 2).sum()
            total += float(error) * len(theirs) ** -0.8
        expected = total / len(every) / (sizes**-0.8).mean() / sizes.mean()
        assert found == pytest.approx(expected, rel=1e-3)

    def test_lists_hold_what_a_row_holds(self, learn):
        history = learn.dls.labelled.seen("train", positive=True)
        some = np.array([7, 0, 7, 12])
        for user, row in zip(some, padded(history, some).tolist(), strict=True):
            assert sorted(code - 1 for code in row if code) == sorted(history[[user]].indices)


@EACH
@pytest.mark.parametrize("asked", [{"factors": -1}, {"batch_size": -1}])
def test_sizes_below_nothing_are_told(frame, objective, form, asked):
    with pytest.raises(ToolkitError, match="expected whole numbers from 0"):
        build_learner(frame, objective=objective, form=form, **asked)


@pytest.mark.parametrize("objective", ["rating", "ranking"])
def test_a_catalogue_of_200_000_items_fits_into_memory(objective):
    rng = np.random.default_rng(0)
    items = np.concatenate([np.arange(200_000), rng.integers(0, 200_000, 20_000)])
    many = pd.DataFrame({"user": rng.integers(0, 500, len(items)), "item": items, "rating": rng.integers(1, 6, len(items))})
    learn = build_learner(many, objective=objective, factors=3)
    numbers = sum(each.numel() for each in weights_of(learn))
    assert numbers < 20_000_000, "a table of people and items would have 100 million cells"
    batch = learn.dls.train.one_batch()
    loss = learn.loss_func(learn.model(*batch[:-1]), batch[-1])
    loss.backward()
    assert torch.isfinite(loss)
    learn.dls.valid.show_batch(max_n=1)
    scores = learn.fold_in_model().scores(learn.fold_in_model().solve(np.array([3, 199]), None))
    assert scores.shape == (learn.dls.labelled.n_items,)
    assert np.isfinite(scores).all()


def test_named_ratings_are_learnt_from_as_numbered_ones_are():
    numbered, named = made_ratings(), named_ratings()
    named["item"] = [f"thing {int(name.split()[1]):02d}" for name in named["item"]]  # in the order of the numbers
    found = [build_learner(each) for each in (numbered, named)]
    for learn in found:
        fit(learn, 1)
    assert all(map(torch.equal, weights_of(found[0]), weights_of(found[1])))
