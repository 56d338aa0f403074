"""The bottleneck of each stage that matters, and what would help there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from caudal.compare.stage_shares import StageShares, stage_shares

if TYPE_CHECKING:
    from caudal.report.documents.comparison import ConclusionDocument, PlatformDocument

IMPORTANT, MOST_STAGES = 0.1, 5
"""A stage matters from this share of its platform's task time on; so many of them are told of."""
LEAST_TASK_MS = 200.0
BUSY, IDLE = 0.8, 0.5
"""Utilisation of the cores from which on more of them would help, and below which some had nothing to do."""
MUCH = 0.1
"""Share of task time from which on garbage collection and the shuffle are named beside the bottleneck."""
MUCH_OVERHEAD, SHORT_TASK_MS = 0.2, 200
SKEWED, SKEW_MS = 3.0, 500
"""A stage waits for one task where that takes so many times the median, so much longer than it, and half of the stage's duration."""


def stage_conclusions(platform: PlatformDocument) -> Iterator[ConclusionDocument]:
    """Yield what can be said of the stages of the median repetition."""
    stages = [each for each in stage_shares(platform) if each.of_platform >= IMPORTANT and each.task_ms >= LEAST_TASK_MS]
    for each in stages[:MOST_STAGES]:
        yield _bottleneck(platform, each)
        yield from _advice(platform, each)


def _of(
    key: str, platform: PlatformDocument, shares: StageShares, certainty: str, **figures: str | float | int | None
) -> ConclusionDocument:
    named: dict[str, str | float | int | None] = {
        "platform": platform["platform"],
        "stage": shares.stage["stage"],
        "attempt": shares.stage["attempt"],
        "name": shares.stage["name"],
    }
    return {"key": key, "platform": platform["platform"], "figures": {**named, **figures}, "certainty": certainty}


def _bottleneck(platform: PlatformDocument, shares: StageShares) -> ConclusionDocument:
    part = max(shares.parts, key=shares.parts.__getitem__)
    return _of(
        "bottleneck", platform, shares, "shown", part=part, part_share=shares.share(part), task_ms=shares.task_ms, stage_share=shares.of_platform,
        duration_ms=shares.stage["duration_ms"],
    )  # fmt: skip


def _advice(platform: PlatformDocument, shares: StageShares) -> Iterator[ConclusionDocument]:
    stage, cores, use = shares.stage, platform["cores"], shares.utilisation
    durations = stage["durations_ms"]
    if durations is not None and stage["duration_ms"] and durations["p50"]:
        longest, middle = durations["p100"], durations["p50"]
        if longest >= SKEWED * middle and longest - middle >= SKEW_MS and longest >= 0.5 * stage["duration_ms"]:
            yield _of("help_skew", platform, shares, "likely", longest_ms=longest, median_ms=middle, stragglers=stage["stragglers"])
    if cores and use is not None:
        # Work that fills its cores, in more waves than one, is shared by further ones; that it was not tried makes it likely, not shown.
        if use >= BUSY and stage["tasks"] >= 2 * cores and shares.share("cpu") >= 0.5:
            yield _of("help_cores", platform, shares, "likely", utilisation_share=min(use, 1.0), tasks=stage["tasks"], cores=cores)
        elif stage["tasks"] < cores and use < IDLE:
            yield _of("help_partitions", platform, shares, "likely", tasks=stage["tasks"], cores=cores, utilisation_share=use)
    if stage["measures"].get("spilled_disk_bytes", 0):
        yield _of("help_spill", platform, shares, "likely", spilled_bytes=stage["measures"]["spilled_disk_bytes"])
    if shares.share("gc") >= MUCH:
        yield _of("help_gc", platform, shares, "likely", gc_share=shares.share("gc"))
    shuffle = shares.share("fetch_wait") + shares.share("shuffle_write")
    if shuffle >= MUCH:
        moved = stage["measures"].get("shuffle_read_bytes", 0) + stage["measures"].get("shuffle_write_bytes", 0)
        yield _of(
            "help_shuffle", platform, shares, "likely", shuffle_share=shuffle, fetch_wait_share=shares.share("fetch_wait"),
            write_share=shares.share("shuffle_write"), moved_bytes=moved,
        )  # fmt: skip
    overhead = shares.share("scheduler_delay") + shares.share("deserialize")
    if overhead >= MUCH_OVERHEAD and durations is not None and durations["p50"] < SHORT_TASK_MS and stage["tasks"] > (cores or 1):
        yield _of(
            "help_fewer_tasks",
            platform,
            shares,
            "likely",
            overhead_share=overhead,
            median_ms=durations["p50"],
            tasks=stage["tasks"],
        )
    if shares.share("other") >= 0.5:
        yield _of("help_format", platform, shares, "open", other_share=shares.share("other"))
