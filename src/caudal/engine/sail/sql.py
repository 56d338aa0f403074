"""Texts of Spark's SQL → expressions; what is not understood to the letter is unknown."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.spark import Spark
from sqlglot.errors import SqlglotError

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
    Renamed,
    Unknown,
    Variable,
)


class SparkNames(Spark):
    """Spark's dialect with functions left as they are written: sqlglot would translate many of them into those of all dialects."""

    class Parser(Spark.Parser):  # type: ignore[misc, valid-type]
        STRICT_CAST = True
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {
            "CAST": lambda self: self._parse_cast(True),
            "TRY_CAST": lambda self: self._parse_cast(False, safe=True),
        }
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CASE": Spark.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}


_BINARY: dict[type[exp.Expression], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
    exp.IntDiv: "div",
    exp.EQ: "==",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.NullSafeEQ: "<=>",
    exp.And: "and",
    exp.Or: "or",
    exp.BitwiseAnd: "&",
    exp.BitwiseOr: "|",
    exp.BitwiseXor: "^",
    exp.DPipe: "||",
    exp.Like: "like",
    exp.ILike: "ilike",
    exp.RegexpLike: "rlike",
}
_UNARY: dict[type[exp.Expression], str] = {exp.Neg: "negative", exp.Not: "not", exp.BitwiseNot: "~"}
_TYPES = re.compile(
    r"(boolean|tinyint|smallint|int|bigint|float|double|string|binary|date|timestamp|timestamp_ntz|decimal(\(\d+(,\d+)?\))?|array<.*>|map<.*>|struct<.*>)"
)
_NO_ARGUMENTS = frozenset(
    {"current_date", "current_timestamp", "current_user", "user", "session_user", "localtimestamp", "current_time", "now"}
)
"""Names that are functions without parentheses, unless a column has that name."""
_INTERVAL = re.compile(r"-?\d+(\.\d{1,6})?")
_INT, _LONG = 2**31, 2**63


@lru_cache(maxsize=1024)
def parse_expression(text: str) -> Expression:
    """Return the expression of a text, such as ``fare / miles AS per_mile``."""
    try:
        return from_sqlglot(sqlglot.parse_one(text, dialect=SparkNames))
    except (SqlglotError, RecursionError) as error:
        return Unknown(f"the text cannot be parsed: {str(error).splitlines()[0]}")


def from_sqlglot(node: Any, variables: frozenset[str] = frozenset()) -> Expression:
    """Return a node of sqlglot as an expression; ``variables`` are the parameters of the lambdas around it."""

    def inner(child: Any) -> Expression:
        return from_sqlglot(child, variables)

    kind = type(node)
    if kind in _BINARY and not _has_more(node, "this", "expression", "safe", "typed"):
        return Call(_BINARY[kind], (inner(node.this), inner(node.expression)))
    if kind is exp.Neg and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return _number(f"-{node.this.name}")
    if kind in _UNARY:
        return _negated(node, inner)
    match node:
        case exp.Paren():
            return inner(node.this)
        case exp.Alias():
            return Renamed(inner(node.this), node.alias)
        case exp.Column() | exp.Dot() | exp.Identifier():
            return _column(node, variables)
        case exp.Literal():
            return Literal("string", _string(node)) if node.is_string and _is_plain(node.this) else _literal(node)
        case exp.Boolean():
            return Literal("boolean", str(node.this).lower())
        case exp.Null():
            return Literal("void")
        case exp.Star() if not node.args.get("except_") and not node.args.get("replace"):
            return AllColumns()
        case exp.Is() if isinstance(node.expression, exp.Null):
            return Call("isnull", (inner(node.this),))
        case exp.Between() if not node.args.get("symmetric"):
            return Call("between", (inner(node.this), inner(node.args["low"]), inner(node.args["high"])))
        case exp.In() if node.expressions and not node.args.get("query") and not node.args.get("unnest"):
            return Call("in", (inner(node.this), *(inner(value) for value in node.expressions)))
        case exp.Cast():
            return _cast(node, inner)
        case exp.Case() if node.this is None:
            parts = [part for branch in node.args["ifs"] for part in (inner(branch.this), inner(branch.args["true"]))]
            default = node.args.get("default")
            return Call("when", (*parts, *([inner(default)] if default is not None else [])))
        case exp.Bracket() if len(node.expressions) == 1:
            return Call("[]", (inner(node.this), inner(node.expressions[0])))
        case exp.Anonymous():
            return _function(node, variables)
        case exp.Interval():
            return _interval(node)
        case exp.Window():
            return _window(node, inner)
    return Unknown(f"{kind.__name__} in a text of SQL")


def _has_more(node: Any, *names: str) -> bool:
    return any(value for name, value in node.args.items() if name not in names)


def _negated(node: Any, inner: Any) -> Expression:
    if isinstance(node, exp.Not) and isinstance(node.this, exp.Is) and isinstance(node.this.expression, exp.Null):
        return Call("isnotnull", (inner(node.this.this),))
    return Call(_UNARY[type(node)], (inner(node.this),))


