"""Stream messages from a TCP server: a thread writes them into an embedded log, and the log is streamed."""

from __future__ import annotations

import atexit
import contextlib
import socket
import struct
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from caudal.declarations.connection import Connection, Socket
from caudal.errors import CaudalError, LeaseHeld
from caudal.messaging.log import Writer
from caudal.stages.ingest.streams import log
from caudal.stages.ingest.streams.tap import LogTap

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

KIND = "socket"
_LENGTH = struct.Struct("<I")
_ACKNOWLEDGED = struct.Struct("<Q")
_LARGEST = 64 << 20  # bytes of a message; a larger length means wrong framing
_PAUSES_S = (0.05, 2.0)  # first and longest pause before reconnecting
_receivers: dict[tuple[str, int, Path], Receiver] = {}


def frame(
    spark: SparkSession, connection: Connection, place: Path, *, data: Path | None = None, max_bytes: int | None = None
) -> DataFrame:
    """Return the stream of received messages; this starts `receive`."""
    receive(connection, place)
    return log.log_frame(spark, connection, place, max_bytes=max_bytes)


def tap(connection: Connection, place: Path, data: Path | None = None) -> SocketTap:
    """Return the tap of a socket."""
    assert isinstance(connection, Socket)
    return SocketTap(place, connection)


def receive(connection: Connection, place: Path) -> Receiver:
    """Return this process's receiver for a connection, started if there is none; it ends with the process or by `stop`."""
    assert isinstance(connection, Socket)
    key = (connection.host, connection.port, place.absolute())
    if key not in _receivers or not _receivers[key].is_alive():
        _receivers[key] = Receiver(connection, place)
        _receivers[key].start()
    return _receivers[key]


class Receiver(threading.Thread):
    """A thread that writes a server's messages into the log at ``place``, and reconnects whenever the connection is lost.

    While another process writes into the same log, it waits.

    Attributes
    ----------
    received : int, messages that are in the log
    connected : bool
    trouble : str, the last failure, or empty
    """

    def __init__(self, connection: Socket, place: Path) -> None:
        super().__init__(name=f"receiver of {connection.host}:{connection.port}", daemon=True)
        self._connection, self._place = connection, place
        self._ending = threading.Event()
        self.received, self.connected, self.trouble = 0, False, ""

    def run(self) -> None:
        """Receive until stopped."""
        pause_s = _PAUSES_S[0]
        with Writer(self._place, 1) as writer:
            while not self._ending.is_set():
                before = self.received
                try:
                    writer.append(0, [])
                    self._receive(writer)
                    self.trouble = "the server closed the connection"
                except (OSError, CaudalError, ValueError) as error:
                    self.trouble = str(error)
                    if isinstance(error, LeaseHeld):
                        writer.close()
                self.connected = False
                pause_s = _PAUSES_S[0] if self.received > before else min(2 * pause_s, _PAUSES_S[1])
                self._ending.wait(pause_s)

    def stop(self) -> None:
        """End the thread and release the log."""
        self._ending.set()
        self.join()

    def _receive(self, writer: Writer) -> None:
        address = (self._connection.host, self._connection.port)
        split = lines if self._connection.wire == "json" else frames
        with socket.create_connection(address, timeout=5) as server:
            server.settimeout(0.2)
            self.connected = True
            remainder, written_count = b"", 0
            while not self._ending.is_set():
                try:
                    piece = server.recv(1 << 20)
                except TimeoutError:
                    continue
                if not piece:
                    return
                messages, remainder = split(remainder + piece)
                if not messages:
                    continue
                writer.append(0, messages)
                written_count += len(messages)
                self.received += len(messages)
                if self._connection.acknowledge:
                    server.sendall(_ACKNOWLEDGED.pack(written_count))


def frames(received: bytes) -> tuple[list[bytes], bytes]:
    """Return the complete messages, each preceded by its u32 little-endian length, and the bytes left over.

    Raises
    ------
    ValueError : a length is implausible: the sender does not frame its messages

    Examples
    --------
    >>> frames(bytes([2, 0, 0, 0]) + b"abc")
    ([b'ab'], b'c')
    """
    messages, at = [], 0
    while len(received) - at >= _LENGTH.size:
        (length,) = _LENGTH.unpack_from(received, at)
        if length > _LARGEST:
            raise ValueError(f"a message claims to have {length:,} bytes: are the messages framed by a u32 little-endian length?")
        if len(received) - at - _LENGTH.size < length:
            break
        at += _LENGTH.size + length
        messages.append(received[at - length : at])
    return messages, received[at:]


def lines(received: bytes) -> tuple[list[bytes], bytes]:
    """Return the complete lines that are not empty, and the bytes left over."""
    *complete, remainder = received.split(b"\n")
    if len(remainder) > _LARGEST:
        raise ValueError(f"a line of more than {_LARGEST:,} bytes: are the messages lines?")
    return [line for line in complete if line.strip()], remainder


@atexit.register
def _stop_all() -> None:
    while _receivers:
        with contextlib.suppress(RuntimeError):
            _receivers.popitem()[1].stop()


class SocketTap(LogTap):
    """A socket, whose messages a thread writes into a log first."""

    def __init__(self, place: Path, connection: Socket) -> None:
        super().__init__(place)
        self._receiver = receive(connection, place)

    def close(self) -> None:
        """End the thread."""
        self._receiver.stop()
