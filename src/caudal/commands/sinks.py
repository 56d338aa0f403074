"""Where a replay goes: the embedded log, Kafka, a folder, a socket. Each takes payloads for a lane, which becomes a partition."""

from __future__ import annotations

import socket
import struct
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from caudal.declarations.outlet import Topic
from caudal.errors import DeclarationProblem, EnvironmentProblem
from caudal.extras import require
from caudal.messaging.log import Writer
from caudal.stages.ingest.streams.kafka_client import LOGIN_FIX, LoginRefusal, client_options

# Messages that are sent again to a client that comes after one which never acknowledged anything.
_UNACKNOWLEDGED = 1000
_PATIENCE_S = 30.0  # with a client that takes nothing
KINDS = ("log", "kafka", "folder", "socket")


class Sink(Protocol):
    """Takes messages."""

    lanes: int

    def send(self, lane: int, payloads: Sequence[bytes]) -> None:
        """Send messages; those of one lane keep their order."""

    def close(self) -> None:
        """Send what is still on its way, and end."""


def sink(
    kind: str,
    to: str,
    *,
    lanes: int = 2,
    lines: bool = False,
    servers: str = "127.0.0.1:9092",
    options: Mapping[str, object] | None = None,
) -> Sink:
    """Return the way to ``to``.

    Parameters
    ----------
    kind : one of `KINDS`
    to : a folder for ``log`` and ``folder``, a topic for ``kafka``, ``host:port`` for ``socket``
    lanes : int, partitions of a log; a topic has its own number
    lines : bool, a socket's messages are lines and not framed by their lengths
    options : mapping, of Kafka's client, as a source declares them: how to log in
    """
    if kind == "log":
        return LogSink(Path(to), lanes)
    if kind == "kafka":
        return KafkaSink(to, servers, options)
    if kind == "folder":
        return FolderSink(Path(to))
    host, _, port = to.rpartition(":")
    if kind != "socket" or not port.isdigit():
        raise DeclarationProblem(f"'{to}' is no place for {kind}.", fix=f"Kinds: {', '.join(KINDS)}; a socket is HOST:PORT.")
    return SocketSink(host or "127.0.0.1", int(port), lines)


class LogSink:
    """Into the embedded log."""

    def __init__(self, folder: Path, lanes: int) -> None:
        self.lanes = lanes
        self._writer = Writer(folder, lanes)

    def send(self, lane: int, payloads: Sequence[bytes]) -> None:
        """Append."""
        self._writer.append(lane, payloads)

    def close(self) -> None:
        """Let go of the log."""
        self._writer.close()


class KafkaSink:
    """Into a topic, which is made when it is missing."""

    def __init__(self, topic: str, servers: str, options: Mapping[str, Any] | None = None) -> None:
        require("confluent_kafka", extra="kafka", for_="caudal replay into Kafka")
        from confluent_kafka import KafkaException, Producer

        self._topic, self._failed = topic, ""
        refusal = LoginRefusal()
        producer: Any = None
        try:
            producer = Producer(
                {
                    "bootstrap.servers": servers,
                    "error_cb": refusal,
                    **client_options(Topic(topic, servers, options or {})),
                    "acks": "all",
                    "enable.idempotence": True,
                    "linger.ms": 5,
                    "batch.size": 1 << 20,
                    "message.max.bytes": 8 << 20,
                    "queue.buffering.max.kbytes": 256 << 10,
                    "reconnect.backoff.max.ms": 1000,
                    "log_level": 0,
                }
            )
            # Asking for a topic makes it, where the broker is set so.
            for _ in range(50):
                known = producer.list_topics(topic, timeout=5).topics[topic]
                if known.partitions:
                    break
                time.sleep(0.1)
        except KafkaException as error:
            if producer is not None:
                producer.poll(0)  # has the refusal told
            raise EnvironmentProblem(
                f"No Kafka answers at {servers}: {refusal.text or error.args[0].str()}.",
                fix=LOGIN_FIX if refusal.text else "Start one with 'caudal broker', or set CAUDAL_KAFKA.",
            ) from None
        self._producer = producer
        self.lanes = max(1, len(known.partitions))

    def send(self, lane: int, payloads: Sequence[bytes]) -> None:
        """Produce; waits while the queue is full."""
        for payload in payloads:
            while True:
                try:
                    self._producer.produce(self._topic, payload, partition=lane, on_delivery=self._delivered)
                    break
                except BufferError:
                    self._producer.poll(0.05)
        self._producer.poll(0)
        self._check()

    def close(self) -> None:
        """Wait until the broker has everything."""
        left = self._producer.flush(60)
        self._check()
        if left:
            raise EnvironmentProblem(f"Kafka did not take {left:,} messages within a minute.", fix="Is the broker still there?")

    def _delivered(self, error: object, _: object) -> None:
        if error is not None:
            self._failed = str(error)

    def _check(self) -> None:
        if self._failed:
            raise EnvironmentProblem(f"Kafka refused messages of '{self._topic}': {self._failed}.")


