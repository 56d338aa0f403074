"""A Kafka topic, by Spark's own connector."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.declarations.connection import Connection, Kafka
from caudal.declarations.settings import settings
from caudal.stages.ingest.secret import reveal_settings

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KIND = "kafka"
# Spark 4.1.1's newer reader fails on a repeated uncommitted micro-batch, which is every restart after a kill (SPARK-57438).
_READER = ("spark.sql.streaming.disabledV2MicroBatchReaders", "org.apache.spark.sql.kafka010.KafkaSourceProvider")


def frame(
    spark: SparkSession, connection: Connection, place: Path, *, data: Path | None = None, max_blocks: int | None = None
) -> DataFrame:
    """Return the stream of a topic's messages; ``arrived`` is the broker's or the producer's time, by the topic's setting."""
    assert isinstance(connection, Kafka)
    spark.conf.set(*_READER)
    chosen = _options(spark, connection) | {"startingOffsets": connection.starting}
    if max_blocks is not None:
        chosen["maxOffsetsPerTrigger"] = str(max_blocks)
    return _columns(spark.readStream.format("kafka").options(**chosen | reveal_settings(connection.options)).load())


def batch(spark: SparkSession, connection: Connection, place: Path, start: Sequence[int], end: Sequence[int]) -> DataFrame:
    """Return the messages from ``start`` to before ``end``, one offset for each partition."""
    assert isinstance(connection, Kafka)
    chosen = _options(spark, connection) | {
        "startingOffsets": _offsets_json(connection.topic, start),
        "endingOffsets": _offsets_json(connection.topic, end),
    }
    return _columns(spark.read.format("kafka").options(**chosen | reveal_settings(connection.options)).load())


def servers(connection: Kafka) -> str:
    """Return the brokers' addresses: the declared ones, else those of the settings."""
    return connection.servers or settings().kafka


def _options(spark: SparkSession, connection: Kafka) -> dict[str, str]:
    return {
        "kafka.bootstrap.servers": servers(connection),
        "subscribe": connection.topic,
        # Few partitions must not leave cores idle.
        "minPartitions": str(spark.sparkContext.defaultParallelism),
    }


def _offsets_json(topic: str, offsets: Sequence[int]) -> str:
    return json.dumps({topic: {str(partition): offset for partition, offset in enumerate(offsets)}})


def _columns(read: DataFrame) -> DataFrame:
    return read.selectExpr("partition AS _partition", "offset AS _offset", "value AS payload", "timestamp AS arrived")
