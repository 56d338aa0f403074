"""A worker process of a stream: it takes parts of micro-batches from a socket, computes each, and sends back its result; it keeps nothing
that counts, so it may die at any time.

It ends when its parent closes the socket, or is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import pyarrow as pa

from caudal.stages.ingest.streams.parts import Part, PartReader
from caudal.streaming.task import TaskInput, TaskResult, process_messages

READY = "ready"
_LOOK_EVERY_S = 0.5  # at the parent, while a part is computed


@dataclass(frozen=True)
class PartTask:
    """A part of a micro-batch, which any process can compute."""

    reader: PartReader
    part: Part
    work: TaskInput


@dataclass(frozen=True)
class PartFailure:
    """Why a worker could not compute a part."""

    reason: str


def send_object(connection: Connection, content: object) -> None:
    """Send an object; its arrays follow as they lie in memory, without a copy here."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(content, protocol=5, buffer_callback=buffers.append)
    views = [buffer.raw() for buffer in buffers]
    connection.send_bytes(json.dumps([len(view) for view in views]).encode())
    connection.send_bytes(body)
    for view in views:
        if len(view):
            connection.send_bytes(view)


def receive_object(connection: Connection) -> Any:
    """Return the next object.

    Raises
    ------
    EOFError, OSError : the other end is closed
    """
    sizes: list[int] = json.loads(connection.recv_bytes())
    body = connection.recv_bytes()
    buffers = [bytearray(size) for size in sizes]
    for buffer in buffers:
        if len(buffer):
            connection.recv_bytes_into(buffer)
    return pickle.loads(body, buffers=buffers)  # noqa: S301 (a socket that only these two processes have)


def compute(task: PartTask) -> TaskResult | PartFailure:
    """Return the result of a part; whatever is raised is the reason of a failure, and the part is computed again by the parent, which
    raises it."""
    try:
        return process_messages(task.reader.read(task.part), task.work)
    except Exception as error:  # noqa: BLE001 (the parent meets it too, or it concerns this process alone)
        return PartFailure(f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}")


def _end_with(parent: int) -> None:
    """End this process when its parent is gone."""
    while os.getppid() == parent:
        time.sleep(_LOOK_EVERY_S)
    os._exit(1)


def serve_parts() -> None:
    """Compute parts until the socket, whose handle is the first argument, is closed, or the process of the second argument is gone."""
    handle, parent = int(sys.argv[1]), int(sys.argv[2])
    # Ctrl-C, and a service manager's end, come to all processes of a group; a worker ends when its parent closes the socket.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    pa.set_cpu_count(1)  # the other workers have the other cores
    with contextlib.suppress(EOFError, OSError), Connection(handle) as connection:
        send_object(connection, READY)
        while True:
            send_object(connection, compute(receive_object(connection)))
