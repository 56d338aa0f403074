"""What every kind of stream source keeps: each message once, in order, and the same rows again after a restart.

Kinds are found by registration: a new one needs a line under ``SENDERS`` and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket as sockets
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from caudal.declarations.connection import Connection, folder, kafka, socket, stream
from caudal.errors import EngineLacks
from caudal.messaging.broker import Broker
from caudal.messaging.log import Writer
from caudal.stages.ingest.streams import stream_frame, stream_kinds
from caudal.stages.ingest.streams.socket import _receivers

pytestmark = pytest.mark.slow
Send = Callable[[Sequence[bytes]], None]


@contextmanager
def to_log(place: Path) -> Iterator[tuple[Connection, Send]]:
    def send(messages: Sequence[bytes]) -> None:
        with Writer(place, 2) as writer:
            for number, message in enumerate(messages):
                writer.append(number % 2, [message])

    yield stream(channels=["a"]), send


@contextmanager
def to_folder(place: Path) -> Iterator[tuple[Connection, Send]]:
    (drop := place.parent / "dropped").mkdir()

    def send(messages: Sequence[bytes]) -> None:
        for message in messages:
            (part := drop / ".part").write_bytes(message)
            part.rename(drop / f"{time.monotonic_ns()}.bin")

    yield folder(str(drop / "*.bin"), channels=["a"]), send


@contextmanager
def to_socket(place: Path) -> Iterator[tuple[Connection, Send]]:
    with sockets.create_server(("127.0.0.1", 0)) as server:

        def send(messages: Sequence[bytes]) -> None:
            # A connection for each call: the receiver connects again every time.
            with server.accept()[0] as client:
                client.sendall(b"".join(struct.pack("<I", len(one)) + one for one in messages))
                kept = 0
                while kept < len(messages):
                    kept = struct.unpack("<Q", client.recv(8))[0]

        yield socket("127.0.0.1", server.getsockname()[1], channels=["a"], acknowledge=True), send
        _receivers.popitem()[1].stop()


@contextmanager
def to_kafka(place: Path) -> Iterator[tuple[Connection, Send]]:
    from confluent_kafka import Producer
    from confluent_kafka.admin import AdminClient, NewTopic

    with Broker(place.parent / "broker", heap="256m") as broker:

        def send(messages: Sequence[bytes]) -> None:
            producer = Producer({"bootstrap.servers": broker.address})
            for message in messages:
                producer.produce("samples", message)
            assert producer.flush(30) == 0

        admin = AdminClient({"bootstrap.servers": broker.address})
        admin.create_topics([NewTopic("samples", 2)])["samples"].result(30)
        yield kafka("samples", channels=["a"], servers=broker.address), send


SENDERS = {"stream": to_log, "folder": to_folder, "socket": to_socket, "kafka": to_kafka}


def test_every_kind_has_a_sender() -> None:
    assert set(stream_kinds()) == set(SENDERS)


class Killed(Exception):
    """Raised where a process would be killed."""


def rows(frame: DataFrame) -> list[tuple[int, int, bytes]]:
    return [(int(one[0]), int(one[1]), bytes(one[2])) for one in frame.select("_partition", "_offset", "payload").collect()]


def run(
    spark: SparkSession, streaming: DataFrame, checkpoint: Path, expect: int, fail: bool = False
) -> list[tuple[int, int, bytes]]:
    """Run a query until ``expect`` rows have come, and return them; ``fail`` kills it after its first rows, uncommitted."""
    got: list[tuple[int, int, bytes]] = []

    def take(one: DataFrame, number: int) -> None:
        got.extend(rows(one))
        if fail and got:
            raise Killed

    query = streaming.writeStream.option("checkpointLocation", str(checkpoint)).foreachBatch(take).start()
    until = time.monotonic() + 60
    while len(got) < expect and query.isActive and time.monotonic() < until:
        time.sleep(0.05)
    if not fail:
        query.processAllAvailable()  # what is stopped before its commit would rightly come again
        query.stop()
    else:
        with pytest.raises(Exception, match="Killed"):
            query.awaitTermination(60)
    return got


@pytest.mark.parametrize("kind", [kind for kind in SENDERS if kind != "kafka"])
def test_same_offsets_give_the_same_rows_after_a_restart(spark: SparkSession, tmp_path: Path, kind: str) -> None:
    check(spark, tmp_path, kind)


@pytest.mark.parametrize("kind", SENDERS)
def test_sail_is_given_no_stream(on_sail: SparkSession, tmp_path: Path, kind: str) -> None:
    connections = {
        "stream": stream(channels=["a"]),
        "folder": folder("*.bin", channels=["a"]),
        "socket": socket("127.0.0.1", 9, channels=["a"]),
    }
    connection = connections.get(kind) or kafka("samples", channels=["a"])
    with pytest.raises(EngineLacks, match=r"Reading a stream as a frame needs streams, which Sail .* lacks: streams need Java"):
        stream_frame(on_sail, connection, tmp_path)


def check(spark: Any, tmp_path: Path, kind: str) -> None:
    place, checkpoint = tmp_path / "place", tmp_path / "checkpoint"
    sent = [f"message {number}".encode() for number in range(25)]
    with SENDERS[kind](place) as (connection, send):
        streaming = stream_frame(spark, connection, place, max_bytes=70)
        assert streaming.isStreaming
        assert [(field.name, field.dataType.simpleString()) for field in streaming.schema] == [
            ("_partition", "int"), ("_offset", "bigint"), ("payload", "binary"), ("arrived", "timestamp"),
        ]  # fmt: skip
        send(sent[:10])
        lost = run(spark, streaming, checkpoint, 1, fail=True)
        send(sent[10:20])
        first = run(spark, stream_frame(spark, connection, place, max_bytes=70), checkpoint, 20)
        # The micro-batch that was not committed comes again, the same rows.
        assert sorted(first[: len(lost)]) == sorted(lost)
        send(sent[20:])
        second = run(spark, stream_frame(spark, connection, place), checkpoint, 5)
        got = first + second
        assert sorted(payload for _, _, payload in got) == sorted(sent)
        assert len({one[:2] for one in got}) == 25


if __name__ == "__main__":
    # Kafka's connector must be there when a session starts, so it has a session of its own.
    from caudal.engine import session

    check(session(connectors=frozenset({"kafka"}), cores=2, memory="512m"), Path(sys.argv[1]), "kafka")
    print(json.dumps({"ok": True}))


def test_kafka_gives_the_same_rows_after_a_restart(tmp_path: Path) -> None:
    from tests import zygote  # not above, for this file is a program, too

    done = zygote.run(
        [sys.executable, __file__, str(tmp_path)],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout.splitlines()[-1]) == {"ok": True}


def test_the_socket_receiver_comes_back_and_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    from caudal.messaging.log import Reader
    from caudal.stages.ingest.streams.socket import Receiver

    with sockets.create_server(("127.0.0.1", 0)) as server:
        place, port = tmp_path / "place", server.getsockname()[1]
        connection = socket("127.0.0.1", port, channels=["a"], wire="json", acknowledge=True)
        receiver = Receiver(connection, place)
        receiver.start()
        with server.accept()[0] as client:
            client.sendall(b"one\ntwo\n\nhal")
            assert struct.unpack("<Q", client.recv(8))[0] == 2
        with server.accept()[0] as client:  # the half line is gone with its connection
            client.sendall(b"three\n")
            assert struct.unpack("<Q", client.recv(8))[0] == 1
        # A second receiver of the same log waits, and takes over when the first ends.
        second = Receiver(connection, place)
        second.start()
        time.sleep(0.2)
        assert "Another writer" in second.trouble
        receiver.stop()
        server.settimeout(60)
        acknowledged = b""
        while not acknowledged:  # the first may have knocked once more before it ended
            with server.accept()[0] as client, contextlib.suppress(OSError):
                client.sendall(b"four\n")
                acknowledged = client.recv(8)
        assert struct.unpack("<Q", acknowledged)[0] == 1
        second.stop()
    assert Reader(place).read(0, 0, 4)["payload"].to_pylist() == [b"one", b"two", b"three", b"four"]


def test_a_sender_that_frames_nothing_is_told(tmp_path: Path) -> None:
    from caudal.stages.ingest.streams.socket import Receiver

    with sockets.create_server(("127.0.0.1", 0)) as server:
        receiver = Receiver(socket("127.0.0.1", server.getsockname()[1], channels=["a"]), tmp_path)
        receiver.start()
        with server.accept()[0] as client:
            client.sendall(b"GET / HTTP/1.1\r\n\r\n")
            until = time.monotonic() + 10
            while not receiver.trouble and time.monotonic() < until:
                time.sleep(0.01)
        receiver.stop()
    assert "framed" in receiver.trouble


def test_files_are_taken_once_even_when_the_taker_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from caudal.messaging.log import Reader
    from caudal.stages.ingest.streams.folder import FolderIntake, taken_files

    (drop := tmp_path / "drop").mkdir()
    for number in range(4):
        (drop / f"{number}.bin").write_bytes(b"%d" % number)
        os.utime(drop / f"{number}.bin", (number, number))
    place = tmp_path / "place"
    taking = FolderIntake(place, str(drop / "*.bin"))
    real = Writer.append

    def killed(self: Writer, partition: int, payloads: Sequence[bytes], arrived_us: int | None = None) -> range:
        if self.folder == place and payloads:
            raise Killed
        return real(self, partition, payloads, arrived_us)

    monkeypatch.setattr(Writer, "append", killed)
    with pytest.raises(Killed):
        taking.take()
    monkeypatch.undo()
    (drop / "4.bin").write_bytes(b"4")
    (drop / ".hidden.bin").write_bytes(b"5")
    assert FolderIntake(place, str(drop / "*.bin")).take() == 1
    assert taking.take() == 0
    assert Reader(place).read(0, 0, 5)["payload"].to_pylist() == [b"0", b"1", b"2", b"3", b"4"]
    assert [Path(name).name for name in taken_files(place)] == [f"{number}.bin" for number in range(5)]
