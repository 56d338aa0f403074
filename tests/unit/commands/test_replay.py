"""Replays arrive whole: at the rate that was asked for, on every wire, in every sink."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from confluent_kafka import Consumer

from caudal.commands.replay import ReplayPace, pace, replay, with_start_time, with_times_until_now
from caudal.commands.sinks import FolderSink, KafkaSink, LogSink, SocketSink
from caudal.declarations.connection import socket
from caudal.errors import DeclarationProblem, EnvironmentProblem, NotThere
from caudal.messaging.broker import Broker
from caudal.messaging.log import Reader
from caudal.messaging.wire import WIRES, Block, many
from caudal.stages.ingest.streams.socket import Receiver
from caudal.stages.simulate import simulator

EEG = simulator("eeg", seed=5)


def logged(folder: Path, wire: str = "packed") -> list[Block]:
    reader = Reader(folder)
    blocks: list[Block] = []
    for partition, end in enumerate(reader.end()):
        found, unreadable = many(reader.read(partition, 0, end)["payload"], wire)
        assert not unreadable
        blocks += found
    return blocks


def seqs(blocks: list[Block], device: int = 0) -> list[int]:
    return [seq for one in blocks if one.device == device for seq in one.seq.tolist()]


def sent(seconds: float) -> list[int]:
    return [seq for one in EEG.blocks(0, round(256 * seconds)) for seq in one.seq.tolist()]


@pytest.mark.parametrize("wire", WIRES)
def test_every_wire_brings_every_sample_of_every_device(tmp_path: Path, wire: str) -> None:
    told = replay(EEG, LogSink(tmp_path, 2), wire=wire, chosen=pace(EEG, 0, devices=5), seconds=20)
    blocks = logged(tmp_path, wire)
    for device in range(5):
        assert seqs(blocks, device) == sent(20)
    assert told.readings == 5 * 16 * len(sent(20))
    assert told.document(EEG, pace(EEG, 0))["facts_per_device"] == EEG.facts(0, 20 * 256)
    assert {one.device % 2 for one in many(Reader(tmp_path).read(1, 0, Reader(tmp_path).end()[1])["payload"], wire)[0]} == {1}


def test_the_pace_is_that_of_the_clock() -> None:
    assert pace(EEG, 4096 * 3).devices == 3
    assert pace(EEG, 2048) == pace(EEG, 2048, devices=1)
    chosen = pace(EEG, 1_000_000)
    assert (chosen.devices, chosen.samples) == (245, 16)
    assert chosen.rate_hz * 245 * 16 == pytest.approx(1_000_000)
    assert pace(EEG, 16_384, speed=4.0) == ReplayPace(1, 256.0, 4.0, 64)
    with pytest.raises(DeclarationProblem):
        pace(EEG, -5)


def test_blocks_leave_in_time_and_labels_late(tmp_path: Path) -> None:
    now = [100.0]

    class Noted(LogSink):
        def __init__(self, folder: Path) -> None:
            super().__init__(folder, 1)
            self.at: list[float] = []

        def send(self, lane: int, payloads: Any) -> None:
            self.at.append(now[0])
            super().send(lane, payloads)

    def sleep(seconds: float) -> None:
        now[0] += seconds

    what = with_times_until_now(simulator("eeg", seed=5, label_delay_s=2.0), pace(EEG, 4096), 0.0, 0)
    out, labels = Noted(tmp_path / "samples"), Noted(tmp_path / "labels")
    told = replay(what, out, wire="packed", chosen=pace(EEG, 4096), seconds=10, labels=labels, clock=lambda: now[0], sleep=sleep)
    assert np.diff(out.at).max() < 0.3  # a group that is late, and one that is lost
    assert np.median(np.diff(out.at)) == pytest.approx(1 / 16, abs=0.01)
    assert told.seconds == pytest.approx(10, abs=0.1)
    first = logged(tmp_path / "labels")[0]
    assert first.channels == 1
    assert labels.at[0] - 100 == pytest.approx(2 + len(first) / 256, abs=0.3)
    assert sorted(seqs(logged(tmp_path / "labels"))) == list(range(2560))
    assert told.labels == 2560


def test_into_a_folder(tmp_path: Path) -> None:
    replay(EEG, FolderSink(tmp_path), wire="packed", chosen=pace(EEG, 0), seconds=5)
    found, unreadable = many([file.read_bytes() for file in sorted(tmp_path.iterdir())], "packed")
    assert (seqs(found), unreadable) == (sent(5), [])


@pytest.mark.slow
@pytest.mark.parametrize("wire", WIRES)
def test_into_a_socket_that_breaks_nothing_is_lost(tmp_path: Path, wire: str) -> None:
    out = SocketSink("127.0.0.1", 0, wire == "json")
    port = int(out.address.rpartition(":")[2])
    connection = socket("127.0.0.1", port, channels=EEG.channels, wire=wire, acknowledge=True)
    receiver = Receiver(connection, tmp_path)
    receiver.start()
    playing = threading.Thread(target=replay, args=(EEG, out), kwargs={"wire": wire, "chosen": pace(EEG, 16_384), "seconds": 6})
    playing.start()
    time.sleep(1)
    receiver.stop()
    receiver = Receiver(connection, tmp_path)
    receiver.start()
    playing.join()
    receiver.stop()
    blocks = logged(tmp_path, wire)
    for device in range(4):
        assert set(seqs(blocks, device)) == set(sent(6))


@pytest.mark.slow
def test_what_is_wrong_is_told(tmp_path: Path) -> None:
    out = SocketSink("127.0.0.1", 0, False)
    with pytest.raises(EnvironmentProblem, match="cannot be listened on"):
        SocketSink("127.0.0.1", int(out.address.rpartition(":")[2]), False)
    out.close()
    with pytest.raises(EnvironmentProblem, match=r"caudal broker"):
        KafkaSink("samples", "127.0.0.1:9")


@pytest.mark.slow
def test_into_kafka(tmp_path: Path) -> None:
    with Broker(tmp_path, heap="256m") as broker:
        told = replay(EEG, KafkaSink("eeg", broker.address), wire="packed", chosen=pace(EEG, 0, devices=3), seconds=20)
        consumer = Consumer({"bootstrap.servers": broker.address, "group.id": "test", "auto.offset.reset": "earliest"})
        consumer.subscribe(["eeg"])
        payloads: list[bytes] = []
        until = time.monotonic() + 30
        while len(payloads) < told.payloads and time.monotonic() < until:
            payloads += [one.value() or b"" for one in consumer.consume(500, 0.5) if not one.error()]
        consumer.close()
    found, unreadable = many(payloads, "packed")
    assert not unreadable
    for device in range(3):
        assert seqs(found, device) == sent(20)


def caudal(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "caudal", "replay", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ), **options)


@pytest.mark.slow
def test_the_command_stops_at_ctrl_c_and_says_what_it_sent(tmp_path: Path) -> None:
    running = caudal("weather", "--rate", "500", "--seconds", "600", "--home", str(tmp_path), "--json")
    reader = Reader(tmp_path / "streams" / "weather" / "samples")
    until = time.monotonic() + 30
    while sum(reader.end()) < 4 and time.monotonic() < until:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    said, trouble = running.communicate(timeout=30)
    told = json.loads(said)
    assert (running.returncode, trouble, told["stopped"], told["devices"]) == (0, "", True, 100)
    assert sum(len(one) for one in logged(reader.folder)) == told["samples"] > 0


PRODUCT = """
import caudal as cd
from caudal.declarations.connection import stream
from caudal.stages.simulate.eeg import Eeg
product = cd.Product("headset", tz="UTC")
product.source("labels", stream(channels=Eeg.label_channels))
product.source("samples", stream(channels=Eeg.channels, wire="avro", partitions=1))
"""


@pytest.mark.slow
def test_a_product_is_fed_where_it_declares_its_streams(tmp_path: Path) -> None:
    (tmp_path / "headset").mkdir()
    (tmp_path / "headset" / "product.py").write_text(PRODUCT)
    running = caudal(
        str(tmp_path / "headset"), "--rate", "0", "--seconds", "8", "--labels", "--json", "--home", str(tmp_path / "home")
    )
    said, trouble = running.communicate(timeout=60)
    assert (running.returncode, trouble) == (0, "")
    assert json.loads(said)["what"] == "eeg"
    assert Reader(tmp_path / "home" / "streams" / "headset" / "samples").partitions == 1
    assert len(logged(tmp_path / "home" / "streams" / "headset" / "samples", "avro")) > 0
    assert sum(len(one) for one in logged(tmp_path / "home" / "streams" / "headset" / "labels", "avro")) == 8 * 256


@pytest.mark.slow
def test_an_unknown_name_is_told(tmp_path: Path) -> None:
    running = caudal("eegg", "--home", str(tmp_path))
    _, trouble = running.communicate(timeout=60)
    assert running.returncode == NotThere.exit_code
    assert "Did you mean 'eeg'" in trouble


@pytest.mark.slow
def test_a_mistyped_product_is_told(tmp_path: Path) -> None:
    (tmp_path / "products" / "headset").mkdir(parents=True)
    (tmp_path / "products" / "headset" / "product.py").write_text(PRODUCT)
    running = caudal("product/headset", "--home", str(tmp_path), cwd=tmp_path)
    _, trouble = running.communicate(timeout=60)
    assert running.returncode == NotThere.exit_code
    assert trouble.endswith("Did you mean 'products/headset'?\n")


def test_event_time_that_is_fixed_gives_the_same_samples_each_time(tmp_path: Path) -> None:
    chosen, now_us = pace(EEG, 0), time.time_ns() // 1000
    first_us = 1_767_600_000_000_000  # 2026-01-05T08:00:00Z
    for number, at in enumerate(("2026-01-05T08:00:00Z", "2026-01-05T09:00:00+01:00", "2026-01-05 08:00:00")):
        played = with_start_time(EEG, chosen, 5, at, now_us)
        replay(played, LogSink(tmp_path / str(number), 2), wire="packed", chosen=chosen, seconds=5)
    times = [{int(at) for block in logged(tmp_path / str(number)) for at in block.at_us} for number in range(3)]
    assert times[0] == times[1] == times[2]
    assert min(times[0]) == first_us
    assert max(times[0]) < first_us + 5_000_000
    paced = pace(EEG, -1 + 4097)
    assert with_start_time(EEG, paced, 5, "2026-01-05T08:00:00Z", now_us).start_us == first_us


@pytest.mark.parametrize("at", ["yesterday", "2999-01-01T00:00:00Z", "1969-12-31T23:59:59Z", ""])
def test_event_time_that_cannot_be_is_refused(at: str) -> None:
    with pytest.raises(DeclarationProblem, match="--at"):
        with_start_time(EEG, pace(EEG, 0), 5, at, time.time_ns() // 1000)
