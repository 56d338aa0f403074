"""Commit the rows that a stream's checkpoint holds: each commit names the micro-batch, so that none is committed twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.declarations.statistics import Statistics
from caudal.errors import StepFailed
from caudal.stages.statistics.batch import marks
from caudal.storage import delta
from caudal.storage.place import Place, relative_path
from caudal.streaming.append import append, compact, last_batch
from caudal.streaming.checkpoint import Checkpoint
from caudal.streaming.task import Captured, TaskResult
from caudal.streaming.watch import ANOMALY_SCHEMA
from caudal.tables.home import Home

SET_ASIDE = "_unreadable"
UNREADABLE = pa.schema(
    [
        ("source_partition", pa.int32()),
        ("source_offset", pa.int64()),
        ("_reasons", pa.list_(pa.string())),
        ("_raw", pa.string()),
        ("message", pa.binary()),
    ]
)


def publish_checkpoint(
    checkpoint: Checkpoint, product: Product, source: Source, home: Home, tables: Sequence[str], run_id: str, now: float
) -> Checkpoint:
    """Commit the rows of a saved checkpoint, and return it without them; a table that names this micro-batch, or a later one, has
    them already.

    Parameters
    ----------
    tables : the tables that belong to the source's stream, including its capture
    now : seconds since 1970, UTC
    """
    identity = {"run_id": run_id, "step": f"stream:{source.name}", "upto": checkpoint.batch, "at": now, "code": "stream"}
    for name in tables:
        folder, node = home.table(product.name, name), product.nodes.get(name)
        written = checkpoint.files if name == source.name else checkpoint.table_files.get(name, [])
        files = [_data_file(folder, *file) for file in written]
        parts = checkpoint.pending.get(name, [])
        if name in product.detections and delta.version_of(folder) is None and checkpoint.batch >= 0:
            parts = [ANOMALY_SCHEMA.empty_table(), *parts]  # a table without rows says that no anomaly was found
        if (parts or files) and last_batch(folder) < checkpoint.batch:
            partitioned = node is not None and node.partition is not None
            moment = (node.event_time if node is not None else None) or "at"
            column_marks = marks(node) if isinstance(node, Statistics) else None
            append(
                folder, parts, files, moment=moment, tz=product.tz, partitioned=partitioned, identity=identity, marks=column_marks
            )
            compact(folder, partitioned=partitioned, identity=identity)
    aside = home.quarantine(product.name, source.name)
    if (parts := checkpoint.pending.get(SET_ASIDE, [])) and last_batch(aside) < checkpoint.batch:
        append(aside, parts, [], moment="", tz="UTC", partitioned=False, identity=identity)
    return replace(checkpoint, pending={}, files=[], table_files={}, published=now)


def hold(checkpoint: Checkpoint, product: Product, home: Home, tables: Sequence[str], memories: Path) -> None:
    """Raise if a table holds rows that the checkpoint does not know of.

    Raises
    ------
    StepFailed : the checkpoint was lost, and the stream would count messages twice
    """
    for name in tables:
        if (published := last_batch(home.table(product.name, name))) > checkpoint.batch:
            raise StepFailed(
                f"Table '{name}' holds the stream up to micro-batch {published:.0f}, but {memories} knows of {checkpoint.batch} only.",
                fix=f"Bring that folder back; or, to begin anew, move {memories.parent} and the tables made of it away.",
                table=name,
            )


def _data_file(folder: Place, stage: str, file: Captured) -> delta.DataFile:
    place = folder / stage / file.name
    return delta.DataFile(relative_path(place, folder).as_posix(), place.stat().st_size, file.rows, file.day)


def unreadable(result: TaskResult) -> pa.Table:
    """Return a task's messages that hold no samples, as rows of the quarantine table."""
    partitions, offsets, reasons, messages = zip(*result.unreadable, strict=True)
    texts = [None if message is None else message.decode("utf-8", "backslashreplace") for message in messages]
    return pa.table([partitions, offsets, [[reason] for reason in reasons], texts, messages], schema=UNREADABLE)
