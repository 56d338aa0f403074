"""A topic, or a log, that took the place of the one that a stream has read: told, never skipped into and never counted twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import caudal as cd
from caudal.declarations.connection import Connection
from caudal.errors import EnvironmentProblem
from caudal.messaging.broker import Broker
from caudal.messaging.log import Writer
from caudal.messaging.wire import Block, codec
from caudal.stages.ingest.streams import open_tap
from caudal.streaming.in_process import InProcessEngine
from caudal.tables.home import Home


def messages(first: int, n: int) -> list[bytes]:
    return [
        one
        for seq in range(first, first + n)
        for one in codec("packed").encode(
            Block(1, np.array([seq]), np.array([1_700_000_000_000_000 + seq * 1000]), np.ones((1, 1), np.float32))
        )
    ]


Again = Callable[[list[bytes]], None]


@contextmanager
def of_log(place: Path) -> Iterator[tuple[Connection, Again, Again]]:
    def send(payloads: list[bytes]) -> None:
        with Writer(place, 1) as writer:
            writer.append(0, payloads)

    def anew(payloads: list[bytes]) -> None:
        shutil.rmtree(place / "p0")
        send(payloads)

    yield cd.stream(channels=("a",)), send, anew


@contextmanager
def of_kafka(place: Path, broker: Broker) -> Iterator[tuple[Connection, Again, Again]]:
    from confluent_kafka import KafkaException, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    admin, topic = AdminClient({"bootstrap.servers": broker.address}), place.parent.name

    def create() -> None:
        for attempt in range(100):
            try:
                admin.create_topics([NewTopic(topic, 1)])[topic].result(30)
                return
            except KafkaException:  # it is still being deleted
                if attempt == 99:
                    raise

    def send(payloads: list[bytes]) -> None:
        producer = Producer({"bootstrap.servers": broker.address})
        for payload in payloads:
            producer.produce(topic, payload)
        assert producer.flush(60) == 0

    def anew(payloads: list[bytes]) -> None:
        admin.delete_topics([topic])[topic].result(30)
        create()
        send(payloads)

    create()
    yield cd.kafka(topic, channels=("a",), servers=broker.address), send, anew


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with Broker(tmp_path_factory.mktemp("broker"), heap="256m") as running:
        yield running


@pytest.mark.parametrize("more", [-5, 0, 10])
def test_a_log_that_was_made_anew_is_told(tmp_path: Path, more: int) -> None:
    with of_log(tmp_path / "place") as (connection, send, anew):
        is_told(tmp_path, connection, send, anew, more)


@pytest.mark.slow
@pytest.mark.parametrize("more", [-5, 0, 10])
def test_a_topic_that_was_made_anew_is_told(tmp_path: Path, broker: Broker, more: int) -> None:
    with of_kafka(tmp_path / "place", broker) as (connection, send, anew):
        is_told(tmp_path, connection, send, anew, more)


def is_told(tmp_path: Path, connection: Connection, send: Again, anew: Again, more: int) -> None:
    """A stream that has read twenty messages finds other ones in their place: fewer, as many or more."""
    place = tmp_path / "place"
    product = cd.Product("shown")
    product.source("samples", connection)

    def engine() -> InProcessEngine:
        return InProcessEngine(
            product, product.sources["samples"], Home(tmp_path), open_tap(connection, place), "run", publish_s=0.0
        )

    send(messages(0, 20))
    at_work = engine()
    while at_work.step():
        pass
    assert at_work.checkpoint.counts["samples"] == 20
    at_work.close()
    anew(messages(1000, 20 + more))
    again = engine()
    try:
        if not more:  # as long as the one before: nothing is new until something comes
            send(messages(2000, 1))
        with pytest.raises(EnvironmentProblem, match="made anew"):
            again.step()
        assert again.checkpoint.counts["samples"] == 20
    finally:
        again.close()
