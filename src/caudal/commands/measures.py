"""``caudal measures``: what the jobs and stages of a Spark event log cost, and how two logs differ."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.compare.event_log import EventLog, MeasuredJob, read_event_log
from caudal.compare.stage_measures import SUMS, StageMeasures
from caudal.inspection.masking import mask_setting, mask_text

if TYPE_CHECKING:
    from caudal.report.documents import (
        ComparedTotal,
        DifferencesDocument,
        DifferentSetting,
        JobMeasures,
        MeasuredStage,
        MeasuresDocument,
    )

# Of no use where two environments are compared: each start has other values.
_OF_A_START = {
    "spark.app.id", "spark.app.startTime", "spark.app.submitTime", "spark.driver.port", "sun.java.command", "spark.executor.id", "PID", "java.io.tmpdir",
    "spark.driver.blockManager.port", "spark.sql.connect.grpc.binding.port", "spark.app.initial.jar.urls",
}  # fmt: skip


def event_log_measures(path: Path) -> MeasuresDocument:
    """Return the measures of an event log.

    Raises
    ------
    NotThere : there is no such log, or it cannot be read
    """
    log = read_event_log(path)
    application = log.application
    started, ended = application.get("started_ms"), application.get("ended_ms")
    return {
        "log": str(path), "cut_off": log.cut_off, "events": log.events, "unreadable_lines": log.unreadable,
        "application": {
            "id": application.get("id"), "name": application.get("name"), "user": application.get("user"),
            "spark_version": application.get("spark_version"), "started_at": _seconds(started), "ended_at": _seconds(ended),
            "duration_ms": _span(started, ended),
        },
        "executors": [{"executor": name, "host": each["host"], "cores": each["cores"]} for name, each in log.executors.items()],
        "totals": totals(log),
        "jobs": [_job(job) for job in log.jobs.values()],
        "stages": [_stage(log.stages[key]) for key in sorted(log.stages)],
        "queries": [
            {
                "query": query.query, "description": mask_text(query.description), "submitted_at": query.submitted_ms / 1000,
                "duration_ms": _span(query.submitted_ms, query.completed_ms), "jobs": query.jobs, "failure": _masked(query.failure),
            }
            for query in log.queries.values()
        ],
        "environment": {part: _settings(values) for part, values in log.environment.items()},
    }  # fmt: skip


def event_log_differences(path: Path, other: Path) -> DifferencesDocument:
    """Return the settings in which the environments of two logs differ, and the totals of both.

    Raises
    ------
    NotThere : there is no such log, or it cannot be read
    """
    first, second = read_event_log(path), read_event_log(other)
    cut_off = [f"{log.path}: {log.cut_off}" for log in (first, second) if log.cut_off]
    mine, theirs = totals(first), totals(second)
    compared: dict[str, ComparedTotal] = {
        name: {"value": mine[name], "other": theirs[name], "ratio": theirs[name] / mine[name] if mine[name] else None}
        for name in mine
    }
    return {
        "log": str(path), "other": str(other), "cut_off": cut_off, "environment": _different(first.environment, second.environment), "totals": compared,
    }  # fmt: skip


def totals(log: EventLog) -> dict[str, int]:
    """Return the sums over all stages, and the numbers of jobs, stages and tasks; ``duration_ms`` where the application has ended."""
    duration = _span(log.application.get("started_ms"), log.application.get("ended_ms"))
    stages = log.stages.values()
    spans = [_span(job.submitted_ms, job.completed_ms) or 0 for job in log.jobs.values()]
    return {
        **({} if duration is None else {"duration_ms": duration}),
        "jobs": len(log.jobs), "jobs_ms": sum(spans), "stages": len(log.stages), "tasks": sum(stage.succeeded + stage.failed + stage.killed for stage in stages),
        "failed_tasks": sum(stage.failed for stage in stages), **{name: sum(stage.sums[name] for stage in stages) for name in SUMS},
        "peak_task_memory_bytes": max((stage.peak_task_memory_bytes for stage in stages), default=0),
    }  # fmt: skip


def _job(job: MeasuredJob) -> JobMeasures:
    return {
        "job": job.job, "status": job.status, "description": _masked(job.description), "query": job.query, "stages": list(job.stages),
        "submitted_at": job.submitted_ms / 1000, "duration_ms": _span(job.submitted_ms, job.completed_ms), "failure": _masked(job.failure),
    }  # fmt: skip


def _stage(stage: StageMeasures) -> MeasuredStage:
    durations = stage.durations()
    count, longest = stage.stragglers(durations)
    return {
        "stage": stage.stage, "attempt": stage.attempt, "name": mask_text(stage.name), "status": stage.status, "submitted_at": _seconds(stage.submitted_ms),
        "duration_ms": _span(stage.submitted_ms, stage.completed_ms), "tasks": stage.tasks, "succeeded": stage.succeeded, "failed": stage.failed,
        "killed": stage.killed, "failure": _masked(stage.failure), "peak_task_memory_bytes": stage.peak_task_memory_bytes, "measures": dict(stage.sums),
        "durations_ms": durations, "skew": round(durations["p100"] / durations["p50"], 3) if durations and durations["p50"] else None,
        "stragglers": count,
        "longest_stragglers": [{"task": task, "duration_ms": took, "executor": executor, "host": host} for took, task, executor, host in longest],
    }  # fmt: skip


def _different(mine: Mapping[str, Mapping[str, str]], theirs: Mapping[str, Mapping[str, str]]) -> list[DifferentSetting]:
    rows: list[DifferentSetting] = []
    for part in sorted({*mine, *theirs}):
        mine_here, theirs_here = mine.get(part, {}), theirs.get(part, {})
        for name in sorted({*mine_here, *theirs_here} - _OF_A_START):
            if mine_here.get(name) != theirs_here.get(name):
                values = (
                    None if each.get(name) is None else str(mask_setting(name, each[name])) for each in (mine_here, theirs_here)
                )
                value, other = values
                rows.append({"part": part, "setting": name, "value": value, "other": other})
    return rows


def _settings(values: Mapping[str, str]) -> dict[str, str]:
    return {name: str(mask_setting(name, value)) for name, value in sorted(values.items())}


def _masked(text: str | None) -> str | None:
    return None if text is None else mask_text(text)


def _seconds(milliseconds: int | None) -> float | None:
    return None if milliseconds is None else milliseconds / 1000


def _span(begun: int | None, ended: int | None) -> int | None:
    return None if begun is None or ended is None else ended - begun
