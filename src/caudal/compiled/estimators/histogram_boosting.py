"""Gradient boosting of histograms, with its own categories."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, Document, NotCompiled, labels_of
from caudal.compiled.estimators.encoders import category_tables
from caudal.compiled.grown import GrownTree, nodes_of
from caudal.compiled.outputs import ScoreOutput
from caudal.compiled.trees.nodes import CODES

LINKS = {"squared_error": "number", "absolute_error": "number", "quantile": "number", "poisson": "exp", "gamma": "exp"}


def compile_histogram_boosting(estimator: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return the trees of all iterations, each iteration's classes beside one another."""
    features = sample.shape[1]
    known = np.zeros((features, CODES // 32), "uint32")
    parts: list[Document] = []
    if estimator._preprocessor is not None:
        categorical = np.flatnonzero(estimator.is_categorical_)
        encoder = estimator._preprocessor.named_transformers_["encoder"]
        of_codes = sample.iloc[:, categorical] if hasattr(sample, "iloc") else np.asarray(sample)[:, categorical]
        tables: Document = {"kind": "categories", "columns": category_tables(encoder, of_codes, arrays)}
        # The preprocessor puts categories first.
        numbers = np.flatnonzero(~np.asarray(estimator.is_categorical_)).tolist()
        beside: list[Document] = [{"columns": categorical.tolist(), "part": tables}]
        if numbers:
            beside.append({"columns": numbers, "part": {"kind": "chain", "parts": []}})
        parts.append({"kind": "columns", "parts": beside})
        bits, places = estimator._bin_mapper.make_known_categories_bitsets()
        for feature in np.flatnonzero(estimator._is_categorical_remapped).tolist():
            known[feature] = bits[places[feature]]
    grown = [_grown(tree) for iteration in estimator._predictors for tree in iteration]
    parts.append(
        {
            "kind": "trees", "nodes": nodes_of(grown, features, known).add_to(arrays),
            "start": arrays.add(np.zeros(estimator.n_trees_per_iteration_) + np.asarray(estimator._baseline_prediction, "float64").reshape(-1)),
            "combination": "sum", "single_precision": False, "missing": True,
        }
    )  # fmt: skip
    document: Document = {"kind": "chain", "parts": parts}
    if not is_classifier(estimator):
        if estimator.loss not in LINKS:
            raise NotCompiled(f"histogram boosting with the loss {estimator.loss!r} has no compiled form")
        return CompiledPart(document, ScoreOutput(LINKS[estimator.loss]))
    labels = labels_of(estimator)
    return CompiledPart(document, ScoreOutput("binary", labels, "logit") if len(labels) == 2 else ScoreOutput("softmax", labels))


def _grown(tree: Any) -> GrownTree:
    nodes = tree.nodes
    leaf = nodes["is_leaf"].astype(bool)
    return GrownTree(
        np.where(leaf, -1, nodes["feature_idx"]),
        np.where(leaf, 0.0, nodes["num_threshold"]),
        np.where(leaf, 0, nodes["left"]),
        np.where(leaf, 0, nodes["right"]),
        nodes["missing_go_to_left"].astype(bool),
        np.asarray(nodes["value"], "float64").reshape(-1, 1),
        np.where(nodes["is_categorical"].astype(bool) & ~leaf, nodes["bitset_idx"].astype("int64"), -1),
        np.asarray(tree.raw_left_cat_bitsets, "uint32").reshape(-1, CODES // 32),
    )


COMPILER = Compiler(
    "histogram_boosting", (HistGradientBoostingClassifier, HistGradientBoostingRegressor), compile_histogram_boosting
)
