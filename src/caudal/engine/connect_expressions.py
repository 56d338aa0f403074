"""Expressions of Spark Connect, and SQL texts within them, as the nodes of an analysed plan (`caudal.engine.plan_node`).

Whatever is not known to be read as Spark reads it raises `UnknownPlan`: then how far rows look back has no bound, and what a column is
made of is unknown.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

import sqlglot
from sqlglot import exp

from caudal.declarations.duration import seconds
from caudal.engine.plan_node import PlanNode, UnknownPlan
from caudal.engine.sql_functions import AGGREGATES, GENERATORS, SCALARS, WINDOWS
from caudal.errors import CaudalError

if TYPE_CHECKING:
    from pyspark.sql.connect.proto import Expression

# Kinds by which the walkers of plans know functions; all others are alike to them.
KINDS = {
    "==": "EqualTo", "=": "EqualTo", "<=>": "EqualNullSafe", "and": "And", "to_date": "ParseToDate", "date_trunc": "TruncTimestamp",
    "from_utc_timestamp": "FromUTCTimestamp", "coalesce": "Coalesce", "nvl": "Coalesce", "ifnull": "Coalesce", "if": "If",
    "when": "CaseWhen", "first": "First", "last": "Last", "first_value": "First", "last_value": "Last", "min": "Min", "max": "Max",
    "any_value": "AnyValue", "min_by": "MinBy", "max_by": "MaxBy", "array": "CreateArray", "explode": "Explode", "inline": "Inline",
}  # fmt: skip
_SCALAR_UDFS = {100, 101, 200, 204, 250, 251}  # how PySpark numbers Python functions of single rows
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Attribute:
    """A column of a relation.

    Parameters
    ----------
    number : its own in the whole plan
    qualifier : the alias of its relation
    metadata : what Spark hands on with it
    fields : for a structure that the plan puts together, the names of its fields, and the metadata that each hands on
    """

    number: int
    name: str
    qualifier: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    fields: tuple[tuple[str, Mapping[str, Any]], ...] = ()

    def node(self) -> PlanNode:
        """Return the reference to it."""
        return PlanNode("AttributeReference", {"exprId": {"id": self.number}, "name": self.name})


def new_number() -> int:
    """Return a number that no other column of a plan has."""
    return next(_numbers)


@dataclass(frozen=True)
class Scope:
    """The columns that an expression can name.

    Parameters
    ----------
    attributes : the columns of the input
    of_plan : returns the columns of a relation below by its ``plan_id``
    """

    attributes: Sequence[Attribute]
    of_plan: Callable[[int], Sequence[Attribute]]

    @cached_property
    def by_number(self) -> dict[int, Attribute]:
        """The columns of the input by their number."""
        return {attribute.number: attribute for attribute in self.attributes}

    @cached_property
    def _by_name(self) -> dict[str, list[Attribute]]:
        return _by_name(self.attributes)

    def attribute(self, name: str, plan_id: int | None = None) -> PlanNode:
        """Return the reference to the column of a name, or what is taken of it."""
        return self.column(name_parts(name), plan_id)

    def column(self, parts: Sequence[str], plan_id: int | None = None) -> PlanNode:
        """Return the reference to the column of a name's parts; further parts are fields of a structure."""
        among = self._by_name
        if plan_id is not None:
            among = _by_name([attribute for attribute in self.of_plan(plan_id) if attribute.number in self.by_number])
        for qualified in (True, False):
            if qualified and len(parts) < 2:
                continue
            found = [
                attribute for attribute in among.get(parts[qualified].lower(), ())
                if not qualified or attribute.qualifier == parts[0]
            ]  # fmt: skip
            if len({attribute.number for attribute in found}) > 1:
                raise UnknownPlan(f"the column {'.'.join(parts)} is ambiguous")
            if found:
                node = found[0].node()
                for name in parts[1 + qualified :]:
                    node = self.field(node, name)
                return node
        raise UnknownPlan(f"the column {'.'.join(parts)} is not found")

    def field(self, node: PlanNode, name: str) -> PlanNode:
        """Return the field of a structure."""
        if node.kind == "AttributeReference":
            attribute = self.by_number.get(node.attribute)
            fields = attribute.fields if attribute is not None else ()
            for place, (field_name, metadata) in enumerate(fields):
                if field_name == name:
                    return PlanNode("GetStructField", {"ordinal": place, "name": name, "metadata": metadata}, [node])
        return PlanNode("ExtractValue", {}, [node])


