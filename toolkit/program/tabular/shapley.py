"""Which columns moved the answer for one row, and how far: Shapley values against a typical row.

Nothing is asked of the model but answers, so that a program can say it of any row it is given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import factorial
from typing import TYPE_CHECKING, Any

import numpy as np

from toolkit.program.cells import is_missing, python_value, quoted

if TYPE_CHECKING:
    from toolkit.program.tabular.inputs import Answer, Prepared, TabularInput

EXACT = 8  # columns up to which all 256 ways to mix two rows are tried
ANSWERS = 4096  # mixed rows that are asked for where there are more columns
FEWEST_PAIRS, MOST_PAIRS = 4, 100  # of orders
CHUNK = 4096  # rows at a time


@dataclass(frozen=True)
class Reason:
    """A column, its cell as it was given, and how far that moved the answer: in probability, or in the unit of the value.

    `error` is the standard error of `moved`, which stands behind ± in its text; 0 where it is exact.
    """

    column: str
    cell: object
    moved: float
    error: float = 0.0

    def __str__(self) -> str:
        cell = "missing" if is_missing(self.cell, frozenset()) else quoted(self.cell)
        figures = f"{self.moved:+,.0f} ± {self.error:,.0f}" if abs(self.moved) >= 100 else f"{self.moved:+.3g} ± {self.error:.1g}"
        return f"{self.column} {cell}: {figures if self.error else figures.partition(' ±')[0]}"

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        cell = python_value(self.cell)
        cell = (
            cell
            if isinstance(cell, (str, int, bool, type(None))) or (isinstance(cell, float) and np.isfinite(cell))
            else str(cell)
        )
        return {"column": self.column, "cell": cell, "moved": self.moved, "error": self.error}


def shapley_values(tabular_input: TabularInput, answer: Answer, *, row: Mapping[Any, object], seed: int = 0) -> list[Reason]:
    """How far each column of `row` moved the answer away from that for `tabular_input.typical()`, the strongest first.

    The answer is the probability of the class that is predicted for the row, or the value. Columns in which the row is typical
    moved nothing and are not listed; what the others moved sums to the whole difference. A column's share is what the answer
    gains when its cell takes the place of the typical one, on average over all orders in which the columns may do so (Shapley
    1953; Strumbelj and Kononenko 2014): all of them up to 8 columns, beyond that drawn ones, each with its reverse (Castro et
    al. 2009; Mitchell et al. 2022), the same for the same `seed`. Mixed rows may be unlike any real one: the model's answer to
    them is what is explained, not the world. Raises `ConversionError` as `prepare_row`.
    """
    given, typical = tabular_input.prepare_row(row), tabular_input.typical()
    keys = dict(zip(tabular_input.names, tabular_input.header(row.keys()).keys, strict=True))
    names = [name for name in tabular_input.names if _differ(given, typical, places=tabular_input.places(name))]
    if not names:
        return []
    mixed = _Mixed(given, typical, places=[tabular_input.places(name) for name in names], answer=answer)
    moved, errors = _of_all(mixed, len(names)) if len(names) <= EXACT else _of_some(mixed, len(names), seed=seed)
    found = [
        Reason(name, None if keys[name] is None else row[keys[name]], float(by), float(error))
        for name, by, error in zip(names, moved, errors, strict=True)
    ]
    return sorted(found, key=lambda reason: -abs(reason.moved))


def _differ(given: Prepared, typical: Prepared, *, places: tuple[list[int], list[int]]) -> bool:
    codes, numbers = places
    return bool(
        (given.codes[0, codes] != typical.codes[0, codes]).any()
        or (given.numbers[0, numbers] != typical.numbers[0, numbers]).any()
    )


class _Mixed:
    """Answers to rows of which some columns are given and the rest typical."""

    def __init__(
        self, given: Prepared, typical: Prepared, *, places: Sequence[tuple[list[int], list[int]]], answer: Answer
    ) -> None:
        self.given, self.typical, self.answer = given, typical, answer
        # the column that each place belongs to; the rest, the same in both, to one behind the last, which is never given
        self.owners = np.full(given.codes.shape[1], len(places)), np.full(given.numbers.shape[1], len(places))
        for column, (codes, numbers) in enumerate(places):
            self.owners[0][codes], self.owners[1][numbers] = column, column

    def __call__(self, masks: np.ndarray) -> np.ndarray:
        """The answers, float64 (n,), where `masks`, bool (n, columns), says what is given; the last row has all."""
        answers = np.concatenate([self._part(masks[start : start + CHUNK]) for start in range(0, len(masks), CHUNK)])
        return answers[:, answers[-1].argmax()]

    def _part(self, masks: np.ndarray) -> np.ndarray:
        masks = np.pad(masks, ((0, 0), (0, 1)))
        codes = np.where(masks[:, self.owners[0]], self.given.codes, self.typical.codes)
        numbers = np.where(masks[:, self.owners[1]], self.given.numbers, self.typical.numbers)
        return np.asarray(self.answer(codes, numbers), dtype=np.float64)


def _of_all(mixed: _Mixed, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The exact values, from all subsets of the columns."""
    subsets = np.arange(2**count)
    masks = (subsets[:, None] >> np.arange(count) & 1).astype(bool)
    answers, sizes = mixed(masks), masks.sum(axis=1)
    weights = np.array([factorial(size) * factorial(count - size - 1) / factorial(count) for size in range(count)])
    moved = []
    for column in range(count):
        without = subsets[~masks[:, column]]
        moved.append((weights[sizes[without]] * (answers[without | 1 << column] - answers[without])).sum())
    return np.array(moved), np.zeros(count)


def _of_some(mixed: _Mixed, count: int, *, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Estimates from drawn orders and their reverses, with standard errors over the pairs."""
    pairs = int(np.clip(ANSWERS // (2 * (count + 1)), FEWEST_PAIRS, MOST_PAIRS))
    ranks = np.random.default_rng(seed).permuted(np.tile(np.arange(count), (pairs, 1)), axis=1)
    ranks = np.concatenate([ranks, count - 1 - ranks])  # of each column in each order
    masks = ranks[:, None, :] < np.arange(count + 1)[:, None]  # order, how many columns are given, column
    steps = np.diff(mixed(masks.reshape(-1, count)).reshape(2 * pairs, count + 1), axis=1)
    gained = np.take_along_axis(steps, ranks, axis=1).reshape(2, pairs, count).mean(axis=0)
    return gained.mean(axis=0), gained.std(axis=0, ddof=1) / np.sqrt(pairs)
