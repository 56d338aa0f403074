"""The champion on rows that came after it was trained: what its estimate was worth."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from caudal.declarations.model import Model
from caudal.stages.gates.evidence import Champion
from caudal.stages.metrics.scores import Scores, scores
from caudal.stages.train.rows import LabelledRows
from caudal.stages.train.split import iso_timestamp

MIN_ROWS = 30


@dataclass(frozen=True)
class LaterScore:
    """The score of a version on rows that it was not trained on, since they are later.

    Parameters
    ----------
    version : number of the version
    rows : number of rows, ``since`` and ``until`` their times (ISO)
    metrics : every metric of the task
    """

    version: int
    rows: int
    since: str | None
    until: str | None
    metrics: Scores


def score_on_later_rows(model: Model, rows: LabelledRows, champion: Champion | None) -> LaterScore | None:
    """Return the score of the version in production on labelled rows later than its newest training row.

    None where there is no champion, or fewer than 30 such rows, or they cannot be told or predicted: rows without a time, inputs that the features no longer have
    or now compute differently.
    """
    if champion is None or champion.trained_until is None or not getattr(champion, "answers", True):
        return None
    newest = pd.Timestamp(champion.trained_until)
    if pd.isna(newest) or rows.as_of.isna().any() or (newest.tz is None) != (rows.as_of.dt.tz is None):
        return None
    is_later = (rows.as_of > newest).to_numpy()
    lacking = any(input_["name"] not in rows.frame.columns for input_ in champion.signature["inputs"])
    if is_later.sum() < MIN_ROWS or lacking:
        return None
    label, times = rows.y[is_later].reset_index(drop=True), rows.as_of[is_later]
    try:
        predicted = champion.predict(rows.frame[is_later].reset_index(drop=True))
        figures = scores(model.task, label, predicted, rows.classes)
    # The champion may be any kind of model and may raise any error; the gates say so, where one compares with it.
    except Exception:  # noqa: BLE001
        return None
    return LaterScore(champion.version, int(is_later.sum()), iso_timestamp(times.iloc[0]), iso_timestamp(times.iloc[-1]), figures)
