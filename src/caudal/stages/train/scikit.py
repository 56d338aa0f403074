"""Candidates made of scikit-learn estimators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from caudal.declarations.signature import answer, coerced

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ScikitCandidate:
    """A scikit-learn estimator, bare or with preparation of its own; never changed, each fit works on a clone.

    Parameters
    ----------
    inputs : ``name`` and ``type`` of each input
    classes : the classes, sorted; None for regression
    seed : for every ``random_state`` that was left None
    """

    estimator: Any
    inputs: Sequence[Mapping[str, Any]]
    classes: tuple[str, ...] | None
    seed: int

    def fit(self, frame: pd.DataFrame, label: pd.Series) -> FittedScikit:
        """Return the estimator fitted to some rows."""
        from sklearn.base import clone

        from caudal.stages.train.encode import encoded

        pipeline = encoded(seeded(clone(self.estimator), self.seed), self.inputs)
        pipeline.fit(coerced(frame, self.inputs), label.to_numpy())
        return FittedScikit(pipeline, self.inputs)

    def parameters(self) -> dict[str, Any]:
        """Return the estimator's class and every parameter, with those of what it holds."""
        told = {name: _plain(value) for name, value in self.estimator.get_params(deep=True).items() if not _is_part(value)}
        return {"class": _class(self.estimator), **told}


@dataclass(frozen=True)
class FittedScikit:
    """A fitted scikit-learn pipeline."""

    estimator: Any
    inputs: Sequence[Mapping[str, Any]]

    format = "sklearn"

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return ``prediction`` and, where the estimator has them, ``probability_<class>``."""
        given = coerced(frame, self.inputs)
        classes = getattr(self.estimator, "classes_", None)
        shares = self.estimator.predict_proba(given) if classes is not None and hasattr(self.estimator, "predict_proba") else None
        return answer(frame, self.estimator.predict(given), shares, classes)


def seeded(estimator: Any, seed: int) -> Any:
    """Return the estimator with the seed in every ``random_state`` that was left None, its own and those of its parts."""
    open_ones = {
        name: seed
        for name, value in estimator.get_params(deep=True).items()
        if (name == "random_state" or name.endswith("__random_state")) and value is None
    }
    return estimator.set_params(**open_ones)


def _class(thing: Any) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


def _is_part(value: object) -> bool:
    """Is this an estimator, or a pipeline's list of them? Their own parameters are told one by one."""
    if isinstance(value, list | tuple):
        return any(_is_part(one) for one in value)
    return hasattr(value, "get_params") and not isinstance(value, type)


def _plain(value: Any) -> Any:
    """Return a parameter as JSON can say it; of objects and functions the name, not their address."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if callable(value) and hasattr(value, "__qualname__"):
        return f"{value.__module__}.{value.__qualname__}"
    text = repr(value)
    return _class(value) if " at 0x" in text else text
