"""cuML's estimators as candidates: fitted on the GPU, then converted to the scikit-learn estimators that mirror them.

What is tested, stored, served and predicted with is the converted estimator, so nothing but training needs a GPU or cuML.
"""

from __future__ import annotations

from typing import Any

from sklearn.pipeline import Pipeline

from caudal.declarations.mitigation import Mitigation
from caudal.errors import DeclarationProblem


def without_gpu(fitted: Any) -> Any:
    """Return a fitted estimator with scikit-learn's in place of cuML's, in the steps of a pipeline and within a mitigation too; others unchanged."""
    if is_cuml(fitted):
        return fitted.as_sklearn()
    if isinstance(fitted, Pipeline):
        fitted.steps = [(name, without_gpu(step)) for name, step in fitted.steps]
    elif isinstance(fitted, Mitigation):
        for name, part in list(vars(fitted).items()):
            if isinstance(part, list) and name.endswith("_"):
                setattr(fitted, name, [without_gpu(member) for member in part])
            elif name.endswith("_") or name == "estimator":
                setattr(fitted, name, without_gpu(part))
    return fitted


def require_convertible(estimator: Any, subject: str, where: str) -> None:
    """Raise if an estimator of cuML, or one within the given one, has no counterpart in scikit-learn.

    Raises
    ------
    DeclarationProblem : the estimator could be trained, but neither stored nor served
    """
    for part in (estimator, *estimator.get_params(deep=True).values()):
        if is_cuml(part) and not hasattr(part, "as_sklearn"):
            raise DeclarationProblem(
                f"{subject} is {type(part).__name__} of cuML, which has no counterpart in scikit-learn to be stored and served as.",
                fix="Use one with as_sklearn(), such as RandomForestClassifier, LogisticRegression, Ridge, KNeighborsRegressor or SVC of cuML 26.6 or later.",
                where=where,
            )  # fmt: skip


def is_cuml(part: object) -> bool:
    """Return whether an object is of cuML, without importing it."""
    return not isinstance(part, type) and type(part).__module__.partition(".")[0] == "cuml"
