"""PyFlink: SQL windows over Flink's own JSON reader; packed blocks are summed by a Python table function before."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
from pyflink.common import Configuration, Row
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import DataTypes, Schema, StreamTableEnvironment
from pyflink.table.udf import udtf

from benchmarks.stream.peers import blocks
from benchmarks.stream.peers.task import CHANNELS, LATE_S, Task, asked

# Eighty aggregates make methods that Java otherwise leaves to its interpreter.
_JAVA = "-XX:-DontCompileHugeMethods"
_NAMES = ("n", "total", "squares", "low", "high")
_SUMS = [
    DataTypes.BIGINT(), DataTypes.TIMESTAMP_LTZ(3), DataTypes.DOUBLE(), DataTypes.INT(), *[DataTypes.DOUBLE()] * len(_NAMES),
]  # fmt: skip
_JSON = f"""
    CREATE TABLE messages (device BIGINT, `at` TIMESTAMP_LTZ(3), `values` ARRAY<FLOAT>, WATERMARK FOR `at` AS `at` - INTERVAL '{LATE_S}' SECOND)
"""
# A message's time is that of its first sample: Flink's reader keeps the watermark of each partition by it.
_PACKED = f"""
    CREATE TABLE messages (
        payload BYTES, sent TIMESTAMP_LTZ(3) METADATA FROM 'timestamp' VIRTUAL, WATERMARK FOR sent AS sent - INTERVAL '{LATE_S}' SECOND)
"""
_FORMATS = {"json": "'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601'", "packed": "'format' = 'raw'"}


def environment(task: Task) -> StreamTableEnvironment:
    """Start Flink in this machine's memory."""
    conf = Configuration()
    for name, value in {
        "pipeline.jars": ";".join(Path(jar).as_uri() for jar in task.jars),
        "parallelism.default": str(task.cores),
        "pipeline.object-reuse": "true",
        "table.local-time-zone": "UTC",
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
        "python.fn-execution.bundle.size": "100",
        "rest.bind-address": "127.0.0.1",
        "rest.address": "127.0.0.1",
    }.items():
        conf.set_string(name, value)
    made = StreamTableEnvironment.create(StreamExecutionEnvironment.get_execution_environment(conf))
    end = "'scan.bounded.mode' = 'latest-offset'," if task.until is None else ""
    made.execute_sql(f"""
        {_JSON if task.wire == "json" else _PACKED}
        WITH ('connector' = 'kafka', 'topic' = '{task.topic}', 'properties.bootstrap.servers' = '{task.servers}',
              'properties.group.id' = 'peer', 'scan.startup.mode' = 'earliest-offset', {end} {_FORMATS[task.wire]})
    """)
    return made


class Samples(NamedTuple):
    """How ``samples``, with its columns at and read_at, is grouped and added up.

    ``ends`` are those of the names of the sums: a row of JSON has all channels, which is a sixteenth of the rows and the fastest found.
    """

    keys: str
    ends: tuple[str, ...]
    sums: str
    read_at: str

    @property
    def names(self) -> list[str]:
        """Names of the sums."""
        return [f"{name}{end}" for end in self.ends for name in _NAMES]


def samples(flink: StreamTableEnvironment, wire: str) -> Samples:
    """Make the view ``samples``."""
    if wire == "json":
        ends = tuple(map(str, range(CHANNELS)))
        values = ", ".join(f"CAST(`values`[{i + 1}] AS DOUBLE) AS v{i}" for i in range(CHANNELS))
        flink.execute_sql(
            f"CREATE TEMPORARY VIEW samples AS SELECT device, `at`, CURRENT_ROW_TIMESTAMP() AS read_at, {values} FROM messages"
        )
        sums = (
            f"CAST(COUNT(v{i}) AS DOUBLE) AS n{i}, SUM(v{i}) AS total{i}, SUM(v{i} * v{i}) AS squares{i}, MIN(v{i}) AS low{i}, MAX(v{i}) AS high{i}"
            for i in ends
        )
        return Samples("device", ends, ", ".join(sums), "TIMESTAMP(3)")
    flink.create_temporary_function("summed", summed)
    columns = f"device, `at`, read_at, sensor, {', '.join(_NAMES)}"
    rows = flink.sql_query(f"SELECT {columns} FROM messages, LATERAL TABLE(summed(payload)) AS s({columns})")
    # Through a stream, so that `at` gets the watermark that the messages had.
    schema = Schema.new_builder()
    for name, kind in zip(("device", "at", "read_at", "sensor", *_NAMES), _SUMS, strict=True):
        schema = schema.column(name, kind)
    made = flink.from_data_stream(flink.to_data_stream(rows), schema.watermark("at", "SOURCE_WATERMARK()").build())
    flink.create_temporary_view("samples", made)
    sums = "SUM(n) AS n, SUM(total) AS total, SUM(squares) AS squares, MIN(low) AS low, MAX(high) AS high"
    return Samples("device, sensor", ("",), sums, "DOUBLE")


