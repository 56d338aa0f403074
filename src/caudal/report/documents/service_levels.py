"""The document of ``caudal sla``."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12


class BurnDocument(TypedDict):
    """How many times faster than allowed the budget is spent, in a long and a short window; above ``limit`` in both an alert is due."""

    window: Literal["fast", "slow"]
    long: float
    short: float
    limit: float
    alerts: bool


class LevelOfDay(TypedDict):
    """The share that was good on a date; null where nothing counted."""

    date: str
    level: float | None


class ComingDocument(TypedDict):
    """When a subject will be too old; ``ends_at`` is the expected end of the run at work, null where none is."""

    due_at: float
    start_by: float
    expected_s: float
    ends_at: float | None


class ObjectiveDocument(TypedDict):
    """An objective: what is promised, and what the window had. Times are seconds since 1970, UTC.

    ``age_s`` and ``due_at`` are those of ``fresh``; ``budget`` and ``bad`` count what ``unit`` says.
    """

    objective: Literal["fresh", "complete", "valid", "p95", "available"]
    limit: float
    target: float
    state: Literal["no figures", "met", "burning", "breached"]
    level: float | None
    unit: str
    bad: float
    total: float
    budget: float
    budget_left: float | None
    burn: list[BurnDocument]
    age_s: float | None
    due_at: float | None
    late: bool
    coming: ComingDocument | None
    history: list[LevelOfDay]


class ServiceLevelDocument(TypedDict):
    """The service level of a subject."""

    subject: str
    kind: Literal["table", "prediction", "serving", "stream"]
    over_s: float
    hours: str | None
    objectives: list[ObjectiveDocument]


class ProductServiceLevels(TypedDict):
    """The service levels of a product."""

    product: str
    tz: str
    service_levels: list[ServiceLevelDocument]


class ServiceLevelsDocument(TypedDict):
    """``caudal sla``."""

    home: str
    at: float
    products: list[ProductServiceLevels]
