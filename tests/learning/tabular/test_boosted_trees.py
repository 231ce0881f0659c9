"""Gradient-boosted trees: what they learn, and that text and ONNX say the same as they do."""

import json

import numpy as np
import onnxruntime
import pytest

from toolkit.errors import ToolkitError
from toolkit.export.tabular.trees import trees_onnx
from toolkit.learning.tabular.boosted_trees import Trees, fit_trees


def made(rows=600, classes=2, cardinalities=(6, 40), n_numbers=3, seed=0):
    """Codes from 2 (1 is what no row has), numbers on a grid so that thresholds lie among them, targets that need both."""
    rng = np.random.default_rng(seed)
    codes = np.stack([rng.integers(2, size, rows) for size in cardinalities], axis=1) if cardinalities else np.zeros((rows, 0))
    codes = codes.astype(np.int64)
    numbers = (rng.integers(-20, 20, (rows, n_numbers)) / 10).astype(np.float32)
    score = codes.sum(axis=1) % 7 - 3 + 2 * numbers.sum(axis=1) + rng.normal(size=rows) * 0.5
    if not classes:
        return codes, numbers, (1000 + 100 * score).astype(np.float32)
    return codes, numbers, np.digitize(score, np.quantile(score, np.arange(1, classes) / classes)).astype(np.int64)


def parts(made_rows):
    third = len(made_rows[0]) // 3
    return [tuple(array[i * third : (i + 1) * third] for array in made_rows) for i in range(3)]


def answer(trees, codes, numbers):
    session = onnxruntime.InferenceSession(trees_onnx(trees), providers=["CPUExecutionProvider"])
    assert [given.name for given in session.get_inputs()] == ["codes", "numbers"]
    return session.run(["output"], {"codes": codes, "numbers": numbers})[0]


SHAPES = [((6, 40), 3), ((), 3), ((6, 40), 0), ((10_002,), 1)]


@pytest.mark.parametrize("classes", [0, 2, 3, 5])
@pytest.mark.parametrize(("cardinalities", "n_numbers"), SHAPES)
def test_trees_and_their_graph_answer_alike(classes, cardinalities, n_numbers):
    train, valid, test = parts(made(900, classes, cardinalities, n_numbers))
    trees = fit_trees(train, valid, cardinalities=cardinalities, classes=classes)
    unseen = np.stack([np.arange(300) % size for size in cardinalities], axis=1) if cardinalities else test[0]
    for codes in (test[0], unseen):
        found = trees.predict(codes, test[1])
        assert found.shape == (300, classes or 1)
        assert found.dtype == np.float32
        assert np.abs(answer(trees, codes, test[1]) - found).max() <= 1e-5 * (1 if classes else trees.std)
        assert np.array_equal(answer(trees, codes[:1], test[1][:1]).argmax(1), found[:1].argmax(1))


def test_values_at_a_threshold_and_next_to_it_go_the_same_way_in_the_graph():
    rng = np.random.default_rng(0)
    numbers = rng.normal(size=(600, 1)).astype(np.float32)
    targets = (np.sin(5 * numbers[:, 0]) > 0).astype(np.int64)
    codes = np.zeros((600, 0), np.int64)
    trees = fit_trees((codes, numbers, targets), (codes[:0], numbers[:0], targets[:0]), cardinalities=[], classes=2)
    thresholds = []

    def look(node):
        if "threshold" in node:
            thresholds.append(node["threshold"])
            look(node["left_child"])
            look(node["right_child"])

    for tree in trees.booster.dump_model()["tree_info"]:
        look(tree["tree_structure"])
    at = np.float32(thresholds)
    beside = [np.nextafter(at, np.float32(side)) for side in (-np.inf, np.inf)]
    values = np.unique(np.concatenate([at, *beside]))[:, None]
    assert len(values) > 100
    found = trees.predict(np.zeros((len(values), 0), np.int64), values)
    assert np.abs(answer(trees, np.zeros((len(values), 0), np.int64), values) - found).max() <= 1e-5
    assert np.abs(np.diff(found[:, 1])).max() > 0.1  # a wrong turn would be seen