class FolderSink:
    """Into files, one for all that is sent at once."""

    lanes = 1

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._number = folder, 0

    def send(self, lane: int, payloads: Sequence[bytes]) -> None:  # noqa: ARG002
        """Write each payload beside, then move it in: nobody sees half a file."""
        for payload in payloads:
            self._number += 1
            part = self._folder / ".part"
            part.write_bytes(payload)
            part.rename(self._folder / f"{time.time_ns():020d}-{self._number:06d}.bin")

    def close(self) -> None:
        """Nothing is on its way."""


class SocketSink:
    """To whoever connects: a TCP server. What a client that acknowledges has not acknowledged is sent again to the next one."""

    lanes = 1

    def __init__(self, host: str, port: int, lines: bool) -> None:
        try:
            self._server = socket.create_server((host, port))
        except OSError as error:
            raise EnvironmentProblem(
                f"{host}:{port} cannot be listened on: {error.strerror}.", fix="Choose another port."
            ) from None
        self.address = "{}:{}".format(*self._server.getsockname()[:2])
        self._lines = lines
        self._client: socket.socket | None = None
        self._waiting: deque[bytes] = deque()  # sent and not acknowledged
        self._acknowledges = False
        self._answer = b""
        self._kept = 0

    def send(self, lane: int, payloads: Sequence[bytes]) -> None:  # noqa: ARG002
        """Send, waiting for a client when there is none."""
        fresh = list(payloads)
        while True:
            again = self._client is None
            client = self._client or self._accepted()
            try:
                self._read(client)
                # To a new client first what the last one may not have kept.
                self._out(client, [*self._waiting, *fresh] if again else fresh)
                self._waiting.extend(fresh)
                return
            except OSError:
                self._drop()

    def close(self) -> None:
        """Wait for the last acknowledgements where there are any, and end."""
        until = time.monotonic() + 10
        while self._acknowledges and self._waiting and time.monotonic() < until:
            try:
                client = self._client or self._accepted(until - time.monotonic())
                self._read(client, 0.2)
            except OSError:
                self._drop()
                if time.monotonic() < until:
                    self.send(0, [])
        self._drop()
        self._server.close()

    def _accepted(self, wait_s: float | None = None) -> socket.socket:
        self._server.settimeout(wait_s)
        self._client = self._server.accept()[0]
        self._client.settimeout(_PATIENCE_S)
        self._kept, self._answer = 0, b""
        return self._client

    def _out(self, client: socket.socket, payloads: Sequence[bytes]) -> None:
        if self._lines:
            client.sendall(b"".join(payload + b"\n" for payload in payloads))
        else:
            client.sendall(b"".join(struct.pack("<I", len(payload)) + payload for payload in payloads))

    def _read(self, client: socket.socket, wait_s: float = 0.0) -> None:
        """Take acknowledgements: numbers of messages kept on this connection, u64 little-endian."""
        client.settimeout(wait_s)
        try:
            while piece := client.recv(4096):
                self._answer += piece
            raise ConnectionError("the client went away")
        except (BlockingIOError, TimeoutError):
            pass
        finally:
            client.settimeout(_PATIENCE_S)
            if whole := len(self._answer) // 8 * 8:
                kept = struct.unpack("<Q", self._answer[whole - 8 : whole])[0]
                for _ in range(min(kept - self._kept, len(self._waiting))):
                    self._waiting.popleft()
                self._acknowledges, self._kept, self._answer = True, kept, self._answer[whole:]
        while not self._acknowledges and len(self._waiting) > _UNACKNOWLEDGED:
            self._waiting.popleft()

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
