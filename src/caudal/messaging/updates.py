"""The updates of the live feed: one for each micro-batch of a stream, read by console and status."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NotRequired

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonObject

Numbers = Sequence[float | None]  # NumPy's arrays are written as such


class LatencyUpdate(TypedDict):
    """Median and 95th percentile of the time from a reading to now, seconds."""

    p50: float
    p95: float


class StateUpdate(TypedDict):
    """The size of the stream's state in memory."""

    windows: int
    bytes: int


class SignalUpdate(TypedDict):
    """A device's readings, reduced for drawing: for each point in time the lowest, highest and mean value of each sensor."""

    device: int | str
    at: Sequence[float]
    low: Sequence[Numbers]
    high: Sequence[Numbers]
    mean: Sequence[Numbers]


class StatisticsUpdate(TypedDict):
    """The statistics of a window of one sensor; ``sensor`` is its place among the update's ``sensors``, times are seconds since 1970."""

    device: int | str
    sensor: int
    window_start: float
    window_end: float
    count: int
    min: float | None
    max: float | None
    mean: float | None
    std: float | None
    quantiles: dict[str, float | None]
    ranges: Numbers
    bands: dict[str, float | None]


class AnomalyUpdate(TypedDict):
    """An anomaly that a detector found."""

    at: float
    device: int | str
    sensor: int | None
    score: float
    detector: str


class ClassUpdate(TypedDict):
    """A model's prediction for a window, and the actual class once it is known; ``learned``: the model was trained on the window."""

    at: float
    device: int | str
    label: str | None
    probability: float | None
    model: str
    version: int
    actual: NotRequired[str | None]
    learned: NotRequired[bool]


class Update(TypedDict):
    """One micro-batch; times are seconds since 1970, UTC.

    ``read`` and ``total`` are readings (samples times channels), ``rate`` is readings a second over the last two, ``seconds`` says how long
    each part of the work took, ``workers`` how many processes computed the samples. ``joins`` says how the product's joins stand.
    """

    batch: int
    at: float
    source: str
    read: int
    rate: float
    latency_s: LatencyUpdate | None
    watermark: float | None
    state: StateUpdate
    late: int
    duplicates: int
    unreadable: int
    total: int
    sensors: Sequence[str]
    signal: SignalUpdate | None
    statistics: Sequence[StatisticsUpdate]
    edges: Sequence[float]
    anomalies: Sequence[AnomalyUpdate]
    classes: Sequence[ClassUpdate]
    seconds: dict[str, float]
    workers: NotRequired[int]
    joins: NotRequired[dict[str, JsonObject]]
