"""A query of SQL → every construct in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyspark.sql.connect.proto as pb
import sqlglot
from pyspark.sql.types import StructType
from sqlglot import exp
from sqlglot.errors import SqlglotError

from caudal.engine.sail.analyzer import Analyzer, TypeScope
from caudal.engine.sail.expressions import Call, ColumnName, Expression, Literal, Order, Renamed, walk
from caudal.engine.sail.signature import Construct, constructs_of, direction, is_aggregate, join_constructs
from caudal.engine.sail.sql import SparkNames, from_sqlglot
from caudal.engine.sail.sql_text import to_sql
from caudal.engine.sail.types import type_class

Wrap = Callable[[str], pb.Relation]
"""From a text of SQL to the relation that runs it beside the frames that it names."""
_SELECT = {
    "expressions",
    "from_",
    "from",
    "joins",
    "where",
    "group",
    "having",
    "order",
    "limit",
    "distinct",
    "with_",
    "with",
    "kind",
    "hint",
}


@dataclass
class QueryWalker:
    """Finds the constructs of a query.

    Attributes
    ----------
    analyzer : asks Sail for types
    wrap : makes a relation of a text
    names : of the frames and common table expressions that the query may read
    """

    analyzer: Analyzer
    wrap: Wrap
    names: frozenset[str]

    def walk(self, text: str) -> Iterator[Construct]:
        """Return the constructs of a query."""
        try:
            tree = sqlglot.parse_one(text, dialect=SparkNames)
        except (SqlglotError, RecursionError):
            yield _unknown("a text of SQL that cannot be parsed")
            return
        if "\\" in text:
            yield _unknown("a backslash in a text of SQL, which Spark and Sail may read differently")
        yield from self._query(tree, (), self.names)

    def _query(self, node: Any, above: tuple[str, ...], names: frozenset[str]) -> Iterator[Construct]:
        with_ = node.args.get("with_") or node.args.get("with")
        if with_ is not None:
            if with_.args.get("recursive"):
                yield _unknown("a recursive query")
            for part in with_.expressions:
                if part.args["alias"].columns:
                    yield _unknown("names of columns of a common table expression")
                yield from self._query(part.this, above, names)
                above = (*above, f"`{part.alias}` AS ({part.this.sql(dialect=SparkNames)})")
                names = names | {part.alias.lower()}
        match node:
            case exp.Subquery():
                yield from self._query(node.this, above, names)
            case exp.Select():
                yield from self._select(node, above, names)
            case exp.SetOperation():
                yield from self._set(node, above, names)
            case _:
                yield _unknown(f"{type(node).__name__} in a text of SQL")

    def _schema(self, node: Any, above: tuple[str, ...]) -> StructType:
        copied = node.copy()
        copied.set("with_", None)
        return self.analyzer.schema(self.wrap(_with(above) + copied.sql(dialect=SparkNames)))

    def _set(self, node: Any, above: tuple[str, ...], names: frozenset[str]) -> Iterator[Construct]:
        name = {exp.Union: "union", exp.Intersect: "intersect", exp.Except: "except"}.get(type(node), "unknown")
        yield from self._query(node.this, above, names)
        yield from self._query(node.expression, above, names)
        if node.args.get("order") or node.args.get("limit") or node.args.get("by_name"):
            yield _unknown("an order or a limit of a union in a text of SQL")
        left, right = self._schema(node.this, above), self._schema(node.expression, above)
        every = not node.args.get("distinct")
        if [each.dataType.simpleString() for each in left.fields] != [each.dataType.simpleString() for each in right.fields]:
            name += " of different types"
        for kind in sorted({type_class(each.dataType) for each in (*left.fields, *right.fields)}):
            # UNION without ALL is UNION ALL and DISTINCT.
            if name == "union" and not every:
                yield Construct("distinct", (kind,))
            yield Construct(name + (" all" if every or name.startswith("union") else ""), (kind,))

    def _select(self, node: Any, above: tuple[str, ...], names: frozenset[str]) -> Iterator[Construct]:
        more = {name for name, value in node.args.items() if value} - _SELECT
        if more:
            yield _unknown(f"{', '.join(sorted(more))} in a text of SQL")
        source = node.args.get("from_") or node.args.get("from")
        joins = node.args.get("joins") or []
        for each in ([source.this] if source is not None else []) + [join.this for join in joins]:
            yield from self._source(each, above, names)
        read = (" " + source.sql(dialect=SparkNames) if source is not None else "") + "".join(
            " " + join.sql(dialect=SparkNames) for join in joins
        )
        prefix = _with(above)

        def make(texts: Sequence[str]) -> pb.Relation:
            return self.wrap(f"{prefix}SELECT {', '.join(f'{text} AS e{place}' for place, text in enumerate(texts))}{read}")

        scope = TypeScope(self.analyzer, make, render=to_sql)
        results = [from_sqlglot(each) for each in node.expressions]
        aliases = {each.name.lower(): each.argument for each in results if isinstance(each, Renamed)}
        group = node.args.get("group")
        keys: list[Expression] = []
        if group is not None:
            if any(value for name, value in group.args.items() if name != "expressions" and value):
                yield _unknown("grouping sets in a text of SQL")
            keys = [_resolved(from_sqlglot(each), results, aliases) for each in group.expressions]
        where = node.args.get("where")
        below = [*keys, *([from_sqlglot(where.this)] if where is not None else [])]
        for join in joins:
            yield from self._join(join, below, scope)
        having = node.args.get("having")
        order = [from_sqlglot_order(each) for each in (node.args["order"].expressions if node.args.get("order") else ())]
        above_groups = [*results, *([_substituted(from_sqlglot(having.this), aliases)] if having is not None else [])]
        sort_keys = [Order(_resolved(key.key, results, aliases), key.ascending, key.nulls_first) for key in order]
        everything = [*above_groups, *sort_keys]
        grouped = bool(keys) or any(is_aggregate(part) for each in everything for part in walk(each))
        if grouped:
            inner = [part for each in everything for part in walk(each) if is_aggregate(part)]
            yield from _noted(scope, [*below, *inner])
            clause = f" GROUP BY {', '.join(map(to_sql, keys))}" if keys else ""
            outer = TypeScope(
                self.analyzer,
                lambda texts: self.wrap(
                    f"{prefix}SELECT {', '.join(f'{text} AS e{i}' for i, text in enumerate(texts))}{read}{clause}"
                ),
                render=to_sql,
            )
            outer.known.update(scope.known)
            yield from _noted(
                outer, [each for each in everything if not is_aggregate(each.argument if isinstance(each, Renamed) else each)]
            )
            for key in keys:
                scope.resolve([Call("key", (key,))])
                yield Construct("group by", (scope.class_of(key),))
            if not keys:
                yield Construct("group by")
            final = outer
        else:
            yield from _noted(scope, [*below, *everything])
            final = scope
        for key in sort_keys:
            final.resolve([Call("key", (key.key,))])
            yield Construct("sort", (final.class_of(key.key), direction(key)))
        if node.args.get("distinct"):
            bare = node.copy()
            for clause_name in ("distinct", "order", "limit"):
                bare.set(clause_name, None)
            for kind in sorted({type_class(each.dataType) for each in self._schema(bare, above).fields}):
                yield Construct("distinct", (kind,))
        if node.args.get("limit"):
            yield Construct("limit", ("of a sort" if order else "without a sort",))

    def _source(self, node: Any, above: tuple[str, ...], names: frozenset[str]) -> Iterator[Construct]:
        if isinstance(node, exp.Subquery):
            yield from self._query(node.this, above, names)
        elif (
            not isinstance(node, exp.Table)
            or not isinstance(node.this, exp.Identifier)
            or {name for name, value in node.args.items() if value} - {"this", "alias"}
        ):
            yield _unknown("a table of another kind in a text of SQL")
        elif node.name.lower() not in names:
            yield Construct("read a table by name")

    def _join(self, join: Any, below: list[Expression], scope: TypeScope) -> Iterator[Construct]:
        side, kind = str(join.args.get("side") or "").lower(), str(join.args.get("kind") or "").lower()
        name = {"left": "left outer", "right": "right outer", "full": "full outer", "": "inner"}.get(side, "unknown")
        if kind in ("semi", "anti"):
            name = f"left {kind}"
        if join.args.get("method") or (kind and kind not in ("inner", "outer", "semi", "anti", "cross")):
            yield _unknown("a join of another kind in a text of SQL")
        using = join.args.get("using")
        if using:
            yield _unknown("a join by USING in a text of SQL")
        elif join.args.get("on") is not None:
            condition = from_sqlglot(join.args["on"])
            below.append(condition)
            scope.resolve([condition])
            yield from join_constructs(name, condition, scope.class_of)
        else:
            yield Construct("cross join")


def from_sqlglot_order(node: Any) -> Order:
    """Return a key of ORDER BY."""
    return Order(from_sqlglot(node.this), not node.args.get("desc"), bool(node.args.get("nulls_first")))


def _noted(scope: TypeScope, expressions: Sequence[Expression]) -> Iterator[Construct]:
    for node, variables in scope.resolve(expressions):
        if isinstance(node, ColumnName) and len(node.parts) > 1:
            # A qualified column or a field of a struct: the same text for both.
            yield Construct("[]", ("struct", "string"))
        yield from constructs_of(node, partial(scope.class_of, variables=variables))


def _resolved(key: Expression, results: Sequence[Expression], aliases: dict[str, Expression]) -> Expression:
    if isinstance(key, Literal) and key.type_class == "int" and key.text and 0 < int(key.text) <= len(results):
        result = results[int(key.text) - 1]
        return result.argument if isinstance(result, Renamed) else result
    return _substituted(key, aliases)


def _substituted(expression: Expression, aliases: dict[str, Expression]) -> Expression:
    if isinstance(expression, ColumnName) and len(expression.parts) == 1 and expression.parts[0].lower() in aliases:
        return aliases[expression.parts[0].lower()]
    if isinstance(expression, Call):
        return Call(expression.name, tuple(_substituted(argument, aliases) for argument in expression.arguments))
    return expression


def _with(above: tuple[str, ...]) -> str:
    return f"WITH {', '.join(above)} " if above else ""


def _unknown(reason: str) -> Construct:
    return Construct("unknown", (reason,))
