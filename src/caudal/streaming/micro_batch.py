"""The input of an executor: the messages of a micro-batch between two offsets, and what to compute from them."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from caudal.stages.ingest.streams.tap import Offsets, Tap
from caudal.storage.place import Place
from caudal.streaming.task import TaskInput

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass(frozen=True)
class MicroBatch:
    """The messages from ``start`` to before ``end``.

    Parameters
    ----------
    frame : returns the messages between two offsets as a Spark frame; None without Spark
    tables : names of the tables of statistics that are computed
    stage : where tasks write files of rows
    """

    tap: Tap
    start: Offsets
    end: Offsets
    work: TaskInput
    frame: Callable[[Offsets, Offsets], DataFrame] | None
    tables: Collection[str]
    stage: Place
