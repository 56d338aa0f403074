"""Reads a Spark event log once, event by event, into measures; tasks are added up and not kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from caudal.compare.event_lines import EventLines, event_lines
from caudal.compare.stage_measures import StageMeasures
from caudal.errors import NotThere

MOST_FAILURES = 100
_SQL = "org.apache.spark.sql.execution.ui.SparkListenerSQLExecution"


@dataclass
class MeasuredJob:
    """A job; ``status`` is RUNNING, SUCCEEDED or FAILED, times are in milliseconds since 1970."""

    job: int
    stages: tuple[int, ...]
    submitted_ms: int
    description: str | None
    query: int | None
    completed_ms: int | None = None
    status: str = "RUNNING"
    failure: str | None = None


@dataclass
class MeasuredQuery:
    """An execution of SQL or of a frame's action; the numbers of its jobs."""

    query: int
    description: str
    submitted_ms: int
    completed_ms: int | None = None
    failure: str | None = None
    jobs: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Incident:
    """An executor that came or went, or a task that failed; ``kind`` is executor_added, executor_lost or task_failed."""

    at_ms: int
    kind: str
    what: str


@dataclass
class EventLog:
    """What an event log says.

    Parameters
    ----------
    cut_off : why the log ends too early; None where the application ended and all of it was read
    unreadable : the lines that are no JSON, but for a half last one
    environment : Spark's settings and others by the part that they belong to
    incidents : in their order, of failed tasks the first `MOST_FAILURES`
    lost_ms : duration of tasks that failed or were killed
    """

    path: Path
    application: dict[str, Any] = field(default_factory=dict)
    jobs: dict[int, MeasuredJob] = field(default_factory=dict)
    stages: dict[tuple[int, int], StageMeasures] = field(default_factory=dict)
    queries: dict[int, MeasuredQuery] = field(default_factory=dict)
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    executors: dict[str, dict[str, Any]] = field(default_factory=dict)
    incidents: list[Incident] = field(default_factory=list)
    lost_ms: int = 0
    cut_off: str | None = None
    events: int = 0
    unreadable: int = 0
    bytes_read: int = 0

    def stage(self, number: int, attempt: int) -> StageMeasures:
        """Return an attempt of a stage, made at its first event."""
        key = (number, attempt)
        if key not in self.stages:
            self.stages[key] = StageMeasures(number, attempt)
        return self.stages[key]


def read_event_log(path: Path) -> EventLog:
    """Return what an event log says; one that is cut off is read as far as it goes.

    Raises
    ------
    NotThere : there is no such log, its compression is not read, or it holds no event of Spark's
    """
    lines = event_lines(path)
    log = EventLog(path)
    half = _fold(lines, log)
    log.bytes_read = lines.bytes_read
    if not log.events:
        raise NotThere(f"'{path}' holds no event of Spark's.", fix="Give an event log: a file or folder below spark.eventLog.dir.")
    if lines.cut_off or half:
        log.cut_off = lines.cut_off or "its last line is half written"
    elif log.application.get("ended_ms") is None:
        log.cut_off = "it does not say that the application ended: it still runs, or was killed"
    return log


def _fold(lines: EventLines, log: EventLog) -> bool:
    """Take in the events that are measured; return whether the last line is half an event."""
    bad = False
    for line in lines:
        if not line:
            continue
        # The name stands first in each line: most events are passed over without being parsed.
        name = line[10 : line.find(b'"', 10)].decode("ascii", errors="replace") if line.startswith(b'{"Event":"') else ""
        take = _EVENTS.get(name)
        log.unreadable += bad
        bad = False
        if take is None:
            bad = not line.endswith(b"}")
            log.events += not bad
            continue
        try:
            event = orjson.loads(line)
        except orjson.JSONDecodeError:
            bad = True
            continue
        log.events += 1
        take(log, event)
    return bad


def _application_start(log: EventLog, event: Mapping[str, Any]) -> None:
    log.application |= {
        "id": event.get("App ID"),
        "name": event["App Name"],
        "user": event["User"],
        "started_ms": event["Timestamp"],
    }


def _application_end(log: EventLog, event: Mapping[str, Any]) -> None:
    log.application["ended_ms"] = event["Timestamp"]


def _log_start(log: EventLog, event: Mapping[str, Any]) -> None:
    log.application["spark_version"] = event["Spark Version"]


