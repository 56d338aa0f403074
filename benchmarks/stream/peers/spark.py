"""Spark Structured Streaming: Spark's own JSON reader and windows; packed blocks are summed in ``mapInArrow`` before."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
from pyspark.sql import Column, DataFrame, SparkSession, functions as F

from benchmarks.stream.peers import blocks
from benchmarks.stream.peers.task import LATE_S, Task, asked

_SUMS = "device bigint, at timestamp, sensor int, n double, total double, squares double, low double, high double"
_NAMES = ("device", "sensor", "second", "count", "min", "max", "mean", "variance")
_MESSAGES_A_BATCH = 128  # of packed blocks, for Python; they fit a processor's cache


def session(task: Task, scratch: str) -> SparkSession:
    """Start Spark with as many partitions as cores."""
    conf = {
        "spark.master": f"local[{task.cores}]",
        "spark.driver.memory": "4g",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
        "spark.ui.enabled": "false",
        "spark.jars": ",".join(task.jars),
        "spark.local.dir": scratch,
        "spark.sql.shuffle.partitions": str(task.cores),
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.execution.arrow.maxRecordsPerBatch": str(_MESSAGES_A_BATCH),
    }
    made = SparkSession.builder.appName("peer").config(map=conf).getOrCreate()
    made.sparkContext.setLogLevel("ERROR")
    return made


def samples(spark: SparkSession, task: Task) -> DataFrame:
    """Return what is added up: readings of JSON, sums of packed blocks."""
    told = {
        "kafka.bootstrap.servers": task.servers, "subscribe": task.topic, "startingOffsets": "earliest", "minPartitions": str(task.cores),
    }  # fmt: skip
    messages = spark.readStream.format("kafka").options(**told).load()
    if task.wire == "packed":
        return messages.select("value").mapInArrow(_summed, _SUMS)
    said = F.from_json(F.col("value").cast("string"), "device bigint, at timestamp, values array<float>")
    readings = messages.select(said.alias("said")).select(
        "said.device", "said.at", F.posexplode("said.values").alias("sensor", "value")
    )
    return readings.withColumn("value", F.col("value").cast("double"))


def windows(rows: DataFrame, wire: str) -> DataFrame:
    """Return windows of one second by device and sensor."""
    told = [column.alias(name) for name, column in zip(_NAMES[3:], _STATISTICS[wire](), strict=True)]
    grouped = rows.withWatermark("at", f"{LATE_S} seconds").groupBy(F.window("at", "1 second"), "device", "sensor").agg(*told)
    return grouped.withColumn("second", F.col("window.start").cast("long")).select(*_NAMES)


def _of_values() -> list[Column]:
    return [f("value") for f in (F.count, F.min, F.max, F.avg, F.var_samp)]


def _of_sums() -> list[Column]:
    n, total, squares = F.sum("n"), F.sum("total"), F.sum("squares")
    variance = F.when(n > 1, (squares - total * total / n) / (n - 1))
    return [n, F.min("low"), F.max("high"), F.when(n > 0, total / n), variance]


_STATISTICS = {"json": _of_values, "packed": _of_sums}


def _summed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if len(batch):
            device, newest_us, sensor, *sums = blocks.by_sensor(blocks.summed(blocks.unpacked(batch.column(0).to_pylist())))
            at = pa.array(newest_us).cast(pa.timestamp("us", "UTC"))
            columns = [pa.array(device), at, pa.array(sensor), *map(pa.array, sums)]
            yield pa.RecordBatch.from_arrays(columns, ["device", "at", "sensor", "n", "total", "squares", "low", "high"])


def backlog(spark: SparkSession, task: Task, scratch: str) -> None:
    """Read all that is there and answer with its windows."""
    found: list[pa.Table] = []
    last: list[float] = []

    def keep(frame: DataFrame, _: int) -> None:
        found.append(frame.toArrow())
        last.append(time.time())

    writer = windows(samples(spark, task), task.wire).writeStream.foreachBatch(keep).outputMode("append").trigger(availableNow=True)
    writer.option("checkpointLocation", f"{scratch}/checkpoint").start().awaitTermination()
    rows = pa.concat_tables(found).to_pydict()
    task.windows(_first_job(spark), max(last), list(zip(*(rows[name] for name in _NAMES), strict=True)))


def follow(spark: SparkSession, task: Task, scratch: str) -> None:
    """Tell counts as they change until the time is up."""
    found: list[list[Any]] = []

    def keep(frame: DataFrame, _: int) -> None:
        rows = frame.where("sensor = 0").select("device", "second", "count").collect()
        found.extend([*row, time.time()] for row in rows)

    writer = windows(samples(spark, task), task.wire).writeStream.foreachBatch(keep).outputMode("update")
    query = writer.option("checkpointLocation", f"{scratch}/checkpoint").start()
    query.awaitTermination(int(max(1.0, (task.until or 0) - time.time())))
    query.stop()
    task.updates(found)


def _first_job(spark: SparkSession) -> float:
    """Return when Spark's first job was handed in, seconds since 1970: planning before it is start-up."""
    jobs = spark.sparkContext._jsc.sc().statusStore().jobsList(None)
    return min(jobs.apply(i).submissionTime().get().getTime() for i in range(jobs.size())) / 1000


def main() -> None:
    """Do the task."""
    task = asked()
    os.environ.update(PYSPARK_PYTHON=sys.executable, SPARK_LOCAL_IP="127.0.0.1")
    with TemporaryDirectory(dir=Path(task.out).parent) as scratch:
        spark = session(task, scratch)
        (backlog if task.until is None else follow)(spark, task, scratch)
        spark.stop()


if __name__ == "__main__":
    main()
