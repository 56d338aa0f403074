"""The Spark session of a run: started when it is first needed, cancelled by group, and replaced when its Java process has died."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from caudal.declarations.database import Database, connector
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.graph.fingerprint import loaded_of
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed
from caudal.runtime.progress import Progress
from caudal.stages.ingest.needs import needed_connectors
from caudal.storage.place import Place, spark_needs

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# Of the sample of benchmarks/etl, Parquet, 8 MB take a third less processor time when Java compiles little, 71 MB a seventh more.
BRIEF_BYTES = 16 * 2**20
_LANDED_KINDS = frozenset({"files", "http", "database", "simulated", "images"})


@dataclass
class RunSpark:
    """Starts the Spark session of a run on first use and controls its jobs.

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
    _session: SparkSession | None = field(default=None, init=False)
    _group: str | None = field(default=None, init=False)
    _was_replaced: bool = field(default=False, init=False)
    _start_lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    @property
    def session(self) -> SparkSession:
        """The Spark session, started when first asked for."""
        session = self._session
        if session is None:
            with self._start_lock:  # a stream's threads may ask for it at the same time
                session = self._session = self._session or self._start()
        return session

    def _start(self) -> SparkSession:
        from caudal.engine.session import session, start_description
        from caudal.engine.workers import tell_workers

        connectors, conf = spark_needs(self.lake)
        self.progress.awaited(start_description())
        started = session(
            connectors=self.connectors | connectors | database_connectors(self.product) | file_connectors(self.product),
            master=self.settings.master,
            cores=self.settings.cores,
            memory=self.settings.memory,
            conf=conf | dict(self.settings.spark),
            app=f"caudal {self.product.name}",
            brief=self.is_brief(),
        )
        self.progress.awaited(None)
        if (loaded := loaded_of(self.product)) is not None:
            tell_workers(started, loaded.name, loaded.root, loaded.sources_digest())
        if self._group is not None:
            started.sparkContext.setJobGroup(self._group, self._group, interruptOnCancel=True)
        return started

    def set_group(self, name: str | None) -> None:
        """Put the Spark jobs that this thread starts from now on into a group, so that they can be cancelled together."""
        self._group = name
        if self._session is not None and name is not None:
            self._session.sparkContext.setJobGroup(name, name, interruptOnCancel=True)

    def cancel(self, group: str) -> None:
        """Cancel the Spark jobs of a group."""
        if self._session is not None:
            with contextlib.suppress(Exception):  # Java may be dead, which has ended them too
                self._session.sparkContext.cancelJobGroup(group)

    def restart(self) -> None:
        """Stop the session; the next use starts a new one."""
        from caudal.engine.session import stop

        self._session = None
        stop(wait_s=10)

    def replace_dead(self, within_s: float) -> bool:
        """Restart a session whose Java process has died, at most once a run, and return whether that was done.

        Parameters
        ----------
        within_s : how long to wait for the Java process to end
        """
        from caudal.engine.session import has_died

        if self._was_replaced or self._session is None or not has_died(within_s=within_s):
            return False
        self._was_replaced = True
        self.restart()
        return True


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
