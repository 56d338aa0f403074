"""Expressions as messages of Spark Connect."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pyspark.sql.connect.proto as pb

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

EVAL_MODES = {"cast": pb.Expression.Cast.EVAL_MODE_UNSPECIFIED, "try_cast": pb.Expression.Cast.EVAL_MODE_TRY}


class NotExpressible(ValueError):
    """An expression that has no message."""


def to_message(expression: Expression) -> pb.Expression:
    """Return an expression as PySpark would send it."""
    message = pb.Expression()
    match expression:
        case ColumnName(parts=parts):
            message.unresolved_attribute.unparsed_identifier = ".".join(f"`{part.replace('`', '``')}`" for part in parts)
            if expression.plan_id is not None:
                message.unresolved_attribute.plan_id = expression.plan_id
        case Literal():
            message.literal.CopyFrom(_literal(expression) if expression.message is None else expression.message)
        case PythonFunction(message=sent) if sent is not None:
            message.CopyFrom(sent)
        case Call(name="[]", arguments=(value, key)):
            message.unresolved_extract_value.child.CopyFrom(to_message(value))
            message.unresolved_extract_value.extraction.CopyFrom(to_message(key))
        case Call(name="between", arguments=(value, low, high)):
            return to_message(Call("and", (Call(">=", (value, low)), Call("<=", (value, high)))))
        case Call(name="!=", arguments=arguments):
            return to_message(Call("not", (Call("==", arguments),)))
        case Call(name=name, arguments=arguments):
            message.unresolved_function.function_name = _AS_SENT.get(name, name).removesuffix(" distinct")
            message.unresolved_function.is_distinct = name.endswith(" distinct")
            message.unresolved_function.arguments.extend(to_message(argument) for argument in arguments)
        case Cast(argument=argument, to=to, mode=mode):
            message.cast.expr.CopyFrom(to_message(argument))
            message.cast.type_str = to
            message.cast.eval_mode = EVAL_MODES[mode]
        case Lambda(parameters=parameters, body=body):
            message.lambda_function.function.CopyFrom(to_message(body))
            for name in parameters:
                message.lambda_function.arguments.add().name_parts.append(name)
        case Variable(name=name):
            message.unresolved_named_lambda_variable.name_parts.append(name)
        case AllColumns():
            message.unresolved_star.SetInParent()
        case Over():
            message.window.CopyFrom(_window(expression))
        case Renamed(argument=argument, name=name):
            message.alias.expr.CopyFrom(to_message(argument))
            message.alias.name.append(name)
        case _:
            raise NotExpressible(str(expression))
    return message


_AS_SENT = {"isnull": "isNull", "isnotnull": "isNotNull", "isnan": "isNaN", "startswith": "startsWith", "endswith": "endsWith"}


def _literal(literal: Literal) -> Any:
    value = pb.Expression.Literal()
    text = literal.text or ""
    match literal.type_class:
        case "string":
            value.string = text
        case "int":
            value.integer = int(text)
        case "bigint":
            value.long = int(text)
        case "smallint":
            value.short = int(text)
        case "tinyint":
            value.byte = int(text)
        case "double":
            value.double = float(text)
        case "float":
            value.float = float(text)
        case "boolean":
            value.boolean = text == "true"
        case "void":
            value.null.null.SetInParent()
        case "decimal18" | "decimal38":
            value.decimal.value = text
            digits = text.replace(".", "").lstrip("-0")
            value.decimal.scale = len(text.partition(".")[2])
            value.decimal.precision = max(len(digits), value.decimal.scale, 1)
        case "interval day":
            count, unit = text.split()
            value.day_time_interval = int(
                Decimal(count) * {"day": 86400, "hour": 3600, "minute": 60, "second": 1}[unit] * 1_000_000
            )
        case "interval month":
            count, unit = text.split()
            value.year_month_interval = int(count) * {"year": 12, "month": 1}[unit]
        case _:
            raise NotExpressible(str(literal))
    return value


def _order(order: Order) -> pb.Expression.SortOrder:
    message = pb.Expression.SortOrder()
    message.child.CopyFrom(to_message(order.key))
    message.direction = message.SORT_DIRECTION_ASCENDING if order.ascending else message.SORT_DIRECTION_DESCENDING
    message.null_ordering = message.SORT_NULLS_FIRST if order.nulls_first else message.SORT_NULLS_LAST
    return message


def _window(over: Over) -> pb.Expression.Window:
    message = pb.Expression.Window()
    message.window_function.CopyFrom(to_message(over.function))
    message.partition_spec.extend(to_message(key) for key in over.partition)
    message.order_spec.extend(_order(key) for key in over.order)
    if over.frame:
        frame = message.frame_spec
        frame.frame_type = frame.FRAME_TYPE_ROW if over.frame == "rows" else frame.FRAME_TYPE_RANGE
        for side, bound in ((frame.lower, over.lower), (frame.upper, over.upper)):
            _set_bound(side, bound)
    return message


def _set_bound(side: Any, bound: Bound) -> None:
    if bound.kind == "current row":
        side.current_row = True
    elif bound.kind == "unbounded":
        side.unbounded = True
    elif bound.distance is None or isinstance(bound.distance, Unknown):
        raise NotExpressible(str(bound))
    else:
        side.value.CopyFrom(to_message(bound.distance))
