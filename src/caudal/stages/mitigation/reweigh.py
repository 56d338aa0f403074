"""``reweigh``: rows are weighted so that group and label are independent in training.

Kamiran & Calders 2012, "Data preprocessing techniques for classification without discrimination", Knowledge and Information Systems 33, algorithm 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.metaestimators import available_if

from caudal.declarations.mitigation import Mitigation
from caudal.stages.mitigation.groups import fit_weighted, groups_of, mitigates

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caudal.declarations.estimator import Estimator


class Reweighed(Mitigation, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier fitted to rows with the weights P(group) · P(label) / P(group, label)."""

    def __init__(self, estimator: Estimator, by: str | Sequence[str]) -> None:
        self.estimator, self.by = estimator, by

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:  # noqa: N803 scikit-learn's name
        """Fit a clone of the estimator with the weights of the rows."""
        labels = np.asarray(y)
        self.estimator_ = clone(self.estimator)
        fit_weighted(self.estimator_, X, labels, row_weights(groups_of(X, self.group_columns, groups), labels))
        self.classes_ = self.estimator_.classes_
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the class of each row."""
        return self.estimator_.predict(X)

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))  # type: ignore[untyped-decorator]
    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Return the probability of each class."""
        return self.estimator_.predict_proba(X)


@mitigates
def reweigh(estimator: Estimator, by: str | Sequence[str]) -> Reweighed:
    """Return a candidate whose rows are weighted in training, so that no label is more frequent in one group than in another.

    Parameters
    ----------
    estimator : a classifier whose ``fit`` takes ``sample_weight``; its inputs are prepared as those of a candidate of its own
    by : the column, or columns, that hold each row's group; needed in training only, so it may be a kept column
    """
    return Reweighed(estimator, by)


def row_weights(groups: NDArray[np.object_], labels: NDArray[Any]) -> NDArray[np.float64]:
    """Return each row's weight, P(group) · P(label) / P(group, label).

    Examples
    --------
    >>> row_weights(np.array(["a", "a", "a", "b"]), np.array([1, 1, 0, 0])).tolist()
    [0.75, 0.75, 1.5, 0.5]
    """
    _, group = np.unique(groups, return_inverse=True)
    _, label = np.unique(labels, return_inverse=True)
    together = np.zeros((group.max() + 1, label.max() + 1))
    np.add.at(together, (group, label), 1.0)
    expected = together.sum(axis=1)[group] * together.sum(axis=0)[label] / len(labels)
    weight: NDArray[np.float64] = expected / together[group, label]
    return weight
