"""Documents of ``caudal compare``. Names end with their unit; times ``…_at`` are in seconds since 1970, ``at_s`` counts from the start of the work."""

from __future__ import annotations

from typing_extensions import TypedDict

from caudal.report.documents.measures import DifferentSetting, MeasuredStage


class Spread(TypedDict):
    """What repetitions gave: ``values`` in the order in which they ran; ``low`` and ``high`` are the least and the greatest."""

    values: list[float]
    median: float
    low: float
    high: float


class ComparedSource(TypedDict):
    """What the work reads, the same for all platforms: files and bytes, or messages and samples of a stream; None where it is not known."""

    source: str
    kind: str
    files: int | None
    bytes: int | None
    rows: int | None


class DiagramNode(TypedDict):
    """A part of an architecture; ``kind`` is one of driver, executor, worker, master, server, process, store, source, python."""

    id: str
    kind: str
    label: str
    host: str | None
    cores: int | None
    memory_bytes: int | None
    count: int


class DiagramEdge(TypedDict):
    """A connection between two parts, by their ids."""

    source: str
    target: str
    label: str


class Diagram(TypedDict):
    """An architecture as it was found while it worked."""

    nodes: list[DiagramNode]
    edges: list[DiagramEdge]


class StepSeconds(TypedDict):
    """A step of the run, or a part of a stream's micro-batches."""

    step: str
    seconds: float
    rows: int | None


class UiCheck(TypedDict):
    """Whether the measures of the event log are those of the REST API of Spark's UI, compared when the work had ended.

    ``differing`` names stage, measure, the log's value and the UI's.
    """

    stages: int
    compared: int
    differing: list[str]


class LatencyDocument(TypedDict):
    """Milliseconds that a stream's micro-batches took, from reading their messages until their results were recorded."""

    batches: int
    p50_ms: float
    p95_ms: float
    p99_ms: float


class RepetitionDocument(TypedDict):
    """The work, once, on a platform.

    ``state`` is done, failed or stopped (it ran past the limit); ``why`` says why it is not done. ``start_s`` is from the start of the process until
    its engine could work, ``work_s`` the work itself, ``total_s`` the whole process. ``cpu_s`` and ``peak_memory_bytes`` are of all its processes.
    ``totals`` are sums of Spark's measures (docs/measures.md); None where no event log was written.
    """

    number: int
    warm_up: bool
    cores: int | None
    share: float
    state: str
    why: str | None
    began_at: float
    start_s: float | None
    work_s: float | None
    total_s: float
    cpu_s: float | None
    peak_memory_bytes: int | None
    rows: int | None
    steps: list[StepSeconds]
    totals: dict[str, int] | None
    event_log: str | None
    ui_check: UiCheck | None
    latency: LatencyDocument | None
    tables: dict[str, str]


class PlatformDocument(TypedDict):
    """A platform and what was measured there.

    ``state`` is measured, refused (the work cannot be done there), unreachable, failed, or awaited (a person does the work elsewhere, and its results
    are taken in later); ``why`` is the sentence. ``machine`` says where it was measured, and is empty where that is the machine of the comparison. ``missing`` says which measures it
    lacks. ``spreads`` has the counted repetitions of the whole size by measure: start_s, work_s, total_s, cpu_s, peak_memory_bytes, rows_per_s, and
    Spark's totals. ``stages`` are those of the repetition whose time is the median.
    """

    platform: str
    kind: str
    title: str
    engine: str
    master: str | None
    cores: int | None
    memory: str | None
    state: str
    why: str | None
    missing: list[str]
    diagram: Diagram
    versions: dict[str, str]
    machine: dict[str, str]
    environment: dict[str, dict[str, str]]
    repetitions: list[RepetitionDocument]
    spreads: dict[str, Spread]
    stages: list[MeasuredStage]
    cost_per_million_rows: float | None


class PairDocument(TypedDict):
    """A measure of a platform beside the same of another: ``ratio`` = platform / beside, of geometric means, with its interval of confidence.

    ``claim`` is "faster", "slower", "no difference shown" (the interval holds 1), or "too few repetitions".
    """

    measure: str
    platform: str
    beside: str
    ratio: float
    low: float | None
    high: float | None
    confidence: float
    claim: str


class ColumnDifference(TypedDict):
    """A column whose values differ between two platforms; ``largest`` is the largest relative difference of numbers, None for others."""

    platform: str
    beside: str
    column: str
    rows: int
    largest: float | None


class ComparedTable(TypedDict):
    """A published table on all platforms: equal to the bit, or where it differs. ``rows`` by platform."""

    table: str
    columns: list[str]
    rows: dict[str, int]
    equal: bool
    differences: list[ColumnDifference]


class TimelineEvent(TypedDict):
    """What happened around a fault; ``kind`` is fault, executor_added, executor_lost, task_failed, stage_failed, stage_resubmitted, process_started,
    process_ended, attempt, recovered or end.
    """

    at_s: float
    kind: str
    what: str


class InjectedFaultDocument(TypedDict):
    """A fault on a platform, broken on purpose.

    ``state`` is recovered, not recovered, or not applicable (``why``). ``work_s`` is from the start of the work until it was done, its commands started
    again included; ``undisturbed_s`` the median without the fault; ``recovery_s`` from the fault until results came again. ``recomputed_ms`` is task
    time that was spent on what had been computed before or was lost. Rows lost and doubled are counted against the tables without the fault.
    """

    fault: str
    platform: str
    state: str
    why: str | None
    at_s: float | None
    work_s: float | None
    undisturbed_s: float | None
    recovery_s: float | None
    commands: int
    recomputed_ms: int | None
    failed_tasks: int | None
    resubmitted_stages: int | None
    executors_lost: int | None
    rows_lost: int | None
    rows_doubled: int | None
    timeline: list[TimelineEvent]
    event_logs: list[str]


class EnvironmentDifferences(TypedDict):
    """Settings of Spark that differ between two platforms."""

    platform: str
    other: str
    settings: list[DifferentSetting]


class ScalingPoint(TypedDict):
    """A measurement beside the model: the time predicted for its cores and its share of the data; ``work_s`` is None where nothing was measured."""

    cores: int
    share: float
    work_s: float | None
    predicted_s: float
    held_out: bool


class ScalingDocument(TypedDict):
    """A model of time fitted to repetitions with several cores or sizes of the data.

    ``law`` is amdahl or usl, or size where only the size of the data varied; ``parameters`` as docs/compare.md names them; ``error`` is the relative error
    on the points that were held out. ``platform`` is a kind where points of several platforms of it are one curve (``local[1]`` and ``local[2]``: ``local``).
    """

    platform: str
    law: str
    parameters: dict[str, float]
    points: list[ScalingPoint]
    error: float | None
    predictions: list[ScalingPoint]


class ConclusionDocument(TypedDict):
    """A sentence that the figures give. ``key`` and ``figures`` are what it is written from, in each language; ``certainty`` is shown, likely or open."""

    key: str
    platform: str | None
    figures: dict[str, str | float | int | None]
    certainty: str


class CompareDocument(TypedDict):
    """``caudal compare``."""

    product: str
    workload: str
    at: float
    took_s: float
    complete: bool
    stopped_by: str | None
    folder: str
    seed: int
    repeats: int
    warm_ups: int
    machine: dict[str, str]
    sources: list[ComparedSource]
    platforms: list[PlatformDocument]
    pairs: list[PairDocument]
    tables: list[ComparedTable]
    faults: list[InjectedFaultDocument]
    differences: list[EnvironmentDifferences]
    scaling: list[ScalingDocument]
    conclusions: list[ConclusionDocument]
