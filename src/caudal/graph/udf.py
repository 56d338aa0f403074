"""UDFs that are declared before there is a Spark session, at the top of a product's file."""

from __future__ import annotations

import sys
from typing import Any


def types_may_wait() -> bool:
    """Let ``@F.udf("double")`` do without a session: the text of its type is parsed when it is first used. Tell whether this is new.

    PySpark asks Java to parse it, and copies what comes of it to the wrapper that the user calls; nobody reads that copy but
    ``spark.udf.register``, which takes a text as well.
    """
    pyspark, udf = sys.modules.get("pyspark"), sys.modules.get("pyspark.sql.udf")
    if pyspark is None or udf is None:  # whoever needs a session has imported them
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
