"""Prepare the inputs of a bare scikit-learn estimator: fill and scale numbers, encode strings, allow for unknown ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler
from sklearn.utils import get_tags

from caudal.declarations.mitigation import Mitigation
from caudal.stages.frameworks.xgboost import native_categories

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from caudal.declarations.estimator import Estimator
    from caudal.declarations.signature import InputDocument

Kind = Literal["boosting", "trees", "other"]

# Histogram boosting splits on categories directly, at most 255 bins of them, one of which is for missing values.
MAX_NATIVE_CATEGORIES = 254
# One-hot: values rarer than this share of the rows become one column, so that 265 zones do not become 265 columns.
MIN_SHARE = 0.0005


def encoding_pipeline(estimator: Estimator, inputs: Sequence[InputDocument]) -> Estimator:
    """Return a pipeline that prepares the raw inputs and ends in the estimator.

    - histogram boosting: strings as native categories, the rarest beyond 254 as one; nulls stay nulls
    - XGBoost with ``enable_categorical``: the same
    - trees and forests: strings as ordinals, unknown ones −1, nulls −2; numbers filled with the median where the estimator takes no nulls
    - all others: strings as sparse one-hot columns; numbers filled with the median and scaled to unit variance

    An estimator that contains a ``Pipeline`` or ``ColumnTransformer`` is returned unchanged. A mitigated one gets the rows as they are, for their
    groups, and the estimator within it is prepared for.
    """

    if isinstance(estimator, Mitigation):
        return estimator.set_params(estimator=encoding_pipeline(estimator.estimator, inputs))
    if _prepares_itself(estimator):
        return estimator
    kind = estimator_kind(estimator)
    strings = [input_["name"] for input_ in inputs if input_["type"] == "string"]
    numbers = [input_["name"] for input_ in inputs if input_["type"] != "string"]
    parts: list[tuple[str, BaseEstimator | Literal["passthrough"], list[str]]] = []
    native = native_categories(estimator, len(strings), len(numbers))
    if strings:
        parts.append(("strings", _for_strings("boosting" if native else kind), strings))
    if numbers:
        parts.append(("numbers", _for_numbers(kind, estimator), numbers))
    if kind == "boosting" and strings and estimator.get_params().get("categorical_features") == "from_dtype":
        estimator = estimator.set_params(categorical_features=list(range(len(strings))))
    if native:
        estimator = estimator.set_params(**native)
    # Sparse columns only where the estimator takes them.
    sparse = 0.3 if get_tags(estimator).input_tags.sparse else 0.0
    pipeline: Estimator = Pipeline([("inputs", ColumnTransformer(parts, sparse_threshold=sparse)), ("model", estimator)])
    return pipeline


def estimator_kind(estimator: Estimator) -> Kind:
    """Return how an estimator treats its inputs, by its class; for a wrapper by the estimator that it wraps."""
    if isinstance(estimator, HistGradientBoostingClassifier | HistGradientBoostingRegressor):
        return "boosting"
    wrapped = [estimator, *(value for value in estimator.get_params(deep=True).values() if hasattr(value, "get_params"))]
    modules = {class_.__module__ for part in wrapped for class_ in type(part).__mro__}
    trees = (
        "sklearn.tree.",
        "sklearn.ensemble._forest",
        "sklearn.ensemble._gb",
        "sklearn.ensemble._hist",
        "xgboost",
        "lightgbm",
        "cuml.ensemble",
    )
    return "trees" if any(name.startswith(trees) for name in modules) else "other"


def _prepares_itself(estimator: Estimator) -> bool:
    parts = [estimator, *estimator.get_params(deep=True).values()]
    return any(isinstance(part, Pipeline | ColumnTransformer) for part in parts)


def _for_strings(kind: Kind) -> BaseEstimator:
    nan = float("nan")
    if kind == "boosting":
        return OrdinalEncoder(
            handle_unknown="use_encoded_value", unknown_value=nan, encoded_missing_value=nan, max_categories=MAX_NATIVE_CATEGORIES
        )
    if kind == "trees":
        return OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2)
    return OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=MIN_SHARE)


def _for_numbers(kind: Kind, estimator: Estimator) -> BaseEstimator | Literal["passthrough"]:
    if kind != "other" and get_tags(estimator).input_tags.allow_nan:
        return "passthrough"
    fill = SimpleImputer(strategy="median", keep_empty_features=True)
    return fill if kind == "trees" else make_pipeline(fill, StandardScaler())
