"""A Kafka topic, read by Spark's connector or by librdkafka."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from caudal.declarations.connection import Connection, Kafka
from caudal.declarations.settings import settings
from caudal.errors import EnvironmentProblem
from caudal.extras import require
from caudal.stages.ingest.secret import reveal_settings
from caudal.stages.ingest.streams.kafka_client import LOGIN_FIX, LoginRefusal, client_options
from caudal.stages.ingest.streams.tap import Offsets, SourceUnavailable, Tap

if TYPE_CHECKING:
    from confluent_kafka import Message
    from pyspark.sql import DataFrame, SparkSession

KIND = "kafka"
_NEWEST, _GUESS_BYTES = 16, 4096.0  # messages of a partition whose size is looked at, and their size where there are none
# Spark 4.1.1's newer reader fails on a repeated uncommitted micro-batch, which is every restart after a kill (SPARK-57438).
_READER = ("spark.sql.streaming.disabledV2MicroBatchReaders", "org.apache.spark.sql.kafka010.KafkaSourceProvider")


def frame(
    spark: SparkSession, connection: Connection, place: Path, *, data: Path | None = None, max_bytes: int | None = None
) -> DataFrame:
    """Return the stream of a topic's messages; ``arrived`` is the broker's or the producer's time, by the topic's setting."""
    assert isinstance(connection, Kafka)
    spark.conf.set(*_READER)
    chosen = _options(spark, connection) | {"startingOffsets": connection.starting}
    if max_bytes is not None:
        chosen["maxOffsetsPerTrigger"] = str(max(1, int(max_bytes / _bytes_a_message(connection))))
    return _columns(spark.readStream.format("kafka").options(**chosen | reveal_settings(connection.options)).load())


def tap(connection: Connection, place: Path, data: Path | None = None) -> KafkaTap:
    """Return the tap of a topic."""
    assert isinstance(connection, Kafka)
    return KafkaTap(connection)


def servers(connection: Kafka) -> str:
    """Return the brokers' addresses: the declared ones, else those of the settings."""
    return connection.servers or settings().kafka


def _bytes_a_message(connection: Kafka) -> float:
    """Return the mean size of the topic's newest messages, bytes, or a guess where there is none: Spark limits by their number."""
    tap = KafkaTap(connection)
    try:
        start, end = tap.span()
        start = tuple(max(low, high - _NEWEST) for low, high in zip(start, end, strict=True))
        sizes = [batch.column("payload").nbytes / len(batch) for batch in tap.read(start, end) if len(batch)]
        return max(sizes, default=_GUESS_BYTES)
    finally:
        tap.close()


def _options(spark: SparkSession, connection: Kafka) -> dict[str, str]:
    return {
        "kafka.bootstrap.servers": servers(connection),
        "subscribe": connection.topic,
        # Few partitions must not leave cores idle.
        "minPartitions": str(spark.sparkContext.defaultParallelism),
    }


def _columns(messages: DataFrame) -> DataFrame:
    return messages.selectExpr("partition AS _partition", "offset AS _offset", "value AS payload", "timestamp AS arrived")


