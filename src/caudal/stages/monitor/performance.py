"""The error of a model's predictions in each window, for all rows and by group, and its operating point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caudal.declarations.audit import MISSING
from caudal.declarations.model import Task
from caudal.declarations.signature import PREDICTION
from caudal.stages.metrics.scores import scores

if TYPE_CHECKING:
    import pandas as pd

WINDOW = "_window"
LEAST_ROWS = 30  # of a group in a window
SELECTED = "selection_rate"


@dataclass(frozen=True)
class WindowScore:
    """A figure of a window's predictions; ``group`` empty for all rows."""

    start: int
    metric: str
    value: float
    rows: int
    group: tuple[tuple[str, str], ...] = ()


def window_scores(
    rows: pd.DataFrame, *, label: str, task: Task, metric: str, classes: Sequence[str], by: Sequence[str]
) -> Iterator[WindowScore]:
    """Yield the error of each window whose labels have come, also by group, and the share of rows that a classification of two classes selects.

    Nulls are the group ``(missing)``. The share is what a decision at the model's threshold does, which measures of rank do not see.

    Parameters
    ----------
    rows : ``_window``, the label (null where it has not come), ``prediction``, ``probability_<class>``, and the columns of ``by``
    """
    for start, window in rows.groupby(WINDOW, sort=True):
        if len(classes) == 2:
            selected = float((window[PREDICTION].astype(str) == str(classes[-1])).mean())
            yield WindowScore(int(str(start)), SELECTED, selected, len(window))
        labelled = window[window[label].notna()]
        yield from _scored(int(str(start)), labelled, label, task, metric, classes, ())
        for column in by:
            present = labelled[column].notna()
            for value, group in labelled.groupby(labelled[column].astype(object).where(present, MISSING), sort=True):
                if len(group) >= LEAST_ROWS:
                    yield from _scored(int(str(start)), group, label, task, metric, classes, ((column, str(value)),))


def _scored(
    start: int, rows: pd.DataFrame, label: str, task: Task, metric: str, classes: Sequence[str], group: tuple[tuple[str, str], ...]
) -> Iterator[WindowScore]:
    if rows.empty:
        return
    actual = rows[label].astype(str) if task == "classification" else rows[label]
    value = scores(task, actual, rows, classes)[metric]
    if value is not None:
        yield WindowScore(start, metric, value, len(rows), group)
