"""Parse text into typed values: exact, and null where the text is not of the type."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from caudal.stages.ingest.physical import Options
from caudal.stages.ingest.widen import decimal_of

if TYPE_CHECKING:
    from pyspark.sql import Column


def null_words(options: Options) -> list[str]:
    """Return the texts that the declaration treats as null."""
    declared = options.get("null")
    return (
        [declared]
        if isinstance(declared, str)
        else [str(word) for word in declared]
        if isinstance(declared, list | tuple | set)
        else []
    )


def without_null_words(raw: Column, options: Options) -> Column:
    """Return the text to parse: null for the declared null words."""
    words = null_words(options)
    return F.when(~raw.isin(words), raw) if words else raw


def has_value(raw: Column, type: str, options: Options) -> Column:
    """Return whether there is a value to parse; blanks are none, unless the type is string."""
    text = without_null_words(raw, options)
    return text.isNotNull() if type == "string" else text.isNotNull() & (F.trim(text) != "")


def parse_text(text: Column, type: str, options: Options, tz: str) -> Column:
    """Return the typed value of cleaned text, null where it is not of the type.

    ``timestamp`` is wall time: text with an offset is an instant and is converted to the wall time of ``tz``.
    ``timestamp_utc`` is an instant: text without an offset is UTC. Fractions that do not fit into a decimal are refused, not rounded.
    """
    if type == "string":
        return text
    if type == "binary":
        return text.cast("binary")
    if type in ("timestamp", "timestamp_utc", "date"):
        return _in_range(_moment(text, type, options, tz), type)
    if type == "boolean":
        return text.try_cast("boolean")
    if options.get("decimal") == ",":
        text = _with_decimal_point(text)
    if type in ("double", "float"):
        # Java reads '1d', '1f' and '0x1p3' as numbers, too. 'Infinity' and 'inf' are numbers, as 'NaN' is.
        return F.when(~text.rlike("[0-9.][dDfF]|[xX]"), text.try_cast(type))
    if type in ("long", "int"):
        spark_type = "bigint" if type == "long" else "int"
        # '17850.0' is an integer, as spreadsheets and pandas write it.
        without_fraction = F.when(F.contains(text, F.lit(".")), F.regexp_replace(text, r"\.0*\s*$", ""))
        return F.coalesce(text.try_cast(spark_type), without_fraction.try_cast(spark_type))
    return _decimal(text, type)


def _decimal(text: Column, type: str) -> Column:
    """Return the decimal that text writes, null where the type cannot hold it exactly: Spark's cast rounds."""
    digits = decimal_of(type)
    assert digits is not None, type
    precision, scale = digits
    rounded = text.try_cast(type)
    # A rounded number has other significant digits than its text.
    by_digits = F.when(_digits(rounded.cast("string")) == _digits(text), rounded)
    if (spare := 38 - precision) < _SPARE_DIGITS:
        return by_digits
    # Patterns cost more than the cast: a decimal of the same whole digits and all others behind the point holds a short text exactly.
    exact = text.try_cast(f"decimal(38,{spare + scale})")
    is_short = (F.length(text) <= spare + scale) & ~F.contains(F.lower(text), F.lit("e"))
    return F.when(is_short, F.when(rounded == exact, rounded)).otherwise(by_digits)


def without_loss(text: Column, type: str, options: Options, tz: str) -> Column:
    """Return the value of cleaned text, null where the text is not of the type or the value would not reproduce it.

    Types are inferred by this: '007', '+1' and '1E5' are identifiers, not amounts, and a number with more digits than a
    double is not a double. A number keeps its value, not its blanks or the zeros at the end of its fraction.
    """
    value = parse_text(text, type, options, tz)
    if type == "boolean":
        return F.when(F.lower(F.trim(text)).isin("true", "false"), value)
    if type in ("timestamp", "timestamp_utc", "date"):
        return F.when(~text.rlike(_BELOW_MICROSECONDS), value)
    trimmed = F.trim(_with_decimal_point(text) if options.get("decimal") == "," else text)
    if type in ("long", "int"):
        return F.when(trimmed.rlike(_WHOLE), value)
    # Fifteen digits survive a double unchanged; more do where the shortest text of the double has the same ones.
    is_short = F.length(F.ltrim(trimmed, F.lit("-"))) <= 15
    same_digits = trimmed.contains(".") & (_digits(value.cast("string")) == _digits(trimmed))
    normal = F.abs(value).between(_LEAST_NORMAL, _GREATEST) | (_digits(trimmed) == "")
    return F.when(trimmed.rlike(_NUMBER) & normal & (is_short | same_digits), value)


