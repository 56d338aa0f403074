"""Translate the errors of JDBC drivers and Spark's reader: a mistake, or a server that does not answer."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from caudal.declarations.database import Database
from caudal.errors import CaudalError, SourceProblem
from caudal.secret import passwords_of
from caudal.stages.ingest.sql.engine import database_problem

if TYPE_CHECKING:
    from py4j.java_gateway import JavaObject

_READER = "datasources.jdbc"  # the package of Spark's reader, in a stack
_LOST = ("Recoverable", "SQLTransient", "SQLNonTransientConnection", "SQLTimeout", "CommunicationsException")
_NET = ("java.net.", "java.io.EOFException", "java.io.IOException")


def translate_jdbc_error(error: Exception, source: Database) -> CaudalError | None:
    """Return a database's error as a CaudalError without the password; None where the error is not the database's."""
    java = getattr(error, "java_exception", None) or getattr(error, "_origin", None)  # of py4j's or of PySpark's error
    if java is None:
        return None
    chain = _chain(java)
    secrets = [source.address.url(), *passwords_of(source.address.url())]
    names = [str(exception.getClass().getName()) for exception in chain]
    for exception, name in zip(chain, names, strict=True):
        state = _state(exception)
        if state is None:
            continue
        connection_lost = any(sign in name for sign in _LOST) or any(class_name.startswith(_NET) for class_name in names)
        return database_problem(str(exception.getMessage() or name), state, source, secrets, connection_lost=connection_lost)
    if _READER not in str(error) and not any(_READER in str(frame) for frame in java.getStackTrace()):
        return None
    message = f"{names[-1].rpartition('.')[2]}: {chain[-1].getMessage()}".splitlines()[0]
    for secret in secrets:
        message = message.replace(secret, "***")
    return SourceProblem(
        f"'{source.what}' at {source.address!r} cannot be read: {message}.",
        fix="Convert values that no type holds in a query: CAST(… AS …), or NULLIF for NaN and infinity.",
        place=repr(source.address),
    )


def _chain(java: JavaObject) -> list[JavaObject]:
    """Return an exception followed by its causes."""
    chain = [java]
    while len(chain) < 20 and (cause := chain[-1].getCause()) is not None:
        chain.append(cause)
    return chain


def _state(java: JavaObject) -> str | None:
    """Return the SQLSTATE of a ``java.sql.SQLException``, None for another exception."""
    with suppress(Exception):  # py4j raises where there is no such method
        return str(java.getSQLState() or "")
    return None