class KafkaTap(Tap):
    """A Kafka topic, by librdkafka; offsets are those of the topic, and no group is joined."""

    _WAIT_S = 10.0

    def __init__(self, connection: Kafka) -> None:
        require("confluent_kafka", extra="kafka", for_=f"Reading topic '{connection.topic}'")
        from confluent_kafka import Consumer
        from confluent_kafka.admin import AdminClient

        self._connection = connection
        self._servers = servers(connection)
        self._refusal = LoginRefusal()
        broker: dict[str, str | int | float | bool] = {
            "bootstrap.servers": self._servers, "log_level": 0, "reconnect.backoff.max.ms": 1000, **client_options(connection),
        }  # fmt: skip
        consumer_options = {
            **broker, "group.id": "caudal", "enable.auto.commit": False, "auto.offset.reset": "error", "enable.partition.eof": True,
            "fetch.wait.max.ms": 5, "queued.min.messages": 100_000, "fetch.message.max.bytes": 8 << 20,
        }  # fmt: skip
        self._consumer = Consumer({**consumer_options, "error_cb": self._refusal})
        self._admin = AdminClient(broker)
        self._partitions = self._count_partitions()
        self._at: dict[int, int] = {}  # the consumer's position, for each assigned partition
        self._ahead: dict[int, list[Message]] = {}  # messages read beyond the last micro-batch
        self._bytes_a_message = 65536.0  # a first guess, so that a first micro-batch of large messages is not larger than the next

    def span(self) -> tuple[Offsets, Offsets]:
        """Return the topic's first offsets and its ends.

        Raises
        ------
        SourceUnavailable : the broker does not answer
        """
        from confluent_kafka import KafkaException, TopicPartition

        topic = self._connection.topic
        try:
            bounds = [
                self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=self._WAIT_S)
                for number in range(self._partitions)
            ]
        except KafkaException as error:
            raise self._unavailable_problem(error.args[0].str()) from None
        return tuple(low for low, _ in bounds), tuple(high for _, high in bounds)

    def ends(self, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets, int]:
        """Return the topic's high watermarks, limited where there are too many messages before them."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            bounds = [
                self._consumer.get_watermark_offsets(TopicPartition(self._connection.topic, number), timeout=self._WAIT_S)
                for number in range(self._partitions)
            ]
        except KafkaException as error:
            self.unavailable = self._unavailable_problem(error.args[0].str())
            if start is None:
                raise self.unavailable from None
            return start, start, 0
        self.unavailable = None
        if start is None:
            start = tuple(low if self._connection.starting == "earliest" else high for low, high in bounds)
        self._check_offsets(start, bounds)
        start = (*start, *(low for low, _ in bounds[len(start) :]))
        max_messages = max(1, int(most_bytes / self._bytes_a_message / max(1, self._partitions)))
        end = tuple(min(high, low + max_messages) for low, (_, high) in zip(start, bounds, strict=True))
        messages = sum(high - low for low, high in zip(start, end, strict=True))
        return start, end, int(messages * self._bytes_a_message)

    def offsets_since(self, time_ms: int) -> Offsets:
        """Return for each partition the offset of the first message that is not older, milliseconds since 1970; its end where there is none.

        Raises
        ------
        SourceUnavailable : the brokers do not answer
        """
        from confluent_kafka import KafkaException, TopicPartition

        topic = self._connection.topic
        try:
            asked = [TopicPartition(topic, number, time_ms) for number in range(self._partitions)]
            offsets = {answer.partition: answer.offset for answer in self._consumer.offsets_for_times(asked, timeout=self._WAIT_S)}
            return tuple(
                offsets[number]
                if offsets[number] >= 0
                else self._consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=self._WAIT_S)[1]
                for number in range(self._partitions)
            )
        except KafkaException as error:
            raise self._unavailable_problem(error.args[0].str()) from None

    def read(self, start: Offsets, end: Offsets) -> Iterator[pa.RecordBatch]:
        """Yield the messages; offsets that no reader sees (markers of transactions) are skipped."""
        for messages in self.messages(start, end):
            yield _messages(messages[0].partition() or 0, messages)

    def messages(self, start: Offsets, end: Offsets) -> Iterator[list[Message]]:
        """Yield the messages of each partition that has some, in order of their offsets."""
        from confluent_kafka import KafkaError

        spans = {number: span for number, span in enumerate(zip(start, end, strict=True)) if span[0] < span[1]}
        self._go_to(start)
        messages_by_partition = {number: self._ahead.get(number, []) for number in range(len(start))}
        idle, waited = 0, 0.05
        # Not more than are wanted: the consumer would wait for further ones until its time is over.
        while wanted := sum(max(high - self._at[number], 0) for number, (_, high) in spans.items()):
            messages = self._consumer.consume(min(wanted, 10_000), timeout=waited)
            idle = 0 if messages else idle + 1
            for message in messages:
                partition, offset = int(message.partition() or 0), int(message.offset() or 0)
                if (error := message.error()) is not None and error.code() == KafkaError._PARTITION_EOF:
                    self._at[partition] = max(self._at[partition], offset)  # markers may follow the last message
                    continue
                if error is not None:
                    self._forget_positions()
                    raise self._unavailable_problem(error.str())
                messages_by_partition[partition].append(message)
                self._at[partition] = offset + 1
            if idle > self._WAIT_S / waited:
                self._forget_positions()
                raise self._unavailable_problem(f"no message arrived for {self._WAIT_S:.0f} seconds")
        for number, messages in messages_by_partition.items():
            high = end[number]
            cut = bisect_left(messages, high, key=lambda message: message.offset() or 0)
            self._ahead[number] = messages[cut:]
            if cut:
                yield messages[:cut]

    def identity(self) -> tuple[str | None, ...]:
        """Return the topic's id (KIP-516), which is unique even among topics of the same name."""
        from confluent_kafka import KafkaError, KafkaException, TopicCollection

        name = self._connection.topic
        try:
            descriptions = self._admin.describe_topics(TopicCollection([name]), request_timeout=self._WAIT_S)
            id = descriptions[name].result(timeout=self._WAIT_S + 1).topic_id
        except KafkaException as error:
            # Brokers before 2.8 have no ids; others may hide them from this user.
            unavailable = (
                KafkaError.TOPIC_AUTHORIZATION_FAILED, KafkaError.CLUSTER_AUTHORIZATION_FAILED, KafkaError.UNSUPPORTED_VERSION,
                KafkaError._UNSUPPORTED_FEATURE,
            )  # fmt: skip
            if error.args[0].code() in unavailable:
                return (None,)
            raise self._unavailable_problem(error.args[0].str()) from None
        except TimeoutError:
            raise self._unavailable_problem(f"it does not describe '{name}' within {self._WAIT_S:.0f} seconds") from None
        return (str(id) if id.get_most_significant_bits() or id.get_least_significant_bits() else None,)

    def learn(self, messages: int, size: int) -> None:
        """Remember how large messages are: the topic only shows how many there are."""
        if messages:
            self._bytes_a_message = max(16.0, size / messages)

    def _go_to(self, start: Offsets) -> None:
        """Move the consumer to the beginning of the micro-batch; usually it is there already."""
        from confluent_kafka import TopicPartition

        is_there = all(
            self._ahead[number][0].offset() == low if self._ahead.get(number) else self._at.get(number) == low
            for number, low in enumerate(start)
        )
        if not is_there:
            self._consumer.assign([TopicPartition(self._connection.topic, number, low) for number, low in enumerate(start)])
            self._at, self._ahead = dict(enumerate(start)), {}

    def _forget_positions(self) -> None:
        self._at, self._ahead = {}, {}

    def _unavailable_problem(self, reason: str) -> SourceUnavailable:
        fix = "Start it (caudal broker), or name its servers in CAUDAL_KAFKA."
        return SourceUnavailable(f"Kafka at {self._servers} cannot be read: {reason}.", fix=fix, topic=self._connection.topic)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _count_partitions(self) -> int:
        from confluent_kafka import KafkaException

        topic = self._connection.topic
        try:
            metadata = self._consumer.list_topics(topic, timeout=self._WAIT_S).topics.get(topic)
        except KafkaException as error:
            self._consumer.poll(0)  # delivers the refusal of a login
            problem = EnvironmentProblem if self._refusal.text else SourceUnavailable
            raise problem(
                f"Kafka at {self._servers} does not answer: {self._refusal.text or error.args[0].str()}.",
                fix=LOGIN_FIX if self._refusal.text else "Start it (caudal broker), or name its servers in CAUDAL_KAFKA.",
            ) from None
        if metadata is None or metadata.error is not None or not metadata.partitions:
            raise EnvironmentProblem(
                f"Kafka at {self._servers} has no topic '{topic}'.", fix="Create it, or send a message to it.", topic=topic
            )
        return len(metadata.partitions)

    def _check_offsets(self, start: Offsets, bounds: Sequence[tuple[int, int]]) -> None:
        for number, (offset, (low, high)) in enumerate(zip(start, bounds, strict=False)):
            if not low <= offset <= high:
                raise EnvironmentProblem(
                    f"Kafka's topic '{self._connection.topic}' holds offsets {low} to {high} of partition {number}; the next one to read is {offset}.",
                    fix="Messages were deleted before they were read, or the topic was made anew: retain them longer, or begin the stream anew.",
                    topic=self._connection.topic,
                    offset=offset,
                )  # fmt: skip


def _messages(partition: int, messages: Sequence[Message]) -> pa.RecordBatch:
    moments = pa.array([max(0, message.timestamp()[1]) * 1000 for message in messages], pa.int64())
    return pa.record_batch(
        [
            pa.array([partition] * len(messages), pa.int32()), pa.array([message.offset() for message in messages], pa.int64()),
            pa.array([message.value() for message in messages], pa.binary()), moments.cast(pa.timestamp("us", "UTC")),
        ],
        names=["_partition", "_offset", "payload", "arrived"],
    )  # fmt: skip
