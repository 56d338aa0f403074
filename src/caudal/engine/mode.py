"""Whether PySpark's functions make expressions for a Connect server or for Java in this process.

PySpark decides that at each call (``pyspark.sql.utils.is_remote``), by a variable of the environment; so sessions of both kinds can take
turns in one process, but not at the same time in two threads. A run does its steps one after another, and a stream is never on Connect.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

_VARIABLE = "SPARK_CONNECT_MODE_ENABLED"


def speaks_connect() -> bool:
    """Return whether PySpark's functions make expressions for a Connect server."""
    return _VARIABLE in os.environ


@contextmanager
def with_connect() -> Iterator[None]:
    """Let PySpark's functions make expressions for a Connect server within the block."""
    with _variable("1"):
        yield


@contextmanager
def without_connect() -> Iterator[None]:
    """Let PySpark's functions make expressions for Java within the block."""
    with _variable(None):
        yield


@contextmanager
def _variable(value: str | None) -> Iterator[None]:
    before = os.environ.get(_VARIABLE)
    _set(value)
    try:
        yield
    finally:
        _set(before)


def _set(value: str | None) -> None:
    if value is None:
        os.environ.pop(_VARIABLE, None)
    else:
        os.environ[_VARIABLE] = value