@pytest.mark.parametrize("classes", [0, 2, 4])
def test_trees_learn(classes):
    train, valid, (codes, numbers, targets) = parts(made(3000, classes))
    found = fit_trees(train, valid, cardinalities=(6, 40), classes=classes).predict(codes, numbers)
    if classes:
        assert np.allclose(found.sum(axis=1), 1, atol=1e-5)
        assert (found.argmax(axis=1) == targets).mean() > 1.4 / classes
    else:
        assert ((found[:, 0] - targets) ** 2).mean() < 0.4 * targets.var()


def test_categories_of_one_row_each_are_not_taken_for_knowledge():
    rng = np.random.default_rng(0)
    codes = np.arange(2, 3002)[:, None]
    numbers = rng.normal(size=(3000, 1)).astype(np.float32)
    targets = (numbers[:, 0] + rng.normal(size=3000) > 0).astype(np.int64)
    train, valid, (test_codes, test_numbers, test_targets) = parts((codes, numbers, targets))
    found = fit_trees(train, valid, cardinalities=[3002], classes=2).predict(test_codes, test_numbers)
    assert (found.argmax(axis=1) == test_targets).mean() > 0.7


def test_weights_raise_a_class():
    train, valid, (codes, numbers, _) = parts(made(900))
    plain = fit_trees(train, valid, cardinalities=(6, 40), classes=2).predict(codes, numbers)
    raised = fit_trees(train, valid, cardinalities=(6, 40), classes=2, weights=[1.0, 5.0]).predict(codes, numbers)
    assert raised[:, 1].mean() > plain[:, 1].mean() + 0.02


def test_the_same_seed_gives_the_same_trees_and_text_keeps_them_to_the_last_bit():
    train, valid, (codes, numbers, _) = parts(made(900, 3))
    trees, again = (
        fit_trees(train, valid, cardinalities=(6, 40), classes=3, seed=7),
        fit_trees(train, valid, cardinalities=(6, 40), classes=3, seed=7),
    )
    trees.weight = 0.35
    kept = Trees.from_dict(json.loads(json.dumps(trees.to_dict())))
    assert np.array_equal(trees.predict(codes, numbers), again.predict(codes, numbers))
    assert np.array_equal(trees.predict(codes, numbers), kept.predict(codes, numbers))
    assert kept.weight == 0.35
    assert trees_onnx(kept) == trees_onnx(trees)


@pytest.mark.parametrize("classes", [0, 2])
def test_the_share_in_a_blend_goes_to_the_better_part(classes):
    train, valid, _ = parts(made(900, classes))
    trees = fit_trees(train, valid, cardinalities=(6, 40), classes=classes)
    codes, numbers, targets = valid
    right = np.eye(2, dtype=np.float32)[targets] if classes else targets[:, None]
    middling = np.full((len(targets), 2), 0.5, np.float32) if classes else np.full((len(targets), 1), targets.mean())
    assert trees.choose_weight(right, codes=codes, numbers=numbers, targets=targets) == 0
    assert trees.choose_weight(middling, codes=codes, numbers=numbers, targets=targets) > 0.8
    assert trees.weight > 0.8


def test_few_rows_and_no_validation_part_still_give_trees():
    codes, numbers, targets = made(12)
    trees = fit_trees((codes, numbers, targets), (codes[:0], numbers[:0], targets[:0]), cardinalities=(6, 40), classes=2)
    assert trees.choose_weight(np.zeros((0, 2)), codes=codes[:0], numbers=numbers[:0], targets=targets[:0]) == 0.5
    assert np.allclose(trees.predict(codes, numbers).mean(axis=0), np.bincount(targets) / 12, atol=0.2)
    assert np.abs(answer(trees, codes, numbers) - trees.predict(codes, numbers)).max() <= 1e-5
    assert trees.predict(codes[:0], numbers[:0]).shape == (0, 2)


def test_a_table_without_columns_is_refused():
    nothing = (np.zeros((5, 0), np.int64), np.zeros((5, 0), np.float32), np.array([0, 1, 0, 1, 0]))
    with pytest.raises(ToolkitError, match="no column to predict from"):
        fit_trees(nothing, nothing, cardinalities=[], classes=2)
