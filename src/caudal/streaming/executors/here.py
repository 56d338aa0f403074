"""The executor that uses this process: the fastest for small micro-batches."""

from __future__ import annotations

from collections.abc import Sequence

from caudal.declarations.node import Source
from caudal.streaming.micro_batch import MicroBatch
from caudal.streaming.task import TaskResult, process_messages

EXECUTOR = "here"
MOST_BYTES = 8 << 20
"""Bytes of messages of a micro-batch: a backlog is read bit by bit, and memory stays bounded."""


def connectors(sources: Sequence[Source]) -> frozenset[str]:
    """Return no connector: the sources' own taps are read."""
    return frozenset()


def take(batch: MicroBatch) -> list[TaskResult]:
    """Return the result for the messages of a micro-batch."""
    return [process_messages(batch.tap.read(batch.start, batch.end), batch.work)]
