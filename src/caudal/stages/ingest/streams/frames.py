"""Stream sources as frames; each kind is a module of this package with its ``KIND``, ``frame`` and ``tap``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from caudal.declarations.connection import Connection
from caudal.engine.capability import Capability
from caudal.engine.choice import session_engine
from caudal.engine.protocol import require_capability
from caudal.errors import DeclarationProblem, nearest
from caudal.kinds import STREAM_SOURCES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from caudal.stages.ingest.streams.tap import Tap


class StreamModule(Protocol):
    """A module of this package: what it gives for a connection of its ``KIND``."""

    def frame(
        self, spark: SparkSession, connection: Connection, place: Path, *, data: Path | None, max_bytes: int | None
    ) -> DataFrame:
        """Return a stream of messages."""

    def tap(self, connection: Connection, place: Path, data: Path | None) -> Tap:
        """Return a reader by offset in this process."""


def stream_frame(
    spark: SparkSession, connection: Connection, place: Path, *, data: Path | None = None, max_bytes: int | None = None
) -> DataFrame:
    """Return a stream of messages: ``_partition int, _offset long, payload binary, arrived timestamp``.

    The same offsets give the same rows after a restart. A payload is null where the stored bytes are damaged.

    Parameters
    ----------
    place : Path, the source's folder (``Home.stream``) for the embedded log of ``stream`` and of the messages that ``folder`` and
        ``socket`` have received
    data : Path, optional, the folder that a relative pattern of ``folder`` refers to
    max_bytes : int, optional, about the most bytes of one micro-batch; a backlog is then read in several

    Raises
    ------
    EngineLacks : the session is not one of Spark in this process
    """
    require_capability(session_engine(spark), Capability.STREAMING, "Reading a stream as a frame")
    return _module(connection).frame(spark, connection, Path(place), data=data, max_bytes=max_bytes)


def open_tap(connection: Connection, place: Path, data: Path | None = None) -> Tap:
    """Return the object that reads a stream by offset in this process; ``place`` and ``data`` as for `stream_frame`."""
    return _module(connection).tap(connection, place, data)


def stream_kinds() -> Mapping[str, StreamModule]:
    """Return the module of every kind of stream source.

    Examples
    --------
    >>> sorted(stream_kinds())
    ['folder', 'kafka', 'socket', 'stream']
    """
    return STREAM_SOURCES


def _module(connection: Connection) -> StreamModule:
    if connection.kind not in stream_kinds():
        raise DeclarationProblem(
            f"A connection of the kind '{connection.kind}' does not stream.",
            nearest=nearest(connection.kind, stream_kinds()),
            fix=f"Kinds that do: {', '.join(sorted(stream_kinds()))}.",
            kind=connection.kind,
        )
    return stream_kinds()[connection.kind]
