"""Single trees and forests of them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor
from sklearn.utils import get_tags

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, NotCompiled, labels_of
from caudal.compiled.grown import GrownTree, nodes_of
from caudal.compiled.outputs import ScoreOutput

SINGLE = (DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier, ExtraTreeRegressor)
FORESTS = (ExtraTreesClassifier, ExtraTreesRegressor, RandomForestClassifier, RandomForestRegressor)


def compile_forest(estimator: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return a tree, or those of a forest, in the order in which one thread adds them."""
    trees = [estimator] if isinstance(estimator, SINGLE) else estimator.estimators_
    if estimator.n_outputs_ != 1:
        raise NotCompiled("a forest of several outputs has no compiled form")
    labels = labels_of(estimator) if is_classifier(estimator) else ()
    nodes = nodes_of([grown(tree.tree_) for tree in trees], sample.shape[1])
    document = {
        "kind": "trees", "nodes": nodes.add_to(arrays), "start": arrays.add(np.zeros(max(len(labels), 1))),
        "combination": "one" if isinstance(estimator, SINGLE) else "mean", "single_precision": True,
        "missing": get_tags(estimator).input_tags.allow_nan,
    }  # fmt: skip
    return CompiledPart(document, ScoreOutput("shares", labels) if labels else ScoreOutput("number"))


def grown(tree: Any, scale: float | None = None) -> GrownTree:
    """Return a tree of scikit-learn; ``scale`` multiplies its leaves."""
    leaf = tree.children_left < 0
    value = np.asarray(tree.value[:, 0, :], "float64")
    return GrownTree(
        np.where(leaf, -1, tree.feature),
        np.where(leaf, 0.0, tree.threshold),
        np.where(leaf, 0, tree.children_left),
        np.where(leaf, 0, tree.children_right),
        np.asarray(tree.missing_go_to_left, bool),
        value if scale is None else scale * value,
    )


COMPILER = Compiler("forests", (*SINGLE, *FORESTS), compile_forest)
