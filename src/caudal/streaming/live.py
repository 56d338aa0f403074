"""The live feed's update for each micro-batch. It is written at most once: a restart does not repeat it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from caudal.declarations.statistics import Statistics
from caudal.messaging.feed import Feed
from caudal.messaging.updates import AnomalyUpdate, ClassUpdate, LatencyUpdate, StatisticsUpdate, Update
from caudal.stages.statistics import quantile_name
from caudal.streaming.checkpoint import Checkpoint
from caudal.streaming.engine import MicroBatchResult, StreamEngine
from caudal.streaming.task import TaskResult

_RATE_S = 2.0
_ROWS = 512  # of statistics in one update, for the size of a page


class Live:
    """Appends an update to the feed for each micro-batch of a source."""

    def __init__(self, feed: Feed, engine: StreamEngine, classes: Callable[[], list[ClassUpdate]] = list) -> None:
        self._feed, self._engine, self._classes = feed, engine, classes
        self._lately: deque[tuple[float, int]] = deque([(engine.clock(), 0)])

    def __call__(self, step: MicroBatchResult, checkpoint: Checkpoint) -> None:
        """Append the update."""
        connection: Any = self._engine.source.connection
        channels = connection.channels
        samples = sum(result.samples for result in step.results)
        rate = self._rate(step.done_at, samples * len(channels))
        totals = checkpoint.table_totals().values()
        newest = max((table.newest_us for table in totals), default=0)
        first: Statistics | None = next(iter(self._engine.tables.values()), None)
        update: Update = {
            "batch": step.batch, "at": step.done_at, "source": self._engine.source.name,
            "read": samples * len(channels), "rate": rate,
            "latency_s": latency_s(step.results, step.done_at), "watermark": newest / 1e6 if newest > 0 else None,
            "state": {"windows": sum(table.windows for table in totals), "bytes": sum(table.state_bytes for table in totals)},
            "late": sum(table.late for table in totals), "duplicates": sum(table.duplicates for table in totals),
            "unreadable": checkpoint.counts.get("unreadable_messages", 0) + checkpoint.counts.get("outside", 0),
            "total": checkpoint.counts.get("samples", 0) * len(channels),
            "sensors": list(channels), "signal": next((result.signal for result in reversed(step.results) if result.signal), None),
            "statistics": [], "edges": list(first.ranges) if first else [], "anomalies": anomalies(step), "classes": self._classes(), "seconds": step.seconds,
            "workers": self._engine.workers,
        }  # fmt: skip
        if first is not None:
            update["statistics"] = statistics_rows(step.closed[first.name], first) + statistics_rows(step.open[first.name], first)
        self._feed.append(update)

    def _rate(self, now: float, readings: int) -> float:
        """Return readings per second over the last two seconds: the rate of a single micro-batch fluctuates too much."""
        self._lately.append((now, readings))
        while len(self._lately) > 2 and self._lately[0][0] < now - _RATE_S:
            self._lately.popleft()
        since = now - self._lately[0][0]
        return sum(count for _, count in list(self._lately)[1:]) / since if since > 0 else 0.0


def anomalies(step: MicroBatchResult) -> list[AnomalyUpdate]:
    """Return the anomalies that detectors found, in the feed's format."""
    return [
        {"at": row["at"].timestamp(), "device": row["device"], "sensor": None, "score": row["score"], "detector": row["detector"]}
        for table in step.anomalies.values()
        for row in table.slice(0, _ROWS).to_pylist()
    ]


def statistics_rows(rows: pa.Table, declared: Statistics) -> list[StatisticsUpdate]:
    """Return rows of statistics in the feed's format."""
    places = {name: place for place, name in enumerate(declared.channels)}
    quantiles = {str(q): quantile_name(q) for q in declared.quantiles}
    return [
        {
            "device": row["device"], "sensor": places[row["sensor"]], "window_start": row["window_start"].timestamp(),
            "window_end": row["window_end"].timestamp(), "count": row["readings"], "min": row["min"], "max": row["max"],
            "mean": row["mean"], "std": row["std"], "quantiles": {q: row[name] for q, name in quantiles.items()},
            "ranges": row.get("ranges") or [], "bands": {name: row[f"{name}_power"] for name in declared.bands},
        }
        for row in rows.slice(0, _ROWS).to_pylist()
    ]  # fmt: skip


def latency_s(results: Sequence[TaskResult], now: float) -> LatencyUpdate | None:
    """Return the median and 95th percentile of the time from a reading to now, seconds; None if there were no readings."""
    pairs = [pair for result in results for pair in result.at_us]
    if not pairs:
        return None
    late = now - np.concatenate([at_us for at_us, _ in pairs]) / 1e6
    weight = np.concatenate([np.full(len(at_us), samples) for at_us, samples in pairs])
    quantiles = np.quantile(late, (0.5, 0.95), weights=weight, method="inverted_cdf")
    return {"p50": float(quantiles[0]), "p95": float(quantiles[1])}
