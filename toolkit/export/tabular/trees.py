"""Gradient-boosted trees as ONNX, without loss.

Nodes are written one by one, and a threshold has to part 32-bit numbers as LightGBM's parts its 64-bit ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from toolkit.learning.tabular.boosted_trees import Trees

OPSET, TREES_OPSET, IR_VERSION = 18, 3, 10
ZERO = np.float32(1e-35)  # LightGBM's kZeroThreshold


def trees_onnx(trees: Trees) -> bytes:
    """`trees` as an ONNX graph: "codes" int64 and "numbers" float32 -> "output" float32, any number of rows."""
    inputs = [
        helper.make_tensor_value_info("codes", TensorProto.INT64, ["rows", len(trees.tables)]),
        helper.make_tensor_value_info("numbers", TensorProto.FLOAT, ["rows", _numbers(trees)]),
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["rows", trees.classes or 1])
    nodes, constants, features = _lookup(trees)
    nodes.append(_ensemble(trees, features))
    if trees.classes:  # of two classes only the second has trees; the first's score stays 0
        nodes.append(helper.make_node("Softmax", ["scores"], ["output"], axis=1))
    else:
        constants += [
            _constant(name, np.array([value], np.float32)) for name, value in (("std", trees.std), ("mean", trees.mean))
        ]
        nodes.append(helper.make_node("Mul", ["scores", "std"], ["scaled"]))
        nodes.append(helper.make_node("Add", ["scaled", "mean"], ["output"]))
    graph = helper.make_graph(nodes, "trees", inputs, [output], constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION).SerializeToString()


def _numbers(trees: Trees) -> int:
    return trees.booster.num_feature() - sum(table.shape[1] for table in trees.tables)


def _lookup(trees: Trees) -> tuple[list[NodeProto], list[TensorProto], str]:
    """The nodes and constants that put together what the trees look at, and its name."""
    if not trees.tables:
        return [], [], "numbers"
    starts = np.cumsum([0, *(len(table) for table in trees.tables[:-1])]).astype(np.int64)
    width = sum(table.shape[1] for table in trees.tables)
    constants = [
        _constant("starts", starts),
        _constant("table", np.concatenate(trees.tables)),
        _constant("shape", np.array([-1, width], np.int64)),
    ]
    nodes = [
        helper.make_node("Add", ["codes", "starts"], ["places"]),
        helper.make_node("Gather", ["table", "places"], ["looked_up"]),
        helper.make_node("Reshape", ["looked_up", "shape"], ["categories"]),
    ]
    if not _numbers(trees):
        return nodes, constants, "categories"
    nodes.append(helper.make_node("Concat", ["categories", "numbers"], ["features"], axis=1))
    return nodes, constants, "features"


def _ensemble(trees: Trees, features: str) -> NodeProto:
    """All trees as one node."""
    outputs = trees.booster.num_model_per_iteration()
    nodes: dict[str, list[Any]] = {
        name: [] for name in ("treeids", "nodeids", "featureids", "modes", "values", "truenodeids", "falsenodeids")
    }
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "ids", "weights")}
    for number, tree in enumerate(trees.booster.dump_model()["tree_info"]):
        target = number % outputs + (trees.classes == 2)
        waiting, count = [(0, tree["tree_structure"])], 1
        while waiting:
            at, node = waiting.pop()
            feature, mode, value, left, right = 0, "LEAF", 0.0, 0, 0
            if "split_feature" in node:
                feature, mode, value, left, right = (
                    node["split_feature"], "BRANCH_LEQ", _below(node["threshold"]), count, count + 1
                )  # fmt: skip
                waiting += [(left, node["left_child"]), (right, node["right_child"])]
                count += 2
            else:
                for name, entry in zip(leaves, (number, at, target, float(node["leaf_value"])), strict=True):
                    leaves[name].append(entry)
            branch: tuple[Any, ...] = (number, at, feature, mode, value, left, right)
            for name, entry in zip(nodes, branch, strict=True):
                nodes[name].append(entry)
    attributes: dict[str, Any] = {
        **{f"nodes_{name}": entries for name, entries in nodes.items()},
        **{f"target_{name}": entries for name, entries in leaves.items()},
    }
    return helper.make_node(
        "TreeEnsembleRegressor", [features], ["scores"], domain="ai.onnx.ml", n_targets=trees.classes or 1, **attributes
    )


def _below(threshold: float) -> float:
    """The float32 t for which x <= t just when LightGBM has x <= `threshold`, for every float32 x: the largest not above it.

    To LightGBM a number within 1e-35 of 0 is 0, and splits at 0 lie at those ends.
    """
    if abs(threshold) <= ZERO:
        return float(ZERO if threshold >= 0 else np.nextafter(-ZERO, np.float32(-np.inf)))
    near = np.float32(threshold)
    return float(np.nextafter(near, np.float32(-np.inf)) if float(near) > threshold else near)


def _constant(name: str, array: np.ndarray) -> TensorProto:
    return numpy_helper.from_array(array, name)