# An integer; spreadsheets and pandas write '17850.0'.
_WHOLE = r"^(0|-?[1-9][0-9]*)(\.0*)?$"
# In plain notation, or in the scientific one that programs write ('1e-07', '1.5E10'); '1E5' is as likely a code.
_NUMBER = r"^-?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+|[0-9](\.[0-9]+)?[eE][-+][0-9]+|[0-9]\.[0-9]+[eE][0-9]+)$"
_SPARE_DIGITS = 6  # from which on most texts of a decimal are short
_LEAST_NORMAL, _GREATEST = 2.2250738585072014e-308, 1.7976931348623157e308  # below, a double has fewer digits
_GROUPED = r"^\s*[-+]?([0-9]{1,3}(\.[0-9]{3})+|[0-9]*)(,[0-9]*)?([eE][-+]?[0-9]+)?\s*$"
_DATED = r"^\s*[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?![0-9])"
_BELOW_MICROSECONDS = r"\.[0-9]{6}[0-9]*[1-9]"


def _moment(text: Column, type: str, options: Options, tz: str) -> Column:
    """Return a date or a time: the date has to be complete, unless a format is declared."""
    if pattern := options.get("date_format" if type == "date" else "timestamp_format"):
        instant = F.try_to_timestamp(text, F.lit(str(pattern)))  # the session's zone is UTC, so the fields stay unchanged
        return instant.cast({"timestamp": "timestamp_ntz", "timestamp_utc": "timestamp_ltz", "date": "date"}[type])
    if type == "timestamp":
        wall = F.convert_timezone(F.lit("UTC"), F.lit(tz), _parse_dated(text, "timestamp_ltz").cast("timestamp_ntz"))
        # '2023-01-02 03:04:05', the form of nearly all texts, needs no search for an offset.
        usual = (F.length(text) == 19) & (F.substring(text, 17, 1) == ":")
        return F.when(usual | ~_has_offset(text), _parse_dated(text, "timestamp_ntz")).otherwise(wall)
    if type == "timestamp_utc":
        return _parse_dated(text, "timestamp_ltz")
    at = F.when(~_has_offset(text), _parse_dated(text, "timestamp_ntz"))
    return F.when(at == F.date_trunc("day", at), at.cast("date"))


def _parse_dated(text: Column, type: str) -> Column:
    """Return the time of text that begins with a complete date: Spark reads '2023' as the first of January, and '12:30' as today."""
    return F.when(text.rlike(_DATED), text.try_cast(type))


def _in_range(moment: Column, type: str) -> Column:
    """Return a date or time of the years 1 to 9999, else null: Python and most readers of tables have no others."""
    if type == "date":
        return F.when(moment.between(F.lit("0001-01-01").cast("date"), F.lit("9999-12-31").cast("date")), moment)
    spark_type = "timestamp_ntz" if type == "timestamp" else "timestamp_ltz"
    earliest, latest = (F.lit(bound).cast(spark_type) for bound in ("0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"))
    return F.when(moment.between(earliest, latest), moment)


def _with_decimal_point(text: Column) -> Column:
    """Return a number with a decimal comma rewritten with a decimal point.

    Points may only separate groups of three digits; elsewhere (12.50) they are decimal points, and the value is null.
    """
    plain = F.replace(F.replace(text, F.lit("."), F.lit("")), F.lit(","), F.lit("."))
    return F.when(text.rlike(_GROUPED) | ~text.rlike(r"[.,]"), plain)


def _digits(number: Column) -> Column:
    """Return a number's significant digits, as text, without sign, point, exponent and blanks."""
    mantissa = F.regexp_replace(number, r"(?s)[eE].*$", "")
    return F.regexp_replace(F.regexp_replace(mantissa, "[^0-9]", ""), "^0+|0+$", "")


def _has_offset(text: Column) -> Column:
    """Return whether a time is followed by a zone: anything but digits, colons and a fraction after the date's ten characters."""
    return F.substring(text, 12, 40).rlike("[-+A-Za-z]")
