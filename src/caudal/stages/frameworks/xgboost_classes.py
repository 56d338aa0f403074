"""XGBoost's classifiers for classes of any name: XGBoost itself takes whole numbers from 0 without a gap.

Each is a subclass with the same parameters, so that searches, clones and pipelines treat it as they treat the original.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from xgboost import XGBClassifier, XGBRFClassifier

if TYPE_CHECKING:
    from numpy.typing import NDArray

    _Classifier = XGBClassifier
else:
    _Classifier = object  # XGBoost reads the parameters of a class's first base that has some


class _NamedClasses(_Classifier):
    """Numbers the classes for XGBoost, and names them again.

    Attributes
    ----------
    names_ : the classes, sorted
    """

    def fit(self, X: Any, y: Any, **options: Any) -> Self:  # noqa: N803 scikit-learn's name
        """Fit to the numbers of the classes in sorted order."""
        self.__dict__.pop("names_", None)  # XGBoost compares classes_ with the numbers
        names, numbers = np.unique(np.asarray(y), return_inverse=True)
        if len(names) < 3 and str(self.objective).startswith("multi:soft"):  # left by a fit to more classes
            self.objective = "binary:logistic"
        super().fit(X, numbers, **options)
        self.names_ = names
        return self

    def predict(self, X: Any, **options: Any) -> Any:  # noqa: N803
        """Return the class of each row."""
        numbers = super().predict(X, **options)
        return numbers if options.get("output_margin") else self.names_[np.asarray(numbers).astype(int)]

    @property
    def classes_(self) -> NDArray[Any]:
        """The classes, sorted; while it is fitted, their numbers."""
        return self.names_ if hasattr(self, "names_") else np.arange(self.n_classes_)


class NamedXGBClassifier(_NamedClasses, XGBClassifier):
    """Boosted trees for classes of any name."""


class NamedXGBRFClassifier(_NamedClasses, XGBRFClassifier):
    """A random forest for classes of any name."""


NAMED: dict[type, type] = {XGBClassifier: NamedXGBClassifier, XGBRFClassifier: NamedXGBRFClassifier}
