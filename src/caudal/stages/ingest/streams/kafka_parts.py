"""Spans of a Kafka topic, read by a consumer of a worker's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from caudal.stages.ingest.streams.parts import Part, PartReader
from caudal.stages.ingest.streams.tap import SourceUnavailable

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

CONSUMER: Mapping[str, Any] = {
    "group.id": "caudal", "enable.auto.commit": False, "auto.offset.reset": "error", "enable.partition.eof": True,
    "fetch.wait.max.ms": 5, "queued.min.messages": 100_000, "fetch.message.max.bytes": 8 << 20,
}  # fmt: skip
_WAIT_S = 10.0
_POLL_S = 0.05


@dataclass(frozen=True)
class KafkaParts(PartReader):
    """Reads spans of a topic. The options hold the login as librdkafka takes it; they go to the worker through its socket, and nowhere else.

    Parameters
    ----------
    options : names and values for librdkafka, the servers among them
    """

    topic: str
    options: tuple[tuple[str, Any], ...] = field(repr=False)
    _held: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def read(self, part: Part) -> Iterator[pa.RecordBatch]:
        """Yield the messages; offsets that no reader sees are skipped.

        Raises
        ------
        SourceUnavailable : the broker does not answer
        """
        for partition, low, high in part:
            messages = list(self._messages(partition, low, high))
            if messages:
                yield messages_as_arrow(partition, messages)

    def _messages(self, partition: int, low: int, high: int) -> Iterator[Message]:
        from confluent_kafka import KafkaError

        consumer, at, idle = self._consumer_at(partition, low), low, 0
        while at < high:
            messages = consumer.consume(min(high - at, 10_000), timeout=_POLL_S)
            idle = 0 if messages else idle + 1
            for message in messages:
                offset = int(message.offset() or 0)
                if (error := message.error()) is None:
                    at = offset + 1
                    if offset < high:
                        yield message
                elif error.code() == KafkaError._PARTITION_EOF:
                    at = max(at, offset)  # markers may follow the last message
                else:
                    self._held.pop("at", None)
                    raise self._problem(error.str())
            if idle > _WAIT_S / _POLL_S:
                self._held.pop("at", None)
                raise self._problem(f"no message arrived for {_WAIT_S:.0f} seconds")
        self._held["at"] = (partition, at)

    def _consumer_at(self, partition: int, low: int) -> Consumer:
        """Return the consumer, at an offset of one partition; usually it is there already."""
        from confluent_kafka import Consumer, TopicPartition

        if "consumer" not in self._held:
            self._held["consumer"] = Consumer(dict(self.options))
        consumer: Consumer = self._held["consumer"]
        if self._held.get("at") != (partition, low):
            consumer.assign([TopicPartition(self.topic, partition, low)])
        self._held.pop("at", None)
        return consumer

    def _problem(self, reason: str) -> SourceUnavailable:
        return SourceUnavailable(f"Kafka cannot be read: {reason}.", topic=self.topic)

    def close(self) -> None:
        """Leave the broker."""
        if "consumer" in self._held:
            self._held.pop("consumer").close()


def messages_as_arrow(partition: int, messages: Sequence[Message]) -> pa.RecordBatch:
    """Return messages of a partition: ``_partition, _offset, payload, arrived``."""
    moments = pa.array([max(0, message.timestamp()[1]) * 1000 for message in messages], pa.int64())
    return pa.record_batch(
        [
            pa.array([partition] * len(messages), pa.int32()), pa.array([message.offset() for message in messages], pa.int64()),
            pa.array([message.value() for message in messages], pa.binary()), moments.cast(pa.timestamp("us", "UTC")),
        ],
        names=["_partition", "_offset", "payload", "arrived"],
    )  # fmt: skip
