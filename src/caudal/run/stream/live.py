"""What people who look on see of each micro-batch: one update of the live feed. At most once: it is not repeated after a restart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa

from caudal.lake.feed import Feed
from caudal.run.stream.engine import Engine, Step, latency_s
from caudal.run.stream.memory import Memory
from caudal.spec.statistics import Statistics
from caudal.stages.statistics import quantile_name

_ROWS = 512  # of statistics in one update; more nobody can look at


class Live:
    """Appends an update to the feed for each micro-batch of a source."""

    def __init__(self, feed: Feed, engine: Engine, classes: Callable[[], list[dict[str, Any]]] = list) -> None:
        self._feed, self._engine, self._classes, self._before = feed, engine, classes, engine.clock()

    def __call__(self, step: Step, memory: Memory) -> None:
        """Append the update."""
        connection: Any = self._engine.source.connection
        channels = connection.channels
        samples = sum(one.samples for one in step.found)
        since, self._before = step.done_at - self._before, step.done_at
        states = memory.states.values()
        newest = max((state.newest_us for state in states), default=0)
        first: Statistics | None = next(iter(self._engine.tables.values()), None)
        update: dict[str, Any] = {
            "batch": step.batch, "at": step.done_at, "source": self._engine.source.name,
            "read": samples * len(channels), "rate": samples * len(channels) / since if since > 0 else 0.0,
            "latency_s": latency_s(step.found, step.done_at), "watermark": newest / 1e6 if newest > 0 else None,
            "state": {"windows": sum(len(state.open) for state in states), "bytes": sum(state.bytes for state in states)},
            "late": sum(state.late for state in states), "duplicates": sum(state.duplicates for state in states),
            "unreadable": memory.counts.get("unreadable_messages", 0) + memory.counts.get("outside", 0),
            "total": memory.counts.get("samples", 0) * len(channels),
            "sensors": list(channels), "signal": next((one.signal for one in step.found if one.signal), None),
            "statistics": [], "edges": list(first.ranges) if first else [], "anomalies": anomalies(step), "classes": self._classes(), "seconds": step.seconds,
        }  # fmt: skip
        if first is not None:
            update["statistics"] = told(step.closed[first.name], first) + told(step.open[first.name], first)
        self._feed.append(update)


def anomalies(step: Step) -> list[Mapping[str, Any]]:
    """Return what detectors have found, as the feed has it."""
    return [
        {"at": row["at"].timestamp(), "device": row["device"], "sensor": None, "score": row["score"], "detector": row["detector"]}
        for table in step.anomalies.values()
        for row in table.slice(0, _ROWS).to_pylist()
    ]


def told(rows: pa.Table, declared: Statistics) -> list[Mapping[str, Any]]:
    """Return rows of statistics as the feed has them."""
    places = {name: place for place, name in enumerate(declared.channels)}
    return [
        {
            "device": row["device"], "sensor": places[row["sensor"]], "window_start": row["window_start"].timestamp(),
            "window_end": row["window_end"].timestamp(), "count": row["readings"], "min": row["min"], "max": row["max"],
            "mean": row["mean"], "std": row["std"], "quantiles": {str(q): row[quantile_name(q)] for q in declared.quantiles},
            "ranges": row.get("ranges") or [], "bands": {name: row[f"{name}_power"] for name in declared.bands},
        }
        for row in rows.slice(0, _ROWS).to_pylist()
    ]  # fmt: skip