@udtf(result_types=_SUMS)
def summed(payload: bytes) -> Iterator[Row]:
    """Yield the sums of a block by second and sensor, with time and the moment when it was read."""
    read_s = time.time()
    columns = (one.tolist() for one in blocks.by_sensor(blocks.summed(blocks.unpacked([payload]))))
    for device, newest_us, sensor, *sums in zip(*columns, strict=True):
        yield Row(device, datetime.fromtimestamp(newest_us / 1e6, UTC), read_s, sensor, *sums)


def backlog(flink: StreamTableEnvironment, task: Task, scratch: str) -> None:
    """Read all that is there and answer with its windows, which Flink writes to files."""
    chosen = samples(flink, task.wire)
    columns = ", ".join(f"{name} DOUBLE" for name in chosen.names)
    flink.execute_sql(
        f"CREATE TABLE windows (device BIGINT, sensor INT, `second` TIMESTAMP(3), read_at {chosen.read_at}, out_at TIMESTAMP(3), {columns}) "
        f"WITH ('connector' = 'filesystem', 'path' = '{scratch}/windows', 'format' = 'json', 'sink.parallelism' = '1')"
    )
    sensor = "sensor" if "sensor" in chosen.keys else "0"
    flink.execute_sql(f"""
        INSERT INTO windows
        SELECT device, {sensor}, window_start, CAST(read_at AS {chosen.read_at}), CAST(CURRENT_ROW_TIMESTAMP() AS TIMESTAMP(3)), {", ".join(chosen.names)}
        FROM (SELECT {chosen.keys}, window_start, MIN(read_at) AS read_at, {chosen.sums}
              FROM TABLE(TUMBLE(TABLE samples, DESCRIPTOR(`at`), INTERVAL '1' SECOND)) GROUP BY window_start, window_end, {chosen.keys})
    """).wait()
    found = [json.loads(line) for file in Path(scratch, "windows").rglob("*") if file.is_file() for line in file.open()]
    rows = []
    for one in found:
        sums = np.array([[one[f"{name}{end}"] for end in chosen.ends] for name in _NAMES], float)
        rows += blocks.statistics(one["device"], int(_seconds(one["second"])), sums, one["sensor"])
    task.windows(min(_seconds(one["read_at"]) for one in found), max(_seconds(one["out_at"]) for one in found), rows)


def follow(flink: StreamTableEnvironment, task: Task) -> None:
    """Tell counts as they change until the time is up: a grouping that is told anew with each small batch of changes."""
    for name, value in {
        "table.exec.mini-batch.enabled": "true",
        "table.exec.mini-batch.allow-latency": "50 ms",
        "table.exec.mini-batch.size": "1000",
        "table.exec.state.ttl": "10 s",
        "execution.buffer-timeout.interval": "5 ms",
    }.items():
        flink.get_config().set(name, value)
    chosen = samples(flink, task.wire)
    changed = flink.execute_sql(f"""
        SELECT device, `second`, n0 FROM (
            SELECT device, FLOOR(CAST(`at` AS TIMESTAMP(3)) TO SECOND) AS `second`, {chosen.sums}
            FROM samples GROUP BY device, FLOOR(CAST(`at` AS TIMESTAMP(3)) TO SECOND))
    """)
    found: list[list[Any]] = []

    def read() -> None:
        with changed.collect() as rows:
            # One by one as they come.
            found.extend([row[0], int(row[1].replace(tzinfo=UTC).timestamp()), row[2], time.time()] for row in rows)

    threading.Thread(target=read, daemon=True).start()
    time.sleep(max(1.0, (task.until or 0) - time.time()))
    task.updates(list(found))


def _seconds(said: str | float) -> float:
    return said if isinstance(said, float) else datetime.fromisoformat(said).replace(tzinfo=UTC).timestamp()


def main() -> None:
    """Do the task."""
    task = asked()
    os.environ["JAVA_TOOL_OPTIONS"] = _JAVA
    with TemporaryDirectory(dir=Path(task.out).parent) as scratch:
        flink = environment(task)
        if task.until is None:
            return backlog(flink, task, scratch)
        follow(flink, task)
    os._exit(0)  # the query knows no end


if __name__ == "__main__":
    main()
