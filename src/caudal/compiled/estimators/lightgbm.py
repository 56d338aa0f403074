"""Boosting and forests of LightGBM, read from the text in which it stores them (``src/io/tree.cpp`` of LightGBM has its form)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, NotCompiled, labels_of
from caudal.compiled.grown import GrownTree, category_bits, nodes_of, reachable
from caudal.compiled.outputs import ScoreOutput
from caudal.compiled.trees.nodes import CODES

NUMBERS = {"regression": "number", "regression_l1": "number", "huber": "number", "fair": "number", "quantile": "number", "mape": "number",
           "poisson": "c_exp", "gamma": "c_exp", "tweedie": "c_exp"}  # fmt: skip
"""What the score of an objective means, whatever its parameters are."""
_CATEGORICAL, _DEFAULT_LEFT = 1, 2
_MISSING_NONE, _MISSING_ZERO = 0, 1
_ZERO = float(np.float32(1e-35))  # LightGBM takes numbers from −_ZERO to _ZERO for 0


def compile_lightgbm(estimator: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return the trees up to the iteration that the estimator predicts with."""
    if estimator.get_params().get("pred_early_stop"):
        raise NotCompiled("LightGBM that stops in the middle of its trees (pred_early_stop) has no compiled form")
    header, *trees = _blocks(estimator.booster_.model_to_string(num_iteration=None))
    scores = int(header["num_tree_per_iteration"])
    grown = [_grown(tree) for tree in trees]
    if not grown:
        raise NotCompiled("LightGBM without a tree has no compiled form")
    features = int(header["max_feature_idx"]) + 1
    known = np.full((features, CODES // 32), 0xFFFF_FFFF, "uint32")
    document = {
        "kind": "trees", "nodes": nodes_of(grown, features, known).add_to(arrays), "start": arrays.add(np.zeros(scores)),
        "combination": "mean" if "average_output" in header else "sum", "single_precision": False, "missing": True,
    }  # fmt: skip
    return CompiledPart(document, _output(estimator, header.get("objective", "none")))


def _output(estimator: Any, objective: str) -> ScoreOutput:
    """Return what scores mean."""
    name, *parameters = objective.split()
    if name in NUMBERS and "sqrt" not in parameters:
        return ScoreOutput(NUMBERS[name])
    if name == "binary" and "sigmoid:1" in parameters:
        return ScoreOutput("greater_share", labels_of(estimator))
    if name == "multiclass":
        return ScoreOutput("c_softmax", labels_of(estimator))
    if name == "multiclassova" and "sigmoid:1" in parameters:
        return ScoreOutput("logistic_each", labels_of(estimator))
    raise NotCompiled(f"LightGBM with the objective {objective!r} has no compiled form")


def _blocks(text: str) -> Iterator[Mapping[str, str]]:
    """Yield the values of the header, then those of each tree."""
    for block in text.partition("\nend of trees")[0].split("\nTree="):
        lines = (line.partition("=") for line in block.splitlines())
        yield {name: value for name, _, value in lines}


def _grown(tree: Mapping[str, str]) -> GrownTree:
    """Return a tree: the tests come first, and after them the leaves, which LightGBM numbers −1, −2, …"""
    if tree.get("is_linear", "0") != "0":
        raise NotCompiled("LightGBM with linear trees has no compiled form")
    leaves = np.array(_numbers(tree, "leaf_value"), "float64")
    tests = int(tree["num_leaves"]) - 1
    if tests == 0:
        none = np.zeros(1, "int64")
        return GrownTree(none - 1, np.zeros(1), none, none, np.zeros(1, bool), leaves[:1].reshape(1, 1))
    kinds = np.array(_numbers(tree, "decision_type"), "int64")
    threshold = np.array(_numbers(tree, "threshold"), "float64")
    categorical, missing = (kinds & _CATEGORICAL).astype(bool), kinds >> 2 & 3
    if np.any(missing[~categorical] == _MISSING_ZERO):
        raise NotCompiled("LightGBM that takes zeros for missing values has no compiled form")
    if np.any((abs(threshold) < _ZERO) & ~categorical):
        raise NotCompiled("LightGBM with thresholds that it cannot tell from zero has no compiled form")
    threshold = np.where((threshold == -_ZERO) & ~categorical, np.nextafter(-_ZERO, -np.inf), threshold)
    # Where training had no missing value, NaN is 0. A category that is none goes right.
    missing_left = np.where(missing == _MISSING_NONE, threshold >= 0, (kinds & _DEFAULT_LEFT).astype(bool)) & ~categorical

    def children(name: str) -> np.ndarray:
        numbers = np.array(_numbers(tree, name), "int64")
        return np.concatenate([np.where(numbers < 0, tests + ~numbers, numbers), np.zeros(len(leaves), "int64")])

    def then_leaves(of_tests: np.ndarray, filling: float) -> np.ndarray:
        return np.concatenate([of_tests, np.full(len(leaves), filling, of_tests.dtype)])

    return reachable(
        GrownTree(
            then_leaves(np.array(_numbers(tree, "split_feature"), "int64"), -1),
            then_leaves(threshold, 0.0),
            children("left_child"),
            children("right_child"),
            then_leaves(missing_left, False),
            np.concatenate([np.zeros(tests), leaves]).reshape(-1, 1),
            then_leaves(np.where(categorical, threshold, -1).astype("int64"), -1),
            _goes_left(tree),
        )
    )


def _goes_left(tree: Mapping[str, str]) -> np.ndarray | None:
    """Return for each test of categories those that go left, as bits."""
    if int(tree.get("num_cat", "0")) == 0:
        return None
    ends = [int(end) for end in _numbers(tree, "cat_boundaries")]
    words = [int(word) for word in tree["cat_threshold"].split()]
    rows = []
    for start, end in pairwise(ends):
        rows.append(
            category_bits(
                [32 * (place - start) + bit for place in range(start, end) for bit in range(32) if words[place] >> bit & 1]
            )
        )
    return np.stack(rows)


def _numbers(tree: Mapping[str, str], name: str) -> Sequence[float]:
    return [float(number) for number in tree[name].split()]


COMPILER = Compiler("lightgbm", ("lightgbm.sklearn.LGBMClassifier", "lightgbm.sklearn.LGBMRegressor"), compile_lightgbm)
