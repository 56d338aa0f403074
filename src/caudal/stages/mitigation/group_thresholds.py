"""``group_thresholds``: each group has a threshold of its own on the score, so that a rate is equal in all groups.

Hardt, Price, Srebro 2016, "Equality of opportunity in supervised learning", NeurIPS, section 3.2. Their thresholds are randomised where needed; these
are not, so that rates are equal up to the rows of one score.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from caudal.declarations.location import outside
from caudal.declarations.mitigation import Mitigation
from caudal.errors import DeclarationProblem, nearest
from caudal.stages.mitigation.groups import groups_of, mitigates, two_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from caudal.declarations.estimator import Estimator

Rate = Literal["selection_rate", "tpr", "fpr"]
TARGETS = 501
EVERYONE = "(everyone)"
"""The key of the threshold for groups that training did not see, or saw too few rows of."""


class GroupThresholds(Mitigation, ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """A classifier whose threshold on the probability depends on the group.

    Attributes
    ----------
    thresholds_ : by group, the least score that is predicted positive
    """

    groups_at_prediction: ClassVar[bool] = True

    def __init__(
        self,
        estimator: Estimator,
        by: str | Sequence[str],
        metric: Rate = "selection_rate",
        within: float = 0.0,
        positive: str | None = None,
        min_rows: int = 100,
        cv: int = 3,
        random_state: int | None = None,
    ) -> None:
        self.estimator, self.by, self.metric, self.within, self.positive = estimator, by, metric, within, positive
        self.min_rows, self.cv, self.random_state = min_rows, cv, random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:  # noqa: N803 scikit-learn's name
        """Fit the thresholds to scores of rows that the scoring estimator did not see, then the estimator to all rows."""
        labels = np.asarray(y, dtype=object)
        self.classes_, self.positive_ = two_classes(labels, self.positive, "group_thresholds")
        of_rows = groups_of(X, self.group_columns, groups)
        folds = StratifiedKFold(self.cv, shuffle=True, random_state=self.random_state)
        shares = cross_val_predict(clone(self.estimator), X, labels, cv=folds, method="predict_proba")
        scores = shares[:, list(self.classes_).index(self.positive_)]
        self.thresholds_ = thresholds(
            scores, labels == self.positive_, of_rows, self.metric, within=self.within, min_rows=self.min_rows
        )
        self.estimator_ = clone(self.estimator).fit(X, labels)
        return self

    def predict(self, X: Any) -> Any:  # noqa: N803
        """Return the positive class where the score reaches the group's threshold."""
        scores = self.predict_proba(X)[:, list(self.classes_).index(self.positive_)]
        groups = groups_of(X, self.group_columns)
        everyone = self.thresholds_[EVERYONE]
        needed = np.array([self.thresholds_.get(group, everyone) for group in groups], dtype="float64")
        negative = next(name for name in self.classes_ if name != self.positive_)
        return np.where(scores >= needed, self.positive_, negative).astype(object)

    def predict_proba(self, X: Any) -> Any:  # noqa: N803
        """Return the estimator's probability of each class, which the thresholds do not change."""
        return self.estimator_.predict_proba(X)


@mitigates
def group_thresholds(
    estimator: Estimator,
    by: str | Sequence[str],
    metric: Rate = "selection_rate",
    *,
    within: float = 0.0,
    positive: str | None = None,
    min_rows: int = 100,
    cv: int = 3,
) -> GroupThresholds:
    """Return a candidate that predicts positive from a threshold of each group on, so that a rate is equal in all groups.

    Of all thresholds that do so, those with the best accuracy are taken. They are fitted within the training rows, to scores by cross-validation.

    Parameters
    ----------
    estimator : a classifier with ``predict_proba``; its inputs are prepared as those of a candidate of its own
    by : the column, or columns, that hold each row's group; it must be an input, since each prediction needs it
    metric : what is equal: ``selection_rate`` (demographic parity), ``tpr`` (equal opportunity), or ``fpr`` (predictive equality)
    within : greatest difference of the rate between groups that is accepted for the sake of accuracy
    positive : the positive class; the last of two in order when left out
    min_rows : a group with fewer training rows has the threshold of everyone, as groups that training did not see
    cv : number of parts of the cross-validation

    Raises
    ------
    DeclarationProblem : the metric is none of these
    """
    if metric not in get_args(Rate):
        raise DeclarationProblem(
            f"cd.group_thresholds is given the metric '{metric}'.", nearest=nearest(metric, get_args(Rate)),
            fix=f"Use one of {', '.join(get_args(Rate))}.", where=str(outside()),
        )  # fmt: skip
    return GroupThresholds(estimator, by, metric, within, positive, min_rows, cv)


