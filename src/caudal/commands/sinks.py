"""The targets of a replay: the embedded log, Kafka, a folder, a socket. Each accepts payloads for a lane, which becomes a partition."""

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

# Unacknowledged messages that are kept for the next client of a socket.
_UNACKNOWLEDGED = 1000
_PATIENCE_S = 30.0  # how long a client may accept nothing
KINDS = ("log", "kafka", "folder", "socket")


class Sink(Protocol):
    """A target that accepts messages."""

    lanes: int

    def send(self, lane: int, payloads: Sequence[bytes]) -> None:
        """Send messages; those of one lane keep their order."""

    def close(self) -> None:
        """Send what is still queued, and close."""


def sink(
    kind: str,
    to: str,
    *,
    lanes: int = 2,
    lines: bool = False,
    servers: str = "127.0.0.1:9092",
    options: Mapping[str, object] | None = None,
) -> Sink:
    """Return the sink of a kind that sends to ``to``.

    Parameters
    ----------
    kind : one of `KINDS`
    to : a folder for ``log`` and ``folder``, a topic for ``kafka``, ``host:port`` for ``socket``
    lanes : int, partitions of a log; a topic has its own number
    lines : bool, a socket's messages are lines and not framed by their lengths
    options : mapping, options of Kafka's client, such as its login, as a source declares them
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
    """Sends into the embedded log."""

    def __init__(self, folder: Path, lanes: int) -> None:
        self.lanes = lanes
        self._writer = Writer(folder, lanes)

    def send(self, lane: int, payloads: Sequence[bytes]) -> None:
        """Append messages to a partition."""
        self._writer.append(lane, payloads)

    def close(self) -> None:
        """Close the log."""
        self._writer.close()


class KafkaSink:
    """Sends into a topic, which is created when it is missing."""

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
            # Listing a missing topic creates it, where the broker allows that.
            for _ in range(50):
                topic_metadata = producer.list_topics(topic, timeout=5).topics[topic]
                if topic_metadata.partitions:
                    break
                time.sleep(0.1)
        except KafkaException as error:
            if producer is not None:
                producer.poll(0)  # delivers the refusal to error_cb
            raise EnvironmentProblem(
                f"No Kafka answers at {servers}: {refusal.text or error.args[0].str()}.",
                fix=LOGIN_FIX if refusal.text else "Start one with 'caudal broker', or set CAUDAL_KAFKA.",
            ) from None
        self._producer = producer
        self.lanes = max(1, len(topic_metadata.partitions))

    def send(self, lane: int, payloads: Sequence[bytes]) -> None:
        """Produce messages; waits while the queue is full."""
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
        """Wait until the broker has acknowledged all messages."""
        unsent = self._producer.flush(60)
        self._check()
        if unsent:
            raise EnvironmentProblem(f"Kafka did not take {unsent:,} messages within a minute.", fix="Is the broker still there?")

    def _delivered(self, error: object, _: object) -> None:
        if error is not None:
            self._failed = str(error)

    def _check(self) -> None:
        if self._failed:
            raise EnvironmentProblem(f"Kafka refused messages of '{self._topic}': {self._failed}.")


class FolderSink:
    """Writes each payload into a separate file."""

    lanes = 1

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder, self._number = folder, 0

    def send(self, lane: int, payloads: Sequence[bytes]) -> None:  # noqa: ARG002
        """Write each payload to a temporary file and rename it, so that readers see whole files."""
        for payload in payloads:
            self._number += 1
            part = self._folder / ".part"
            part.write_bytes(payload)
            part.rename(self._folder / f"{time.time_ns():020d}-{self._number:06d}.bin")

    def close(self) -> None:
        """Do nothing: files are complete when ``send`` returns."""


class SocketSink:
    """A TCP server that sends to the client that connects; unacknowledged messages are sent again to the next client."""

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
        self._unacknowledged: deque[bytes] = deque()  # sent, not acknowledged
        self._acknowledges = False
        self._unread = b""
        self._acknowledged = 0

    def send(self, lane: int, payloads: Sequence[bytes]) -> None:  # noqa: ARG002
        """Send messages; waits for a client when none is connected."""
        new_payloads = list(payloads)
        while True:
            needs_client = self._client is None
            client = self._client or self._accept()
            try:
                self._read(client)
                # A new client first gets what the last one did not acknowledge.
                self._send_to(client, [*self._unacknowledged, *new_payloads] if needs_client else new_payloads)
                self._unacknowledged.extend(new_payloads)
                return
            except OSError:
                self._drop()

    def close(self) -> None:
        """Wait for the last acknowledgements, where the client sends any, and close."""
        until = time.monotonic() + 10
        while self._acknowledges and self._unacknowledged and time.monotonic() < until:
            try:
                client = self._client or self._accept(until - time.monotonic())
                self._read(client, 0.2)
            except OSError:
                self._drop()
                if time.monotonic() < until:
                    self.send(0, [])
        self._drop()
        self._server.close()

    def _accept(self, wait_s: float | None = None) -> socket.socket:
        self._server.settimeout(wait_s)
        self._client = self._server.accept()[0]
        self._client.settimeout(_PATIENCE_S)
        self._acknowledged, self._unread = 0, b""
        return self._client

    def _send_to(self, client: socket.socket, payloads: Sequence[bytes]) -> None:
        if self._lines:
            client.sendall(b"".join(payload + b"\n" for payload in payloads))
        else:
            client.sendall(b"".join(struct.pack("<I", len(payload)) + payload for payload in payloads))

    def _read(self, client: socket.socket, wait_s: float = 0.0) -> None:
        """Read acknowledgements: counts of messages stored on this connection, u64 little-endian."""
        client.settimeout(wait_s)
        try:
            while chunk := client.recv(4096):
                self._unread += chunk
            raise ConnectionError("the client went away")
        except (BlockingIOError, TimeoutError):
            pass
        finally:
            client.settimeout(_PATIENCE_S)
            if complete_bytes := len(self._unread) // 8 * 8:
                acknowledged = struct.unpack("<Q", self._unread[complete_bytes - 8 : complete_bytes])[0]
                for _ in range(min(acknowledged - self._acknowledged, len(self._unacknowledged))):
                    self._unacknowledged.popleft()
                self._acknowledges, self._acknowledged, self._unread = True, acknowledged, self._unread[complete_bytes:]
        while not self._acknowledges and len(self._unacknowledged) > _UNACKNOWLEDGED:
            self._unacknowledged.popleft()

    def _drop(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None
