"""Read a stream source by offset in this process: the messages from the stream's position up to now.

A Spark job costs some tenths of a second however little there is to do, which is more than computing a second of readings takes. So
small micro-batches are read here, and larger ones by Spark (`frames.batch`), from the same offsets, with the same rows.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from caudal.declarations.connection import Connection, Folder, Kafka, Socket
from caudal.errors import EnvironmentProblem, LeaseHeld
from caudal.messaging.log import Reader

Offsets = tuple[int, ...]


class SourceUnavailable(EnvironmentProblem):
    """The source does not answer at present; the same messages are read again when it does."""


class Tap(ABC):
    """A source's messages by offset; offsets are given for each partition.

    Attributes
    ----------
    away : SourceUnavailable, why nothing can be read at present; None while the source answers
    """

    away: SourceUnavailable | None = None

    @abstractmethod
    def ends(self, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets, int]:
        """Return the offsets to read from and to, and about how many bytes these are: the messages beyond ``start``, limited."""

    @abstractmethod
    def read(self, start: Offsets, end: Offsets) -> Iterator[pa.RecordBatch]:
        """Yield the messages: ``_partition, _offset, payload, arrived``."""

    def identity(self) -> tuple[str | None, ...]:
        """Return an identity that distinguishes the source from another one of the same name; None where there is none.

        If it is unchanged after `ends`, those ends are of the same source.
        """
        return ()

    def learn(self, messages: int, size: int) -> None:  # noqa: B027 (few need it)
        """Remember how many bytes the messages of a micro-batch had."""

    @abstractmethod
    def close(self) -> None:
        """Release all resources."""


class LogTap(Tap):
    """The embedded log."""

    def __init__(self, place: Path) -> None:
        self._reader = Reader(place)

    def ends(self, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets, int]:
        """Return the end of each partition, limited where there are too many bytes before it."""
        ends = tuple(self._reader.end())
        start = (*(start or ()), *(0,) * (len(ends) - len(start or ())))
        sizes = [self._reader.size(partition, *span) for partition, span in enumerate(zip(start, ends, strict=True))]
        total = sum(sizes)
        if total > most_bytes:
            # Each partition contributes the same share of its bytes, so that none runs ahead in time.
            ends = tuple(
                low + max(1, (high - low) * most_bytes // total) if high > low else high
                for low, high in zip(start, ends, strict=True)
            )
            total = sum(self._reader.size(partition, *span) for partition, span in enumerate(zip(start, ends, strict=True)))
        return start, ends, total

    def read(self, start: Offsets, end: Offsets) -> Iterator[pa.RecordBatch]:
        """Yield the records."""
        for partition, (low, high) in enumerate(zip(start, end, strict=True)):
            if low < high:
                yield from self._reader.batches(partition, low, high)

    def identity(self) -> tuple[str | None, ...]:
        """Return the first record's entry of each partition: when it arrived, its length and its checksum."""
        return tuple(self._reader.first(partition) for partition in range(self._reader.partitions))

    def close(self) -> None:
        """Do nothing: no resource is held between two reads."""


class FolderTap(LogTap):
    """A folder whose new files are copied into a log first."""

    def __init__(self, place: Path, pattern: str) -> None:
        from caudal.stages.ingest.streams.folder import Taking

        super().__init__(place)
        self._taking = Taking(place, pattern)

    def ends(self, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets, int]:
        """Take new files, then return the log's end."""
        with contextlib.suppress(LeaseHeld):
            self._taking.take()
        return super().ends(start, most_bytes)


class SocketTap(LogTap):
    """A socket whose messages a thread writes into a log first."""

    def __init__(self, place: Path, connection: Socket) -> None:
        from caudal.stages.ingest.streams.socket import receive

        super().__init__(place)
        self._receiver = receive(connection, place)

    def close(self) -> None:
        """End the thread."""
        self._receiver.stop()


