"""Documents of ``caudal model``."""

from __future__ import annotations

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.ledger.rows import Decision, GateDocument, TrialDocument
from caudal.registry.card import Listed, State
from caudal.registry.seen import TrialSeenDocument


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
    decision: Decision
    gates: list[GateDocument]
    who: str
    at: str
    replaced: int | None
    reason: str | None
    run_id: str | None
    trial: TrialDocument | None


class ComparedVersion(TypedDict):
    """A version beside another: its scores by metric when it was trained, and on what."""

    version: int
    candidate: str
    state: State
    metrics: dict[str, float | None]
    training_rows: int
    training_from: str | None
    training_until: str | None
    created_at: float


class ModelCompareDocument(TypedDict):
    """Two versions of a model, and the newest trial of one beside the other."""

    product: str
    model: str
    versions: list[ComparedVersion]
    trial: TrialSeenDocument | None