def _column(node: Any, variables: frozenset[str]) -> Expression:
    parts = [node] if isinstance(node, exp.Identifier) else list(node.parts)
    if not all(isinstance(part, exp.Identifier) for part in parts):
        if isinstance(node, exp.Dot) and isinstance(node.expression, exp.Identifier):
            return Call("[]", (from_sqlglot(node.this, variables), Literal("string", node.expression.name)))
        return Unknown("a path within a value in a text of SQL")
    names = tuple(part.name for part in parts)
    if names[0] in variables:
        value: Expression = Variable(names[0])
        for name in names[1:]:
            value = Call("[]", (value, Literal("string", name)))
        return value
    if len(names) == 1 and names[0].lower() in _NO_ARGUMENTS and not parts[0].args.get("quoted"):
        return Call(names[0].lower())
    return ColumnName(names)


def _is_plain(text: str) -> bool:
    return "\\" not in text


def _string(node: Any) -> str:
    return str(node.this)


def _literal(node: Any) -> Expression:
    if node.is_string:
        return Unknown("a backslash in a text of SQL, which Spark and Sail may read differently")
    return _number(str(node.this))


def _number(text: str) -> Expression:
    if text.lstrip("-").isdecimal():
        value = int(text)
        if -_INT <= value < _INT:
            return Literal("int", text)
        return Literal("bigint", text) if -_LONG <= value < _LONG else Unknown("a whole number beyond bigint in a text of SQL")
    if "e" in text.lower():
        return Literal("double", text)
    digits = text.replace(".", "").lstrip("-0")
    return Literal("decimal18" if len(digits) <= 18 else "decimal38", text)


def _cast(node: Any, inner: Any) -> Expression:
    mode = "try_cast" if isinstance(node, exp.TryCast) else "cast"
    to = node.args["to"].sql(dialect=SparkNames).lower().replace(" ", "")
    if not _TYPES.fullmatch(to):
        return Unknown(f"{mode} as {to}")
    argument = node.this
    if isinstance(argument, exp.Literal) and not argument.is_string and to in ("bigint", "smallint", "tinyint", "double", "float"):
        return Literal(to, str(argument.this))
    return Cast(inner(argument), to, mode)


def _function(node: Any, variables: frozenset[str]) -> Expression:
    name = str(node.this).lower()
    arguments: list[Expression] = []
    for argument in node.expressions:
        if isinstance(argument, exp.Lambda):
            names = tuple(parameter.name for parameter in argument.expressions)
            arguments.append(Lambda(names, from_sqlglot(argument.this, variables | set(names))))
        elif isinstance(argument, exp.Distinct):
            name = f"{name} distinct"
            arguments += [from_sqlglot(value, variables) for value in argument.expressions]
        else:
            arguments.append(from_sqlglot(argument, variables))
    return Call(name, tuple(arguments))


def _interval(node: Any) -> Expression:
    unit = node.args.get("unit")
    if not isinstance(unit, exp.Var) or not isinstance(node.this, exp.Literal) or not _INTERVAL.fullmatch(node.this.name):
        return Unknown("an interval in a text of SQL")
    name = unit.name.lower().rstrip("s")
    if "." in node.this.name and name != "second":
        return Unknown("an interval in a text of SQL")
    if name in ("day", "hour", "minute", "second"):
        return Literal("interval day", f"{node.this.name} {name}")
    if name in ("month", "year"):
        return Literal("interval month", f"{node.this.name} {name}")
    return Unknown(f"an interval of {name}s in a text of SQL")


def _window(node: Any, inner: Any) -> Expression:
    if node.args.get("alias") or node.args.get("over") != "OVER":
        return Unknown("a named window in a text of SQL")
    ordered = node.args.get("order")
    order = tuple(
        Order(inner(key.this), ascending=not key.args.get("desc"), nulls_first=bool(key.args.get("nulls_first")))
        for key in (ordered.expressions if ordered else ())
    )
    partition = tuple(inner(key) for key in node.args.get("partition_by") or ())
    spec = node.args.get("spec")
    if spec is None:
        return Over(inner(node.this), partition, order)
    lower, upper = _bound(spec, "start", inner), _bound(spec, "end", inner)
    if lower is None or upper is None or spec.args.get("exclude"):
        return Unknown("a frame of a window in a text of SQL")
    return Over(inner(node.this), partition, order, str(spec.args["kind"]).lower(), lower, upper)


def _bound(spec: Any, side: str, inner: Any) -> Bound | None:
    value, direction = spec.args.get(side), spec.args.get(f"{side}_side")
    if value == "CURRENT ROW" or (value is None and side == "end"):
        return Bound("current row")
    if value == "UNBOUNDED":
        return Bound("unbounded")
    if isinstance(value, exp.Expression) and direction:
        distance = inner(value)
        if isinstance(distance, Literal) and distance.text:
            sign = "-" if str(direction).lower() == "preceding" else ""
            return Bound("distance", Literal(distance.type_class, sign + distance.text))
    return None