class KafkaTap(Tap):
    """A Kafka topic, by librdkafka; offsets are the topic's own, and no group is joined."""

    _WAIT_S = 10.0

    def __init__(self, connection: Kafka) -> None:
        from confluent_kafka import Consumer
        from confluent_kafka.admin import AdminClient

        from caudal.stages.ingest.streams.kafka import servers
        from caudal.stages.ingest.streams.kafka_client import LoginRefusal, client_options

        self._connection = connection
        self._servers = servers(connection)
        self._refusal = LoginRefusal()
        broker: dict[str, Any] = {
            "bootstrap.servers": self._servers, "log_level": 0, "reconnect.backoff.max.ms": 1000, **client_options(connection),
        }  # fmt: skip
        consumer_options = {
            **broker, "group.id": "caudal", "enable.auto.commit": False, "auto.offset.reset": "error", "enable.partition.eof": True,
            "fetch.wait.max.ms": 5, "queued.min.messages": 100_000, "fetch.message.max.bytes": 8 << 20,
        }  # fmt: skip
        self._consumer = Consumer({**consumer_options, "error_cb": self._refusal})
        self._admin = AdminClient(broker)
        self._partitions = self._known()
        self._at: dict[int, int] = {}  # the consumer's position, for each assigned partition
        self._ahead: dict[int, list[Any]] = {}  # messages read beyond the last micro-batch
        self._bytes_a_message = 65536.0  # a first guess, so that a first micro-batch of large messages is not larger than the next

    def ends(self, start: Offsets | None, most_bytes: int) -> tuple[Offsets, Offsets, int]:
        """Return the topic's high watermarks, limited where there are too many messages before them."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            bounds = [
                self._consumer.get_watermark_offsets(TopicPartition(self._connection.topic, number), timeout=self._WAIT_S)
                for number in range(self._partitions)
            ]
        except KafkaException as error:
            self.away = self._away(error.args[0].str())
            if start is None:
                raise self.away from None
            return start, start, 0
        self.away = None
        if start is None:
            start = tuple(low if self._connection.starting == "earliest" else high for low, high in bounds)
        self._hold(start, bounds)
        start = (*start, *(low for low, _ in bounds[len(start) :]))
        most = max(1, int(most_bytes / self._bytes_a_message / max(1, self._partitions)))
        end = tuple(min(high, low + most) for low, (_, high) in zip(start, bounds, strict=True))
        messages = sum(high - low for low, high in zip(start, end, strict=True))
        return start, end, int(messages * self._bytes_a_message)

    def read(self, start: Offsets, end: Offsets) -> Iterator[pa.RecordBatch]:
        """Yield the messages; offsets that no reader sees (markers of transactions) are skipped."""
        from confluent_kafka import KafkaError

        spans = {number: span for number, span in enumerate(zip(start, end, strict=True)) if span[0] < span[1]}
        self._go_to(start)
        messages_by_partition = {number: self._ahead.get(number, []) for number in range(len(start))}
        idle, waited = 0, 0.05
        while any(self._at[number] < high for number, (_, high) in spans.items()):
            messages = self._consumer.consume(10_000, timeout=waited)
            idle = 0 if messages else idle + 1
            for message in messages:
                partition, offset = int(message.partition() or 0), int(message.offset() or 0)
                if (error := message.error()) is not None and error.code() == KafkaError._PARTITION_EOF:
                    self._at[partition] = max(self._at[partition], offset)  # markers may follow the last message
                    continue
                if error is not None:
                    self._lose()
                    raise self._away(error.str())
                messages_by_partition[partition].append(message)
                self._at[partition] = offset + 1
            if idle > self._WAIT_S / waited:
                self._lose()
                raise self._away(f"it gave no message for {self._WAIT_S:.0f} seconds")
        for number, messages in messages_by_partition.items():
            high = end[number]
            cut = bisect_left(messages, high, key=lambda message: message.offset() or 0)
            self._ahead[number] = messages[cut:]
            if cut:
                yield _batch(number, messages[:cut])

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
            raise self._away(error.args[0].str()) from None
        except TimeoutError:
            raise self._away(f"it does not describe '{name}' within {self._WAIT_S:.0f} seconds") from None
        return (str(id) if id.get_most_significant_bits() or id.get_least_significant_bits() else None,)

    def learn(self, messages: int, size: int) -> None:
        """Remember how large messages are: the topic only shows how many there are."""
        if messages:
            self._bytes_a_message = max(16.0, size / messages)

    def _go_to(self, start: Offsets) -> None:
        """Move the consumer to the beginning of the micro-batch; mostly it is there already."""
        from confluent_kafka import TopicPartition

        is_there = all(
            self._ahead[number][0].offset() == low if self._ahead.get(number) else self._at.get(number) == low
            for number, low in enumerate(start)
        )
        if not is_there:
            self._consumer.assign([TopicPartition(self._connection.topic, number, low) for number, low in enumerate(start)])
            self._at, self._ahead = dict(enumerate(start)), {}

    def _lose(self) -> None:
        self._at, self._ahead = {}, {}

    def _away(self, why: str) -> SourceUnavailable:
        fix = "Start it (caudal broker), or name its servers in CAUDAL_KAFKA."
        return SourceUnavailable(f"Kafka at {self._servers} cannot be read: {why}.", fix=fix, topic=self._connection.topic)

    def close(self) -> None:
        """Leave the broker."""
        self._consumer.close()

    def _known(self) -> int:
        from confluent_kafka import KafkaException

        from caudal.stages.ingest.streams.kafka_client import LOGIN_FIX

        topic = self._connection.topic
        try:
            metadata = self._consumer.list_topics(topic, timeout=self._WAIT_S).topics.get(topic)
        except KafkaException as error:
            self._consumer.poll(0)  # delivers the refusal of a login
            raise EnvironmentProblem(
                f"Kafka at {self._servers} does not answer: {self._refusal.text or error.args[0].str()}.",
                fix=LOGIN_FIX if self._refusal.text else "Start it (caudal broker), or name its servers in CAUDAL_KAFKA.",
            ) from None
        if metadata is None or metadata.error is not None or not metadata.partitions:
            raise EnvironmentProblem(
                f"Kafka at {self._servers} has no topic '{topic}'.", fix="Create it, or begin to send to it.", topic=topic
            )
        return len(metadata.partitions)

    def _hold(self, start: Offsets, bounds: Sequence[tuple[int, int]]) -> None:
        for number, (offset, (low, high)) in enumerate(zip(start, bounds, strict=False)):
            if not low <= offset <= high:
                raise EnvironmentProblem(
                    f"Kafka's topic '{self._connection.topic}' holds offsets {low} to {high} of partition {number}; the stream has come to {offset}.",
                    fix="Messages were deleted before they were read, or the topic was made anew: keep them longer, or begin the stream anew.",
                    topic=self._connection.topic,
                )  # fmt: skip


def _batch(partition: int, messages: Sequence[Any]) -> pa.RecordBatch:
    moments = pa.array([max(0, message.timestamp()[1]) * 1000 for message in messages], pa.int64())
    return pa.record_batch(
        [
            pa.array([partition] * len(messages), pa.int32()), pa.array([message.offset() for message in messages], pa.int64()),
            pa.array([message.value() for message in messages], pa.binary()), moments.cast(pa.timestamp("us", "UTC")),
        ],
        names=["_partition", "_offset", "payload", "arrived"],
    )  # fmt: skip


def tap(connection: Connection, place: Path, data: Path | None = None) -> Tap:
    """Return the tap of a source; ``place`` and ``data`` as for `frames.frame`."""
    if isinstance(connection, Kafka):
        return KafkaTap(connection)
    if isinstance(connection, Folder):
        return FolderTap(place, str((data or Path.cwd()).absolute() / connection.pattern))
    if isinstance(connection, Socket):
        return SocketTap(place, connection)
    return LogTap(place)
