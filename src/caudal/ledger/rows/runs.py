"""Rows of runs and their steps, of claims, and of what a run found that had nothing to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NotRequired

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonObject, JsonValue

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


class HoldoutDocument(TypedDict):
    """How a version does on rows that it never saw."""

    of: str
    rows: int
    left_out: int
    metric: str
    metrics: dict[str, float | None]


class AttemptDocument(TypedDict):
    """An attempt of a step that failed before one that did not."""

    error: str
    seconds: float
    waited_s: NotRequired[float]


class FileDocument(TypedDict):
    """A file that a step has looked at."""

    path: str
    state: NotRequired[str]
    bytes: NotRequired[int | None]
    sha256: NotRequired[str | None]


class EmbeddingDocument(TypedDict, total=False):
    """How images were embedded."""

    network: str | None
    plan: list[str]
    seconds: dict[str, float]
    images: int


class AlarmDocument(TypedDict):
    """A figure of a monitor that is in alarm, and what is to be said of it."""

    figure: str
    what: str


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
    files: list[FileDocument] | int  # a landing lists them, a reading counts them
    landed: int
    waiting: list[str]
    notes: list[str]
    read_days: list[str] | None
    micro_batches: int  # of a stream that this row adds up
    messages: int
    samples: int
    unreadable_messages: int
    outside: int
    generation: str | None  # of an online view that lies in another place than the home
    model_version: int
    input_version: int
    rows: int
    unlabelled: int
    older: int
    chosen: str
    warning: str | None
    holdout: HoldoutDocument | None
    decision: str | None
    version: int
    replaced: int | None
    gates: list[GateDocument]
    place: str
    location: str
    zeros: dict[str, int]
    made_of: dict[str, str]
    embedding: EmbeddingDocument
    pca: ComponentsDocument
    alarms: list[AlarmDocument]
    next_window_ends: float | None


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


class ClaimRow(TypedDict):
    """Who holds a name."""

    name: str
    holder: str
    beat: int
    at: float


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
    views: NotRequired[list[str]]
    due_at: NotRequired[float | None]


class ManifestRow(TypedDict):
    """What a product's folder held when there was nothing to do."""

    product: str
    folder: str
    document: ManifestDocument