def _by_name(attributes: Sequence[Attribute]) -> dict[str, list[Attribute]]:
    """Return columns by their name without regard to case."""
    by_name: dict[str, list[Attribute]] = {}
    for attribute in attributes:
        by_name.setdefault(attribute.name.lower(), []).append(attribute)
    return by_name


def name_parts(name: str) -> list[str]:
    """Return the parts of a name with dots and backquotes.

    Examples
    --------
    >>> name_parts("t.`a.b`"), name_parts("`a``b`")
    (['t', 'a.b'], ['a`b'])
    """
    parts = re.findall(r"`((?:[^`]|``)*)`|([^.`]+)", name)
    return [plain or quoted.replace("``", "`") for quoted, plain in parts]


def expression_node(expression: Expression, scope: Scope) -> PlanNode:
    """Return an expression as a node; names are references to the columns of the scope."""
    kind = expression.WhichOneof("expr_type")
    if kind == "literal":
        value = expression.literal
        return PlanNode("Literal", {"value": None if value.WhichOneof("literal_type") == "null" else _literal(value)})
    if kind == "unresolved_attribute":
        attribute = expression.unresolved_attribute
        if attribute.is_metadata_column:
            raise UnknownPlan("metadata of files")
        return scope.attribute(attribute.unparsed_identifier, attribute.plan_id if attribute.HasField("plan_id") else None)
    if kind == "alias":
        return alias_node(expression.alias, scope)
    if kind == "expression_string":
        return _sql_node(_parsed(expression.expression_string.expression), scope)
    if kind == "cast":
        inner = expression_node(expression.cast.expr, scope)
        return PlanNode("Cast", {"dataType": _type_name(expression.cast)}, [inner])
    if kind == "sort_order":
        return PlanNode("SortOrder", {}, [expression_node(expression.sort_order.child, scope)])
    if kind == "window":
        window = expression.window
        function = expression_node(window.window_function, scope)
        keys = [expression_node(part, scope) for part in window.partition_spec]
        orders = [PlanNode("SortOrder", {}, [expression_node(part.child, scope)]) for part in window.order_spec]
        return window_node(function, keys, orders)
    if kind == "unresolved_extract_value":
        value = expression.unresolved_extract_value
        child, extraction = expression_node(value.child, scope), expression_node(value.extraction, scope)
        if extraction.kind == "Literal" and isinstance(extraction.properties["value"], str):
            return scope.field(child, extraction.properties["value"])
        return PlanNode("ExtractValue", {}, [child, extraction])
    if kind == "lambda_function":
        return PlanNode("LambdaFunction", {}, [expression_node(expression.lambda_function.function, scope)])
    if kind == "unresolved_named_lambda_variable":
        return PlanNode("NamedLambdaVariable", {})
    if kind == "common_inline_user_defined_function":
        function = expression.common_inline_user_defined_function
        if function.WhichOneof("function") != "python_udf" or function.python_udf.eval_type not in _SCALAR_UDFS:
            raise UnknownPlan("a function that may see several rows")
        return PlanNode("PythonUDF", {}, [expression_node(part, scope) for part in function.arguments])
    if kind == "unresolved_function" and not expression.unresolved_function.is_user_defined_function:
        function = expression.unresolved_function
        name = function.function_name.lower()
        if any(part.WhichOneof("expr_type") == "unresolved_star" for part in function.arguments):
            return _function_of_all(name, len(function.arguments), scope)
        return function_node(name, [expression_node(part, scope) for part in function.arguments])
    if kind == "call_function":
        called = expression.call_function
        return function_node(called.function_name.lower(), [expression_node(part, scope) for part in called.arguments])
    raise UnknownPlan(f"an expression of the kind {kind}")


def _function_of_all(name: str, arguments: int, scope: Scope) -> PlanNode:
    """Return a function of a star: of the number of rows, or of all columns."""
    if arguments != 1 or name not in ("count", "struct"):
        raise UnknownPlan("a star in a function")
    columns = [attribute.node() for attribute in scope.attributes]
    return function_node(name, [PlanNode("Literal", {"value": 1})] if name == "count" else columns)


def alias_node(alias: Expression.Alias, scope: Scope) -> PlanNode:
    """Return an alias as a node with a new number; ``metadata`` is that which the column then has."""
    inner = expression_node(alias.expr, scope)
    properties: dict[str, Any] = {"exprId": {"id": new_number()}, "name": alias.name[0], "names": list(alias.name)}
    if alias.HasField("metadata"):
        properties["metadata"] = json.loads(alias.metadata)
    return PlanNode("Alias", properties, [inner])