def thresholds(
    scores: NDArray[np.float64],
    positive: NDArray[np.bool_],
    groups: NDArray[np.object_],
    metric: Rate,
    *,
    within: float = 0.0,
    min_rows: int = 100,
) -> dict[str, float]:
    """Return each group's threshold: the rate differs by ``within`` at most between groups, and of all such thresholds these are right most often.

    The rate's target runs over 501 values from 0 to 1; at each, every group takes the threshold with the most rows right whose rate lies between the
    target and ``within`` above it, or nearest to the target where no threshold does.
    """
    names, counts = np.unique(groups, return_counts=True)
    large = [name for name, count in zip(names, counts, strict=True) if count >= min_rows]
    curves = {name: _Curve(scores[groups == name], positive[groups == name], metric) for name in large}
    targets = np.linspace(0.0, 1.0, TARGETS)
    everyone = _Curve(scores, positive, metric)
    chosen = {name: curve.best(targets, within) for name, curve in curves.items() if curve.has_rate}
    right = np.sum([curves[name].right[places] for name, places in chosen.items()], axis=0) if chosen else None
    if right is None:
        return {EVERYONE: float(everyone.threshold(int(np.argmax(everyone.right))))}
    target = int(np.argmax(right))
    fitted = {str(name): float(curves[name].threshold(int(places[target]))) for name, places in chosen.items()}
    return {**fitted, EVERYONE: float(everyone.threshold(int(everyone.best(targets, within)[target])))}


class _Curve:
    """What every threshold on the scores of a group gives: cuts of the rows in falling order of score, between rows of different scores.

    Attributes
    ----------
    rate : [cuts], the share of rows, of positive or of negative labels, that are above the cut
    right : [cuts], the number of rows that are predicted right
    """

    def __init__(self, scores: NDArray[np.float64], positive: NDArray[np.bool_], metric: Rate) -> None:
        order = np.argsort(-scores, kind="stable")
        self._scores, labels = scores[order], positive[order]
        above = np.concatenate([[0], np.cumsum(labels)]).astype("float64")
        selected = np.arange(len(scores) + 1, dtype="float64")
        negatives = selected[-1] - above[-1]
        # Rows of one score are on one side of a cut.
        keep = np.concatenate([[True], self._scores[1:] != self._scores[:-1], [True]])
        self._cuts = np.flatnonzero(keep)
        of = {
            "selection_rate": (selected, selected[-1]), "tpr": (above, above[-1]), "fpr": (selected - above, negatives),
        }[metric]  # fmt: skip
        self.has_rate = of[1] > 0
        self.rate = (of[0] / of[1] if self.has_rate else np.zeros_like(selected))[self._cuts]
        self.right = (above + negatives - (selected - above))[self._cuts]

    def best(self, targets: NDArray[np.float64], within: float) -> NDArray[np.int64]:
        """Return for each target the place of the cut that is right most often among those whose rate is as it should be."""
        first = np.searchsorted(self.rate, targets - 1e-12)
        last = np.searchsorted(self.rate, targets + within + 1e-12, side="right")
        nearest_ = np.clip(first, 0, len(self.rate) - 1)
        before = np.clip(first - 1, 0, len(self.rate) - 1)
        nearest_ = np.where(np.abs(self.rate[before] - targets) < np.abs(self.rate[nearest_] - targets), before, nearest_)
        return np.array(
            [
                start + int(np.argmax(self.right[start:end])) if end > start else int(beside)
                for start, end, beside in zip(first, last, nearest_, strict=True)
            ],
            dtype=np.int64,
        )

    def threshold(self, place: int) -> float:
        """Return the score in the middle between the rows on the two sides of a cut."""
        cut = int(self._cuts[place])
        if cut == 0:
            return float(np.nextafter(max(1.0, self._scores[0] if len(self._scores) else 1.0), np.inf))
        if cut == len(self._scores):
            return 0.0
        return float((self._scores[cut - 1] + self._scores[cut]) / 2)
