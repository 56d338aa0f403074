"""Kill -9 of a stream of rows at any moment, and of its broker: every acknowledged message is a row once, in every table behind it."""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path

import pytest
from tests.flow.test_event_streams import Streaming, counted, wait_for
from tests.flow.test_events import Topic, order, written

import caudal as cd
from caudal.messaging.broker import Broker

pytest.importorskip("confluent_kafka")
pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(900)]
KILLS = 3


def test_killed_at_random_moments_while_messages_come(tmp_path: Path) -> None:
    chance = random.Random(17)
    product, sent = written(tmp_path / "shop", "killed"), 0
    with Broker(tmp_path / "broker", heap="256m") as broker:
        topic = Topic(broker, "killed")
        for _ in range(KILLS):
            streaming = Streaming(product, broker)
            until = time.monotonic() + chance.uniform(4.0, 12.0)
            while time.monotonic() < until:
                topic.send(*(order(n) for n in range(sent, sent + 3)))
                sent += 3
                time.sleep(0.3)
            streaming.process.send_signal(signal.SIGKILL)
            streaming.process.communicate()
        streaming = Streaming(product, broker)
        wait_for(sent, product, streaming)
        streaming.end()
    assert counted(product) == sent
    rows = cd.open(product / "home")["shop"]["orders"].to_pandas()
    assert sorted(rows["id"]) == [*range(sent)]
    assert not rows[["kafka_partition", "kafka_offset"]].duplicated().any()


def test_a_broker_that_dies_and_comes_back_is_waited_for(tmp_path: Path) -> None:
    product = written(tmp_path / "shop", "returns")
    with Broker(tmp_path / "broker", heap="256m") as broker:
        topic = Topic(broker, "returns")
        topic.send(*(order(n) for n in range(10)))
        streaming = Streaming(product, broker)
        wait_for(10, product, streaming)
        broker.kill()
        time.sleep(15)  # more than a look at the topic waits
        assert streaming.process.poll() is None
        broker.start()
        topic.send(*(order(n) for n in range(10, 20)))
        wait_for(20, product, streaming)
        document = streaming.end()
    assert document["topics"]["orders"]["rows"] == 20
