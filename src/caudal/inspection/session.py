"""The Spark session of this process, however it is connected, and what can be asked of it without running a job."""

from __future__ import annotations

import sys
from typing import Any

from caudal.inspection.scope import InspectionScope


def running_session() -> Any:
    """Return the Spark session that runs in this process: the active one, else the one that a notebook calls ``spark``; None where there is none."""
    for module in ("pyspark.sql", "pyspark.sql.connect.session"):
        kind = getattr(sys.modules.get(module), "SparkSession", None)
        if kind is None:
            continue
        try:
            session = kind.getActiveSession()
        except Exception:
            session = None
        if session is not None:
            return session
    named = getattr(sys.modules.get("__main__"), "spark", None)
    return named if hasattr(named, "conf") and hasattr(named, "catalog") else None


def session_jvm(scope: InspectionScope) -> Any:
    """Return the driver's Java, to be called by py4j; None where the session is one of Spark Connect, or there is none."""
    try:
        return scope.spark.sparkContext._jvm if scope.spark is not None else None
    except Exception:
        return None


def session_setting(scope: InspectionScope, name: str) -> str | None:
    """Return a setting of the session; None where it is not set, cannot be asked for, or there is no session."""
    if scope.spark is None:
        return None
    try:
        value = scope.spark.conf.get(name)  # without a default of ours: it would hide Spark's own
        return None if value is None else str(value)
    except Exception:
        return None


def session_master(scope: InspectionScope) -> tuple[str, str] | None:
    """Return the address of the Spark master, and how it is known."""
    if scope.master:
        return scope.master, "--master"
    if master := session_setting(scope, "spark.master"):
        return master, "Spark setting spark.master"
    for variable in ("CAUDAL_MASTER", "SPARK_MASTER", "MASTER"):
        if scope.environment.get(variable):
            return scope.environment[variable], f"variable {variable}"
    return None
