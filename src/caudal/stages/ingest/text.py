"""Text → typed values: exact, and null where the text is not of the type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from caudal.stages.ingest.physical import Options
from caudal.stages.ingest.widen import decimal_of

if TYPE_CHECKING:
    from pyspark.sql import Column


def cleaned(raw: Column, options: Options) -> Column:
    """Return the text that is to be parsed: null for the declared null words."""
    from pyspark.sql import functions as F

    said = options.get("null")
    words = [said] if isinstance(said, str) else [str(word) for word in said] if isinstance(said, list | tuple | set) else []
    return F.when(~raw.isin(words), raw) if words else raw


def written(raw: Column, type: str, options: Options) -> Column:
    """Return whether there is a value to be parsed; blanks are none, unless text is wanted."""
    from pyspark.sql import functions as F

    text = cleaned(raw, options)
    return text.isNotNull() if type == "string" else text.isNotNull() & (F.trim(text) != "")


def parsed(text: Column, type: str, options: Options, tz: str) -> Column:
    """Return the typed value of cleaned text, null where it is not of the type.

    ``timestamp`` is wall time: text with an offset is an instant and is turned into the wall time of ``tz``.
    ``timestamp_utc`` is an instant: text without an offset is taken for UTC. Fractions that a decimal has no place for are refused, not rounded.
    """
    from pyspark.sql import functions as F

    if type == "string":
        return text
    if type == "binary":
        return text.cast("binary")
    if type in ("timestamp", "timestamp_utc", "date") and (
        pattern := options.get("date_format" if type == "date" else "timestamp_format")
    ):
        instant = F.try_to_timestamp(text, F.lit(str(pattern)))  # the session's zone is UTC: the fields are kept as they are
        return instant.cast({"timestamp": "timestamp_ntz", "timestamp_utc": "timestamp_ltz", "date": "date"}[type])
    if type == "timestamp":
        wall = F.convert_timezone(F.lit("UTC"), F.lit(tz), text.try_cast("timestamp_ltz").cast("timestamp_ntz"))
        # '2023-01-02 03:04:05', which nearly all of them are, needs no search for an offset.
        usual = (F.length(text) == 19) & (F.substring(text, 17, 1) == ":")
        return F.when(usual | ~_has_offset(text), _dated(text)).otherwise(wall)
    if type == "timestamp_utc":
        return F.when(F.length(text) >= 8, text.try_cast("timestamp_ltz"))
    if type == "date":
        at = F.when(~_has_offset(text), _dated(text))
        return F.when(at == F.date_trunc("day", at), at.cast("date"))
    if type == "boolean":
        return text.try_cast("boolean")
    if options.get("decimal") == ",":
        text = F.replace(F.replace(text, F.lit("."), F.lit("")), F.lit(","), F.lit("."))
    if type in ("double", "float"):
        # Java takes '1d', '1f' and '0x1p3' for numbers.
        return F.when(~text.rlike("[dDfFxX]"), text.try_cast(type))
    if type in ("long", "int"):
        spark_type = "bigint" if type == "long" else "int"
        # '17850.0' is a whole number, as spreadsheets and pandas write it.
        whole = F.when(F.contains(text, F.lit(".")), F.regexp_replace(text, r"\.0*\s*$", ""))
        return F.coalesce(text.try_cast(spark_type), whole.try_cast(spark_type))
    digits = decimal_of(type)
    assert digits is not None, type
    wide = text.try_cast(f"decimal(38,{min(38, max(digits[1] + 6, 38 - digits[0] + digits[1]))})")
    fitting = wide.try_cast(type)
    return F.when(fitting == wide, fitting)


def _dated(text: Column) -> Column:
    from pyspark.sql import functions as F

    # Spark takes '2023' for the first of January; a date has at least a month and a day.
    return F.when(F.length(text) >= 8, text.try_cast("timestamp_ntz"))


def _has_offset(text: Column) -> Column:
    """Return whether a time is followed by a zone: anything but digits, colons and a fraction after the date's ten characters."""
    from pyspark.sql import functions as F

    return F.substring(text, 12, 40).rlike("[-+A-Za-z]")
