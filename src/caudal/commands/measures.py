"""``caudal measures``: what the jobs and stages of a Spark event log cost, and how two logs differ."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from caudal.compare.event_log import MeasuredJob, read_event_log
from caudal.compare.log_totals import (
    different_settings,
    in_seconds,
    mask_if_known,
    masked_environment,
    span,
    stage_document,
    totals,
)
from caudal.inspection.masking import mask_text
from caudal.storage.ssh import fetch_log

if TYPE_CHECKING:
    from caudal.report.documents import (
        ComparedTotal,
        DifferencesDocument,
        JobMeasures,
        MeasuresDocument,
    )


@contextmanager
def log_at(log: str, jump: str | None) -> Iterator[Path]:
    """Give the path of an event log; one at ``ssh://…`` is fetched by SSH into a folder that lasts as long.

    Raises
    ------
    EnvironmentProblem : the host is not reached or not known, the login is refused
    NotThere : the host has no such log
    """
    if not log.startswith("ssh://"):
        yield Path(log)
        return
    with TemporaryDirectory(prefix="caudal-log-") as folder:
        yield fetch_log(log, jump, Path(folder))


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
            "spark_version": application.get("spark_version"), "started_at": in_seconds(started), "ended_at": in_seconds(ended),
            "duration_ms": span(started, ended),
        },
        "executors": [{"executor": name, "host": each["host"], "cores": each["cores"]} for name, each in log.executors.items()],
        "totals": totals(log),
        "jobs": [_job(job) for job in log.jobs.values()],
        "stages": [stage_document(log.stages[key]) for key in sorted(log.stages)],
        "queries": [
            {
                "query": query.query, "description": mask_text(query.description), "submitted_at": query.submitted_ms / 1000,
                "duration_ms": span(query.submitted_ms, query.completed_ms), "jobs": query.jobs, "failure": mask_if_known(query.failure),
            }
            for query in log.queries.values()
        ],
        "environment": masked_environment(log),
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
        "log": str(path), "other": str(other), "cut_off": cut_off, "environment": different_settings(first.environment, second.environment), "totals": compared,
    }  # fmt: skip


def _job(job: MeasuredJob) -> JobMeasures:
    return {
        "job": job.job, "status": job.status, "description": mask_if_known(job.description), "query": job.query, "stages": list(job.stages),
        "submitted_at": job.submitted_ms / 1000, "duration_ms": span(job.submitted_ms, job.completed_ms), "failure": mask_if_known(job.failure),
    }  # fmt: skip
