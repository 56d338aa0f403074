"""Make the class-data archive: ``python -m caudal.engine.warmup``.

It runs a small job that uses what caudal's runs use, so that the archive includes those classes too. With ``--idly`` it takes only
idle CPU time; with ``--on-cluster`` the archive is for the Java of clusters' drivers and of clusters that caudal starts.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyspark.sql import Row, functions as f
from pyspark.sql.streaming.stateful_processor import ExpiredTimerInfo, StatefulProcessor, StatefulProcessorHandle, TimerValues
from pyspark.sql.window import Window

from caudal.engine import cds
from caudal.engine.java import java_home
from caudal.engine.session import plan_session, start, stop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_ROCKSDB = "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider"


def run_warmup(arguments: list[str]) -> int:
    """Make the archive if it is missing; return 0 if it exists afterwards."""
    chosen = plan_session(cores=1, memory="1g")
    if "--on-cluster" in arguments:
        java = java_home(on_cluster=True)
        chosen = replace(chosen, java=java, archive=cds.archive_file(java))
    if not cds.enabled() or not chosen.local:
        return 1
    if chosen.archive.is_file():
        return 0
    if "--idly" in arguments:
        with contextlib.suppress(OSError, AttributeError):
            os.nice(19)
    with cds.dumping(chosen.archive) as unfinished:
        if unfinished is None:
            return 1
        spark = start(chosen, cds.dump(chosen.java, unfinished))
        with tempfile.TemporaryDirectory() as folder:
            touch(spark, Path(folder))
            with contextlib.suppress(Exception):  # an archive without a query's classes is better than none
                touch_stream(spark, Path(folder))
        stop(wait_s=cds.STALE_S)
    return 0 if chosen.archive.is_file() else 1


def touch(spark: SparkSession, folder: Path) -> None:
    """Write, read, join, aggregate and window a few rows, as a typical run does."""
    (folder / "in.csv").write_text("id,zone,at,fare\n1,a,2024-01-01 00:00:00,1.5\n2,b,2024-01-01 00:20:00,x\n")
    raw = spark.read.csv(str(folder / "in.csv"), header=True, schema="id long, zone string, at timestamp, fare double")
    raw.withColumn("day", f.to_date("at")).write.partitionBy("day").parquet(str(folder / "parquet"))
    rows = spark.read.parquet(str(folder / "parquet"))
    per_window = rows.groupBy(f.window("at", "15 minutes"), "zone").agg(f.count("*").alias("n"), f.avg("fare"))
    lagged = rows.withColumn("before", f.lag("fare").over(Window.partitionBy("zone").orderBy("at")))
    lagged.join(per_window, "zone", "left").orderBy("id").collect()
    rows.dropDuplicates(["id"]).limit(1).toPandas()
    spark.createDataFrame([(1, "a")], "id long, zone string").createOrReplaceTempView("small")
    spark.sql("select zone, approx_count_distinct(id), sha2(zone, 256) from small group by zone").collect()
    rows.select("id").mapInArrow(lambda batches: batches, "id long").collect()


class _Count(StatefulProcessor):
    """A processor whose state is the number of a key's rows."""

    def init(self, handle: StatefulProcessorHandle) -> None:
        self._handle = handle
        self._rows = handle.getValueState("rows", "n long")

    def handleInputRows(self, key: Any, rows: Iterator[Any], timerValues: TimerValues) -> Iterator[Row]:  # noqa: N802, N803 (Spark's)
        before = self._rows.get()
        count = sum(1 for _ in rows) + (0 if before is None else before[0])
        self._handle.registerTimer(timerValues.getCurrentWatermarkInMs() + 1000)
        self._rows.update((count,))
        yield Row(id=key[0], n=count)

    def handleExpiredTimer(self, key: Any, timerValues: TimerValues, expiredTimerInfo: ExpiredTimerInfo) -> Iterator[Row]:  # noqa: ARG002, N802, N803
        yield from ()

    def close(self) -> None:
        """Do nothing: Spark closes the state."""


def touch_stream(spark: SparkSession, folder: Path) -> None:
    """Have a query with a state for each key read a few rows in three micro-batches, as a stream does."""
    jvm: Any = spark.sparkContext._jvm
    jvm.java.lang.System.setErr(jvm.java.io.PrintStream(jvm.java.io.FileOutputStream(str(folder / "workers.log")), True))
    session = spark.newSession()
    session.conf.set("spark.sql.streaming.stateStore.providerClass", _ROCKSDB)
    session.conf.set("spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled", "true")
    session.conf.set("spark.sql.shuffle.partitions", "1")
    schema = "id long, at timestamp"
    for name in ("left", "right"):
        for number in range(3):
            at = f.timestamp_seconds(f.col("id") + 1_704_067_200 + 60 * number).alias("at")
            spark.range(3).select("id", at).coalesce(1).write.mode("append").parquet(str(folder / name))
    reader = session.readStream.schema(schema).option("maxFilesPerTrigger", 1)
    left = reader.parquet(str(folder / "left")).mapInArrow(lambda batches: batches, schema)
    rows = left.unionByName(reader.parquet(str(folder / "right"))).withWatermark("at", "1 second")
    counts = rows.groupBy("id").transformWithState(_Count(), "id long, n long", "append", "eventTime")
    writer = counts.writeStream.option("checkpointLocation", str(folder / "checkpoint")).trigger(processingTime="100 milliseconds")
    query = writer.foreachBatch(
        lambda batch, _: batch.mapInArrow(lambda batches: batches, "id long, n long").toArrow() and None
    ).start()
    query.processAllAvailable()
    query.stop()


if __name__ == "__main__":
    sys.exit(run_warmup(sys.argv[1:]))
