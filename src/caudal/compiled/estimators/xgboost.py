"""Boosting and forests of XGBoost, read from the JSON in which it stores them (``doc/model.schema`` of XGBoost describes it)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, NotCompiled, labels_of
from caudal.compiled.grown import GrownTree, category_bits, nodes_of, reachable
from caudal.compiled.outputs import ScoreOutput
from caudal.compiled.single_precision import logarithm
from caudal.compiled.trees.nodes import CODES

NUMBERS = {"reg:squarederror": "number", "reg:absoluteerror": "number", "reg:pseudohubererror": "number", "reg:quantileerror": "number",
           "count:poisson": "single_exp", "reg:gamma": "single_exp", "reg:tweedie": "single_exp"}  # fmt: skip
"""What the score of an objective means."""
_MODULES = {
    "xgboost.sklearn": ("XGBRegressor", "XGBRFRegressor"),
    "caudal.stages.frameworks.xgboost_classes": ("NamedXGBClassifier", "NamedXGBRFClassifier"),
}


def compile_xgboost(estimator: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return the trees up to the iteration that the estimator predicts with."""
    booster = estimator.get_booster()
    missing = estimator.missing
    if missing is not None and missing == missing:
        raise NotCompiled("XGBoost that takes a number for missing values has no compiled form")
    start, end = estimator._get_iteration_range(None)
    if (start, end) != (0, 0):
        booster = booster[start:end]
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    boosted, features = learner["gradient_booster"], int(learner["learner_model_param"]["num_feature"])
    if boosted["name"] != "gbtree":
        raise NotCompiled(f"XGBoost with the booster {boosted['name']!r} has no compiled form")
    if int(learner["learner_model_param"]["num_target"]) > 1:
        raise NotCompiled("XGBoost of several outputs has no compiled form")
    model = boosted["model"]
    output = _output(estimator, learner["objective"]["name"])
    scores = len(output.labels) if output.kind == "single_softmax" else 1
    _require_trees(model, scores)
    known = np.full((features, CODES // 32), 0xFFFF_FFFF, "uint32")
    document = {
        "kind": "single_trees",
        "nodes": nodes_of([_grown(tree) for tree in model["trees"]], features, known).add_to(arrays),
        "groups": arrays.add(np.array(model["tree_info"], "int64")),
        "start": arrays.add(_margins(learner, scores)),
    }
    return CompiledPart(document, output)


def _output(estimator: Any, objective: str) -> ScoreOutput:
    """Return what scores mean."""
    if objective in NUMBERS:
        return ScoreOutput(NUMBERS[objective])
    if objective == "binary:logistic":
        return ScoreOutput("single_binary", labels_of(estimator))
    if objective in ("multi:softprob", "multi:softmax"):
        return ScoreOutput("single_softmax", labels_of(estimator))
    raise NotCompiled(f"XGBoost with the objective {objective!r} has no compiled form")


def _margins(learner: Mapping[str, Any], scores: int) -> np.ndarray:
    """Return the score of each class before the first tree; float64 [scores] of numbers in single precision."""
    text = str(learner["learner_model_param"]["base_score"])
    base = np.array(json.loads(text) if text.startswith("[") else [float(text)], "float32")
    objective = learner["objective"]["name"]
    if objective == "binary:logistic":
        base = np.array([-logarithm(float(np.float32(1) / value - np.float32(1))) for value in base], "float32")
    elif NUMBERS.get(objective) == "single_exp":
        base = np.array([logarithm(float(value)) for value in base], "float32")
    return np.broadcast_to(base, scores).astype("float64")


def _require_trees(model: Mapping[str, Any], scores: int) -> None:
    if not model["trees"] or any(not 0 <= group < scores for group in model["tree_info"]):
        raise NotCompiled("XGBoost without trees for each class has no compiled form")


def _grown(tree: Mapping[str, Any]) -> GrownTree:
    """Return a tree. XGBoost goes left where a number is below the threshold: at most the number before it. Of categories those go right that it lists."""
    left, condition = np.array(tree["left_children"], "int64"), np.array(tree["split_conditions"], "float32")
    leaf = left < 0
    category = np.full(len(left), -1)
    rows = []
    for row, (node, first, count) in enumerate(
        zip(tree["categories_nodes"], tree["categories_segments"], tree["categories_sizes"], strict=True)
    ):
        category[node] = row
        rows.append(~category_bits(tree["categories"][first : first + count]))
    return reachable(
        GrownTree(
            np.where(leaf, -1, np.array(tree["split_indices"], "int64")),
            np.where(leaf, 0.0, np.nextafter(condition, np.float32(-np.inf)).astype("float64")),
            left,
            np.array(tree["right_children"], "int64"),
            np.array(tree["default_left"], bool),
            np.where(leaf, condition, 0.0).astype("float64").reshape(-1, 1),
            category,
            np.stack(rows) if rows else None,
        )
    )


COMPILER = Compiler("xgboost", tuple(f"{module}.{name}" for module, names in _MODULES.items() for name in names), compile_xgboost)
