"""Which engine a run uses: by the setting ``engine``, and by the session of a frame."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from caudal.engine.capability import Capability
from caudal.engine.classic import CLASSIC, runs_locally
from caudal.engine.connect import ENGINES, LIBRARIES, SCHEME, ConnectEngine
from caudal.engine.protocol import SessionRequest
from caudal.engine.settings import is_local
from caudal.extras import has_spark

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from caudal.engine.protocol import QueryEngine


def engines(setting: str, *, master: str | None = None, conf: Mapping[str, str] | None = None) -> tuple[QueryEngine, ...]:
    """Return the engines of a setting, that to be tried first first.

    Parameters
    ----------
    setting : ``spark``, ``sail``, ``auto`` or ``sc://host:port``; ``auto`` is Sail where it can and else Spark, and Spark alone where Sail is not
        installed or the other settings speak to Spark
    master : Spark master; with ``auto``, a cluster is asked to compute
    conf : Spark settings; with ``auto``, those of SQL may give other rows, which Spark alone is known to give
    """
    if setting.startswith(SCHEME):
        return (_connected(setting),)
    if setting == "sail":
        return (sail(),)
    on_spark = (master is not None and not is_local(master)) or any(name.startswith("spark.sql.") for name in conf or {})
    return (CLASSIC,) if setting == "spark" or on_spark or not has_sail() else (sail(), CLASSIC)


@cache
def has_sail() -> bool:
    """Return whether Sail and what a client of it needs are installed; none is imported."""
    try:
        return all(find_spec(library) is not None for library in ("pysail", *LIBRARIES))
    except ModuleNotFoundError:  # of a package, of which a library is a part
        return False


def analysing_engines(setting: str, *, master: str | None = None, conf: Mapping[str, str] | None = None) -> tuple[QueryEngine, ...]:
    """Return the engines that analyse functions for `caudal check`, that to be tried first first: Sail where a run would try it, then Spark if
    it is installed, for what Sail leaves open; Sail alone where Spark is not installed.

    Parameters
    ----------
    setting, master, conf : as for `engines`
    """
    if not has_spark():
        return (sail(),)
    tried = () if setting.startswith(SCHEME) else engines(setting, master=master, conf=conf)
    return (*(engine for engine in tried if engine is not CLASSIC), CLASSIC)


@contextmanager
def installed_session() -> Iterator[SparkSession]:
    """Yield a session for calls of a product's functions, as in tests: that of Spark, or of Sail where Spark is not installed."""
    engine = CLASSIC if has_spark() else sail()
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
