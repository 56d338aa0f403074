"""``reduction``: a mixture of classifiers, each fitted to weights that push towards a constraint, by Fairlearn's exponentiated gradient.

Agarwal, Beygelzimer, Dudík, Langford, Wallach 2018, "A reductions approach to fair classification", ICML, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.pipeline import Pipeline

from caudal.declarations.location import outside
from caudal.declarations.mitigation import Mitigation
from caudal.errors import DeclarationProblem, nearest
from caudal.extras import require
from caudal.stages.mitigation.groups import groups_of, mitigates, two_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caudal.declarations.estimator import Estimator

Constraint = Literal["demographic_parity", "equalized_odds", "equal_opportunity", "error_rate"]
_MOMENTS = {
    "demographic_parity": "DemographicParity", "equalized_odds": "EqualizedOdds", "equal_opportunity": "TruePositiveRateParity",
    "error_rate": "ErrorRateParity",
}  # fmt: skip


class Reduced(Mitigation, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A mixture of fitted estimators. Which of them answers for a row is drawn by the row's values, so that equal rows get equal answers.

    Fairlearn draws anew at each call; its guarantee, that of the mixture, is the same here over rows of different values. Predicting needs no Fairlearn.

    Attributes
    ----------
    members_, weights_ : the estimators of the mixture and their shares, sum 1
    """

    def __init__(
        self,
        estimator: Estimator,
        by: str | Sequence[str],
        constraint: Constraint = "demographic_parity",
        within: float = 0.01,
        positive: str | None = None,
        max_iter: int = 50,
    ) -> None:
        self.estimator, self.by, self.constraint, self.within = estimator, by, constraint, within
        self.positive, self.max_iter = positive, max_iter

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:  # noqa: N803 scikit-learn's name
        """Fit the mixture; inputs are prepared once."""
        reductions = require("fairlearn.reductions", extra="fairness", for_="cd.reduction")
        labels = np.asarray(y, dtype=object)
        self.classes_, self.positive_ = two_classes(labels, self.positive, "reduction")
        of_rows = groups_of(X, self.group_columns, groups)
        prepare, last = _split(clone(self.estimator))
        self.preparation_ = prepare
        prepared = X if prepare is None else prepare.fit_transform(X, labels == self.positive_)
        if hasattr(prepared, "toarray"):
            prepared = prepared.toarray()
        search = reductions.ExponentiatedGradient(
            last,
            getattr(reductions, _MOMENTS[self.constraint])(difference_bound=self.within),
            eps=self.within,
            max_iter=self.max_iter,
        )
        search.fit(prepared, (labels == self.positive_).astype(int), sensitive_features=of_rows)
        shares = search.weights_.sort_index().to_numpy("float64")
        kept = np.flatnonzero(shares > 1e-9)
        self.members_ = [search.predictors_.loc[place] for place in kept]
        self.weights_ = shares[kept] / shares[kept].sum()
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the class that the member says whose turn the row's values draw."""
        prepared = self._prepared(X)
        votes = sum(
            weight * (np.asarray(member.predict(prepared)) == 1)
            for weight, member in zip(self.weights_, self.members_, strict=True)
        )
        negative = next(name for name in self.classes_ if name != self.positive_)
        return np.where(draws(prepared) < votes, self.positive_, negative).astype(object)

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Return the mean of the members' probabilities of each class; a member without any counts with its prediction."""
        prepared = self._prepared(X)
        positive = sum(weight * _share(member, prepared) for weight, member in zip(self.weights_, self.members_, strict=True))
        by_class = {self.positive_: positive}
        return np.stack([by_class.get(name, 1.0 - positive) for name in self.classes_], axis=1)

    def _prepared(self, rows: Any) -> Any:
        prepared = rows if self.preparation_ is None else self.preparation_.transform(rows)
        return prepared.toarray() if hasattr(prepared, "toarray") else prepared


@mitigates
def reduction(
    estimator: Estimator,
    by: str | Sequence[str],
    constraint: Constraint = "demographic_parity",
    *,
    within: float = 0.01,
    positive: str | None = None,
    max_iter: int = 50,
) -> Reduced:
    """Return a candidate that mixes classifiers so that a constraint holds with the least loss of accuracy; training needs the extra ``fairness``.

    Parameters
    ----------
    estimator : a classifier whose ``fit`` takes ``sample_weight``; it is fitted up to ``max_iter`` times and more, so a fast one
    by : the column, or columns, that hold each row's group; needed in training only, so it may be a kept column
    constraint : ``demographic_parity``, ``equalized_odds``, ``equal_opportunity`` or ``error_rate``
    within : greatest difference of the rate between a group and all rows
    positive : the positive class; the last of two in order when left out
    max_iter : number of rounds

    Raises
    ------
    DeclarationProblem : the constraint is none of these
    """
    if constraint not in get_args(Constraint):
        raise DeclarationProblem(
            f"cd.reduction is given the constraint '{constraint}'.", nearest=nearest(constraint, get_args(Constraint)),
            fix=f"Use one of {', '.join(get_args(Constraint))}.", where=str(outside()),
        )  # fmt: skip
    return Reduced(estimator, by, constraint, within, positive, max_iter)


def draws(rows: Any) -> NDArray[np.float64]:
    """Return a number in [0, 1) for each row that depends on its values alone, float64 [n].

    Examples
    --------
    >>> both = draws(np.array([[1.0, 2.0], [1.0, 3.0]]))
    >>> bool(both[0] == draws(np.array([[1.0, 2.0]]))[0]), bool(both[0] != both[1])
    (True, True)
    """
    import pandas as pd

    hashes = pd.util.hash_pandas_object(pd.DataFrame(rows), index=False).to_numpy(np.uint64)
    numbers: NDArray[np.float64] = (hashes >> np.uint64(11)) / float(2**53)
    return numbers


def _split(estimator: Any) -> tuple[Any, Any]:
    """Return the steps of a pipeline that prepare inputs, and its last step; an estimator alone prepares nothing."""
    if not isinstance(estimator, Pipeline):
        return None, estimator
    return (estimator[:-1] if len(estimator.steps) > 1 else None), estimator.steps[-1][1]


def _share(member: Any, rows: Any) -> NDArray[np.float64]:
    """Return a member's probability of 1; a member that was fitted to one class, or gives none, counts with its prediction."""
    if hasattr(member, "predict_proba"):
        shares, classes = member.predict_proba(rows), list(member.classes_)
        share: NDArray[np.float64] = shares[:, classes.index(1)] if 1 in classes else np.zeros(len(shares))
        return share
    predicted: NDArray[np.float64] = (np.asarray(member.predict(rows)) == 1).astype("float64")
    return predicted
