"""The documents that commands print with ``--json``, by command; that of a run stands in ``run_document.py``.

``python tools/schemas.py`` writes ``docs/schemas`` from these types. What the rows of a table hold, or a product declares, is any JSON.
"""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict  # with the standard one Pydantic cannot tell what is required before Python 3.12

from caudal.json_value import JsonObject, JsonValue
from caudal.ledger.rows import AtHand, DecisionRow, ErrorDocument, GateDocument
from caudal.registry.card import Card, Listed
from caudal.report.run_document import RunDocument


class AnswerDocument(TypedDict):
    """A prediction that the web app was asked for."""

    model: str
    url: str
    asked: JsonObject
    answer: JsonValue


class DemoFacts(TypedDict):
    """What the demo was given, and where it serves."""

    input: str
    data: str
    url: str
    predictions: list[AnswerDocument]


class DemoDocument(RunDocument):
    """``caudal demo``: the run, and what was asked of the web app."""

    demo: DemoFacts


class NewDocument(TypedDict):
    """``caudal new``."""

    product: str
    folder: str


class CheckDocument(TypedDict):
    """``caudal check``."""

    ok: bool
    problems: list[ErrorDocument]
    notes: list[str]


class NodeDocument(TypedDict):
    """A node of the graph."""

    name: str
    kind: str
    inputs: list[str]
    description: str | None


class GraphDocument(TypedDict):
    """``caudal graph``."""

    nodes: list[NodeDocument]
    svg: str | None


class UsualDocument(TypedDict):
    """What is usual of a step (``Usual``)."""

    expected_s: float
    limit_s: float
    trend: float
    executions: int


class ExecutionDocument(TypedDict):
    """An execution of a step."""

    run_id: str
    at: float | None
    seconds: float
    rows: int | None


class StepTimes(TypedDict):
    """How long a step took, oldest first."""

    step: str
    last_s: float
    usual: UsualDocument | None
    history: list[ExecutionDocument]


class TimesDocument(TypedDict):
    """``caudal times``."""

    product: str
    steps: list[StepTimes]


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
    """How a table stands."""

    table: str
    kind: str
    version: int | None
    rows: int
    quarantined: int
    age_s: float


class PublicationStatus(TypedDict):
    """How a publication stands."""

    name: str
    place: str | None
    version: int | None
    age_s: float


class SourceStatus(TypedDict):
    """How a stream's source stands."""

    at: float
    readings: int
    per_s: float
    p95_s: float | None
    late: int
    duplicates: int
    unreadable: int
    windows: int


class StreamsStatus(TypedDict):
    """How a product's streams stand."""

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
    """What ``caudal up`` has to do."""

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
    """How a model stands."""

    model: str
    versions: int
    champion: int | None
    candidate: str | None
    since: float | None


class ProductStatus(TypedDict):
    """How a product stands."""

    product: str
    last_run: LastRun | None
    tables: list[TableStatus]
    warehouse: list[PublicationStatus]
    others: NotRequired[dict[str, list[dict[str, object]]]]
    streams: StreamsStatus | None
    up: UpStatus | None
    alerts: list[AlertStatus]
    models: list[ModelStatus]


class StatusDocument(TypedDict):
    """``caudal status``."""

    home: str
    lake: str
    products: list[ProductStatus]


class WhyStep(TypedDict):
    """Why a step ran or rested the last time."""

    step: str
    state: str
    run_id: str
    at: float | None
    why: str
    made_of: dict[str, str]


class WhyProduct(TypedDict):
    """Why the steps of a product ran or rested."""

    product: str
    steps: list[WhyStep]


class WhyDocument(TypedDict):
    """``caudal status --why``."""

    home: str
    products: list[WhyProduct]


class PlannedFile(TypedDict):
    """A raw file that would be read again."""

    path: str
    bytes: int


class PlannedTable(TypedDict):
    """A table of which days, or all (null), would be made again."""

    table: str
    days: list[str] | None
    rows: int


