"""Which columns moved an answer: Shapley values of models whose shares are known."""

import json
from itertools import permutations

import numpy as np
import pytest

from toolkit.program.tabular.columns import CategoryColumn, NumberColumn
from toolkit.program.tabular.inputs import TableInput
from toolkit.program.tabular.shapley import why


def numbers_input(count):
    columns = [NumberColumn(f"x{place}", 0.0, 0.0, 1.0, -10.0, 10.0) for place in range(count)]
    return TableInput((*columns, CategoryColumn("colour", ("red", "blue"))))


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
    reasons = {reason.column: reason for reason in why(numbers_input(count), additive, row)}
    for place in range(count):
        assert reasons[f"x{place}"].moved == pytest.approx((place + 1) * row[f"x{place}"], abs=1e-5)
    assert reasons["colour"].moved == pytest.approx(5)
    assert max(reason.error for reason in reasons.values()) < 1e-5


@pytest.mark.parametrize("count", [4, 20])
def test_what_columns_moved_sums_to_the_whole_difference(count):
    table_input, row = numbers_input(count), row_of(count, seed=1)
    given, typical = table_input.prepare_row(row), table_input.typical()
    answer, usual = (crooked(rows.codes, rows.numbers)[0] for rows in (given, typical))
    reasons = why(table_input, crooked, row)
    assert sum(reason.moved for reason in reasons) == pytest.approx(answer.max() - usual[answer.argmax()])
    sizes = [abs(reason.moved) for reason in reasons]
    assert sizes == sorted(sizes, reverse=True)


def test_few_columns_are_averaged_over_all_orders():
    table_input, row = numbers_input(2), row_of(2, seed=2)
    given, typical = table_input.prepare_row(row), table_input.typical()
    answer = crooked(given.codes, given.numbers)[0].argmax()
    gained = np.zeros(3)
    for order in permutations(range(3)):
        codes, numbers = typical.codes.copy(), typical.numbers.copy()
        before = crooked(codes, numbers)[0, answer]
        for column in order:
            if column == 2:
                codes[:] = given.codes
            else:
                numbers[:, column] = given.numbers[:, column]
            after = crooked(codes, numbers)[0, answer]
            gained[column] += (after - before) / 6
            before = after
    reasons = {reason.column: reason.moved for reason in why(table_input, crooked, row)}
    assert [reasons["x0"], reasons["x1"], reasons["colour"]] == pytest.approx(gained)


def test_drawn_orders_come_as_near_as_their_standard_error_says(monkeypatch):
    table_input, row = numbers_input(6), row_of(6, seed=3)
    exact = {reason.column: reason for reason in why(table_input, crooked, row)}
    monkeypatch.setattr("toolkit.program.tabular.shapley.EXACT", 2)
    drawn = why(table_input, crooked, row)
    assert all(reason.error == 0 for reason in exact.values())
    assert all(reason.error > 0 for reason in drawn)
    assert all(abs(reason.moved - exact[reason.column].moved) < 4 * reason.error for reason in drawn)
    assert drawn == why(table_input, crooked, row)


def test_only_columns_in_which_a_row_is_not_typical_are_named_with_their_cells_as_given():
    table_input = numbers_input(3)
    row = {"x0": 0.0, "X1 ": "2", "colour": "red"}
    reasons = why(table_input, additive, row)
    assert {reason.column: reason.cell for reason in reasons} == {"x1": "2", "x2": None}  # the third is not there at all
    assert json.dumps([reason.to_json() for reason in reasons])
    assert str(reasons[0]).startswith(reasons[0].column)
    assert why(table_input, additive, {"x0": 0.0, "x1": 0, "x2": 0.0, "colour": "red"}) == []
