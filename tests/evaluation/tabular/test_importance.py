"""What a model goes by: columns that matter and columns that do not, and how answers follow one."""

import numpy as np
import pytest
from helpers.tabular_rows import knowing_learner, labelled_people

from toolkit.evaluation.tabular.importance import partial_dependence, permutation_importance
from toolkit.evaluation.tabular.scores import network_answer, program_answer


@pytest.mark.parametrize("target", ["income", "level", "euros"])
def test_what_a_model_goes_by_is_important_and_what_it_ignores_is_not(target):
    labelled = labelled_people(target, count=1000)
    found = permutation_importance(network_answer(knowing_learner(labelled)), labelled)
    assert list(found) == ["age", "job", *(name for name in found if name not in ("age", "job"))]
    assert set(found) == set(labelled.tabular_input.names)
    assert found["age"].low > 0
    assert found["job"].low > 0
    assert found["noise"].value == found["noise"].low == found["joined"].high == 0


def test_a_column_that_only_confuses_has_an_importance_about_zero():
    labelled = labelled_people("euros", count=1000)
    known = network_answer(knowing_learner(labelled))
    place = labelled.tabular_input.places("noise")[1][0]
    confused = permutation_importance(lambda codes, numbers: known(codes, numbers) + 100 * numbers[:, [place]], labelled)
    assert confused["noise"].low < 0 < confused["noise"].high
    assert confused["age"].value > 50 * abs(confused["noise"].value)


def test_all_that_is_made_of_a_column_is_shuffled_together():
    labelled = labelled_people("euros")
    codes_at, numbers_at = labelled.tabular_input.places("joined")
    assert codes_at == []
    rows = labelled.rows_of("test")
    seen = []

    def answer(codes, numbers):
        seen.append(numbers[:, numbers_at])
        return numbers[:, :1]

    permutation_importance(answer, labelled, repeats=1)
    real = {row.tobytes() for row in labelled.numbers[np.ix_(rows, numbers_at)]}
    changed = [each for each in seen if not np.array_equal(each, labelled.numbers[np.ix_(rows, numbers_at)])]
    assert len(changed) == 1  # only for its own turn
    assert {row.tobytes() for row in changed[0]} <= real


def test_the_answer_follows_a_number_in_its_own_unit():
    labelled = labelled_people("euros")
    found = partial_dependence(network_answer(knowing_learner(labelled)), labelled, column="age")
    assert found.kind == "number"
    assert 20 <= found.values[0] < found.values[-1] < 70
    assert all(value == int(value) for value in found.values)
    assert np.polyfit(found.values, found.answers[:, 0], 1)[0] == pytest.approx(800, rel=1e-3)  # 8000 euros in ten years
    assert found.answers.shape == (len(found.values), 1)


def test_the_answer_for_each_of_the_commonest_categories():
    labelled = labelled_people("income")
    found = partial_dependence(network_answer(knowing_learner(labelled)), labelled, column="job")
    assert sorted(found.values) == ["clerk", "farmer", "teacher"]
    assert list(found.shares) == sorted(found.shares, reverse=True)
    assert sum(found.shares) == pytest.approx(1)
    assert found.answers.sum(axis=1) == pytest.approx(1)
    assert found.values[found.answers[:, 0].argmax()] == "teacher"


def test_the_answer_over_dates():
    labelled = labelled_people("euros")
    place = labelled.tabular_input.features.index("joined: days")
    found = partial_dependence(lambda codes, numbers: numbers[:, [place]], labelled, column="joined")
    assert found.kind == "date"
    assert list(found.values) == sorted(found.values)
    assert found.values[0].startswith("2020")
    assert (np.diff(found.answers[:, 0]) > 0).all()


def test_what_is_explained_is_what_the_program_answers():
    labelled = labelled_people("euros")
    learn = knowing_learner(labelled)
    assert np.array_equal(*(how(learn)(labelled.codes, labelled.numbers) for how in (program_answer, network_answer)))
    learn.trees = type("Trees", (), {"weight": 1.0, "predict": staticmethod(lambda codes, numbers: numbers[:, :1])})()
    assert program_answer(learn)(labelled.codes, labelled.numbers) == pytest.approx(labelled.numbers[:, :1])
