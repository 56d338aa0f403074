"""LinearScores and logistic models."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import linear_model, svm
from sklearn.base import is_classifier

from caudal.compiled.arrays import Arrays
from caudal.compiled.compiler import CompiledPart, Compiler, labels_of
from caudal.compiled.outputs import ScoreOutput

LOGARITHMIC = (linear_model.PoissonRegressor, linear_model.GammaRegressor)
REGRESSORS = (
    linear_model.LinearRegression, linear_model.Ridge, linear_model.RidgeCV, linear_model.Lasso, linear_model.LassoCV, linear_model.ElasticNet,
    linear_model.ElasticNetCV, linear_model.Lars, linear_model.LassoLars, linear_model.BayesianRidge, linear_model.HuberRegressor,
    linear_model.QuantileRegressor, linear_model.SGDRegressor, linear_model.TheilSenRegressor, svm.LinearSVR, *LOGARITHMIC,
)  # fmt: skip
LOGISTIC = (linear_model.LogisticRegression, linear_model.LogisticRegressionCV)
CLASSIFIERS = (*LOGISTIC, linear_model.RidgeClassifier, linear_model.RidgeClassifierCV, linear_model.Perceptron, svm.LinearSVC)


def compile_linear(estimator: Any, sample: Any, arrays: Arrays) -> CompiledPart:
    """Return the coefficients of a linear model."""
    coefficients = np.asarray(estimator.coef_, "float64")
    scores = 1 if coefficients.ndim == 1 else len(coefficients)
    intercepts = np.broadcast_to(np.asarray(estimator.intercept_, "float64").reshape(-1), (scores,)).copy()
    document = {
        "kind": "linear", "coefficients": arrays.add(coefficients), "intercepts": arrays.add(intercepts), "sparse": issparse(sample),
        "flat": coefficients.ndim == 1,
        # Coordinate descent does not look at the numbers of a sparse matrix.
        "finite": not (issparse(sample) and isinstance(estimator, linear_model.ElasticNet)),
    }  # fmt: skip
    if not is_classifier(estimator):
        return CompiledPart(document, ScoreOutput("exp" if isinstance(estimator, LOGARITHMIC) else "number"))
    labels, logistic = labels_of(estimator), isinstance(estimator, LOGISTIC)
    if len(labels) == 2:
        return CompiledPart(document, ScoreOutput("binary", labels, "logit" if logistic else None))
    return CompiledPart(document, ScoreOutput("softmax" if logistic else "scores", labels))


COMPILER = Compiler("linear_models", (*REGRESSORS, *CLASSIFIERS), compile_linear)
