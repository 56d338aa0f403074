"""The engine ``sc://host:port``: a Spark Connect server that somebody else has started."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from caudal.engine.capability import Capability
from caudal.engine.mode import with_connect
from caudal.engine.protocol import SessionRequest, UnequalPart
from caudal.engine.settings import usable_cores
from caudal.errors import EnvironmentProblem

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# gRPC starts its threads anew in a forked child, whose files are then closed: one child in ten ended before it became Java.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

SCHEME = "sc://"
LIBRARIES = ("grpc", "grpc_status", "google.rpc", "zstandard")
"""What PySpark's client of Spark Connect imports."""
_NO_JAVA = "a Connect client does not see the server's Java process"
LACKS_OF_CLIENTS: Mapping[Capability, str] = {
    Capability.SHARED_VARIABLES: "the protocol of Spark Connect has none",
    Capability.ANALYSED_PLAN: _NO_JAVA,
    Capability.LITERAL_PATHS: "a server does not hear the option that Spark has for it",
    Capability.TEMPORARY_VIEWS: "a server looks for views when it computes",
    Capability.RDD: "the protocol of Spark Connect has none",
    Capability.SPARK_ML: "caudal stores and loads its models through Java",
    Capability.CONNECTORS: "a server's connectors are chosen when it is started",
    Capability.HADOOP_SETTINGS: _NO_JAVA,
    Capability.STREAMING: "streams need Java in caudal's own process",
}
# Between the stages there is only UTC (`caudal.engine.settings`), and overflows are errors.
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}


class ConnectEngine:
    """A Spark Connect server at an address."""

    def __init__(self, address: str) -> None:
        """Name the server; nothing is connected before `session`."""
        self._address = address
        self._session: SparkSession | None = None

    @property
    def name(self) -> str:
        """Its address, without parameters, one of which may be a token."""
        return f"{SCHEME}{urlsplit(self._address).netloc.rpartition('@')[2]}"

    @property
    def title(self) -> str:
        """Its name in sentences."""
        return f"the Spark Connect server {self.name}"

    @property
    def lacks(self) -> Mapping[Capability, str]:
        """What a client of Connect cannot do; of a server elsewhere also what needs files of this machine."""
        if _is_loopback(urlsplit(self._address).hostname):
            return LACKS_OF_CLIENTS
        elsewhere = f"{self.name} is another machine"
        return {**LACKS_OF_CLIENTS, Capability.LOCAL_FILES: elsewhere, Capability.LOCAL_WORKERS: elsewhere}

    def can(self, capability: Capability) -> bool:
        """Return whether the server, seen by a client, has a capability."""
        return capability not in self.lacks

    def start_description(self) -> str | None:
        """Return None: connecting takes little time."""
        return None

    def start_ahead(self, cores: int | None) -> None:
        """Do nothing: the server runs already."""

    def session(self, request: SessionRequest) -> SparkSession:
        """Return the session with the server: another one where the server does not know the last one any more.

        Raises
        ------
        EnvironmentProblem : no server answers
        """
        if self._session is not None and not self._session.is_stopped:  # type: ignore[attr-defined]
            try:
                return self._configured(self._session, request)
            except Exception:  # of two libraries: the server has forgotten a session that was idle, or is another one
                ConnectEngine.stop(self)
        self._session = self._connect(self._address)
        ENGINES[self._session.session_id] = self  # type: ignore[attr-defined]
        return self._configured(self._session, request)

    def _configured(self, session: SparkSession, request: SessionRequest) -> SparkSession:
        # Some of PySpark's functions ask for the active session, which is none once another engine's was stopped.
        type(session)._set_default_and_active_session(session)  # type: ignore[attr-defined]
        for name, value in (_SETTINGS | dict(request.conf)).items():
            if name.startswith("spark.sql."):  # others belong to the server
                session.conf.set(name, value)
        return session

    def _connect(self, address: str) -> SparkSession:
        _check_libraries()
        from pyspark.errors import PySparkException
        from pyspark.sql.connect.session import SparkSession

        # PySpark writes each failed query to the terminal; the exception says the same.
        logging.getLogger("pyspark.sql.connect.logging").setLevel(logging.CRITICAL + 1)
        # pandas-on-Spark, used inside a table function, needs it.
        os.environ.setdefault("PYARROW_IGNORE_TIMEZONE", "1")
        SparkSession.__del__ = _close_channel  # type: ignore[method-assign]
        try:
            session = SparkSession.builder.remote(address).create()
            # By default a client waits ten minutes for a server that is gone.
            session._client.set_retry_policies([])
            try:
                session.version  # noqa: B018 (asks the server)
            except Exception:
                session.stop()  # else PySpark's functions ask this one
                raise
        except PySparkException as error:
            raise self._no_answer(error) from error
        except Exception as error:
            if type(error).__module__.startswith("grpc"):
                raise self._no_answer(error) from error
            raise
        return session  # type: ignore[return-value]

    def _no_answer(self, error: Exception) -> EnvironmentProblem:
        line = next((line.strip() for line in str(error).splitlines() if "details" in line), "") or type(error).__name__
        return EnvironmentProblem(
            f"No Spark Connect server answers at {self.name}: {line}.",
            fix="Start it, or correct the engine's address.",
            engine=self.name,
        )

    @contextmanager
    def speaking(self) -> Iterator[None]:
        """Let PySpark's functions make expressions for a Connect server within the block."""
        with with_connect():
            yield

    def prepared(self, frame: DataFrame, own: Sequence[DataFrame] = ()) -> tuple[DataFrame, Sequence[UnequalPart]]:  # noqa: ARG002
        """Return the frame: what computes it is Spark."""
        return frame, ()

    def typed(self, frame: DataFrame) -> DataFrame:
        """Return the frame: its types are Spark's."""
        return frame

    def literal_path(self, path: str) -> str:
        """Return the path with a backslash before each sign of Hadoop's patterns."""
        return re.sub(r"([\[\]{}*?\\])", r"\\\1", path)

    def parallelism(self, spark: SparkSession) -> int:  # noqa: ARG002
        """Return the cores of this machine: a client does not learn those of the server."""
        return usable_cores()

    def set_group(self, spark: SparkSession, name: str | None) -> None:
        """Tag the operations that this thread starts from now on."""
        if not self.can(Capability.CANCELLING):
            return
        spark.clearTags()
        if name is not None:
            spark.addTag(_tag(name))

    def cancel(self, spark: SparkSession, name: str) -> None:
        """Interrupt the operations with a tag."""
        if self.can(Capability.CANCELLING):
            with contextlib.suppress(Exception):  # the server may be gone
                spark.interruptTag(_tag(name))

    def has_died(self, *, within_s: float = 0.0) -> bool:  # noqa: ARG002
        """Return False: the process is not caudal's."""
        return False

    def stop(self, *, wait_s: float = 60) -> None:  # noqa: ARG002
        """End the session; the server goes on."""
        session, self._session = self._session, None
        if session is not None:
            ENGINES.pop(session.session_id, None)  # type: ignore[attr-defined]
            with contextlib.suppress(Exception):  # the server may be gone
                _forget_releases()
                session.stop()


