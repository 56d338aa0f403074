"""Rows of declarations, deletions and erasures, and of events of OpenLineage."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonObject


class TombstoneRow(TypedDict):
    """What has come in the place of erased raw bytes."""

    id: int
    product: str
    source: str
    old_sha256: str
    new_sha256: str
    rows: int
    erasure: str
    at: float


class ErasureRow(TypedDict):
    """An erasure of a subject's rows."""

    erasure: str
    product: str
    column: str
    salt: str
    subject: str
    state: Literal["running", "done"]
    who: str
    started_at: float
    finished_at: float | None
    before: JsonObject
    proof_sha256: str | None


class DeletionRow(TypedDict):
    """What was deleted, when, why and by whom."""

    id: int
    product: str
    table: str | None
    kind: str
    why: str
    who: str
    at: float
    files: int
    bytes: int
    document: JsonObject


class DeclarationRow(TypedDict):
    """What a product declared."""

    id: int
    product: str
    run_id: str
    at: float
    document: JsonObject


class _EventRun(TypedDict):
    runId: str
    facets: JsonObject


class EventDocument(TypedDict, total=False):
    """An event by OpenLineage's schema, as far as it is read again."""

    eventType: str
    run: _EventRun


class LineageEventRow(TypedDict):
    """An event of OpenLineage and whether it was sent."""

    id: int
    product: str
    run_id: str
    at: float
    event: EventDocument
    state: Literal["new", "sent"]
    sent_at: float | None
    error: str | None