def _environment(log: EventLog, event: Mapping[str, Any]) -> None:
    log.environment = {part: dict(values) for part, values in event.items() if isinstance(values, dict)}


def _executor(log: EventLog, event: Mapping[str, Any]) -> None:
    info = event["Executor Info"]
    log.executors[event["Executor ID"]] = {"host": info["Host"], "cores": info["Total Cores"]}
    if event["Executor ID"] != "driver":
        log.incidents.append(Incident(event["Timestamp"], "executor_added", f"executor {event['Executor ID']} on {info['Host']}"))


def _executor_removed(log: EventLog, event: Mapping[str, Any]) -> None:
    reason = str(event.get("Removed Reason", "")).strip().splitlines()
    text = f"executor {event['Executor ID']}: {reason[0] if reason else 'no reason given'}"
    log.incidents.append(Incident(event["Timestamp"], "executor_lost", text))


def _job_start(log: EventLog, event: Mapping[str, Any]) -> None:
    settings = event.get("Properties") or {}
    query = settings.get("spark.sql.execution.id")
    job = MeasuredJob(
        event["Job ID"], tuple(sorted(event["Stage IDs"])), event["Submission Time"], settings.get("spark.job.description"), None if query is None else int(query)
    )  # fmt: skip
    log.jobs[job.job] = job
    if job.query in log.queries:
        log.queries[job.query].jobs.append(job.job)


def _job_end(log: EventLog, event: Mapping[str, Any]) -> None:
    job = log.jobs.get(event["Job ID"])
    if job is not None:
        result = event["Job Result"]
        job.completed_ms = event["Completion Time"]
        job.status = "SUCCEEDED" if result["Result"] == "JobSucceeded" else "FAILED"
        job.failure = (result.get("Exception") or {}).get("Message")


def _stage_submitted(log: EventLog, event: Mapping[str, Any]) -> None:
    info = event["Stage Info"]
    stage = log.stage(info["Stage ID"], info["Stage Attempt ID"])
    stage.describe(info)
    stage.status = "ACTIVE"


def _stage_completed(log: EventLog, event: Mapping[str, Any]) -> None:
    info = event["Stage Info"]
    stage = log.stage(info["Stage ID"], info["Stage Attempt ID"])
    stage.describe(info)
    stage.status = "FAILED" if stage.failure is not None else "COMPLETE"


def _task_end(log: EventLog, event: Mapping[str, Any]) -> None:
    if event.get("Task Info"):
        log.stage(event["Stage ID"], event["Stage Attempt ID"]).add_task(event)
        reason = (event.get("Task End Reason") or {}).get("Reason")
        if reason != "Success":
            _task_failed(log, event, str(reason))


def _task_failed(log: EventLog, event: Mapping[str, Any], reason: str) -> None:
    info = event["Task Info"]
    log.lost_ms += info["Finish Time"] - info["Launch Time"]
    if sum(incident.kind == "task_failed" for incident in log.incidents) < MOST_FAILURES:
        text = f"task {info['Task ID']} of stage {event['Stage ID']} on executor {info['Executor ID']}: {reason}"
        log.incidents.append(Incident(info["Finish Time"], "task_failed", text))


def _query_start(log: EventLog, event: Mapping[str, Any]) -> None:
    log.queries[event["executionId"]] = MeasuredQuery(event["executionId"], event.get("description") or "", event["time"])


def _query_end(log: EventLog, event: Mapping[str, Any]) -> None:
    query = log.queries.get(event["executionId"])
    if query is not None:
        query.completed_ms = event["time"]
        query.failure = event.get("errorMessage") or None


_EVENTS: Mapping[str, Callable[[EventLog, Mapping[str, Any]], None]] = {
    "SparkListenerLogStart": _log_start,
    "SparkListenerApplicationStart": _application_start,
    "SparkListenerApplicationEnd": _application_end,
    "SparkListenerEnvironmentUpdate": _environment,
    "SparkListenerExecutorAdded": _executor,
    "SparkListenerExecutorRemoved": _executor_removed,
    "SparkListenerJobStart": _job_start,
    "SparkListenerJobEnd": _job_end,
    "SparkListenerStageSubmitted": _stage_submitted,
    "SparkListenerStageCompleted": _stage_completed,
    "SparkListenerTaskEnd": _task_end,
    f"{_SQL}Start": _query_start,
    f"{_SQL}End": _query_end,
}
