"""Documents of ``caudal model``."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.ledger.rows import GateDocument
from caudal.registry.card import Listed


class VersionDocument(Listed):
    """A line of ``caudal model list``: a version, with its score under one name."""

    metric: str | None
    score: float | None
    spread: float | None
    created: str


class HistoryLine(TypedDict):
    """A line of ``caudal model history``."""

    id: int
    product: str
    model: str
    version: int
    decision: Literal["promoted", "refused", "rolled back"]
    gates: list[GateDocument]
    who: str
    at: str
    replaced: int | None
    reason: str | None
    run_id: str | None
