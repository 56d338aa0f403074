"""What a candidate of scikit-learn's kind can do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


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
