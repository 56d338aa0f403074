"""Rows of figures."""

from __future__ import annotations

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonObject, Scalar


class MeasurementRow(TypedDict):
    """A figure of anything that is measured."""

    id: int
    product: str
    run_id: str
    at: float
    subject_kind: str
    subject: str
    metric: str
    value: float
    low: float | None
    high: float | None
    count: int | None
    window_start: float | None
    window_end: float | None
    group_by: tuple[str, ...]
    group_value: tuple[Scalar, ...]
    version: int | None
    detail: JsonObject | None
