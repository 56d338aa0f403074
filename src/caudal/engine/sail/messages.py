"""Messages of Spark Connect → expressions."""

from __future__ import annotations

from typing import Any

import pyspark.sql.connect.proto as pb
from pyspark.sql.connect.types import proto_schema_to_pyspark_data_type

from caudal.engine.sail.expressions import (
    AllColumns,
    Bound,
    Call,
    Cast,
    ColumnName,
    Expression,
    Lambda,
    Literal,
    Order,
    Over,
    PythonFunction,
    Renamed,
    Unknown,
    Variable,
)
from caudal.engine.sail.sql import parse_expression
from caudal.engine.sail.types import UNKNOWN, type_class

_LITERALS = {
    "boolean": "boolean", "byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint", "float": "float", "double": "double", "string": "string",
    "binary": "binary", "date": "date", "timestamp": "timestamp", "timestamp_ntz": "timestamp_ntz", "day_time_interval": "interval day",
    "year_month_interval": "interval month", "null": "void",
}  # fmt: skip
_EVAL_TYPES = {
    100: "udf", 101: "arrow udf", 200: "pandas_udf", 201: "applyInPandas", 202: "pandas_udf of a group", 203: "pandas_udf over a window", 204: "pandas_udf of iterators",
    205: "mapInPandas", 206: "cogroup.applyInPandas", 207: "mapInArrow", 209: "applyInArrow", 210: "cogroup.applyInArrow",
}  # fmt: skip


def from_message(message: pb.Expression) -> Expression:
    """Return what a message says."""
    site = call_site(message)
    match message.WhichOneof("expr_type"):
        case "literal":
            return literal_of(message.literal)
        case "unresolved_attribute":
            attribute = message.unresolved_attribute
            return ColumnName(
                parts_of_name(attribute.unparsed_identifier), attribute.plan_id if attribute.HasField("plan_id") else None
            )
        case "unresolved_function":
            function = message.unresolved_function
            name = function.function_name.lower() + (" distinct" if function.is_distinct else "")
            return Call(name, tuple(from_message(argument) for argument in function.arguments), site)
        case "call_function":
            return Call(
                message.call_function.function_name.lower(),
                tuple(from_message(argument) for argument in message.call_function.arguments),
                site,
            )
        case "expression_string":
            return parse_expression(message.expression_string.expression)
        case "unresolved_star" | "unresolved_regex":
            return AllColumns()
        case "alias":
            return Renamed(from_message(message.alias.expr), ".".join(message.alias.name))
        case "cast":
            return _cast(message.cast, site)
        case "sort_order":
            return order_of(message.sort_order)
        case "lambda_function":
            names = tuple(".".join(variable.name_parts) for variable in message.lambda_function.arguments)
            return Lambda(names, from_message(message.lambda_function.function))
        case "unresolved_named_lambda_variable":
            return Variable(".".join(message.unresolved_named_lambda_variable.name_parts))
        case "unresolved_extract_value":
            extracted = message.unresolved_extract_value
            return Call("[]", (from_message(extracted.child), from_message(extracted.extraction)), site)
        case "update_fields":
            return _updated(message.update_fields, site)
        case "window":
            return _window(message.window, site)
        case "common_inline_user_defined_function":
            return _python(message, site)
    return Unknown(f"{message.WhichOneof('expr_type')} in a plan", site)


def call_site(message: Any) -> str:
    """Return the user's line that made an expression or a relation, such as ``product.py:12``; empty if unknown."""
    if not message.HasField("common") or not message.common.HasField("origin"):
        return ""
    return str(message.common.origin.python_origin.call_site)


def parts_of_name(identifier: str) -> tuple[str, ...]:
    """Return the parts of a name: ``a.`b.c``` is ``a`` and ``b.c``."""
    parts, part, quoted = [], "", False
    place = 0
    while place < len(identifier):
        character = identifier[place]
        if character == "`":
            if quoted and identifier[place + 1 : place + 2] == "`":
                part += "`"
                place += 1
            else:
                quoted = not quoted
        elif character == "." and not quoted:
            parts.append(part)
            part = ""
        else:
            part += character
        place += 1
    return (*parts, part)


