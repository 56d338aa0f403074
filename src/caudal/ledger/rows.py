"""The ledger's rows as types, one for each table of ``records.py``; a test holds that both have the same columns."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NotRequired

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.declarations.signature import SignatureDocument
from caudal.json_value import JsonObject, JsonValue, Scalar

State = Literal["running", "succeeded", "skipped", "failed", "waiting", "stopped", "abandoned"]


class ErrorDocument(TypedDict, total=False):
    """What went wrong, as ``CaudalError.as_dict`` says it; beside these keys stand the error's own facts."""

    error: str
    what: str
    where: str | None
    nearest: str | None
    fix: str | None
    step: str | None


class GateDocument(TypedDict):
    """What a gate found."""

    gate: str
    passed: bool
    figures: JsonValue
    message: str | None


class AttemptDocument(TypedDict):
    """An attempt of a step that failed before one that did not."""

    error: str
    seconds: float


class FileDocument(TypedDict):
    """A file that a step has looked at."""

    path: str
    state: NotRequired[str]
    bytes: NotRequired[int | None]


class EmbeddingDocument(TypedDict, total=False):
    """How images were embedded."""

    network: str | None
    plan: list[str]
    seconds: dict[str, float]
    images: int


class ComponentsDocument(TypedDict):
    """What the principal components of a table explain."""

    said: str
    ratio: list[float]
    points: NotRequired[list[tuple[float, float, str]]]


_Span = TypedDict("_Span", {"from": str | None, "until": str | None}, total=False)  # "from" cannot be a field of a class


class StepDetail(_Span, total=False):
    """What a step says beside its figures. Each kind has some of these; steps of other packages may have more."""

    why: str
    because: str
    changed: str
    note: str
    rule: str
    reasons: dict[str, int]
    attempts: list[AttemptDocument]
    files: list[FileDocument]
    model_version: int
    input_version: int
    rows: int
    unlabelled: int
    older: int
    chosen: str
    decision: str | None
    version: int
    gates: list[GateDocument]
    place: str
    zeros: dict[str, int]
    made_of: dict[str, str]
    embedding: EmbeddingDocument
    pca: ComponentsDocument


class AtHand(TypedDict):
    """The step at work, where it has been for longer than a moment."""

    step: str
    since: float
    expected_s: float | None
    slow: bool


class RunRow(TypedDict):
    """A run."""

    run_id: str
    product: str
    command: str
    state: State
    started_at: float
    finished_at: float | None
    who: str | None
    host: str | None
    pid: int | None
    code: str | None
    caudal_version: str | None
    error: ErrorDocument | None
    summary: Mapping[str, JsonValue] | None
    at_hand: AtHand | None
    seq: int


class StepRow(TypedDict):
    """A step of a run."""

    id: int
    run_id: str
    product: str
    step: str
    kind: str
    name: str
    state: State
    started_at: float | None
    finished_at: float | None
    seconds: float | None
    fingerprint: str | None
    inputs: dict[str, int] | None
    output_version: int | None
    rows_read: int | None
    rows_written: int | None
    rows_quarantined: int | None
    partitions: list[str] | None
    detail: StepDetail | None
    error: ErrorDocument | None


class LandedRow(TypedDict):
    """A content of a raw file."""

    id: int
    product: str
    source: str
    path: str
    base: str | None
    sha256: str
    bytes: int
    modified_ns: int
    landed_at: float
    run_id: str
    kind: Literal["data", "correction", "refused", "erased"]
    etag: str | None
    seq: int


class CounterRow(TypedDict):
    """The last number that the rows of a table were given."""

    name: str
    value: int


class CheckRow(TypedDict):
    """What an expectation counted."""

    id: int
    run_id: str
    product: str
    table: str
    expectation: str
    kind: str
    action: str
    rows: int | None
    broken: int | None
    passed: bool
    message: str | None


class ColumnProfile(TypedDict, total=False):
    """A column's figures."""

    nulls: int
    min: Scalar
    max: Scalar
    mean: float | None
    stddev: float | None
    distinct: int | None


class ProfileRow(TypedDict):
    """The figures of a version's columns."""

    id: int
    run_id: str
    product: str
    table: str
    version: int | None
    rows: int
    columns: dict[str, ColumnProfile]


_Origins = TypedDict("_Origins", {"from": list[JsonObject]})  # "from" cannot be a field of a class


class ColumnLineage(_Origins, total=False):
    """What a column is made of: the columns whose values it has, and those that decide it."""

    indirect: list[JsonObject]
    unknown: str


class LineageDocument(TypedDict):
    """What the columns of a table are made of, and what decides which rows it has."""

    columns: dict[str, ColumnLineage]
    rows: JsonObject


class LineageRow(TypedDict):
    """Which input columns each column of a table is made of."""

    id: int
    run_id: str
    product: str
    table: str
    version: int | None
    document: LineageDocument


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


class HoldoutDocument(TypedDict):
    """How a version does on rows that it never saw."""

    of: str
    rows: int
    left_out: int
    metric: str
    metrics: dict[str, float | None]


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


class PatternDocument(TypedDict):
    """A source of files, as far as it says whether something has arrived."""

    pattern: str
    format: str | None
    settle_s: float
    required: bool


class CodeDocument(TypedDict):
    """What a product's code is made of beside the files of its folder."""

    outside: dict[str, str]
    imports: NotRequired[dict[str, str | None]]
    libraries: NotRequired[dict[str, str]]
    reads: NotRequired[JsonObject]


class ManifestDocument(CodeDocument):
    """What a run depended on that found nothing left to do."""

    product: str
    pipeline: str
    made_of: str
    sources: dict[str, PatternDocument]
    warehouses: NotRequired[dict[str, str]]
    publications: NotRequired[dict[str, str | None]]
    versions: dict[str, int | None]
    decisions: NotRequired[int]
    landed: NotRequired[int]
    run_id: str
    steps: list[str]
    files: NotRequired[list[tuple[str, int]]]


class ManifestRow(TypedDict):
    """What a product's folder held when there was nothing to do."""

    product: str
    folder: str
    document: ManifestDocument


class EventRow(TypedDict):
    """What happened that a run may follow."""

    id: int
    product: str
    trigger: str
    kind: Literal["file", "images", "rows", "time", "table"]
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


class ClaimRow(TypedDict):
    """Who holds a name."""

    name: str
    holder: str
    beat: int
    at: float


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
