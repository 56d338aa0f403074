"""Find the files that have arrived at a connection. Each kind of connection is one module, named after it; a product may add its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from caudal.declarations.connection import Connection
from caudal.discovery import mark_kind
from caudal.errors import DeclarationProblem, nearest
from caudal.kinds import SOURCES
from caudal.storage.place import Place

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

Clock = Callable[[], float]  # seconds since 1970, UTC


@dataclass(frozen=True)
class Arrival:
    """A file that is new or has changed.

    Parameters
    ----------
    path : str, its origin: a path below the data folder, an absolute path, a URL, or ``simulated:function/name``
    local : Path, where its bytes can be read now
    modified_ns : int, when it changed according to its origin, nanoseconds since 1970, UTC
    etag : str, optional, the identifier that its server gives this content
    settled : bool, False while it is still being written; it is then skipped until the next look
    fault : str, optional, what is wrong with a file that is no longer being written
    link : str, optional, the target of a link that is not followed; there is nothing to land then
    """

    path: str
    local: Path
    bytes: int
    modified_ns: int
    etag: str | None = None
    settled: bool = True
    fault: str | None = None
    link: str | None = None

    @property
    def name(self) -> str:
        """Return the file's name without its folder."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class KnownFile:
    """A file that was landed before: the facts by which a change is detected, and where its bytes are stored."""

    etag: str | None
    modified_ns: int
    bytes: int
    sha256: str
    stored: Place | None = None


@dataclass(frozen=True)
class Engine:
    """The Spark of a run, for origins that are read by Spark.

    Parameters
    ----------
    session : returns the session, and starts it if there is none yet
    folder : Place, a folder for this source alone that every executor can write to
    """

    session: Callable[[], SparkSession]
    folder: Place


Fetch = Callable[..., list[Arrival]]
"""A function that fetches one kind of connection: called like `arrivals`, with an ``engine`` where it registered for one."""
_FETCH: dict[str, Fetch] = {}
_WITH_ENGINE: set[str] = set()
_F = TypeVar("_F", bound=Fetch)


def fetches(kind: str, *, engine: bool = False) -> Callable[[_F], _F]:
    """Return a decorator that registers a function as the way to fetch connections of ``kind``.

    With ``engine`` the function gets the run's `Engine`, or None outside of a run; other kinds land without Spark.
    """

    def register(function: _F) -> _F:
        _FETCH[kind] = function
        (_WITH_ENGINE.add if engine else _WITH_ENGINE.discard)(kind)
        return mark_kind("sources", kind)(function)

    return register


def arrivals(
    connection: Connection, *, data: Path | None, scratch: Path, landed: Mapping[str, KnownFile], clock: Clock = time.time,
    engine: Engine | None = None,
) -> list[Arrival]:  # fmt: skip
    """Return the files that are new or have changed, and those that are still being written, sorted by origin.

    Parameters
    ----------
    data : Path, optional, the folder that relative patterns refer to
    scratch : Path, a folder for this source's downloads alone; an interrupted download continues from there
    landed : mapping of origin to the file that was landed from it; unchanged files are left out
    engine : the run's Spark, for origins that are read by Spark

    Raises
    ------
    SourceProblem : the origin is missing, unreadable, or holds a broken file
    """
    fetch = _fetch(connection.kind)
    engine_argument = {"engine": engine} if connection.kind in _WITH_ENGINE else {}
    return sorted(
        fetch(connection, data=data, scratch=scratch, landed=landed, clock=clock, **engine_argument),
        key=lambda arrival: arrival.path,
    )


def fetched_kinds() -> tuple[str, ...]:
    """Return the kinds of connection that can be fetched."""
    return tuple(sorted({*SOURCES, *_FETCH}))


def _fetch(kind: str) -> Fetch:
    # Its module is imported on first use: a product without HTTP sources does not pay for the client.
    if kind not in _FETCH and kind not in SOURCES:
        raise DeclarationProblem(
            f"No function fetches connections of the kind '{kind}'.",
            nearest=nearest(kind, fetched_kinds()),
            fix=f"Register a function with @fetches('{kind}').",
            kind=kind,
        )
    return _FETCH[kind]
