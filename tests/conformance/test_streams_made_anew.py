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
from caudal.streaming.engine import StreamEngine
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
def of_kafka(place: Path) -> Iterator[tuple[Connection, Again, Again]]:
    from confluent_kafka import KafkaException, Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    with Broker(place.parent / "broker", heap="256m") as broker:
        admin = AdminClient({"bootstrap.servers": broker.address})

        def create() -> None:
            for attempt in range(100):
                try:
                    admin.create_topics([NewTopic("samples", 1)])["samples"].result(30)
                    return
                except KafkaException:  # it is still being deleted
                    if attempt == 99:
                        raise

        def send(payloads: list[bytes]) -> None:
            producer = Producer({"bootstrap.servers": broker.address})
            for payload in payloads:
                producer.produce("samples", payload)
            assert producer.flush(60) == 0

        def anew(payloads: list[bytes]) -> None:
            admin.delete_topics(["samples"])["samples"].result(30)
            create()
            send(payloads)

        create()
        yield cd.kafka("samples", channels=("a",), servers=broker.address), send, anew


@pytest.mark.parametrize("kind", [of_log, pytest.param(of_kafka, marks=pytest.mark.slow)])
@pytest.mark.parametrize("more", [-5, 0, 10])
def test_a_source_that_was_made_anew_is_told(tmp_path: Path, kind: Callable[..., object], more: int) -> None:
    place = tmp_path / "place"
    with kind(place) as (connection, send, anew):  # type: ignore[attr-defined]
        product = cd.Product("shown")
        product.source("samples", connection)

        def engine() -> StreamEngine:
            return StreamEngine(
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
