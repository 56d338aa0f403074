"""Which engine a run uses: by the setting ``engine``, and by the session of a frame."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from caudal.engine.capability import Capability
from caudal.engine.classic import CLASSIC, runs_locally
from caudal.engine.connect import ENGINES, SCHEME, ConnectEngine
from caudal.engine.protocol import SessionRequest
from caudal.extras import has_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from caudal.engine.protocol import QueryEngine


def engines(setting: str) -> tuple[QueryEngine, ...]:
    """Return the engines of a setting, that to be tried first first.

    Parameters
    ----------
    setting : ``spark``, ``sail``, ``auto`` (Sail where it can, else Spark) or ``sc://host:port``
    """
    if setting == "spark":
        return (CLASSIC,)
    if setting.startswith(SCHEME):
        return (_connected(setting),)
    return (sail(),) if setting == "sail" else (sail(), CLASSIC)


def analysing_engine() -> QueryEngine:
    """Return the engine that analyses functions for `caudal check`: Spark, or Sail where Spark is not installed."""
    return CLASSIC if has_spark() else sail()


@contextmanager
def installed_session() -> Iterator[SparkSession]:
    """Yield a session for calls of a product's functions, as in tests: that of Spark, or of Sail where Spark is not installed."""
    engine = analysing_engine()
    with engine.speaking():
        yield engine.session(SessionRequest())


@cache
def sail() -> QueryEngine:
    """Return the Sail of this process."""
    from caudal.engine.sail.engine import SailEngine

    return SailEngine()


@cache
def _connected(address: str) -> ConnectEngine:
    return ConnectEngine(address)


def session_engine(spark: SparkSession) -> QueryEngine:
    """Return the engine of a session."""
    if not is_connected(spark):
        return CLASSIC
    session_id: str = spark.session_id  # type: ignore[attr-defined]
    # A session that a user has made has the capabilities of any server.
    return ENGINES.get(session_id) or ConnectEngine("sc://127.0.0.1")


def is_connected(spark: SparkSession) -> bool:
    """Return whether a session is one with a Connect server."""
    return type(spark).__module__.startswith("pyspark.sql.connect")


def can(spark: SparkSession, capability: Capability) -> bool:
    """Return whether the engine of a session has a capability."""
    return session_engine(spark).can(capability)


def has_local_workers(spark: SparkSession) -> bool:
    """Return whether Python functions of a frame run on this machine, which has caudal and its files."""
    return session_engine(spark).can(Capability.LOCAL_WORKERS) if is_connected(spark) else runs_locally(spark)
