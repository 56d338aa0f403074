"""Support UDFs that are declared before a Spark session exists, at the top of a product's file."""

from __future__ import annotations

import sys
from typing import Any


def allow_types_without_session() -> bool:
    """Let ``@F.udf("double")`` work without a session: its type is parsed at first use. Return whether this call enabled it.

    PySpark has Java or a Connect server parse the type and copies the result to the wrapper that the user calls. Only
    ``spark.udf.register`` reads that copy, and it accepts a string too.
    """
    enabled = [_allow(name) for name in ("pyspark.sql.udf", "pyspark.sql.connect.udf")]
    return any(enabled)


def _allow(name: str) -> bool:
    module = sys.modules.get(name)
    if module is None:  # an error about a missing session implies that the module of its function is imported
        return False
    declared = module.UserDefinedFunction
    parsed = declared.returnType
    if getattr(parsed.fget, "of_caudal", False):
        return False

    def return_type(self: Any) -> object:
        if isinstance(self._returnType, str) and self._returnType_placeholder is None and not _has_session(name):
            return self._returnType
        return parsed.fget(self)

    return_type.of_caudal = True  # type: ignore[attr-defined]
    declared.returnType = property(return_type)
    return True


def _has_session(name: str) -> bool:
    """Return whether there is a session for functions of a module: one with Java, or one with a Connect server."""
    if name == "pyspark.sql.udf":
        return sys.modules["pyspark"].SparkContext._active_spark_context is not None
    connect = sys.modules.get("pyspark.sql.connect.session")
    return (
        connect is not None and (connect.SparkSession.getActiveSession() or connect.SparkSession._get_default_session()) is not None
    )
