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


class RuleDocument(TypedDict):
    """How a selection rule did: by how much its choices were worse than the best candidate of the fold that came next."""

    rule: str
    declared: bool
    regret: float
    worst: float
    decisions: int
    choices: list[str]
    now: str


class ModelGroupDocument(TypedDict):
    """Candidates of one estimator class: the best and the worst mean among them, and in how many folds one of them was the best of all."""

    group: str
    candidates: list[str]
    best: float
    worst: float
    best_in: int
    folds: int


class EffectDocument(TypedDict):
    """How much an input matters: by how much the metric is worse when its values are shuffled; ``predictions`` are means at ``values`` of it, by output."""

    input: str
    importance: float
    spread: float
    rows: int
    values: list[Scalar] | None
    predictions: dict[str, list[float]] | None


class LaterDocument(TypedDict):
    """How a version did on rows that came after its training, beside its estimate then: the mean over the folds."""

    version: int
    metric: str
    estimate: float | None
    score: float
    rows: int
    since: str | None
    until: str | None
    run_id: str


class AnsweredAlarm(TypedDict):
    """A figure of a monitor that was in alarm when a version was trained, in the newest window that was known."""

    monitor: str
    figure: str
    window_start: float
    window_end: float
    value: float
    low: float | None
    high: float | None


class CauseDocument(TypedDict):
    """Why a version was trained: ``why`` as the rest of a sentence, None where nothing but new versions of its features led to it.

    ``made_by`` is the fingerprint of the code of the model and of all that its features are made of; ``alarms`` are those that the training answers.
    """

    why: str | None
    made_by: str
    alarms: list[AnsweredAlarm]


class CompiledDocument(TypedDict):
    """What became of a version's compiled form: why there is none, null where there is one; how many rows were compared; and from which size of a
    batch on the pipeline predicts, null for none."""

    reason: str | None
    rows: int
    pipeline_from_rows: int | None


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
    cause: CauseDocument | None
    compiled: CompiledDocument | None


Decision = Literal["promoted", "refused", "rolled back", "shadow", "canary", "withdrawn"]


class TrialDocument(TypedDict):
    """How a version is tried: the share of keys whose requests it answers, 0 in shadow, and what the keys are: ``row``, ``input:NAME``, ``caller`` or
    ``header:NAME``."""

    share: float
    by: str


class DecisionRow(TypedDict):
    """What was decided of a version; ``trial`` is of decisions ``shadow`` and ``canary`` only."""

    id: int
    product: str
    model: str
    version: int
    decision: Decision
    gates: list[GateDocument]
    who: str
    at: float
    replaced: int | None
    reason: str | None
    run_id: str | None
    trial: TrialDocument | None


class ChampionRow(ModelVersionRow):
    """The version in production, with the decision that made it so."""

    decision: DecisionRow
