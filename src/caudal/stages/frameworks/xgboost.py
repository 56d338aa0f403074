"""XGBoost's estimators as candidates: classes of any name, categories split natively where that is asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from caudal.declarations.estimator import Estimator


def with_named_classes(estimator: Estimator) -> Estimator:
    """Return an estimator in which XGBoost's classifiers take classes of any name, those of its parts included; a user's subclasses stay.

    The estimator is changed, so give a clone.
    """
    if "xgboost" not in sys.modules:  # nothing of it can be in an estimator then
        return estimator
    from caudal.stages.frameworks.xgboost_classes import NAMED

    def named(part: Any) -> Any:
        return NAMED[type(part)](**part.get_params(deep=False))

    parts = {name: named(part) for name, part in estimator.get_params(deep=True).items() if type(part) in NAMED}
    if parts:
        estimator = estimator.set_params(**parts)
    whole: Estimator = named(estimator) if type(estimator) in NAMED else estimator
    return whole


def native_categories(estimator: Estimator, strings: int, numbers: int) -> dict[str, object]:
    """Return the parameters that tell XGBoost which columns are categories; none unless ``enable_categorical`` is set.

    Parameters
    ----------
    strings, numbers : how many columns of each come, the strings first
    """
    parameters = estimator.get_params(deep=True)
    for prefix in ("", "estimator__"):  # itself, or what a search or a wrapper fits
        if parameters.get(f"{prefix}enable_categorical") and parameters.get(f"{prefix}feature_types") is None:
            return {f"{prefix}feature_types": ["c"] * strings + ["q"] * numbers}
    return {}
