"""Which columns moved an answer: Shapley values of models whose shares are known."""

import json

import numpy as np
import pytest

from toolkit.program.tabular.columns import CategoryColumn, DateColumn, NumberColumn
from toolkit.program.tabular.inputs import TabularInput
from toolkit.program.tabular.shapley import shapley_values


def numbers_input(count):
    columns = [NumberColumn(f"x{place}", 0.0, 0.0, 1.0, -10.0, 10.0) for place in range(count)]
    return TabularInput((*columns, CategoryColumn("colour", ("red", "blue"))))


def row_of(count, seed=0, **cells):
    values = np.random.default_rng(seed).normal(size=count)
    return {**{f"x{place}": float(value) for place, value in enumerate(values)}, "colour": "blue", **cells}


def additive(codes, numbers):
    weights = np.arange(1, numbers.shape[1] + 1)
    return (numbers * weights).sum(axis=1, keepdims=True) + 5.0 * (codes == 3)


def crooked(codes, numbers):
    """Probabilities of two classes by a function in which columns need each other."""
    score = numbers[:, 0] * numbers[:, 1] + np.sin(numbers).sum(axis=1) * (1 + (codes[:, 0] == 3))
    positive = 1 / (1 + np.exp(-score))
    return np.stack([1 - positive, positive], axis=1)


@pytest.mark.parametrize("count", [4, 20])
def test_of_a_sum_each_column_moved_its_own_term(count):
    row = row_of(count)
    reasons = {reason.column: reason for reason in shapley_values(numbers_input(count), additive, row=row)}
    for place in range(count):
        assert reasons[f"x{place}"].moved == pytest.approx((place + 1) * row[f"x{place}"], abs=1e-5)
    assert reasons["colour"].moved == pytest.approx(5)
    assert max(reason.error for reason in reasons.values()) < 1e-5


@pytest.mark.parametrize("count", [4, 20])
def test_what_columns_moved_sums_to_the_whole_difference(count):
    tabular_input, row = numbers_input(count), row_of(count, seed=1)
    given, typical = tabular_input.prepare_row(row), tabular_input.typical()
    answer, ordinary = (crooked(rows.codes, rows.numbers)[0] for rows in (given, typical))
    reasons = shapley_values(tabular_input, crooked, row=row)
    assert sum(reason.moved for reason in reasons) == pytest.approx(answer.max() - ordinary[answer.argmax()])
    sizes = [abs(reason.moved) for reason in reasons]
    assert sizes == sorted(sizes, reverse=True)


TYPICAL = {"age": 30.0, "weight": 70.0, "colour": "red", "joined": "2021-06-01"}
GIVEN = {"age": 41.5, "weight": None, "colour": "blue", "joined": "2023-02-11"}  # a date is five numbers, one missing is two


def mixed_input():
    """A column of each kind, whose usual cells are `TYPICAL`."""
    parts = [
        NumberColumn(f"joined: {part}", ordinary, ordinary + 1, 2.0, 0.0, 3000.0)
        for part, ordinary in (("year", 2021.0), ("month", 6.0))
    ]
    numbers = [NumberColumn(name, TYPICAL[name], 50.0, 20.0, 0.0, 100.0, had_missing=True) for name in ("age", "weight")]
    return TabularInput((*numbers, CategoryColumn("colour", ("red", "blue")), DateColumn("joined", tuple(parts))))


def numbers_and_colour(count):
    """`count` numbers and a colour, with their usual cells and others."""
    given = row_of(count, seed=3)
    return numbers_input(count), {**dict.fromkeys(given, 0.0), "colour": "red"}, given


def by_shap(tabular_input, ordinary, row):
    """Shap's values of the answer, over all subsets: what is mixed are cells, before they are prepared."""
    shap = pytest.importorskip("shap", reason="the test extra's shap is not installed")
    names = list(row)

    def answers(given):
        cells = {name: [(ordinary, row)[int(one)][name] for one in given[:, place]] for place, name in enumerate(names)}
        prepared = tabular_input.prepare(cells)
        return crooked(prepared.codes, prepared.numbers)

    answer = answers(np.ones((1, len(names))))[0].argmax()
    explainer = shap.KernelExplainer(lambda given: answers(given)[:, answer], np.zeros((1, len(names))))
    values = explainer.shap_values(np.ones((1, len(names))), nsamples=2 ** len(names), l1_reg=0, silent=True)
    return dict(zip(names, values[0].tolist(), strict=True))


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of the colours that shap draws with
@pytest.mark.parametrize("columns", [(mixed_input(), TYPICAL, GIVEN), numbers_and_colour(2), numbers_and_colour(7)])
def test_up_to_eight_columns_moved_the_answer_by_what_shap_says(columns):
    expected = by_shap(*columns)
    found = {reason.column: reason for reason in shapley_values(columns[0], crooked, row=columns[2])}
    assert {name: reason.moved for name, reason in found.items()} == pytest.approx(expected, abs=1e-6)
    assert all(reason.error == 0 for reason in found.values())


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")  # of the colours that shap draws with
def test_of_more_columns_drawn_orders_come_as_near_to_shaps_as_their_standard_error_says():
    tabular_input, ordinary, row = numbers_and_colour(9)
    expected = by_shap(tabular_input, ordinary, row)
    drawn = shapley_values(tabular_input, crooked, row=row)
    assert {reason.column for reason in drawn} == set(expected)
    off = np.array([abs(reason.moved - expected[reason.column]) / reason.error for reason in drawn])
    assert off.max() < 4
    assert off.max() > 0.1  # nor is the error far too large
    assert drawn == shapley_values(tabular_input, crooked, row=row)


def test_only_columns_in_which_a_row_is_not_typical_are_named_with_their_cells_as_given():
    tabular_input = numbers_input(3)
    row = {"x0": 0.0, "X1 ": "2", "colour": "red"}
    reasons = shapley_values(tabular_input, additive, row=row)
    assert {reason.column: reason.cell for reason in reasons} == {"x1": "2", "x2": None}  # the third is not there at all
    assert json.dumps([reason.to_json() for reason in reasons])
    assert str(reasons[0]).startswith(reasons[0].column)
    assert shapley_values(tabular_input, additive, row={"x0": 0.0, "x1": 0, "x2": 0.0, "colour": "red"}) == []