def literal_of(value: pb.Expression.Literal) -> Expression:
    """Return a constant."""
    kind = value.WhichOneof("literal_type")
    if kind in _LITERALS:
        raw = getattr(value, kind)
        text = (
            raw
            if kind == "string"
            else str(raw).lower()
            if kind == "boolean"
            else str(raw)
            if kind in ("byte", "short", "integer", "long", "float", "double")
            else None
        )
        return Literal(_LITERALS[kind], text, value)
    if kind == "decimal":
        digits = (
            value.decimal.precision
            if value.decimal.HasField("precision")
            else len(value.decimal.value.replace(".", "").lstrip("-0"))
        )
        return Literal("decimal18" if digits <= 18 else "decimal38", value.decimal.value, value)
    if value.HasField("data_type"):
        return Literal(type_class(proto_schema_to_pyspark_data_type(value.data_type)), None, value)
    return Literal(UNKNOWN, None, value)


def _cast(cast: pb.Expression.Cast, site: str) -> Expression:
    mode = {cast.EVAL_MODE_UNSPECIFIED: "cast", cast.EVAL_MODE_ANSI: "cast", cast.EVAL_MODE_TRY: "try_cast"}.get(cast.eval_mode)
    to = (
        cast.type_str
        if cast.WhichOneof("cast_to_type") == "type_str"
        else proto_schema_to_pyspark_data_type(cast.type).simpleString()
    )
    if mode is None:
        return Unknown("a cast of the old kind", site)
    return Cast(from_message(cast.expr), _spark_type(to), mode, site)


def _spark_type(text: str) -> str:
    plain = text.lower().replace(" ", "")
    return {
        "integer": "int",
        "long": "bigint",
        "short": "smallint",
        "byte": "tinyint",
        "bool": "boolean",
        "str": "string",
        "decimal": "decimal(10,0)",
        "dec": "decimal(10,0)",
        "real": "float",
    }.get(plain, plain)


def order_of(order: pb.Expression.SortOrder) -> Order:
    """Return a key of an order."""
    ascending = order.direction != order.SORT_DIRECTION_DESCENDING
    first = order.null_ordering == order.SORT_NULLS_FIRST if order.null_ordering else ascending
    return Order(from_message(order.child), ascending, first)


def _updated(update: pb.Expression.UpdateFields, site: str) -> Expression:
    value = (from_message(update.value_expression),) if update.HasField("value_expression") else ()
    return Call("withField" if value else "dropFields", (from_message(update.struct_expression), *value), site)


def _window(window: pb.Expression.Window, site: str) -> Expression:
    frame, lower, upper = None, Bound("unbounded"), Bound("current row")
    if window.HasField("frame_spec"):
        spec = window.frame_spec
        frame = "rows" if spec.frame_type == spec.FRAME_TYPE_ROW else "range"
        lower, upper = _bound(spec.lower), _bound(spec.upper)
    order = tuple(order_of(key) for key in window.order_spec)
    return Over(
        from_message(window.window_function),
        tuple(from_message(key) for key in window.partition_spec),
        order,
        frame,
        lower,
        upper,
        site,
    )


def _bound(bound: Any) -> Bound:
    match bound.WhichOneof("boundary"):
        case "current_row":
            return Bound("current row")
        case "unbounded":
            return Bound("unbounded")
    return Bound("distance", from_message(bound.value))


def _python(message: pb.Expression, site: str) -> Expression:
    function = message.common_inline_user_defined_function
    arguments = tuple(from_message(argument) for argument in function.arguments)
    if function.WhichOneof("function") != "python_udf":
        return Unknown("a function that is not in Python", site)
    kind = _EVAL_TYPES.get(function.python_udf.eval_type, f"function in Python of kind {function.python_udf.eval_type}")
    result = type_class(proto_schema_to_pyspark_data_type(function.python_udf.output_type))
    return PythonFunction(kind, arguments, result, message, site)
