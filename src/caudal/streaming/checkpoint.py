"""The state that a stream keeps from one micro-batch to the next, written as a whole when the batch is done.

Each checkpoint is a file named by its batch, with a digest before it; an incomplete one is ignored. It is a pickle of our own arrays in a
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

import pyarrow as pa

from caudal.errors import EnvironmentProblem
from caudal.stages.statistics import State
from caudal.stages.statistics.seen import Seen
from caudal.streaming.faults import GOES_ON
from caudal.streaming.task import Captured
from caudal.streaming.totals import TableTotals, totals_of

_KEPT = 3
_MAGIC = b"caudal stream memory 2\n"
# Current names of classes in checkpoints of earlier versions, by module and name; add a line when one is moved or renamed.
MOVED = {
    ("caudal.run.stream.memory", "Memory"): ("caudal.streaming.checkpoint", "Checkpoint"),
    ("caudal.run.stream.task", "Captured"): ("caudal.streaming.task", "Captured"),
}


@dataclass
class Checkpoint:
    """Everything that the next micro-batch depends on.

    Parameters
    ----------
    batch : int, the last micro-batch that is included; -1 before the first
    offsets : the offset up to which messages were taken, for each partition; None before the first
    identity : identity of the source that the offsets belong to, as its tap reports it
    states : the state of each statistics table
    pending : rows of each table that are not published yet
    files : captured files that are not published yet, each with its folder's name
    outbox : rows that have yet to be sent, by outlet, each with its micro-batch
    published : time of the last publication, seconds
    counts : counters over the stream's whole life
    operators : states of detectors, by detection and device
    seen : samples that detectors have processed
    executor : the executor that computes the stream; with another than ``here``, offsets, states and operators are kept by it
    totals : the counts of each statistics table whose open windows are not in ``states``
    table_files : files of windows and anomalies that are not published yet, by table, each with its folder's name
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
    executor: str = "here"
    totals: dict[str, TableTotals] = field(default_factory=dict)
    table_files: dict[str, list[tuple[str, Captured]]] = field(default_factory=dict)

    def __setstate__(self, stored: dict[str, object]) -> None:
        """Restore a checkpoint; one that was written before a field existed has its default."""
        self.__dict__.update(Checkpoint().__dict__ | stored)

    def table_totals(self) -> dict[str, TableTotals]:
        """Return the counts of each statistics table, whichever executor keeps its open windows."""
        return self.totals or {name: totals_of(state) for name, state in self.states.items()}


def save(folder: Path, checkpoint: Checkpoint) -> int:
    """Write a checkpoint atomically; return its size in bytes.

    Raises
    ------
    EnvironmentProblem : it cannot be written; earlier checkpoints are kept, and the stream resumes from the newest
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
    for outdated in _files(folder)[:-_KEPT]:
        outdated.unlink(missing_ok=True)
    return len(body)


def newest(folder: Path) -> Checkpoint:
    """Return the newest complete checkpoint, or an empty one if the stream has not begun."""
    for file in reversed(_files(folder)):
        content = file.read_bytes()
        digest, body = content[len(_MAGIC) : len(_MAGIC) + 32], content[len(_MAGIC) + 32 :]
        if content.startswith(_MAGIC) and hashlib.sha256(body).digest() == digest:
            checkpoint: object = _Unpickler(io.BytesIO(body)).load()
            assert isinstance(checkpoint, Checkpoint)
            return checkpoint
    return Checkpoint()


class _Unpickler(pickle.Unpickler):
    """Finds classes under the names that they had when a checkpoint was written."""

    def find_class(self, module: str, name: str) -> object:
        """Return a class by the module and name of now."""
        return super().find_class(*MOVED.get((module, name), (module, name)))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.memory"))
