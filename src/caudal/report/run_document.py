"""The document of a run: ``--json`` prints it; page, terminal, console and observers read it."""

from __future__ import annotations

from typing import NotRequired

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.ledger.rows import (
    AlarmDocument,
    EffectDocument,
    ErrorDocument,
    GateDocument,
    HoldoutDocument,
    LaterDocument,
    ModelGroupDocument,
    RuleDocument,
)


class LandedDocument(TypedDict):
    """What a source landed in this run."""

    files: int
    rows: int
    bytes: int


class TableDocument(TypedDict):
    """Rows that a table read, wrote and quarantined; ``partitions_written`` is null where it has no days, or all were written."""

    rows_read: int
    rows_written: int
    rows_quarantined: int
    version: int | None
    partitions_written: int | None
    reasons: dict[str, int]


class StepDocument(TypedDict):
    """How a step ended."""

    step: str
    state: str
    seconds: float
    why: str | None
    because: NotRequired[str]


class CandidateDocument(TypedDict):
    """A candidate's score: mean and standard deviation over the folds."""

    candidate: str
    score: float | None
    spread: float | None
    chosen: bool
    baseline: bool
    seconds: float | None
    error: str | None


class LearnedDocument(TypedDict):
    """Rows that a model learned from, rows without a label, and older rows that training left out."""

    rows: int | None
    unlabelled: int | None
    older: int | None


class ModelDocument(TypedDict):
    """A model's candidates and what was decided."""

    candidates: list[CandidateDocument]
    metric: str | None
    better: str | None
    unit: str | None
    rule: str | None
    decision: str | None
    version: int | None
    replaced: int | None
    in_production: int | None
    gates: list[GateDocument]
    trained_in: str | None
    holdout: HoldoutDocument | None
    rows: LearnedDocument | None
    rules: list[RuleDocument]
    groups: list[ModelGroupDocument]
    inputs: list[EffectDocument]
    later: LaterDocument | None
    trained_because: NotRequired[str | None]


class IntervalDocument(TypedDict):
    """A number with the ends of its interval."""

    value: float | None
    low: float | None
    high: float | None


class AuditedCandidateSummary(TypedDict):
    """A candidate's figures on all test rows, and what lies between groups, by their columns and metric."""

    candidate: str
    chosen: bool
    overall: dict[str, float | None]
    between: dict[str, dict[str, IntervalDocument]]


class AuditSummary(TypedDict):
    """The audit of a version; ``small`` groups have fewer than ``min_rows`` test rows. ``caudal audit`` gives every figure."""

    version: int
    min_rows: int
    small: int
    candidates: list[AuditedCandidateSummary]


class PredictionDocument(TypedDict):
    """Rows that were predicted, and the model's version."""

    rows: int
    model_version: int | None
    version: int | None


class PublicationDocument(TypedDict):
    """What was published to a warehouse; ``zeros`` counts for each column the texts from which zero characters were removed."""

    place: str | None
    rows: int
    version: int | None
    days: int | None
    note: str | None
    zeros: dict[str, int]


class MonitoredDocument(TypedDict):
    """What a monitor says."""

    state: str
    alarms: list[AlarmDocument]
    note: str | None


class RunDocument(TypedDict):
    """What a run did. Sections of other packages add their parts under their names."""

    run_id: str
    product: str
    command: str
    state: str
    outcome: str
    started_at: str | None
    seconds: float | None
    who: str | None
    landed: dict[str, LandedDocument]
    tables: dict[str, TableDocument]
    steps: list[StepDocument]
    models: dict[str, ModelDocument]
    audits: NotRequired[dict[str, AuditSummary]]
    predictions: dict[str, PredictionDocument]
    warehouse: dict[str, PublicationDocument]
    monitors: NotRequired[dict[str, MonitoredDocument]]
    others: NotRequired[dict[str, dict[str, dict[str, object]]]]
    page: str | None
    error: ErrorDocument | None


class RunCommandDocument(RunDocument):
    """What ``caudal run`` prints: its last run. ``follows`` names the run before it in the same call, whose monitors gave models a reason to be trained."""

    follows: NotRequired[str]
