"""What a metric is, and what it judges: predictions beside what came true."""

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
    """Predictions of one stretch, in the order of the labels.

    Parameters
    ----------
    actual : Series, the labels
    said : DataFrame, ``prediction`` and ``probability_<class>``
    classes : the classes of a classification, sorted; the last of two counts as the positive one: 1 after 0, true after false, yes after no
    """

    actual: pd.Series
    said: pd.DataFrame
    classes: Sequence[str] = ()

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """The labels as float64 [n], of a regression."""
        return self.actual.to_numpy("float64")

    @cached_property
    def off(self) -> NDArray[np.float64]:
        """How far each prediction of a regression is off, float64 [n], not negative."""
        import numpy as np

        return np.abs(np.asarray(self.said[PREDICTION], "float64") - self.values)

    @cached_property
    def truth(self) -> NDArray[np.object_]:
        """The classes that came true, object [n]."""
        return self.actual.to_numpy(object)

    @cached_property
    def guess(self) -> NDArray[np.object_]:
        """The classes that were predicted, object [n]."""
        return self.said[PREDICTION].to_numpy(object)

    @property
    def binary(self) -> bool:
        """Whether there are two classes."""
        return len(self.classes) == 2

    @cached_property
    def probabilities(self) -> NDArray[np.float64] | None:
        """The probability of each class, float64 [n, classes], each row's sum 1; None where the candidate gives none."""
        import numpy as np

        columns = [f"probability_{name}" for name in self.classes]
        if not any(name in self.said for name in columns):
            return None
        # A class that a fold's training rows did not contain has no column: its probability was zero.
        share = np.clip(self.said.reindex(columns=columns, fill_value=0.0).to_numpy("float64"), MIN_PROBABILITY, 1.0)
        return share / share.sum(axis=1, keepdims=True)  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Metric:
    """A measure of predictions.

    Parameters
    ----------
    score : gives its value, None where it has none, such as the area under a curve of one class
    of_probabilities : bool, whether it needs the probability of each class, and so a candidate with ``predict_proba``
    """

    name: str
    task: Task
    better: Better
    score: Callable[[Judged], float | None]
    of_probabilities: bool = False