def function_node(name: str, arguments: list[PlanNode]) -> PlanNode:
    """Return a function's node by its name in Spark."""
    if name in AGGREGATES:
        return PlanNode("AggregateExpression", {}, [PlanNode(KINDS.get(name, name), {}, arguments)])
    if name in GENERATORS or name in WINDOWS:
        return PlanNode(KINDS.get(name, name), {"generates": name in GENERATORS, "needs_window": name in WINDOWS}, arguments)
    if name == "window":
        return _time_window(arguments)
    if name not in SCALARS:
        raise UnknownPlan(f"the function {name}")
    if name == "struct":
        named = [(str(part.properties.get("name", "")), part) for part in arguments]
        return PlanNode(
            "CreateNamedStruct", {}, [node for key, part in named for node in (PlanNode("Literal", {"value": key}), part)]
        )
    if name == "named_struct":
        return PlanNode("CreateNamedStruct", {}, arguments)
    if name == "to_date" and len(arguments) != 1:
        return PlanNode("to_date", {}, arguments)
    return PlanNode(KINDS.get(name, name), {}, arguments)


def _time_window(arguments: list[PlanNode]) -> PlanNode:
    """Return the structure of a window of time, as Spark puts it together; windows that overlap make several rows of one."""
    time, *parts = arguments
    try:
        lengths = [seconds(str(part.properties["value"])) for part in parts]
    except (KeyError, ValueError, CaudalError):
        raise UnknownPlan("a window of time") from None
    width_s, slide_s, offset_s = (*lengths, *(lengths[0], 0.0)[len(lengths) - 1 :])
    if width_s != slide_s:
        raise UnknownPlan("windows of time that overlap")
    micros = PlanNode("PreciseTimestampConversion", {}, [time])
    shifted = PlanNode("Subtract", {}, [micros, PlanNode("Literal", {"value": int(offset_s * 1e6)})])
    remainder = PlanNode("Remainder", {}, [shifted, PlanNode("Literal", {"value": int(width_s * 1e6)})])
    before_1970 = PlanNode("<", {}, [remainder, PlanNode("Literal", {"value": 0})])
    start = PlanNode("PreciseTimestampConversion", {}, [PlanNode("CaseWhen", {}, [before_1970, remainder, remainder])])
    return PlanNode(
        "CreateNamedStruct", {}, [PlanNode("Literal", {"value": "start"}), start, PlanNode("Literal", {"value": "end"}), start]
    )


def window_node(function: PlanNode, keys: list[PlanNode], orders: list[PlanNode]) -> PlanNode:
    """Return a function over a window as a node."""
    inner = function.below[0] if function.kind == "AggregateExpression" else function
    if inner.kind == "PythonUDF":
        raise UnknownPlan("a Python function over a window")
    plain = PlanNode(inner.kind, {}, inner.below)
    called = plain if inner is function else PlanNode(function.kind, {}, [plain])
    return PlanNode("WindowExpression", {}, [called, PlanNode("WindowSpecDefinition", {}, [*keys, *orders])])


def has_aggregate(node: PlanNode) -> bool:
    """Return whether an expression aggregates rows; what stands over a window does not."""
    if node.kind == "WindowExpression":
        called, specification = node.below
        inner = called.below[0] if called.kind == "AggregateExpression" else called
        return any(map(has_aggregate, (*inner.below, *specification.below)))
    return node.kind == "AggregateExpression" or any(map(has_aggregate, node.below))


def check_rows(node: PlanNode) -> None:
    """Raise unless an expression gives one value a row: generators and functions without their window do not."""
    for part in node.each():
        if part.properties.get("generates") or part.properties.get("needs_window"):
            raise UnknownPlan(f"the function {part.kind} within an expression")


def _literal(value: Expression.Literal) -> object:
    kind = value.WhichOneof("literal_type")
    plain = ("boolean", "byte", "short", "integer", "long", "float", "double", "string", "date", "timestamp", "timestamp_ntz")
    return getattr(value, str(kind)) if kind in plain else str(kind)


def _type_name(cast: Expression.Cast) -> str:
    """Return a cast's type as Spark's plans name it."""
    by_text = cast.WhichOneof("cast_to_type") == "type_str"
    name = cast.type_str.strip().lower() if by_text else str(cast.type.WhichOneof("kind"))
    return {"timestamp_ltz": "timestamp"}.get(name, name)


@lru_cache(512)
def _parsed(text: str) -> exp.Expression:
    try:
        parsed: Any = sqlglot.parse_one(text, dialect="spark")
    except sqlglot.errors.SqlglotError:
        raise UnknownPlan("a text of SQL that is not understood") from None
    return parsed  # type: ignore[no-any-return]


