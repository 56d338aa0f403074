"""The measures of a stage, added up task by task as Spark's UI does (``AppStatusListener``, ``AppStatusUtils`` of Spark 4.1)."""

from __future__ import annotations

import heapq
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

QUANTILES = (0.0, 0.25, 0.5, 0.75, 0.95, 1.0)
STRAGGLING = 3.0
"""A straggler takes more than so many times the median (``spark.speculation.multiplier`` of Spark 4), and `_LEAST_MS` more than it."""
_LEAST_MS = 100
_KEPT_STRAGGLERS = 5

# Measure → where a task's metrics have it. Times are in milliseconds but for those whose names end with _ns.
_METRICS: dict[str, tuple[str, ...]] = {
    "run_ms": ("Executor Run Time",),
    "cpu_ns": ("Executor CPU Time",),
    "deserialize_ms": ("Executor Deserialize Time",),
    "deserialize_cpu_ns": ("Executor Deserialize CPU Time",),
    "result_serialize_ms": ("Result Serialization Time",),
    "gc_ms": ("JVM GC Time",),
    "result_bytes": ("Result Size",),
    "spilled_memory_bytes": ("Memory Bytes Spilled",),
    "spilled_disk_bytes": ("Disk Bytes Spilled",),
    "peak_execution_memory_bytes": ("Peak Execution Memory",),
    "input_bytes": ("Input Metrics", "Bytes Read"),
    "input_records": ("Input Metrics", "Records Read"),
    "output_bytes": ("Output Metrics", "Bytes Written"),
    "output_records": ("Output Metrics", "Records Written"),
    "shuffle_read_remote_bytes": ("Shuffle Read Metrics", "Remote Bytes Read"),
    "shuffle_read_remote_to_disk_bytes": ("Shuffle Read Metrics", "Remote Bytes Read To Disk"),
    "shuffle_read_local_bytes": ("Shuffle Read Metrics", "Local Bytes Read"),
    "shuffle_read_records": ("Shuffle Read Metrics", "Total Records Read"),
    "shuffle_fetch_wait_ms": ("Shuffle Read Metrics", "Fetch Wait Time"),
    "shuffle_write_bytes": ("Shuffle Write Metrics", "Shuffle Bytes Written"),
    "shuffle_write_records": ("Shuffle Write Metrics", "Shuffle Records Written"),
    "shuffle_write_ns": ("Shuffle Write Metrics", "Shuffle Write Time"),
}
SUMS = (*_METRICS, "shuffle_read_bytes", "scheduler_delay_ms", "getting_result_ms")
"""The measures that are sums over tasks."""
_KILLED = ("TaskKilled", "TaskCommitDenied")


@dataclass
class StageMeasures:
    """What an attempt of a stage cost.

    Parameters
    ----------
    sums : `SUMS`, over all tasks that have ended, failed ones included
    peak_task_memory_bytes : the greatest ``Peak Execution Memory`` of a task
    durations_ms : of the tasks that succeeded, 8 bytes each
    """

    stage: int
    attempt: int
    name: str = ""
    tasks: int = 0
    status: str = "PENDING"
    submitted_ms: int | None = None
    completed_ms: int | None = None
    failure: str | None = None
    succeeded: int = 0
    failed: int = 0
    killed: int = 0
    peak_task_memory_bytes: int = 0
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SUMS, 0))
    durations_ms: array[int] = field(default_factory=lambda: array("q"))
    longest: list[tuple[int, int, str, str]] = field(default_factory=list)

    def describe(self, info: Mapping[str, Any]) -> None:
        """Take over what an event says of the stage itself."""
        self.name, self.tasks = str(info.get("Stage Name", "")), int(info.get("Number of Tasks", 0))
        self.submitted_ms, self.completed_ms = info.get("Submission Time"), info.get("Completion Time")
        self.failure = info.get("Failure Reason")

    def add_task(self, event: Mapping[str, Any]) -> None:
        """Add a task that has ended."""
        reason = (event.get("Task End Reason") or {}).get("Reason")
        self.succeeded += reason == "Success"
        self.killed += reason in _KILLED
        self.failed += reason != "Success" and reason not in _KILLED
        info = event["Task Info"]
        duration = info["Finish Time"] - info["Launch Time"]
        metrics = event.get("Task Metrics")
        if metrics:
            self._add_metrics(metrics, info, duration)
        if reason == "Success":
            self.durations_ms.append(duration)
            kept = (duration, info["Task ID"], str(info.get("Executor ID")), str(info.get("Host")))
            if len(self.longest) < _KEPT_STRAGGLERS:
                heapq.heappush(self.longest, kept)
            else:
                heapq.heappushpop(self.longest, kept)

    def _add_metrics(self, metrics: Mapping[str, Any], info: Mapping[str, Any], duration: int) -> None:
        sums = self.sums
        for name, path in _METRICS.items():
            part = metrics.get(path[0])
            value = part if len(path) == 1 else part.get(path[1]) if part else None
            if value:
                sums[name] += value
        read = metrics.get("Shuffle Read Metrics") or {}
        sums["shuffle_read_bytes"] += read.get("Remote Bytes Read", 0) + read.get("Local Bytes Read", 0)
        self.peak_task_memory_bytes = max(self.peak_task_memory_bytes, metrics.get("Peak Execution Memory") or 0)
        fetched = info.get("Getting Result Time") or 0
        getting = info["Launch Time"] + duration - fetched if fetched > 0 else 0
        spent = sum(
            metrics.get(name) or 0 for name in ("Executor Run Time", "Executor Deserialize Time", "Result Serialization Time")
        )
        sums["getting_result_ms"] += getting
        sums["scheduler_delay_ms"] += max(0, duration - spent - getting)

    def durations(self) -> dict[str, int] | None:
        """Return quantiles of the durations of the tasks that succeeded, as the UI counts them; None where none did."""
        if not self.durations_ms:
            return None
        ordered = sorted(self.durations_ms)
        last = len(ordered) - 1
        return {f"p{quantile * 100:g}": ordered[min(int(quantile * len(ordered)), last)] for quantile in QUANTILES}

    def stragglers(self, quantiles: Mapping[str, int] | None) -> tuple[int, Sequence[tuple[int, int, str, str]]]:
        """Return how many tasks are stragglers, and the longest of them: duration, task, executor and host."""
        if quantiles is None:
            return 0, ()
        bound = max(STRAGGLING * quantiles["p50"], quantiles["p50"] + _LEAST_MS)
        count = sum(duration > bound for duration in self.durations_ms)
        return count, [kept for kept in sorted(self.longest, reverse=True) if kept[0] > bound]
