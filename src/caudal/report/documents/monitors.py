"""The document of ``caudal monitor``."""

from __future__ import annotations

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import Scalar
from caudal.report.documents.served import ServedModel


class WindowFigure(TypedDict):
    """A figure in one window, with its state: learning, inside, outside or alarm."""

    start: str | None
    value: float
    state: str


class MonitoredFigure(TypedDict):
    """A figure of a monitor in its newest window, with its thresholds, and its history, oldest first.

    ``evidence`` is against "nothing has changed"; an alarm needs ``evidence_needed`` of it, and as many windows beyond the threshold as the patience
    declared. ``reference`` is the model version whose training rows the window is compared with, null for the windows before it.
    """

    figure: str
    metric: str
    column: str | None
    group: dict[str, Scalar]
    value: float
    rows: int
    low: float | None
    high: float | None
    state: str
    evidence: float
    evidence_needed: float | None
    reference: int | None
    window_start: str | None
    window_end: str | None
    history: list[WindowFigure]


class MonitorDocument(TypedDict):
    """A monitor: its worst state, its figures, and the columns that it leaves out with the reason."""

    monitor: str
    state: str
    windows: int
    figures: list[MonitoredFigure]
    left_out: dict[str, str]


class MonitorsDocument(TypedDict):
    """The monitors of a product."""

    product: str
    monitors: list[MonitorDocument]


class MonitorCommandDocument(MonitorsDocument):
    """``caudal monitor``; ``served`` are the models whose predictions were asked for in the last 24 hours, none where one monitor is named."""

    served: list[ServedModel]
