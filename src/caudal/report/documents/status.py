"""The documents of ``caudal status``."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonValue
from caudal.ledger.rows import AtHand, ErrorDocument


class LastRun(TypedDict):
    """The newest run of a product."""

    run_id: str
    state: str
    outcome: str
    started_at: float
    finished_at: float | None
    seconds: float | None
    error: ErrorDocument | None
    page: str
    at_hand: AtHand | None


class TableStatus(TypedDict):
    """A table with its newest version."""

    table: str
    kind: str
    version: int | None
    rows: int
    quarantined: int
    age_s: float


class PublicationStatus(TypedDict):
    """A publication with its newest version."""

    name: str
    place: str | None
    version: int | None
    age_s: float


class SourceStatus(TypedDict):
    """The counts and rates of a stream's source."""

    at: float
    readings: int
    per_s: float
    p95_s: float | None
    late: int
    duplicates: int
    unreadable: int
    windows: int


class StreamsStatus(TypedDict):
    """Whether a product's streams run, and their sources."""

    running: bool
    sources: dict[str, SourceStatus]


class EventCounts(TypedDict):
    """Events of ``caudal up`` by state."""

    new: int
    taken: int
    done: int
    failed: int


class FailedEvent(TypedDict):
    """The newest event that failed."""

    subject: str
    why: JsonValue


class ScheduleStatus(TypedDict):
    """When a trigger is due next."""

    trigger: str
    next_at: float | None


class UpStatus(TypedDict):
    """The queue of ``caudal up``: events, and the schedule of triggers."""

    events: EventCounts
    failed: FailedEvent | None
    schedules: list[ScheduleStatus]


class AlertStatus(TypedDict):
    """An alert that could not be delivered."""

    title: str
    to: str
    at: float
    error: str | None
    attempts: int
    next_at: float | None


class ModelStatus(TypedDict):
    """A model with its champion."""

    model: str
    versions: int
    champion: int | None
    candidate: str | None
    since: float | None


class ProductStatus(TypedDict):
    """The status of a product."""

    product: str
    last_run: LastRun | None
    tables: list[TableStatus]
    warehouse: list[PublicationStatus]
    others: NotRequired[dict[str, list[dict[str, object]]]]
    streams: StreamsStatus | None
    up: UpStatus | None
    alerts: list[AlertStatus]
    breached: NotRequired[list[str]]
    models: list[ModelStatus]


class StatusDocument(TypedDict):
    """``caudal status``."""

    home: str
    lake: str
    products: list[ProductStatus]


class WhyStep(TypedDict):
    """Why a step ran or was skipped the last time."""

    step: str
    state: str
    run_id: str
    at: float | None
    why: str
    made_of: dict[str, str]


class WhyProduct(TypedDict):
    """Why the steps of a product ran or were skipped."""

    product: str
    steps: list[WhyStep]


class WhyDocument(TypedDict):
    """``caudal status --why``."""

    home: str
    products: list[WhyProduct]
