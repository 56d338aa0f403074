"""The type of a metric, and the predictions with their labels that a metric judges."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from caudal.declarations.metrics import Better
from caudal.declarations.model import Task
from caudal.declarations.signature import PREDICTION

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

MIN_PROBABILITY = 1e-15  # keeps the logarithm finite, as scikit-learn does for float64


@dataclass(frozen=True)
class Judged:
    """The labels and predictions of one test stretch, in the same order.

    Parameters
    ----------
    actual : Series, the labels
    predicted : DataFrame, ``prediction`` and ``probability_<class>``
    classes : the classes of a classification, sorted; the last of two counts as the positive one: 1 after 0, true after false, yes after no
    """

    actual: pd.Series
    predicted: pd.DataFrame
    classes: Sequence[str] = ()

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Return the labels of a regression, float64 [n]."""
        return self.actual.to_numpy("float64")

    @cached_property
    def absolute_error(self) -> NDArray[np.float64]:
        """Return the distance of each prediction of a regression from its label, float64 [n], not negative."""
        import numpy as np

        return np.abs(np.asarray(self.predicted[PREDICTION], "float64") - self.values)

    @cached_property
    def truth(self) -> NDArray[np.object_]:
        """Return the true classes, object [n]."""
        return self.actual.to_numpy(object)

    @cached_property
    def guess(self) -> NDArray[np.object_]:
        """Return the predicted classes, object [n]."""
        return self.predicted[PREDICTION].to_numpy(object)

    @property
    def binary(self) -> bool:
        """Return whether there are two classes."""
        return len(self.classes) == 2

    @cached_property
    def probabilities(self) -> NDArray[np.float64] | None:
        """Return the probability of each class, float64 [n, classes], each row's sum 1; None where the candidate gives none."""
        import numpy as np

        columns = [f"probability_{name}" for name in self.classes]
        if not any(name in self.predicted for name in columns):
            return None
        # A class that a fold's training rows did not contain has no column: its probability was zero.
        share = np.clip(self.predicted.reindex(columns=columns, fill_value=0.0).to_numpy("float64"), MIN_PROBABILITY, 1.0)
        return share / share.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Metric:
    """A measure of predictions.

    Parameters
    ----------
    score : returns the metric's value; None where it has none, such as the area under a curve of one class
    of_probabilities : bool, whether it needs the probability of each class, and so a candidate with ``predict_proba``
    """

    name: str
    task: Task
    better: Better
    score: Callable[[Judged], float | None]
    of_probabilities: bool = False
