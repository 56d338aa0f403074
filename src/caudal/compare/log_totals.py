"""What an event log says, added up and as parts of documents."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from caudal.compare.event_log import EventLog
from caudal.compare.stage_measures import SUMS, StageMeasures
from caudal.inspection.masking import mask_setting, mask_text

if TYPE_CHECKING:
    from caudal.report.documents import DifferentSetting, MeasuredStage

# Of no use where two environments are compared: each start has other values.
_OF_A_START = {
    "spark.app.id", "spark.app.startTime", "spark.app.submitTime", "spark.driver.port", "sun.java.command", "spark.executor.id", "PID", "java.io.tmpdir",
    "spark.driver.blockManager.port", "spark.sql.connect.grpc.binding.port", "spark.app.initial.jar.urls",
}  # fmt: skip


def totals(log: EventLog) -> dict[str, int]:
    """Return the sums over all stages, and the numbers of jobs, stages and tasks; ``duration_ms`` where the application has ended."""
    duration = span(log.application.get("started_ms"), log.application.get("ended_ms"))
    stages = log.stages.values()
    spans = [span(job.submitted_ms, job.completed_ms) or 0 for job in log.jobs.values()]
    return {
        **({} if duration is None else {"duration_ms": duration}),
        "jobs": len(log.jobs), "jobs_ms": sum(spans), "stages": len(log.stages), "tasks": sum(stage.succeeded + stage.failed + stage.killed for stage in stages),
        "failed_tasks": sum(stage.failed for stage in stages), **{name: sum(stage.sums[name] for stage in stages) for name in SUMS},
        "peak_task_memory_bytes": max((stage.peak_task_memory_bytes for stage in stages), default=0),
    }  # fmt: skip


def stage_document(stage: StageMeasures) -> MeasuredStage:
    """Return an attempt of a stage as a part of a document."""
    durations = stage.durations()
    count, longest = stage.stragglers(durations)
    return {
        "stage": stage.stage, "attempt": stage.attempt, "name": mask_text(stage.name), "status": stage.status, "submitted_at": in_seconds(stage.submitted_ms),
        "duration_ms": span(stage.submitted_ms, stage.completed_ms), "tasks": stage.tasks, "succeeded": stage.succeeded, "failed": stage.failed,
        "killed": stage.killed, "failure": mask_if_known(stage.failure), "peak_task_memory_bytes": stage.peak_task_memory_bytes, "measures": dict(stage.sums),
        "durations_ms": durations, "skew": round(durations["p100"] / durations["p50"], 3) if durations and durations["p50"] else None,
        "stragglers": count,
        "longest_stragglers": [{"task": task, "duration_ms": took, "executor": executor, "host": host} for took, task, executor, host in longest],
    }  # fmt: skip


def different_settings(mine: Mapping[str, Mapping[str, str]], theirs: Mapping[str, Mapping[str, str]]) -> list[DifferentSetting]:
    """Return the settings in which two environments differ, without secrets."""
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


def masked_environment(log: EventLog) -> dict[str, dict[str, str]]:
    """Return the environment of a log by its parts, without secrets."""
    return {
        part: {name: str(mask_setting(name, value)) for name, value in sorted(values.items())}
        for part, values in log.environment.items()
    }


def mask_if_known(text: str | None) -> str | None:
    """Return a text without secrets."""
    return None if text is None else mask_text(text)


def in_seconds(milliseconds: int | None) -> float | None:
    """Return a time in seconds."""
    return None if milliseconds is None else milliseconds / 1000


def span(begun: int | None, ended: int | None) -> int | None:
    """Return what lies between two times; None where one is not known."""
    return None if begun is None or ended is None else ended - begun