class PlannedSource(PlannedTable):
    """A source of which days would be read again, and from which files."""

    files: list[PlannedFile]


class _Plan(TypedDict):
    product: str
    to: str
    sources: list[PlannedSource]
    tables: list[PlannedTable]


_First = TypedDict("_First", {"from": str})  # "from" cannot be a field of a class


class BackfillPlan(_Plan, _First):
    """``caudal backfill`` without ``--yes``."""


class StreamedTable(TypedDict):
    """A table of statistics; counts are those since the stream's beginning."""

    readings: int
    duplicates: int
    late: int
    open_windows: int


class OutletDocument(TypedDict):
    """How an outlet stands."""

    of: str
    to: str
    delivery: str
    sent: int
    waiting: int
    lost: int
    trouble: str | None


class ConfusionDocument(TypedDict):
    """How often a model said one label where another was true."""

    actual: str
    predicted: str
    count: int


class FollowerDocument(TypedDict):
    """How a model that classifies the stream stands."""

    predicted: int
    version: int | None
    compared: int
    accuracy: float | None
    confusion: list[ConfusionDocument]
    trouble: str | None


class StreamDocument(TypedDict):
    """``caudal stream``; a source has ``batches``, its ``tables`` and the counts of its kind."""

    product: str
    seconds: float
    sources: dict[str, dict[str, int | dict[str, StreamedTable]]]
    outlets: dict[str, OutletDocument]
    joins: dict[str, JsonObject]
    models: dict[str, FollowerDocument]


class ParityExample(TypedDict):
    """A row that stream and run have differently."""

    key: list[str]
    stream: str
    run: str


class TableParity(TypedDict):
    """How a table of the stream compares with that of a run."""

    equal: bool
    rows: int
    rows_of_run: int
    differing: int
    only_run: int
    only_stream: int
    not_closed_yet: int
    late: NotRequired[int]
    twice: int
    examples: list[ParityExample]


class ParityDocument(TypedDict):
    """``caudal parity``."""

    product: str
    equal: bool
    tables: dict[str, TableParity]


class BrokerDocument(TypedDict):
    """``caudal broker``."""

    address: str
    folder: str
    pid: int
    log: str


class ReplayDocument(TypedDict):
    """``caudal replay``; ``facts_per_device`` are the disturbances that lie in what was played."""

    what: str
    into: str
    to: str
    wire: str
    readings: int
    samples: int
    payloads: int
    labels: int
    seconds: float
    readings_per_s: int
    most_behind_s: float
    devices: int
    rate_hz: float
    start_us: int
    facts_per_device: JsonValue
    stopped: bool


class ExportDocument(TypedDict):
    """``caudal export``."""

    product: str
    table: str
    version: int
    rows: int
    format: Literal["parquet", "avro", "csv"]
    to: str


class QuarantineCount(TypedDict):
    """A line of ``caudal quarantine list``."""

    product: str
    table: str
    reason: str
    rows: int


class QuarantinedRow(TypedDict):
    """A line of ``caudal quarantine show``."""

    reasons: list[str] | None
    file: str | None
    raw: JsonValue


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


class TraceDocument(TypedDict):
    """``caudal trace``."""

    product: str
    table: str
    where: str | None
    hops: list[JsonObject]
    models: list[JsonObject]
    files: list[JsonObject]


class CatalogDocument(TypedDict):
    """``caudal catalog build``."""

    out: str
    pages: list[str]


class FoundDocument(TypedDict):
    """A line of ``caudal search``."""

    kind: str
    where: str
    name: str
    about: str


class FaultDocument(TypedDict):
    """Something that is not as it was put there (``Fault``)."""

    kind: str
    product: str | None
    name: str
    path: str
    what: str
    mend: str


class FindingsDocument(TypedDict):
    """What was looked at and what was found."""

    ok: bool
    faults: list[FaultDocument]
    notes: list[str]
    checked: dict[str, int]
    bytes: int


class VerifyDocument(FindingsDocument):
    """``caudal verify``."""

    home: str
    lake: str
    deep: bool
    seconds: float


