"""XGBoost's classifiers for classes of any name: XGBoost itself takes whole numbers from 0 without a gap.

Each is a subclass with the same parameters, so that searches, clones and pipelines treat it as they treat the original.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from xgboost import XGBClassifier, XGBRFClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray


class NamedXGBClassifier(XGBClassifier):
    """Boosted trees for classes of any name.

    Attributes
    ----------
    names_ : the classes, sorted
    """

    def fit(self, X: Any, y: Any, **options: Any) -> Self:  # noqa: N803 scikit-learn's name
        """Fit to the numbers of the classes in sorted order."""
        _fit(self, super().fit, X, y, options)
        return self

    def predict(self, X: Any, **options: Any) -> Any:  # noqa: N803
        """Return the class of each row."""
        return _predict(self, super().predict, X, options)

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, sorted; while it is fitted, their numbers."""
        return self.names_ if hasattr(self, "names_") else np.arange(self.n_classes_)


class NamedXGBRFClassifier(XGBRFClassifier):
    """A random forest for classes of any name.

    Attributes
    ----------
    names_ : the classes, sorted
    """

    def fit(self, X: Any, y: Any, **options: Any) -> Self:  # noqa: N803 scikit-learn's name
        """Fit to the numbers of the classes in sorted order."""
        _fit(self, super().fit, X, y, options)
        return self

    def predict(self, X: Any, **options: Any) -> Any:  # noqa: N803
        """Return the class of each row."""
        return _predict(self, super().predict, X, options)

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, sorted; while it is fitted, their numbers."""
        return self.names_ if hasattr(self, "names_") else np.arange(self.n_classes_)


NAMED: dict[type, type] = {XGBClassifier: NamedXGBClassifier, XGBRFClassifier: NamedXGBRFClassifier}


def _fit(estimator: Any, fit: Callable[..., Any], rows: Any, labels: Any, options: dict[str, Any]) -> None:
    vars(estimator).pop("names_", None)  # XGBoost compares classes_ with the numbers
    names, numbers = np.unique(np.asarray(labels), return_inverse=True)
    if len(names) < 3 and str(estimator.objective).startswith("multi:soft"):  # left by a fit to more classes
        estimator.objective = "binary:logistic"
    fit(rows, numbers, **options)
    estimator.names_ = names


def _predict(estimator: Any, predict: Callable[..., Any], rows: Any, options: dict[str, Any]) -> Any:
    numbers = predict(rows, **options)
    return numbers if options.get("output_margin") else estimator.names_[np.asarray(numbers).astype(int)]
