"""What the steps of one run share: the product, where things lie, the clock, and Spark when it is first needed."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import func, select

from caudal.declarations.database import Database, connector
from caudal.declarations.node import Node, Source
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import CaudalError
from caudal.graph.fingerprint import loaded_of
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed
from caudal.runtime.observer import RunObserver
from caudal.stages.ingest.needs import connectors
from caudal.storage import delta
from caudal.storage.place import Place, spark_needs
from caudal.tables.home import Home

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from caudal.stages.ingest import Arrival

# Of the sample of benchmarks/etl, Parquet, 8 MB take a third less processor time when Java compiles little, 71 MB a seventh more.
BRIEF_BYTES = 16 * 2**20
_LANDED = frozenset({"files", "http", "database", "simulated", "images"})


class Progress(Protocol):
    """Who is told how a run goes."""

    def started(self, step: str) -> None:
        """Say that a step begins."""

    def slow(self, step: str, seconds: float, expected_s: float) -> None:
        """Say that a step at work takes longer than usual."""

    def noted(self, sentence: str) -> None:
        """Say something about the run as a whole."""

    def awaited(self, what: str | None) -> None:
        """Say what the step at work waits for; None when it goes on."""

    def finished(
        self,
        step: str,
        state: str,
        *,
        rows_read: int | None,
        rows_written: int | None,
        quarantined: int | None,
        seconds: float,
        why: str | None,
    ) -> None:
        """Say how a step ended."""


class Quiet:
    """Nobody is told."""

    def started(self, step: str) -> None:
        """Say nothing."""

    def slow(self, step: str, seconds: float, expected_s: float) -> None:
        """Say nothing."""

    def noted(self, sentence: str) -> None:
        """Say nothing."""

    def awaited(self, what: str | None) -> None:
        """Say nothing."""

    def finished(self, step: str, state: str, **figures: Any) -> None:
        """Say nothing."""


class Process:
    """The process that a run has for itself.

    Parameters
    ----------
    say : shows the error that ends the process
    """

    def __init__(self, say: Callable[[CaudalError], None]) -> None:
        self.asked_to_stop = False  # a plain value: a signal's handler sets it
        self._say = say

    def end(self, error: CaudalError) -> None:
        """End the process at once, whatever it is doing; what the ledger is to know it has been told."""
        self._say(error)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(error.exit_code)  # Spark's Java process ends with the pipe to it


def nobody(*_: object) -> None:
    """Hear nothing."""


Arrived = Callable[["Workspace", Source, Sequence["Arrival"]], None]


@dataclass
class Workspace:
    """One run's view of the world.

    Parameters
    ----------
    connectors : those that its Spark needs beside those of the lake and of the product's sources
    held : raises when the product is no longer this run's to change
    process : the process, where it is this run's alone
    arrived : hears of files before they are landed
    observers : are told of the run's beginning, its slow steps and its end
    again : days to be made again although nothing has changed
    rebuilt : tables to be made again as a whole although nothing has changed
    learns : whether this run trains, so that what functions of tables fit may be fitted anew
    verified : raw files whose bytes were compared with their hash in this run
    revived : whether Spark was started anew because its Java process had died
    brief : whether Spark will have so little to do that Java should not compile thoroughly; told from what was landed when left out
    """

    product: Product
    home: Home
    ledger: Ledger
    settings: Settings
    run_id: str
    clock: Callable[[], float] = time.time
    progress: Progress = field(default_factory=Quiet)
    connectors: frozenset[str] = frozenset()
    published: dict[str, int] = field(default_factory=dict)
    held: Callable[[], None] = lambda: None
    process: Process | None = None
    arrived: Arrived = nobody
    observers: tuple[RunObserver, ...] = ()
    again: frozenset[str] = frozenset()
    brief: bool | None = None
    rebuilt: frozenset[str] = frozenset()
    learns: bool = False
    verified: set[Place] = field(default_factory=set)
    revived: bool = False
    _group: str | None = None

    @cached_property
    def spark(self) -> SparkSession:
        """The Spark session, started when first asked for."""
        from caudal.engine.session import session, start_description
        from caudal.engine.workers import tell_workers

        connectors, conf = spark_needs(self.home.lake)
        self.progress.awaited(start_description())
        started = session(
            connectors=self.connectors | connectors | drivers(self.product) | readers(self.product),
            master=self.settings.master,
            cores=self.settings.cores,
            memory=self.settings.memory,
            conf=conf | dict(self.settings.spark),
            app=f"caudal {self.product.name}",
            brief=self._little() if self.brief is None else self.brief,
        )
        self.progress.awaited(None)
        if (loaded := loaded_of(self.product)) is not None:
            tell_workers(started, loaded.name, loaded.root, loaded.sources_digest())
        if self._group is not None:
            started.sparkContext.setJobGroup(self._group, self._group, interruptOnCancel=True)
        return started

    def _little(self) -> bool:
        """Return whether all that was ever landed is so little that a run of it takes seconds; images are no work of Java's."""
        kinds = {name: source.connection.kind for name, source in self.product.sources.items()}
        if not _LANDED.issuperset(kinds.values()) or drivers(
            self.product
        ):  # those ask Spark itself, before it is known for how much
            return False
        read = [name for name, kind in kinds.items() if kind != "images"]
        asked = select(func.sum(landed.c.bytes).label("bytes")).where(landed.c.product == self.product.name)
        return int(self.ledger.rows(asked.where(landed.c.source.in_(read)))[0]["bytes"] or 0) < BRIEF_BYTES

    def group(self, name: str | None) -> None:
        """Let the Spark jobs that this thread begins from now on be cancelled together."""
        self._group = name
        if "spark" in self.__dict__ and name is not None:
            self.spark.sparkContext.setJobGroup(name, name, interruptOnCancel=True)

    def cancel(self, group: str) -> None:
        """End the Spark jobs of a group."""
        if "spark" in self.__dict__:
            with contextlib.suppress(Exception):  # Java may be dead, which has ended them too
                self.spark.sparkContext.cancelJobGroup(group)

    def restart_spark(self) -> None:
        """Have a new Spark session from here on."""
        from caudal.engine.session import stop

        self.__dict__.pop("spark", None)
        stop(wait_s=10)

    def folder(self, table: str) -> Place:
        """Return the folder of a table of the product."""
        return self.home.table(self.product.name, table)

    def version(self, table: str) -> int | None:
        """Return the newest published version of a table."""
        return delta.version_of(self.folder(table))

    def frame(self, table: str, days: set[str | None] | None = None, segments: set[str] | None = None) -> DataFrame:
        """Return a table as Spark frame; its event time is marked, so that windows know it."""
        from caudal.tables.frames import frame

        return self.marked(frame(self.spark, delta.read(self.folder(table)), days, segments), self.product.nodes.get(table))

    def marked(self, frame: DataFrame, node: Node | None) -> DataFrame:
        """Return the frame with the declared event-time column marked in its metadata."""
        if node is None or not node.event_time or node.event_time not in frame.columns:
            return frame
        have = dict(frame.schema[node.event_time].metadata)
        return frame.withMetadata(node.event_time, {**have, "caudal.event_time": True})


def drivers(product: Product) -> frozenset[str]:
    """Return the connectors of the databases that Spark is to ask."""
    asked = [source.connection for source in product.sources.values() if isinstance(source.connection, Database)]
    return frozenset(found for one in asked if (found := connector(one)) is not None)


def readers(product: Product) -> frozenset[str]:
    """Return the connectors that reading the files of the product's sources may need."""
    return connectors(source.connection for source in product.sources.values())
