"""Classes of types: the granularity in which constructs are compared."""

from __future__ import annotations

from pyspark.sql import types as t

UNKNOWN = "unknown"

_ATOMIC = {
    t.BooleanType: "boolean",
    t.ByteType: "tinyint",
    t.ShortType: "smallint",
    t.IntegerType: "int",
    t.LongType: "bigint",
    t.FloatType: "float",
    t.DoubleType: "double",
    t.BinaryType: "binary",
    t.DateType: "date",
    t.TimestampType: "timestamp",
    t.TimestampNTZType: "timestamp_ntz",
    t.NullType: "void",
}
_PLAIN = frozenset(
    {"boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "string", "binary", "date", "timestamp", "timestamp_ntz"}
)
_LONG_DIGITS = 18  # digits that a long can hold; decimals with more are computed in another way


def type_class(data_type: t.DataType) -> str:
    """Return the class of a type, such as ``int``, ``decimal18`` or ``array<string>``; ``unknown`` for types that are not compared."""
    kind = type(data_type)
    if kind in _ATOMIC:
        return _ATOMIC[kind]
    if isinstance(data_type, t.StringType):
        # Strings with another collation compare differently; char and varchar are subclasses that read as plain strings.
        return "string" if data_type.simpleString() == "string" else UNKNOWN
    if isinstance(data_type, t.DecimalType):
        return "decimal18" if data_type.precision <= _LONG_DIGITS else "decimal38"
    if isinstance(data_type, t.DayTimeIntervalType):
        return "interval day"
    if isinstance(data_type, t.YearMonthIntervalType):
        return "interval month"
    if isinstance(data_type, t.ArrayType):
        return f"array<{type_class(data_type.elementType)}>"
    if isinstance(data_type, t.MapType):
        return f"map<{type_class(data_type.keyType)},{type_class(data_type.valueType)}>"
    if isinstance(data_type, t.StructType):
        fields = {type_class(field.dataType) for field in data_type.fields}
        if not all(field in _PLAIN or field.startswith("decimal") for field in fields):
            return "struct<nested>"
        # Doubles within are where structs differ: 0.0 and -0.0, NaN.
        return "struct<double>" if fields & {"double", "float"} else "struct"
    return UNKNOWN
