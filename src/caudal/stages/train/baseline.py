"""The naive baseline: the prediction without a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from caudal.declarations.signature import prediction_frame

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


@dataclass(frozen=True)
class Baseline:
    """Predicts the median (``metric`` mae or mape), the mean, or the shares of the classes; of each group where groups are given.

    Parameters
    ----------
    group_by : columns, e.g. ``("zone", "hour")``; a group that training did not see gets the figure of all rows
    classes : the classes, sorted; None for regression
    """

    metric: str
    classes: tuple[str, ...] | None = None
    group_by: tuple[str, ...] = ()

    def fit(self, frame: pd.DataFrame, label: pd.Series) -> FittedBaseline:
        """Return the baseline fitted to some rows; ``frame`` has the columns of ``group_by``."""
        values = label if self.classes is None else _shares(label, self.classes)
        statistic = "median" if self.metric in ("mae", "mape") else "mean"
        by_group = (
            values.groupby([frame[name] for name in self.group_by], dropna=False, observed=True).agg(statistic)
            if self.group_by
            else None
        )
        return FittedBaseline(values.agg(statistic), by_group, self.group_by, self.classes)

    def parameters(self) -> dict[str, object]:
        """Return the statistic that it predicts and the columns of its groups."""
        statistic = "prior" if self.classes else ("median" if self.metric in ("mae", "mape") else "mean")
        return {"says": statistic, "group_by": list(self.group_by)}


@dataclass(frozen=True)
class FittedBaseline:
    """A fitted baseline: ``overall`` is one number (or one per class), ``by_group`` the same per group."""

    overall: ArrayLike
    by_group: pd.Series | pd.DataFrame | None
    group_by: Sequence[str]
    classes: tuple[str, ...] | None

    format = "baseline"
    estimator = None

    def predict(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the group's figure for each row."""
        width = len(self.classes or (0,))
        values = np.tile(np.atleast_1d(np.asarray(self.overall, "float64")), (len(frame), 1))
        if self.by_group is not None:
            keys = pd.MultiIndex.from_frame(frame[list(self.group_by)])
            groups = pd.MultiIndex.from_tuples(
                [group if isinstance(group, tuple) else (group,) for group in self.by_group.index], names=list(self.group_by)
            )
            places = groups.get_indexer(keys)
            values[places >= 0] = self.by_group.to_numpy("float64").reshape(-1, width)[places[places >= 0]]
        if self.classes is None:
            return prediction_frame(frame, values[:, 0])
        return prediction_frame(frame, np.asarray(self.classes, object)[values.argmax(axis=1)], values, self.classes)


def _shares(label: pd.Series, classes: Sequence[str]) -> pd.DataFrame:
    """Return one 0/1 column per class, whose means are the shares; a median would be 0 or 1."""
    return pd.DataFrame({name: (label == name).astype("float64") for name in classes}, index=label.index)
