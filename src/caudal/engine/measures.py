"""The cost of a piece of work on Spark: time, rows, bytes, shuffle and spill, summed over its stages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py4j.java_gateway import JavaObject
    from pyspark.sql import SparkSession

# field of Measures → method of Spark's StageData
_COUNTED = {
    "tasks": "numCompleteTasks",
    "failed_tasks": "numFailedTasks",
    "run_ms": "executorRunTime",
    "gc_ms": "jvmGcTime",
    "rows_read": "inputRecords",
    "bytes_read": "inputBytes",
    "rows_written": "outputRecords",
    "bytes_written": "outputBytes",
    "shuffle_read_bytes": "shuffleReadBytes",
    "shuffle_write_bytes": "shuffleWriteBytes",
    "spilled_memory_bytes": "memoryBytesSpilled",
    "spilled_disk_bytes": "diskBytesSpilled",
}


@dataclass(frozen=True)
class Measures:
    """Sums over the stages of a piece of work; ``wall_s`` is elapsed time, ``run_ms`` the sum of the tasks' times."""

    wall_s: float
    stages: int
    tasks: int
    failed_tasks: int
    run_ms: int
    gc_ms: int
    rows_read: int
    bytes_read: int
    rows_written: int
    bytes_written: int
    shuffle_read_bytes: int
    shuffle_write_bytes: int
    spilled_memory_bytes: int
    spilled_disk_bytes: int


class Measuring:
    """Holds the measures after the work is done."""

    def __init__(self) -> None:
        self._result: Measures | None = None

    @property
    def result(self) -> Measures:
        """The measures; not available before the ``with`` block has ended."""
        if self._result is None:
            raise RuntimeError("The measures are there after the 'with' block, not inside it.")
        return self._result


@contextmanager
def measure_jobs(spark: SparkSession) -> Iterator[Measuring]:
    """Measure the jobs on ``spark`` during the block, including those of other threads.

    Yields
    ------
    Measuring, its ``result`` is a `Measures` after the block
    """
    measuring = Measuring()
    earlier = {stage.stageId() for stage in _stages(spark)}
    begun = time.perf_counter()
    try:
        yield measuring
    finally:
        wall_s = time.perf_counter() - begun
        new_stages = [stage for stage in _stages(spark) if stage.stageId() not in earlier]
        sums = {field: sum(getattr(stage, method)() for stage in new_stages) for field, method in _COUNTED.items()}
        measuring._result = Measures(wall_s=wall_s, stages=len(new_stages), **sums)


def _stages(spark: SparkSession) -> list[JavaObject]:
    context = spark.sparkContext
    scala = context._jsc.sc()
    # Spark fills the store from a queue: a stage that has just ended may still be queued.
    scala.listenerBus().waitUntilEmpty(10_000)
    gateway = context._gateway
    assert gateway is not None
    none = gateway.jvm.java.util.ArrayList()
    quantiles = gateway.new_array(gateway.jvm.double, 0)
    listed = scala.statusStore().stageList(none, False, False, quantiles, none)
    stages = [listed.apply(place) for place in range(listed.size())]
    return [stage for stage in stages if stage.status().toString() in ("COMPLETE", "FAILED", "ACTIVE")]
