"""Find the Spark connectors that reading a product's sources may need, by the formats that their files can have."""

from __future__ import annotations

from collections.abc import Iterable

from caudal.declarations.connection import Connection, Files, Http, Simulated
from caudal.errors import SourceProblem
from caudal.kinds import FORMATS
from caudal.stages.ingest.raw import ARCHIVE, format_of


def needed_connectors(connections: Iterable[Connection]) -> frozenset[str]:
    """Return the names of the connectors that reading may need.

    Examples
    --------
    >>> from caudal.declarations.connection import files
    >>> [sorted(needed_connectors([files(pattern)])) for pattern in ("a.csv.gz", "a.avro", "a.zip", "a/*")]
    [[], ['avro'], ['avro'], ['avro']]
    """
    possible_formats = frozenset[str]().union(*(formats(connection) for connection in connections))
    # Connectors that Spark does not include.
    needed = (getattr(FORMATS[format], "CONNECTOR", None) for format in possible_formats if format in FORMATS)
    return frozenset(connector for connector in needed if connector is not None)


def formats(connection: Connection) -> frozenset[str]:
    """Return the formats that files of a connection can have; all formats where their names do not show them."""
    if not isinstance(connection, Files | Http | Simulated):
        return frozenset()
    if connection.format is not None:
        return frozenset({connection.format})
    if isinstance(connection, Simulated):
        return frozenset(FORMATS)
    names = connection.urls if isinstance(connection, Http) else (connection.pattern,)
    return frozenset[str]().union(*(_of_name(name, connection.options.get("members")) for name in names))


def _of_name(name: str, members: object) -> frozenset[str]:
    try:
        format = format_of(name)
        if format == ARCHIVE:
            return _of_name(str(members), None) if members else frozenset(FORMATS)
    except SourceProblem:  # a pattern that files of any ending match
        return frozenset(FORMATS)
    return frozenset({format})
