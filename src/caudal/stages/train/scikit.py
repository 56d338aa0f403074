"""Candidates made of scikit-learn estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sklearn.base import clone
from sklearn.model_selection._search import BaseSearchCV

from caudal.declarations.mitigation import Mitigation
from caudal.declarations.signature import coerce_inputs, prediction_frame
from caudal.stages.frameworks.cuml import without_gpu
from caudal.stages.frameworks.xgboost import with_named_classes

if TYPE_CHECKING:
    import pandas as pd

    from caudal.declarations.estimator import Estimator
    from caudal.declarations.signature import InputDocument


@dataclass(frozen=True)
class ScikitCandidate:
    """A scikit-learn estimator, with or without its own preparation of inputs; each fit works on a clone.

    Parameters
    ----------
    inputs : ``name`` and ``type`` of each input
    classes : the classes, sorted; None for regression
    seed : for every ``random_state`` that was left None
    """

    estimator: Estimator
    inputs: Sequence[InputDocument]
    classes: tuple[str, ...] | None
    seed: int

    def fit(self, frame: pd.DataFrame, label: pd.Series) -> FittedScikit:
        """Return the estimator fitted to some rows."""
        from caudal.stages.train.encode import encoding_pipeline

        estimator = with_named_classes(with_seed(clone(self.estimator), self.seed))
        pipeline = encoding_pipeline(estimator, self.inputs)
        inputs = coerce_inputs(frame, self.inputs)
        if isinstance(pipeline, Mitigation) and not set(pipeline.group_columns) <= set(inputs.columns):
            # Groups that are no inputs are given beside them: training needs them, a prediction does not.
            _fit_grouped(pipeline, inputs, label, frame[[name for name in pipeline.group_columns if name in frame]])
        else:
            pipeline.fit(inputs, label.to_numpy())
        fitted, found = without_search(pipeline)
        return FittedScikit(without_gpu(fitted), found, self.inputs)

    def parameters(self) -> dict[str, object]:
        """Return the estimator's class and every parameter, with those of its parts."""
        parameters = {name: _plain(value) for name, value in self.estimator.get_params(deep=True).items() if not _is_part(value)}
        return {"class": _class(self.estimator), **parameters}


@dataclass(frozen=True)
class FittedScikit:
    """A fitted scikit-learn pipeline; ``found`` are the parameters that a search has chosen."""

    estimator: Estimator
    found: Mapping[str, object]
    inputs: Sequence[InputDocument]

    format = "sklearn"

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and, where the estimator has them, ``probability_<class>``."""
        inputs = coerce_inputs(frame, self.inputs)
        classes = getattr(self.estimator, "classes_", None)
        shares = self.estimator.predict_proba(inputs) if classes is not None and hasattr(self.estimator, "predict_proba") else None
        return prediction_frame(frame, self.estimator.predict(inputs), shares, classes)


def without_search(pipeline: Estimator) -> tuple[Estimator, Mapping[str, object]]:
    """Return a fitted pipeline with the best estimator in place of the search that found it, and the parameters that were found."""
    steps = getattr(pipeline, "steps", None)
    last = steps[-1][1] if steps else pipeline
    if not isinstance(last, BaseSearchCV):
        return pipeline, {}
    found = {name: _plain(value) for name, value in last.best_params_.items()}
    if not steps:
        best: Estimator = last.best_estimator_
        return best, found
    steps[-1] = (steps[-1][0], last.best_estimator_)
    return pipeline, found


def with_seed(estimator: Estimator, seed: int) -> Estimator:
    """Return the estimator with the seed in every ``random_state`` that was left None, those of its parts included."""
    unseeded = {
        name: seed
        for name, value in estimator.get_params(deep=True).items()
        if (name == "random_state" or name.endswith("__random_state")) and value is None
    }
    return estimator.set_params(**unseeded)


def _fit_grouped(estimator: Mitigation, inputs: pd.DataFrame, label: pd.Series, groups: pd.DataFrame) -> None:
    estimator.fit(inputs, label.to_numpy(), groups=groups)


def _class(value: object) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _is_part(value: object) -> bool:
    """Return whether a parameter is an estimator or a pipeline's list of them; their parameters are listed separately."""
    if isinstance(value, list | tuple):
        return any(_is_part(item) for item in value)
    return hasattr(value, "get_params") and not isinstance(value, type)


def _plain(value: object) -> object:
    """Return a parameter as JSON; for objects and functions their name, not their address."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    return _class(value) if " at 0x" in text else text
