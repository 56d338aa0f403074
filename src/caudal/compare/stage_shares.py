"""Where the time of a stage's tasks went, and how well its cores were used."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from caudal.report.documents.comparison import PlatformDocument, RepetitionDocument
    from caudal.report.documents.measures import MeasuredStage

PARTS = ("cpu", "gc", "fetch_wait", "shuffle_write", "scheduler_delay", "deserialize", "other")
"""The parts of task time. ``deserialize`` has the serialising and fetching of results in it, ``other`` what Spark does not count: files, Python workers, locks."""


@dataclass(frozen=True)
class StageShares:
    """A stage's task time by its parts.

    Parameters
    ----------
    task_ms : of all its tasks, with what the scheduler added
    parts : milliseconds by the names of `PARTS`
    of_platform : the share of the platform's whole task time
    utilisation : task time over the stage's duration times the cores; None where either is not known
    """

    stage: MeasuredStage
    task_ms: float
    parts: dict[str, float]
    of_platform: float
    utilisation: float | None

    def share(self, part: str) -> float:
        """Return a part's share of the task time."""
        return self.parts[part] / self.task_ms


def stage_shares(platform: PlatformDocument) -> list[StageShares]:
    """Return the stages whose tasks took any time, the longest first."""
    timed = [(stage, _task_ms(stage)) for stage in platform["stages"]]
    whole = sum(task_ms for _, task_ms in timed)
    shares = [
        StageShares(stage, task_ms, _parts(stage, task_ms), task_ms / whole, _utilisation(stage, task_ms, platform["cores"]))
        for stage, task_ms in timed
        if task_ms > 0
    ]
    return sorted(shares, key=lambda each: -each.task_ms)


def counted_repetitions(platform: PlatformDocument) -> list[RepetitionDocument]:
    """Return the repetitions that count: done, not to warm up, of the whole size."""
    return [each for each in platform["repetitions"] if not each["warm_up"] and each["state"] == "done" and each["share"] == 1.0]


def median_repetition(platform: PlatformDocument) -> RepetitionDocument | None:
    """Return the repetition whose work took the median time, the lower one of two; None where none counts."""
    ordered = sorted(
        (each for each in counted_repetitions(platform) if each["work_s"] is not None), key=lambda each: each["work_s"] or 0.0
    )
    return ordered[(len(ordered) - 1) // 2] if ordered else None


def without_stage_s(platform: PlatformDocument) -> float | None:
    """Return for how long of the median repetition's work no stage ran: planning, Python on the driver, commits; None where it is not known."""
    repetition = median_repetition(platform)
    spans = [
        (stage["submitted_at"], stage["submitted_at"] + stage["duration_ms"] / 1000)
        for stage in platform["stages"]
        if stage["submitted_at"] is not None and stage["duration_ms"] is not None
    ]
    if repetition is None or repetition["work_s"] is None or not spans:
        return None
    return max(repetition["work_s"] - _covered(spans), 0.0)


def _covered(spans: Sequence[tuple[float, float]]) -> float:
    covered, until = 0.0, float("-inf")
    for begin, end in sorted(spans):
        covered += max(end - max(begin, until), 0.0)
        until = max(until, end)
    return covered


def _task_ms(stage: MeasuredStage) -> float:
    measures = stage["measures"]
    names = ("run_ms", "deserialize_ms", "result_serialize_ms", "getting_result_ms", "scheduler_delay_ms")
    return float(sum(measures.get(name, 0) for name in names))


def _parts(stage: MeasuredStage, task_ms: float) -> dict[str, float]:
    measures = stage["measures"]
    run = measures.get("run_ms", 0)
    parts = {
        "gc": min(measures.get("gc_ms", 0), run),
        "fetch_wait": measures.get("shuffle_fetch_wait_ms", 0),
        "shuffle_write": measures.get("shuffle_write_ns", 0) / 1e6,
        "scheduler_delay": measures.get("scheduler_delay_ms", 0),
        "deserialize": sum(measures.get(name, 0) for name in ("deserialize_ms", "result_serialize_ms", "getting_result_ms")),
    }
    # A thread that writes a shuffle uses the processor too: what is counted twice is taken from the CPU time.
    left = max(run - parts["gc"] - parts["fetch_wait"] - parts["shuffle_write"], 0.0)
    cpu = min(measures.get("cpu_ns", 0) / 1e6, left)
    all_parts = {"cpu": cpu, **parts, "other": max(left - cpu, 0.0)}
    return {name: float(all_parts[name]) for name in PARTS}


def _utilisation(stage: MeasuredStage, task_ms: float, cores: int | None) -> float | None:
    return task_ms / (stage["duration_ms"] * cores) if cores and stage["duration_ms"] else None
