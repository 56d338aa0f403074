"""The executor that uses Spark tasks, for backlogs and for more messages than one process can handle."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from caudal.declarations.connection import Kafka
from caudal.declarations.node import Source
from caudal.stages.statistics import have_common_samples
from caudal.streaming.executors import here
from caudal.streaming.micro_batch import MicroBatch
from caudal.streaming.task import SCHEMA, TaskResult, run_task

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

EXECUTOR = "spark"
MOST_BYTES = 128 << 20
"""Bytes of messages of a micro-batch."""


def connectors(sources: Sequence[Source]) -> frozenset[str]:
    """Return the connectors that Spark needs to read the sources."""
    return frozenset({"kafka"} if any(isinstance(source.connection, Kafka) for source in sources) else ())


def take(batch: MicroBatch) -> list[TaskResult]:
    """Return the tasks' results; if two tasks took the same sample, one task processes all messages."""
    if batch.frame is None:
        return here.take(batch)
    try:
        return _by_spark(batch, batch.frame(batch.start, batch.end))
    except Exception:
        batch.tap.ends(batch.start, 1)
        if batch.tap.unavailable is not None:  # it was the source that failed, not Spark
            raise batch.tap.unavailable from None
        raise


def _by_spark(batch: MicroBatch, frame: DataFrame) -> list[TaskResult]:
    results = _collect(frame.mapInArrow(partial(run_task, work=batch.work), SCHEMA))
    for name in batch.tables:
        if have_common_samples([result.taken_samples[name] for result in results if name in result.taken_samples]):
            for file in (file for result in results for file in result.files):
                (batch.stage / file.name).unlink(missing_ok=True)
            return _collect(frame.coalesce(1).mapInArrow(partial(run_task, work=batch.work), SCHEMA))
    return results


def _collect(frame: DataFrame) -> list[TaskResult]:
    """Return the results that tasks sent: pickles of our own tasks, over Spark's own channel."""
    return [pickle.loads(value) for value in frame.toArrow().column("found").to_pylist()]  # noqa: S301
