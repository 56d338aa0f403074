"""What candidates are that treat groups of rows alike: an estimator around another one, which knows the columns that hold the groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from caudal.declarations.declared import names_of

if TYPE_CHECKING:
    from caudal.declarations.estimator import Estimator


class Mitigation:
    """The base class of mitigated candidates. It is given rows as they are, and prepares the inputs of the estimator within.

    ``fit(rows, labels, groups=None)`` takes the groups from ``groups``, a frame of the columns of ``by``, or from the rows.

    Attributes
    ----------
    estimator : the estimator within
    by : the column or columns that hold each row's group
    groups_at_prediction : whether it needs the groups to predict
    """

    estimator: Estimator
    by: str | Sequence[str]
    groups_at_prediction: ClassVar[bool] = False

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:  # noqa: N803 scikit-learn's name
        """Learn from rows and their labels; ``groups`` is a frame of the columns of ``by`` where the rows do not hold them."""
        raise NotImplementedError

    @property
    def group_columns(self) -> tuple[str, ...]:
        """The columns that hold each row's group."""
        return names_of(self.by)
