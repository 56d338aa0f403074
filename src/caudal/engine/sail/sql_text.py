"""Expressions → texts of SQL, to ask for their types within a query."""

from __future__ import annotations

from pyspark.sql.connect.types import proto_schema_to_pyspark_data_type

from caudal.engine.sail.expressions import (
    AllColumns,
    Call,
    Cast,
    ColumnName,
    Expression,
    Lambda,
    Literal,
    Order,
    Over,
    Renamed,
    Variable,
)
from caudal.engine.sail.protocol import NotExpressible

_INFIX = frozenset(
    {
        "+",
        "-",
        "*",
        "/",
        "%",
        "div",
        "==",
        "!=",
        "<",
        "<=",
        ">",
        ">=",
        "<=>",
        "and",
        "or",
        "&",
        "|",
        "^",
        "||",
        "like",
        "ilike",
        "rlike",
    }
)
_SUFFIX = {
    "int": "",
    "bigint": "L",
    "smallint": "S",
    "tinyint": "Y",
    "double": "D",
    "float": "F",
    "decimal18": "BD",
    "decimal38": "BD",
    "boolean": "",
}


def to_sql(expression: Expression) -> str:
    """Return an expression as a text of SQL."""
    match expression:
        case ColumnName(parts=parts):
            return ".".join(f"`{part.replace('`', '``')}`" for part in parts)
        case Variable(name=name):
            return name
        case AllColumns():
            return "*"
        case Literal():
            return _literal(expression)
        case Call(name="[]", arguments=(value, key)):
            return f"{to_sql(value)}[{to_sql(key)}]"
        case Call(name=name, arguments=(left, right)) if name in _INFIX:
            return f"({to_sql(left)} {name} {to_sql(right)})"
        case Call(name="not", arguments=(value,)):
            return f"(NOT {to_sql(value)})"
        case Call(name="negative", arguments=(value,)):
            return f"(- {to_sql(value)})"
        case Call(name="~", arguments=(value,)):
            return f"(~ {to_sql(value)})"
        case Call(name="in", arguments=(value, *values)):
            return f"({to_sql(value)} IN ({', '.join(map(to_sql, values))}))"
        case Call(name="between", arguments=(value, low, high)):
            return f"({to_sql(value)} BETWEEN {to_sql(low)} AND {to_sql(high)})"
        case Call(name="when", arguments=arguments):
            branches = "".join(
                f" WHEN {to_sql(arguments[i])} THEN {to_sql(arguments[i + 1])}" for i in range(0, len(arguments) - 1, 2)
            )
            default = f" ELSE {to_sql(arguments[-1])}" if len(arguments) % 2 else ""
            return f"CASE{branches}{default} END"
        case Call(name=name, arguments=arguments):
            distinct = "DISTINCT " if name.endswith(" distinct") else ""
            return f"{name.removesuffix(' distinct')}({distinct}{', '.join(map(to_sql, arguments))})"
        case Cast(argument=argument, to=to, mode=mode):
            return f"{mode}({to_sql(argument)} AS {to})"
        case Lambda(parameters=parameters, body=body):
            return f"({', '.join(parameters)}) -> {to_sql(body)}"
        case Renamed(argument=argument):
            return to_sql(argument)
        case Over():
            return _over(expression)
    raise NotExpressible(str(expression))


def _literal(literal: Literal) -> str:
    if literal.message is not None and literal.message.WhichOneof("literal_type") == "null":
        return f"CAST(NULL AS {proto_schema_to_pyspark_data_type(literal.message.null).simpleString()})"
    if literal.type_class == "void":
        return "NULL"
    if literal.type_class == "string" and literal.text is not None and "\\" not in literal.text:
        return "'" + literal.text.replace("'", "\\'") + "'"
    if literal.type_class in _SUFFIX and literal.text is not None:
        return literal.text + _SUFFIX[literal.type_class]
    if literal.type_class.startswith("interval") and literal.text:
        count, unit = literal.text.split()
        return f"INTERVAL '{count}' {unit}"
    raise NotExpressible(str(literal))


def _over(over: Over) -> str:
    partition = f"PARTITION BY {', '.join(map(to_sql, over.partition))}" if over.partition else ""
    order = f" ORDER BY {', '.join(map(_order, over.order))}" if over.order else ""
    # The frame does not change the type.
    return f"{to_sql(over.function)} OVER ({partition}{order})"


def _order(order: Order) -> str:
    return f"{to_sql(order.key)} {'ASC' if order.ascending else 'DESC'}"