class GoingDocument(TypedDict):
    """Something that may go by the declared times."""

    kind: str
    table: str | None
    name: str
    why: str
    files: int
    bytes: int


class ProtectedVersion(TypedDict):
    """A version that stays though its time is over."""

    table: str
    version: int
    why: str


class RetainDocument(TypedDict):
    """``caudal retain``."""

    product: str
    done: bool
    going: list[GoingDocument]
    files: int
    bytes: int
    protected: list[ProtectedVersion]


class PlaceDocument(TypedDict):
    """A file that holds rows of the subject."""

    kind: str
    name: str
    file: str
    rows: int
    current: bool


class LearnedFrom(TypedDict):
    """A version of a model that learned from rows of the subject."""

    model: str
    version: int
    training_table: str
    training_version: int


class SubjectDocument(TypedDict):
    """Where rows of a subject lie."""

    product: str
    column: str
    places: list[PlaceDocument]
    searched: dict[str, int]
    not_searched: list[str]
    stays: list[str]
    columns: dict[str, list[str]]
    rows: dict[str, int]
    models: list[LearnedFrom]
    origins: list[str]


class ErasurePlan(SubjectDocument):
    """``caudal erase`` without ``--yes``, or where nothing is left to erase."""

    done: bool
    earlier: list[JsonObject]


class RewrittenFile(TypedDict):
    """A raw content and what has come in its place."""

    source: str
    old_sha256: str
    new_sha256: str
    rows: int


class ErasureRun(TypedDict):
    """The run that made tables anew without the subject."""

    run_id: str
    state: str


class ErasureProof(TypedDict):
    """``caudal erase --yes``: the proof, its own hash, and where it lies."""

    erasure: str
    product: str
    owner: str | None
    column: str
    subject_sha256: str
    salt: str
    who: str
    started_at: float
    finished_at: float
    done: bool
    before: SubjectDocument
    after: SubjectDocument
    raw_files: list[RewrittenFile]
    run: ErasureRun
    sha256: str
    json: str
    page: str


class UpLine(TypedDict):
    """A line of ``caudal up``: ``what`` happened, and the facts of that kind."""

    at: str
    what: Literal["up", "event", "run", "ended", "again", "taken up", "trouble", "told", "stopping", "down"]
    product: NotRequired[str]
    products: NotRequired[list[str]]
    watchers: NotRequired[list[str]]
    trigger: NotRequired[str]
    kind: NotRequired[str]
    subject: NotRequired[str]
    run_id: NotRequired[str]
    runs: NotRequired[list[str]]
    events: NotRequired[int]
    ending: NotRequired[str]
    state: NotRequired[str]
    seconds: NotRequired[float]
    why: NotRequired[str | None]
    again_s: NotRequired[float | None]
    grace_s: NotRequired[float]
    happening: NotRequired[str]
    to: NotRequired[str]


# Of each command, in the order of `caudal --help`, what it prints. `up` prints one document a line.
DOCUMENTS: dict[str, object] = {
    "demo": DemoDocument,
    "new": NewDocument,
    "check": CheckDocument,
    "graph": GraphDocument,
    "run": RunDocument,
    "predict": RunDocument,
    "times": TimesDocument,
    "status": StatusDocument | WhyDocument,
    "up": UpLine,
    "backfill": RunDocument | BackfillPlan,
    "stream": StreamDocument,
    "parity": ParityDocument,
    "broker": BrokerDocument,
    "replay": ReplayDocument,
    "export": ExportDocument,
    "trace": TraceDocument,
    "search": list[FoundDocument],
    "verify": VerifyDocument,
    "retain": RetainDocument,
    "erase": ErasurePlan | ErasureProof,
    "quarantine list": list[QuarantineCount],
    "quarantine show": list[QuarantinedRow],
    "quarantine replay": RunDocument,
    "model list": list[VersionDocument],
    "model show": Card,
    "model promote": DecisionRow,
    "model rollback": DecisionRow,
    "model history": list[HistoryLine],
    "catalog build": CatalogDocument,
}
