"""Send rows to a Kafka topic. Exactly once: each micro-batch is a transaction, and its number is committed with it.

The number is stored as the offset of the consumer group ``caudal-<product>-<outlet>`` on partition 0 of the topic. Readers must
ask for ``isolation.level=read_committed``: librdkafka does so by itself, Kafka's Java client does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from caudal.declarations.outlet import Outlet, Topic
from caudal.declarations.settings import settings
from caudal.errors import EnvironmentProblem
from caudal.extras import require
from caudal.stages.ingest.streams.kafka_client import LOGIN_FIX, LoginRefusal, client_options
from caudal.streaming.outlets.outbox import json_line

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, KafkaException

OUTLET = "topic"
_WAIT_S = 10.0


def sender(declared: Outlet, product: str, data: Path) -> TopicSender:
    """Return the sender of an outlet to a topic."""
    return TopicSender(declared, f"caudal-{product}-{declared.name}")


class TopicSender:
    """Sends rows to a topic, by librdkafka."""

    def __init__(self, declared: Outlet, name: str) -> None:
        assert isinstance(declared.to, Topic)
        require("confluent_kafka", extra="kafka", for_=f"Sending rows to topic '{declared.to.topic}'")
        self._to, self._topic, self._name = declared.to, declared.to.topic, name
        self._servers = declared.to.servers or settings().kafka
        self._exactly, self._patiently = declared.delivery == "exactly once", declared.delivery != "at most once"
        self._producer: Any = None
        self._group: Any = None
        self._failed = ""
        self._refusal = LoginRefusal()

    def upto(self) -> int:
        """Return the number of the last committed micro-batch."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            self._connect()
            (position,) = self._group.committed([TopicPartition(self._topic, 0)], timeout=_WAIT_S)
        except KafkaException as error:
            raise self._delivery_error(error) from None
        return int(position.offset) - 1 if position.offset >= 0 else -1

    def send(self, batch: int, rows: pa.Table) -> None:
        """Produce one message per row, and wait until the brokers have them all."""
        from confluent_kafka import KafkaException, TopicPartition

        try:
            self._connect()
            if self._exactly:
                self._producer.begin_transaction()
            for row in rows.to_pylist():
                self._produce(str(row.get("device", "")), json_line(row))
            if self._exactly:
                at = [TopicPartition(self._topic, 0, batch + 1)]
                self._producer.send_offsets_to_transaction(at, self._group.consumer_group_metadata(), _WAIT_S)
                self._producer.commit_transaction(_WAIT_S)
            elif self._producer.flush(_WAIT_S) or self._failed:
                raise KafkaException(self._failed or "it did not acknowledge in time")
        except KafkaException as error:
            self.close()  # aborts a transaction that was begun; else the next one does
            raise self._delivery_error(error) from None

    def close(self) -> None:
        """Close the connection; messages that were not acknowledged are dropped."""
        if self._producer is not None:
            self._producer.purge()
            self._producer.flush(0)
        if self._group is not None:
            self._group.close()
        self._producer = self._group = None

    def _connect(self) -> None:
        if self._producer is not None:
            return
        from confluent_kafka import Consumer, Producer

        self._refusal.text = ""
        options: dict[str, Any] = {
            "bootstrap.servers": self._servers, "log_level": 0, "error_cb": self._refusal, **client_options(self._to),
        }  # fmt: skip
        if self._exactly:
            self._group = Consumer({**options, "group.id": self._name, "enable.auto.commit": False})
            options |= {"transactional.id": self._name, "transaction.timeout.ms": 60_000}
        delivery = {"acks": "all", "enable.idempotence": True} if self._patiently else {"acks": "1", "retries": 0}
        producer = Producer({**options, **delivery, "linger.ms": 5, "message.timeout.ms": round(_WAIT_S * 1000)})
        if self._exactly:
            producer.init_transactions(_WAIT_S)  # aborts the transaction of an earlier producer of this name, and fences it off
        self._producer, self._failed = producer, ""

    def _produce(self, key: str, value: bytes) -> None:
        while True:
            try:
                self._producer.produce(self._topic, value, key, on_delivery=self._on_delivery)
                self._producer.poll(0)
                return
            except BufferError:
                self._producer.poll(0.05)

    def _on_delivery(self, error: KafkaError | None, _: object) -> None:
        if error is not None:
            self._failed = error.str()

    def _delivery_error(self, error: KafkaException) -> EnvironmentProblem:
        reason = error.args[0] if error.args else error
        reason = self._refusal.text or (reason.str() if hasattr(reason, "str") else reason)
        return EnvironmentProblem(
            f"Kafka at {self._servers} does not take rows for '{self._topic}': {reason}.",
            fix=LOGIN_FIX if self._refusal.text else "Start it (caudal broker), or name its servers in CAUDAL_KAFKA.",
            topic=self._topic,
        )