def _close_channel(session: Any) -> None:
    """Close the connection of a session that nobody holds any more.

    PySpark's own destructor also ends the threads that all sessions share. The garbage collector may run it while a query of another session, on the
    same thread, holds the lock of these threads; then the process waited for itself for ever.
    """
    with contextlib.suppress(Exception):
        session.client._channel.close()


def _forget_releases() -> None:
    """Let no session wait for answers of a server that may be gone.

    PySpark tells servers in threads, shared by all sessions of the process, which results it has read. A session that is stopped waits for
    these threads and holds a lock that each query of another session needs. A server frees what it is not told of by itself.
    """
    from pyspark.sql.connect.client.reattach import ExecutePlanResponseReattachableIterator as Results

    threads, Results._release_thread_pool_instance = Results._release_thread_pool_instance, None
    if threads is not None:
        threads.shutdown(wait=False)


def query_over(spark: SparkSession, query: str, frames: Mapping[str, DataFrame]) -> DataFrame:
    """Return the frame of a query in SQL over frames by their names; they travel with the query, so no view is left on the server."""
    from pyspark.sql.connect.dataframe import DataFrame
    from pyspark.sql.connect.plan import SQL, SubqueryAlias

    connected: Any = frames
    views = [SubqueryAlias(frame._plan, name) for name, frame in connected.items()]
    session: Any = spark
    return DataFrame(SQL(query, [], {}, views), session)


ENGINES: dict[str, ConnectEngine] = {}
"""The engine of each session with a Connect server, by the session's identifier."""


def _tag(name: str) -> str:
    """Return a name as a tag, which must not hold a comma."""
    return name.replace(",", " ")


def _is_loopback(host: str | None) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _check_libraries() -> None:
    from caudal.extras import check_pyspark, require

    check_pyspark()
    for library in LIBRARIES:
        require(library, extra="connect", for_="Spark Connect")
