"""Documents of ``caudal measures``. Names end with their unit; times ``…_at`` are in seconds since 1970."""

from __future__ import annotations

from typing_extensions import TypedDict


class MeasuredApplication(TypedDict):
    """An application of Spark's."""

    id: str | None
    name: str | None
    user: str | None
    spark_version: str | None
    started_at: float | None
    ended_at: float | None
    duration_ms: int | None


class MeasuredExecutor(TypedDict):
    """An executor that was added."""

    executor: str
    host: str
    cores: int


class JobMeasures(TypedDict):
    """A job; ``duration_ms`` is None where it has not ended."""

    job: int
    status: str
    description: str | None
    query: int | None
    stages: list[int]
    submitted_at: float
    duration_ms: int | None
    failure: str | None


class Straggler(TypedDict):
    """A task that took much longer than the median of its stage."""

    task: int
    duration_ms: int
    executor: str
    host: str


class MeasuredStage(TypedDict):
    """An attempt of a stage: sums over its tasks, quantiles of the durations of those that succeeded, and the longest stragglers.

    ``skew`` is the longest duration over the median; None where no task succeeded, or the median is 0.
    """

    stage: int
    attempt: int
    name: str
    status: str
    submitted_at: float | None
    duration_ms: int | None
    tasks: int
    succeeded: int
    failed: int
    killed: int
    failure: str | None
    peak_task_memory_bytes: int
    measures: dict[str, int]
    durations_ms: dict[str, int] | None
    skew: float | None
    stragglers: int
    longest_stragglers: list[Straggler]


class QueryMeasures(TypedDict):
    """An execution of SQL, or of an action of a frame."""

    query: int
    description: str
    submitted_at: float
    duration_ms: int | None
    jobs: list[int]
    failure: str | None


class MeasuresDocument(TypedDict):
    """``caudal measures LOG``; ``cut_off`` says why the log ends too early."""

    log: str
    cut_off: str | None
    events: int
    unreadable_lines: int
    application: MeasuredApplication
    executors: list[MeasuredExecutor]
    totals: dict[str, int]
    jobs: list[JobMeasures]
    stages: list[MeasuredStage]
    queries: list[QueryMeasures]
    environment: dict[str, dict[str, str]]


class DifferentSetting(TypedDict):
    """A setting whose values differ; None where a log has it not."""

    part: str
    setting: str
    value: str | None
    other: str | None


class ComparedTotal(TypedDict):
    """A total of both logs; ``ratio`` is the other one over the first, None where that is 0."""

    value: int
    other: int
    ratio: float | None


class DifferencesDocument(TypedDict):
    """``caudal measures LOG OTHER``."""

    log: str
    other: str
    cut_off: list[str]
    environment: list[DifferentSetting]
    totals: dict[str, ComparedTotal]
