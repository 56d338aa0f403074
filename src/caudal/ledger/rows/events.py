"""Rows of events that runs follow, of schedules and of alerts."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonObject


class EventRow(TypedDict):
    """What happened that a run may follow."""

    id: int
    product: str
    trigger: str
    kind: Literal["file", "images", "rows", "time", "table", "alarm"]
    subject: str
    key: str
    at: float
    pipeline: Literal["all", "predict"]
    alone: bool
    state: Literal["new", "taken", "done", "failed"]
    taken_by: str | None
    run_id: str | None
    attempts: int
    not_before: float
    detail: JsonObject | None


class ScheduleRow(TypedDict):
    """Up to when what is due by a trigger is among the events."""

    product: str
    trigger: str
    until: float
    next_at: float | None


class AlertPlace(TypedDict, total=False):
    """Where an alert goes: to a mail's readers, or to the webhook of this digest."""

    sender: str
    to: list[str]
    webhook: str
    secret: str | None


class AlertDocument(TypedDict, total=False):
    """What an alert says; beside these keys stand the facts of what happened."""

    what: str
    fix: str | None
    page: str | None


class AlertRow(TypedDict):
    """An alert and whether it was delivered."""

    id: int
    product: str
    happening: str
    subject: str
    run_id: str
    at: float
    last_at: float
    repeats: int
    kind: Literal["mail", "webhook"]
    target: str
    place: AlertPlace
    document: AlertDocument
    state: Literal["new", "sending", "sent", "failed"]
    attempts: int
    next_at: float
    sent_at: float | None
    error: str | None
