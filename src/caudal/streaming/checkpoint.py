"""What a stream remembers from one micro-batch to the next, written as a whole when the batch is done.

A memory is a file of its batch's number, with a digest before it; a torn one is not taken. It is a pickle of our own arrays in a
folder of our own: who can write there can run code as the stream's user anyway.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pickle
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from caudal.errors import EnvironmentProblem
from caudal.stages.statistics import State
from caudal.stages.statistics.seen import Seen
from caudal.streaming.faults import GOES_ON
from caudal.streaming.task import Captured

_KEPT = 3
_MAGIC = b"caudal stream memory 2\n"
# What classes in checkpoints of earlier versions are called now, by module and name; whoever moves or renames one adds a line.
MOVED = {
    ("caudal.run.stream.memory", "Memory"): ("caudal.streaming.checkpoint", "Checkpoint"),
    ("caudal.run.stream.task", "Captured"): ("caudal.streaming.task", "Captured"),
}


@dataclass
class Checkpoint:
    """Everything that decides what the next micro-batch gives.

    Parameters
    ----------
    batch : int, the last one that is in here; -1 before the first
    offsets : up to where messages have been taken, for each partition; None before the first
    identity : of the source that these offsets are of, as its tap tells it
    states : of each statistics table
    pending : rows of each table that are not published yet
    files : captured files that are not published yet, each with its folder's name
    outbox : rows that are to go out, by outlet, with their micro-batch
    published : clock at the last publishing, seconds
    counts : what is counted over the stream's life
    operators : states of detectors, by detection and device
    seen : samples that detectors have looked at
    """

    batch: int = -1
    offsets: tuple[int, ...] | None = None
    states: dict[str, State] = field(default_factory=dict)
    pending: dict[str, list[pa.Table]] = field(default_factory=dict)
    files: list[tuple[str, Captured]] = field(default_factory=list)
    outbox: dict[str, list[tuple[int, pa.Table]]] = field(default_factory=dict)
    published: float = 0.0
    counts: dict[str, int] = field(default_factory=dict)
    operators: dict[str, bytes] = field(default_factory=dict)
    seen: Seen = field(default_factory=Seen)
    identity: tuple[str | None, ...] = ()


def save(folder: Path, checkpoint: Checkpoint) -> int:
    """Write a memory whole or not at all; return its bytes.

    Raises
    ------
    EnvironmentProblem : it cannot be written; the memories before it are kept, and the stream goes on from the newest
    """
    body = pickle.dumps(checkpoint, protocol=5)
    part = folder / f".{checkpoint.batch}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as out:
            out.write(_MAGIC + hashlib.sha256(body).digest())
            out.write(body)
            out.flush()
            os.fsync(out.fileno())
        part.replace(folder / f"{checkpoint.batch:012d}.memory")
    except OSError as error:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)
        raise EnvironmentProblem(
            f"The stream's memory cannot be written: {error.strerror or error} ({len(body):,} bytes for '{folder}').",
            fix=f"Free space there, three times as much: {GOES_ON}",
            bytes=len(body),
        ) from None
    for old in _files(folder)[:-_KEPT]:
        old.unlink(missing_ok=True)
    return len(body)


def newest(folder: Path) -> Checkpoint:
    """Return the newest memory that is whole, or that of a stream that has not begun."""
    for file in reversed(_files(folder)):
        read = file.read_bytes()
        digest, body = read[len(_MAGIC) : len(_MAGIC) + 32], read[len(_MAGIC) + 32 :]
        if read.startswith(_MAGIC) and hashlib.sha256(body).digest() == digest:
            checkpoint: Any = _Unpickler(io.BytesIO(body)).load()
            assert isinstance(checkpoint, Checkpoint)
            return checkpoint
    return Checkpoint()


class _Unpickler(pickle.Unpickler):
    """Finds classes under the names that they had when a checkpoint was written."""

    def find_class(self, module: str, name: str) -> Any:
        """Return a class by the module and name of now."""
        return super().find_class(*MOVED.get((module, name), (module, name)))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.memory"))
