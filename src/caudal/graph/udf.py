"""Support UDFs that are declared before a Spark session exists, at the top of a product's file."""

from __future__ import annotations

import sys
from typing import Any


def allow_types_without_session() -> bool:
    """Let ``@F.udf("double")`` work without a session: its type is parsed at first use. Return whether this call enabled it.

    PySpark has Java parse the type and copies the result to the wrapper that the user calls. Only ``spark.udf.register`` reads that
    copy, and it accepts a string too.
    """
    pyspark, udf = sys.modules.get("pyspark"), sys.modules.get("pyspark.sql.udf")
    if pyspark is None or udf is None:  # an error about a missing session implies that they are imported
        return False
    context, declared = pyspark.SparkContext, udf.UserDefinedFunction
    parsed = declared.returnType
    if getattr(parsed.fget, "of_caudal", False):
        return False

    def return_type(self: Any) -> object:
        if isinstance(self._returnType, str) and self._returnType_placeholder is None and context._active_spark_context is None:
            return self._returnType
        return parsed.fget(self)

    return_type.of_caudal = True  # type: ignore[attr-defined]
    declared.returnType = property(return_type)
    return True