_GENERIC = (exp.Func, exp.Binary, exp.Unary, exp.Between, exp.In, exp.Bracket, exp.Dot, exp.Interval, exp.Tuple, exp.Escape)


def _sql_node(node: exp.Expression, scope: Scope) -> PlanNode:
    """Return an expression of SQL as a node."""
    if isinstance(node, exp.Column):
        if isinstance(node.this, exp.Star):
            raise UnknownPlan("a star in a text")
        return scope.column([part.name for part in node.parts])
    if isinstance(node, exp.Literal):
        return PlanNode("Literal", {"value": node.this})
    if isinstance(node, exp.Star) and isinstance(node.parent, exp.Count):
        return PlanNode("Literal", {"value": 1})
    if isinstance(node, exp.Null):
        return PlanNode("Literal", {"value": None})
    if isinstance(node, exp.Boolean | exp.Var | exp.DataType | exp.Identifier | exp.IntervalSpan | exp.DataTypeParam):
        return PlanNode("Literal", {"value": node.sql("spark")})
    if isinstance(node, exp.Alias):
        properties = {"exprId": {"id": new_number()}, "name": node.alias, "names": [node.alias]}
        return PlanNode("Alias", properties, [_sql_node(node.this, scope)])
    if isinstance(node, exp.Paren):
        return _sql_node(node.this, scope)
    if isinstance(node, exp.Query | exp.Subquery | exp.Exists | exp.UDTF) or (isinstance(node, exp.In) and node.args.get("query")):
        raise UnknownPlan("a subquery in a text")
    if isinstance(node, exp.Window):
        order = node.args.get("order")
        orders = [
            PlanNode("SortOrder", {}, [_sql_node(part.this if isinstance(part, exp.Ordered) else part, scope)])
            for part in (order.expressions if order else [])
        ]
        return window_node(
            _sql_node(_within_nulls(node.this), scope),
            [_sql_node(part, scope) for part in node.args.get("partition_by") or []],
            orders,
        )
    if isinstance(node, exp.Lambda):
        return PlanNode("LambdaFunction", {}, [_sql_node(node.this, scope)])
    if isinstance(node, exp.Case):
        subject = [_sql_node(node.this, scope)] if node.this else []
        parts: list[PlanNode] = []
        for branch in node.args["ifs"]:
            condition = _sql_node(branch.this, scope)
            parts += [
                PlanNode("EqualTo", {}, [*subject, condition]) if subject else condition,
                _sql_node(branch.args["true"], scope),
            ]
        return PlanNode("CaseWhen", {}, [*parts, *([_sql_node(node.args["default"], scope)] if node.args.get("default") else [])])
    if isinstance(node, exp.Cast) and not isinstance(node, exp.TryCast):
        kind = node.to.sql("spark").lower()
        return PlanNode("Cast", {"dataType": {"timestamp_ltz": "timestamp"}.get(kind, kind)}, [_sql_node(node.this, scope)])
    below = [_sql_node(part, scope) for part in _children(node)]
    if isinstance(node, exp.Anonymous):
        return function_node(node.name.lower(), below)
    if isinstance(node, exp.And | exp.EQ | exp.NullSafeEQ):
        return PlanNode({exp.And: "And", exp.EQ: "EqualTo", exp.NullSafeEQ: "EqualNullSafe"}[type(node)], {}, below)
    if isinstance(node, exp.Coalesce):
        return PlanNode("Coalesce", {}, below)
    if isinstance(node, exp.Func):
        names = {name.lower() for name in node.sql_names()} | {node.key}
        if isinstance(node, exp.AggFunc) or names & AGGREGATES:
            kind = next((KINDS[name] for name in sorted(names) if name in KINDS), node.key)
            return PlanNode("AggregateExpression", {}, [PlanNode(kind, {}, below)])
        if names & (GENERATORS | WINDOWS):
            return PlanNode(node.key, {"generates": bool(names & GENERATORS), "needs_window": bool(names & WINDOWS)}, below)
    if isinstance(node, _GENERIC):
        return PlanNode(f"sql {node.key}", {}, below)
    raise UnknownPlan(f"{node.key} in a text of SQL")


def _within_nulls(node: exp.Expression) -> exp.Expression:
    """Return the function of ``f(x) IGNORE NULLS``."""
    return node.this if isinstance(node, exp.IgnoreNulls | exp.RespectNulls) else node


def _children(node: exp.Expression) -> list[exp.Expression]:
    """Return all parts of an expression."""
    values = [value for argument in node.args.values() for value in (argument if isinstance(argument, list) else [argument])]
    return [value for value in values if isinstance(value, exp.Expression)]
