"""The query of a stream source: messages → samples by device → state of each device → rows of tables."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from caudal.streaming.structured.by_device import SPARK_SCHEMA, SamplesByDevice
from caudal.streaming.structured.device import SCHEMA, DeviceProcessor
from caudal.streaming.structured.marks import event_time_marks

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.streaming.query import StreamingQuery

_SETTINGS = {
    "spark.sql.streaming.stateStore.providerClass": "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    "spark.sql.streaming.minBatchesToRetain": "10",
    "spark.sql.streaming.pollingDelay": "50ms",  # from one look for messages to the next; Spark's own 10 ms keep a core busy
    "spark.sql.execution.arrow.maxBytesPerBatch": str(8 << 20),
}


def query_session(spark: SparkSession) -> SparkSession:
    """Return a session for queries of streams, with settings of its own, in the same Spark."""
    session = spark.newSession()
    for name, value in _SETTINGS.items():
        session.conf.set(name, value)
    session.conf.set("spark.sql.shuffle.partitions", str(spark.sparkContext.defaultParallelism))
    return session


def start_query(
    messages: DataFrame, name: str, folder: Path, tasks: SamplesByDevice, processor: DeviceProcessor, late_ms: int, every_s: float,
    sink: Callable[[DataFrame, int], None],
) -> StreamingQuery:  # fmt: skip
    """Start the query.

    Parameters
    ----------
    messages : a stream of messages, as `stream_frame` gives it
    folder : where Spark keeps the query's checkpoint, and the marks of event time lie
    late_ms : int, how long windows wait for late samples, milliseconds
    every_s : float, seconds between the beginnings of two micro-batches
    sink : called with each micro-batch's rows and its number
    """
    _keep_workers_output(messages.sparkSession, folder / "workers.log")
    samples = messages.mapInArrow(tasks, SPARK_SCHEMA)
    rows = samples.unionByName(event_time_marks(messages.sparkSession, folder / "marks")).withWatermark(
        "at", f"{late_ms} milliseconds"
    )
    results = rows.groupBy("device").transformWithState(processor, SCHEMA, "append", "eventTime")
    writer = results.writeStream.queryName(name).outputMode("append").option("checkpointLocation", str(folder / "checkpoint"))
    return writer.trigger(processingTime=f"{round(every_s * 1000)} milliseconds").foreachBatch(sink).start()


def _keep_workers_output(spark: SparkSession, file: Path) -> None:
    """Have Spark write what its Python workers print to a file: those that begin a state tell of each step on the terminal otherwise."""
    jvm: Any = spark.sparkContext._jvm
    file.parent.mkdir(parents=True, exist_ok=True)
    jvm.java.lang.System.setErr(jvm.java.io.PrintStream(jvm.java.io.FileOutputStream(str(file)), True))
