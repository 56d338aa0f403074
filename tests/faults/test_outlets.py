"""What is promised of rows that leave: kill -9 of the stream, again and again, and of the broker; then what arrived is counted."""

from __future__ import annotations

import json
import os
import random
import sys
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka import Consumer
from tests import zygote

from caudal.messaging.broker import Broker
from caudal.storage import delta
from caudal.tables.frames import arrow
from caudal.tables.home import Home

pytestmark = [pytest.mark.slow, pytest.mark.faults, pytest.mark.timeout(600)]
KILLER = Path(__file__).parent / "killed.py"
PRODUCT = """
import caudal as cd

CHANNELS = ("AF3", "F7", "F3", "FC5", "T7", "P7", "O1", "O2", "P8", "T8", "FC6", "F4", "F8", "AF4", "CZ", "PZ")
product = cd.Product("eeg")
samples = product.source("samples", cd.stream(channels=CHANNELS), late="2 seconds")
seconds = product.statistics("seconds", of=samples, quantiles=(0.5,), centre=4200.0)
product.send("exactly", seconds, cd.topic("exactly"), delivery="exactly once")
product.send("at_least", seconds, cd.topic("at_least"), delivery="at least once")
product.send("at_most", seconds, cd.topic("at_most"), delivery="at most once")
product.send("dropped", seconds, cd.drop("dropped"), delivery="exactly once")
"""


def arrived(servers: str, topic: str, group: str = "test") -> Counter[tuple[str, str]]:
    """Count rows of a topic, committed ones only, by sensor and window."""
    told = {"bootstrap.servers": servers, "group.id": group, "auto.offset.reset": "earliest", "isolation.level": "read_committed"}
    consumer, found, idle = Consumer(told), Counter(), 0
    consumer.subscribe([topic])
    while idle < 20:
        messages = consumer.consume(5000, timeout=0.5)
        idle = 0 if messages else idle + 1
        if found and not messages:
            idle += 5
        for message in messages:
            assert message.error() is None
            row = json.loads(message.value())
            found[(row["sensor"], row["window_start"])] += 1
    consumer.close()
    return found


def test_each_delivery_is_what_it_is_called(tmp_path: Path) -> None:
    product, home, data = tmp_path / "product", tmp_path / "home", tmp_path / "data"
    product.mkdir()
    data.mkdir()
    (product / "product.py").write_text(PRODUCT)
    chance = random.Random(7)
    with Broker(tmp_path / "kafka", 0) as broker:
        environment = {**os.environ, "KILLED_BATCH_BYTES": "20000"}

        def caudal(when: str, *arguments: str) -> int:
            command = [sys.executable, str(KILLER), when, str(tmp_path / "log"), "--", *arguments, "--home", str(home)]
            told = {**environment, "CAUDAL_KAFKA": broker.address, "CAUDAL_DATA": str(data)}
            return zygote.run(command, env=told, timeout=200, capture_output=True).returncode

        assert caudal("count", "replay", str(product), "--rate", "0", "--seconds", "60") == 0
        stream = ("stream", str(product), "--publish", "0.2", "--once", "--end")
        killed = sum(caudal(f"after:{chance.uniform(0.3, 0.9):.2f}", *stream) != 0 for _ in range(6))
        assert caudal("count", *stream) == 0  # where the machine was slow, all kills came before the first row was sent
        assert caudal("count", "replay", str(product), "--rate", "0", "--seconds", "5") == 0
        broker.kill()
        assert caudal("count", *stream) == 6  # rows wait, and that is told
        broker.start()
        assert caudal("count", *stream) == 0
        rows = arrow(delta.read_version(Home(home).table("eeg", "seconds"))).to_pylist()
        want = Counter((row["sensor"], row["window_start"].strftime("%Y-%m-%dT%H:%M:%S+00:00")) for row in rows)
        got = {topic: arrived(broker.address, topic) for topic in ("exactly", "at_least", "at_most")}
    assert killed >= 3
    got = {
        topic: Counter({(sensor, at.replace("Z", "+00:00")): n for (sensor, at), n in one.items()}) for topic, one in got.items()
    }
    assert want
    assert max(want.values()) == 1
    assert got["exactly"] == want
    assert set(got["at_least"]) == set(want)
    assert set(got["at_most"]) <= set(want)
    assert max(got["at_most"].values()) == 1
    lines = [json.loads(line) for file in sorted((data / "dropped").glob("*.jsonl")) for line in file.read_text().splitlines()]
    assert Counter((one["sensor"], one["window_start"].replace("Z", "+00:00")) for one in lines) == want
