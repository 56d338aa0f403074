"""The session of a run with its engine: started when it is first needed, cancelled by group, and replaced when its process has died."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from caudal.declarations.database import Database, connector
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.engine.choice import engines
from caudal.engine.classic import CLASSIC
from caudal.engine.protocol import QueryEngine, SessionRequest, unequal_rows
from caudal.errors import EngineLacks
from caudal.graph.fingerprint import loaded_of
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed
from caudal.runtime.progress import Progress
from caudal.stages.ingest.needs import needed_connectors
from caudal.storage.place import Place, spark_needs

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# Of the sample of benchmarks/etl, Parquet, 8 MB take a third less processor time when Java compiles little, 71 MB a seventh more.
BRIEF_BYTES = 16 * 2**20
_LANDED_KINDS = frozenset({"files", "http", "database", "simulated", "images"})


@dataclass
class RunSpark:
    """Starts the session of a run on first use and controls its queries.

    A step is done `on` one of the run's engines; what happens outside of steps is done on Spark.

    Parameters
    ----------
    lake : the place of the tables, which may need connectors (S3, HDFS)
    progress : told while the session starts
    is_brief : tells whether Spark will have so little to do that Java should not compile thoroughly; called when the session starts
    connectors : those that are needed beside those of the lake and of the product's sources
    """

    product: Product
    settings: Settings
    lake: Place
    progress: Progress
    is_brief: Callable[[], bool]
    connectors: frozenset[str] = frozenset()
    refusals: dict[str, str] = field(default_factory=dict, init=False)
    """Why a step is not done on the first engine, by the step's name."""
    _engine: QueryEngine = field(default=CLASSIC, init=False)
    _check: Callable[[], None] | None = field(default=None, init=False)
    _sessions: dict[str, SparkSession] = field(default_factory=dict, init=False)
    _group: str | None = field(default=None, init=False)
    _was_replaced: bool = field(default=False, init=False)
    cancelled: bool = field(default=False, init=False)  # whether the queries of this group were
    _start_lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def engine(self) -> QueryEngine:
        """The engine that is used now."""
        return self._engine

    @property
    def engines(self) -> tuple[QueryEngine, ...]:
        """The engines that the settings name for the steps, that to be tried first first."""
        return engines(self.settings.engine, master=self.settings.master, conf=self.settings.spark)

    @contextmanager
    def on(self, engine: QueryEngine, check: Callable[[], None] | None = None) -> Iterator[None]:
        """Use an engine within the block.

        Parameters
        ----------
        check : called when the session is asked for; raises where the engine lacks what will be needed
        """
        before = self._engine, self._check
        self._engine, self._check = engine, check
        try:
            with engine.speaking():
                yield
        finally:
            self._engine, self._check = before

    @property
    def session(self) -> SparkSession:
        """The session with the engine that is used now, started when first asked for."""
        if self._check is not None:
            self._check()
        session = self._sessions.get(self._engine.name)
        if session is None:
            with self._start_lock:  # a stream's threads may ask for it at the same time
                session = self._sessions.get(self._engine.name) or self._start()
                self._sessions[self._engine.name] = session
        return session

    def _start(self) -> SparkSession:
        from caudal.engine.workers import tell_workers

        connectors, conf = spark_needs(self.lake)
        engine = self._engine
        began = time.monotonic()
        self.progress.awaited(engine.start_description())
        started = engine.session(
            SessionRequest(
                connectors=self.connectors | connectors | database_connectors(self.product) | file_connectors(self.product),
                master=self.settings.master,
                cores=self.settings.cores,
                memory=self.settings.memory,
                conf=conf | dict(self.settings.spark),
                app=f"caudal {self.product.name}",
                brief=self.is_brief(),
            )
        )
        self.progress.awaited(None)
        self.progress.engine_started(engine.name, time.monotonic() - began)
        if (loaded := loaded_of(self.product)) is not None:
            tell_workers(started, loaded.name, loaded.root, loaded.sources_digest())
        if self._group is not None:
            engine.set_group(started, self._group)
        return started

    def prepared(self, frame: DataFrame, for_: str, own: Sequence[DataFrame] = ()) -> tuple[DataFrame, str | None]:
        """Return the frame that the engine is to compute in the place of a frame, and the sentence that it is not known to give Spark's rows.

        The sentence is shown by the run; it is None where the rows are known to be Spark's.

        Parameters
        ----------
        for_ : what the frame is, as the subject of a sentence
        own : frames that this one is made of, and that caudal itself has made; what lies within them is not looked at

        Raises
        ------
        EngineLacks : they are not known to be, and the engine ``auto`` has Spark to compute them instead
        """
        other, unequal = self._engine.prepared(frame, own)
        if not unequal:
            return other, None
        sentence = unequal_rows(self._engine, unequal)
        if self._engine is not self.engines[-1]:
            raise EngineLacks(sentence, engine=self._engine.name)
        sentence = f"{for_}: {sentence.removesuffix('.')}: {unequal[0].why}."
        self.progress.noted(f"{sentence} The engine 'auto' has Spark compute it.")
        return other, sentence

    def set_group(self, name: str | None) -> None:
        """Put the queries that this thread starts from now on into a group, so that they can be cancelled together."""
        self._group, self.cancelled = name, False
        if (session := self._sessions.get(self._engine.name)) is not None:
            self._engine.set_group(session, name)

    def cancel(self, group: str) -> None:
        """Cancel the queries of a group; with an engine that cannot, its process ends if it is caudal's own."""
        self.cancelled = True
        if (session := self._sessions.get(self._engine.name)) is not None:
            self._engine.cancel(session, group)

    def restart(self) -> None:
        """Stop the sessions; the next use starts a new one."""
        for engine in {engine.name: engine for engine in (*self.engines, CLASSIC)}.values():
            if self._sessions.pop(engine.name, None) is not None:
                engine.stop(wait_s=10)

    def replace_dead(self, within_s: float) -> bool:
        """Restart sessions if the process of one has died, at most once a run, and return whether that was done.

        Parameters
        ----------
        within_s : how long to wait for the process to end
        """
        started = [engine for engine in (*self.engines, CLASSIC) if engine.name in self._sessions]
        if self._was_replaced or not any(engine.has_died(within_s=within_s) for engine in started):
            return False
        self._was_replaced = True
        self.restart()
        return True

    def drop_dead(self, engine: QueryEngine) -> None:
        """Forget the session with an engine whose process has died; the next use starts a new one."""
        if engine.name in self._sessions and engine.has_died(within_s=1.0):
            del self._sessions[engine.name]
            engine.stop(wait_s=10)


def has_little_data(product: Product, ledger: Ledger) -> bool:
    """Return whether all that was ever landed is so little that a run over it takes seconds; images are not counted, Java does not read them."""
    kinds = {name: source.connection.kind for name, source in product.sources.items()}
    if not _LANDED_KINDS.issuperset(kinds.values()) or database_connectors(product):
        return False  # Spark itself reads those, and how much is not known before
    names = [name for name, kind in kinds.items() if kind != "images"]
    query = select(func.sum(landed.c.bytes).label("bytes")).where(landed.c.product == product.name)
    return int(ledger.rows(query.where(landed.c.source.in_(names)))[0]["bytes"] or 0) < BRIEF_BYTES


def database_connectors(product: Product) -> frozenset[str]:
    """Return the connectors of the databases that Spark reads."""
    databases = [source.connection for source in product.sources.values() if isinstance(source.connection, Database)]
    return frozenset(name for database in databases if (name := connector(database)) is not None)


def file_connectors(product: Product) -> frozenset[str]:
    """Return the connectors that reading the files of the product's sources may need."""
    return needed_connectors(source.connection for source in product.sources.values())
