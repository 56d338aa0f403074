"""What has arrived at a connection. Each kind of connection is one file, named after it; a product may bring one of its own too."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from caudal.declarations.connection import Connection
from caudal.discovery import marked
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
    path : str, where it came from: a path below the data folder, an absolute path, a URL, or ``simulated:function/name``
    local : Path, where its bytes can be read now
    modified_ns : int, when its origin says it changed, nanoseconds since 1970, UTC
    etag : str, optional, what its origin calls this content
    settled : bool, False while it is still being written; it is then left alone and looked at again next time
    fault : str, optional, what is wrong with a file that nobody writes any more
    link : str, optional, where a link leads that is not followed; there is nothing to land then
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
        """The file's own name."""
        return self.path.rpartition("/")[2]


@dataclass(frozen=True)
class Seen:
    """What is remembered of a file that was landed before, and where its bytes are kept."""

    etag: str | None
    modified_ns: int
    bytes: int
    sha256: str
    stored: Place | None = None


@dataclass(frozen=True)
class Engine:
    """The Spark of a run, for origins that are asked through it.

    Parameters
    ----------
    session : gives the session, started when there is none yet
    room : Place, a folder of this source alone that every executor can write to
    """

    session: Callable[[], SparkSession]
    room: Place


Fetch = Callable[..., list[Arrival]]
"""How one kind of connection is asked for what has arrived: called as `arrivals` is, and with an ``engine`` where it asked for one."""
_FETCH: dict[str, Fetch] = {}
_WITH_ENGINE: set[str] = set()
_F = TypeVar("_F", bound=Fetch)


def fetches(kind: str, *, engine: bool = False) -> Callable[[_F], _F]:
    """Return a decorator that registers a function as the way to fetch connections of ``kind``.

    With ``engine`` the function is given the run's `Engine`, or None where there is no run; the others land without Spark.
    """

    def register(function: _F) -> _F:
        _FETCH[kind] = function
        (_WITH_ENGINE.add if engine else _WITH_ENGINE.discard)(kind)
        return marked("sources", kind)(function)

    return register


def arrivals(
    connection: Connection, *, data: Path | None, scratch: Path, seen: Mapping[str, Seen], clock: Clock = time.time,
    engine: Engine | None = None,
) -> list[Arrival]:  # fmt: skip
    """Return the files that are new or have changed, and those that are still being written, sorted by origin.

    Parameters
    ----------
    data : Path, optional, the folder that relative patterns are meant in
    scratch : Path, a folder of this source alone; what is fetched is put there, and an interrupted download is taken up from there
    seen : mapping of origin to what was landed from it before; what has not changed since is left out
    engine : the run's Spark, for what is asked through it

    Raises
    ------
    SourceProblem : the origin is missing, unreadable, or holds a broken file
    """
    fetch = _fetch(connection.kind)
    more = {"engine": engine} if connection.kind in _WITH_ENGINE else {}
    return sorted(fetch(connection, data=data, scratch=scratch, seen=seen, clock=clock, **more), key=lambda arrival: arrival.path)


def kinds() -> tuple[str, ...]:
    """Return the kinds of connection that can be fetched."""
    return tuple(sorted({*SOURCES, *_FETCH}))


def _fetch(kind: str) -> Fetch:
    # Its file is imported when it is first asked for: a product without HTTP sources does not pay for the client.
    if kind not in _FETCH and kind not in SOURCES:
        raise DeclarationProblem(
            f"Nothing fetches connections of the kind '{kind}'.",
            nearest=nearest(kind, kinds()),
            fix=f"Register a function with @fetches('{kind}').",
            kind=kind,
        )
    return _FETCH[kind]
