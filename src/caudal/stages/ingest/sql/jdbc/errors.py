"""What JDBC drivers and Spark's reader raise, told as what it is: a mistake, or a server that is away."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from caudal.declarations.database import Database
from caudal.errors import CaudalError, SourceProblem
from caudal.secret import passwords_of
from caudal.stages.ingest.sql.engine import told

_READER = "datasources.jdbc"  # the package of Spark's reader, in a stack
_LOST = ("Recoverable", "SQLTransient", "SQLNonTransientConnection", "SQLTimeout", "CommunicationsException")
_NET = ("java.net.", "java.io.EOFException", "java.io.IOException")


def translate_jdbc_error(error: Exception, source: Database) -> CaudalError | None:
    """Return what a database said, in our words and without its password; None where it is not the database that spoke."""
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)  # py4j's, or PySpark's own
    if java is None:
        return None
    chain = _chain(java)
    hidden = [source.address.url(), *passwords_of(source.address.url())]
    names = [str(one.getClass().getName()) for one in chain]
    for one, name in zip(chain, names, strict=True):
        state = _state(one)
        if state is None:
            continue
        gone = any(sign in name for sign in _LOST) or any(below.startswith(_NET) for below in names)
        return told(str(one.getMessage() or name), state, source, hidden, gone=gone)
    if _READER not in str(error) and not any(_READER in str(frame) for frame in java.getStackTrace()):
        return None
    said = f"{names[-1].rpartition('.')[2]}: {chain[-1].getMessage()}".splitlines()[0]
    for one in hidden:
        said = said.replace(one, "***")
    return SourceProblem(
        f"'{source.what}' at {source.address!r} cannot be read: {said}.",
        fix="Ask for what no type holds in a query that makes it so: CAST(… AS …), or NULLIF for NaN and infinity.",
        place=repr(source.address),
    )


def _chain(java: Any) -> list[Any]:
    """Return an exception and its causes, the first first."""
    found = [java]
    while len(found) < 20 and (cause := found[-1].getCause()) is not None:
        found.append(cause)
    return found


def _state(java: Any) -> str | None:
    """Return the SQLSTATE of a ``java.sql.SQLException``, of another exception None."""
    with suppress(Exception):  # py4j's, where there is no such method
        return str(java.getSQLState() or "")
    return None
