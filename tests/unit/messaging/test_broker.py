"""A real broker: it keeps what it was given over a stop and a kill, and says plainly why it does not start."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, Producer

from caudal.engine import connectors
from caudal.errors import EnvironmentProblem, NotThere
from caudal.messaging.broker import Broker

pytestmark = pytest.mark.slow


def send(broker: Broker, *messages: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    for message in messages:
        producer.produce("samples", message)
    assert producer.flush(30) == 0


def received(broker: Broker, count: int) -> list[bytes]:
    consumer = Consumer(
        {"bootstrap.servers": broker.address, "group.id": f"g{time.monotonic_ns()}", "auto.offset.reset": "earliest"}
    )
    consumer.subscribe(["samples"])
    messages: list[bytes] = []
    until = time.monotonic() + 30
    while len(messages) < count and time.monotonic() < until:
        messages += [one.value() or b"" for one in consumer.consume(count, 0.5) if not one.error()]
    consumer.close()
    return sorted(messages)


def test_messages_stay_over_a_stop_and_a_kill(tmp_path: Path) -> None:
    with Broker(tmp_path, heap="256m") as broker:
        address, first = broker.address, broker.pid
        send(broker, b"one")
        broker.stop()
        assert broker.pid is None
        broker.start()
        send(broker, b"three", b"two")
        broker.kill()
        broker.start()
        assert broker.address == address
        assert broker.pid != first
        assert received(broker, 3) == [b"one", b"three", b"two"]
        with pytest.raises(EnvironmentProblem, match=f"Port {broker.port} is taken"):
            Broker(tmp_path / "other", broker.port).start()
        with pytest.raises(EnvironmentProblem, match="another broker at work"):
            Broker(tmp_path).start()


def test_a_broker_dies_with_a_killed_python(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from caudal.messaging.broker import Broker\n"
        "broker = Broker(Path(sys.argv[1]), heap='256m').start(); print(broker.pid, broker.port, flush=True); time.sleep(600)"
    )
    running = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert running.stdout
    with running.stdout as told:
        pid, port = map(int, told.readline().split())
    running.send_signal(signal.SIGKILL)
    running.wait()
    until = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert not Path(f"/proc/{pid}").exists()
    with socket.socket() as trial:
        assert trial.connect_ex(("127.0.0.1", port)) != 0


def test_the_command_says_where_and_ends_with_ctrl_c(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "caudal", "broker", "--folder", str(tmp_path), "--port", "0", "--heap", "256m"]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
    assert running.stdout
    with running:
        assert "127.0.0.1:" in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(60) == 0
        assert running.stderr
        assert running.stderr.read() == ""


def test_the_brokers_jars_are_no_connector() -> None:
    with pytest.raises(NotThere):
        connectors.jars({"broker"})
