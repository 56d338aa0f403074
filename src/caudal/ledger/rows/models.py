"""Rows of candidates, of versions of models, and of decisions on them."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.declarations.signature import SignatureDocument
from caudal.json_value import JsonObject, Scalar
from caudal.ledger.rows.runs import GateDocument, HoldoutDocument


class CandidateRow(TypedDict):
    """How a candidate did in a training."""

    id: int
    run_id: str
    product: str
    model: str
    candidate: str
    metric: str
    score: float | None
    spread: float | None
    folds: list[dict[str, Scalar]] | None
    seconds: float | None
    chosen: bool
    baseline: bool
    error: str | None
    parameters: JsonObject | None


class ModelVersionRow(TypedDict):
    """A registered version of a model."""

    product: str
    model: str
    version: int
    candidate: str
    created_at: float
    run_id: str
    fingerprint: str
    code: str
    training_table: str
    training_version: int
    training_rows: int
    training_from: str | None
    training_until: str | None
    parameters: JsonObject
    metrics: dict[str, float | None]
    signature: SignatureDocument
    environment: JsonObject
    artifact: str
    artifact_sha256: str
    format: str
    mlflow_run: str | None
    gates: list[GateDocument] | None
    rule: str | None
    holdout: HoldoutDocument | None


class DecisionRow(TypedDict):
    """What was decided of a version."""

    id: int
    product: str
    model: str
    version: int
    decision: Literal["promoted", "refused", "rolled back"]
    gates: list[GateDocument]
    who: str
    at: float
    replaced: int | None
    reason: str | None
    run_id: str | None


class ChampionRow(ModelVersionRow):
    """The version in production, with the decision that made it so."""

    decision: DecisionRow
