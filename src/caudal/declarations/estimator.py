"""What a candidate of scikit-learn's kind can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

H2O_ALGORITHMS = ("gbm", "drf", "glm", "deeplearning")
"""The algorithms of H2O whose models can be stored and predicted with (``caudal.mojo``)."""


@runtime_checkable
class Estimator(Protocol):
    """An estimator by scikit-learn's conventions, of that library or of another one that keeps to them."""

    def fit(self, rows: object, labels: object, /) -> Self:
        """Learn from rows and their labels."""

    def predict(self, rows: object, /) -> np.ndarray:
        """Return a prediction for each row."""

    def get_params(self, deep: bool = True) -> dict[str, object]:
        """Return the parameters by name, with those of its parts as ``part__name``."""

    def set_params(self, **parameters: object) -> Self:
        """Change parameters by name."""


def is_h2o(candidate: object) -> bool:
    """Return whether a candidate is an estimator of H2O or a class of them, without importing it."""
    kind = candidate if isinstance(candidate, type) else type(candidate)
    return any(base.__module__.startswith("h2o.estimators.") for base in kind.__mro__)


def why_not_stored(candidate: object) -> tuple[str, str] | None:
    """Return what a candidate of H2O, or with one within it, is, and what to use instead, where its models could not be stored; None for all others."""
    kind = candidate if isinstance(candidate, type) else type(candidate)
    if not is_h2o(candidate):
        parts = (
            candidate.get_params(deep=True).values() if isinstance(candidate, Estimator) and not isinstance(candidate, type) else ()
        )
        within = next((type(part).__name__ for part in parts if not isinstance(part, type) and is_h2o(part)), None)
        if within is None:
            return None
        return (
            f"is {kind.__name__} around {within}, and H2O's estimators are trained by H2O itself",
            "Give the estimator of H2O alone.",
        )
    if getattr(candidate, "algo", None) in H2O_ALGORITHMS:
        return None
    return (
        f"is {kind.__name__}; of H2O's estimators, those of {', '.join(H2O_ALGORITHMS)} can be stored and served",
        "Use H2OGradientBoostingEstimator, H2ORandomForestEstimator, H2OGeneralizedLinearEstimator or H2ODeepLearningEstimator.",
    )
