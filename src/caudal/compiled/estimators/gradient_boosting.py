"""Gradient boosting without histograms."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, NotCompiled, labels_of
from caudal.compiled.estimators.forests import grown
from caudal.compiled.grown import nodes_of
from caudal.compiled.outputs import ScoreOutput


def compile_gradient_boosting(estimator: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return the trees of all stages, each stage's classes beside one another."""
    if not (isinstance(estimator.init_, str) or type(estimator.init_) in (DummyClassifier, DummyRegressor)):
        raise NotCompiled(f"gradient boosting that begins with {type(estimator.init_).__name__} has no compiled form")
    trees = [grown(tree.tree_, estimator.learning_rate) for stage in estimator.estimators_ for tree in stage]
    document = {
        "kind": "trees", "nodes": nodes_of(trees, sample.shape[1]).add_to(arrays),
        "start": arrays.add(np.array(estimator._raw_predict_init(np.zeros((1, sample.shape[1]), "float32"))[0], "float64")),
        "combination": "sum", "single_precision": True, "missing": False,
    }  # fmt: skip
    if not is_classifier(estimator):
        return CompiledPart(document, ScoreOutput("number"))
    labels = labels_of(estimator)
    if len(labels) > 2:
        return CompiledPart(document, ScoreOutput("softmax", labels))
    link = "half_logit" if estimator.loss == "exponential" else "logit"
    return CompiledPart(document, ScoreOutput("binary", labels, link, zero_is_second=True))


COMPILER = Compiler("gradient_boosting", (GradientBoostingClassifier, GradientBoostingRegressor), compile_gradient_boosting)
