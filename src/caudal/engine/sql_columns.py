"""Which columns of a query in SQL are columns of its inputs as they are: only these hand their metadata on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlglot import exp, parse_one
from sqlglot.errors import SqlglotError
from sqlglot.lineage import Node, lineage
from sqlglot.optimizer.qualify import qualify

from caudal.engine.plan_node import UnknownPlan

Source = tuple[str, str]  # input, column


def passed_columns(query: str, inputs: Mapping[str, Sequence[str]], columns: Sequence[str]) -> dict[str, Source | None]:
    """Return for each column of a query's result the input's column that it is, None if it is made of something.

    Parameters
    ----------
    inputs : the columns of the tables that the query names
    columns : those of the result, as the engine names them

    Raises
    ------
    UnknownPlan : the query is not understood, or a column comes from one side of several

    Examples
    --------
    >>> query = "WITH a AS (SELECT at AS t, max(n) AS n FROM x GROUP BY at) SELECT t, n, date(t) AS d FROM a"
    >>> passed_columns(query, {"x": ["at", "n"]}, ["t", "n", "d"])
    {'t': ('x', 'at'), 'n': None, 'd': None}
    """
    schema: dict[str, object] = {name: dict.fromkeys(names, "string") for name, names in inputs.items()}
    try:
        query_tree = qualify(parse_one(query, dialect="spark"), schema=schema, dialect="spark", quote_identifiers=False)
        if not isinstance(query_tree, exp.Select):
            raise UnknownPlan("a query of several parts")
        if [projection.alias_or_name.lower() for projection in query_tree.selects] != [column.lower() for column in columns]:
            raise UnknownPlan("a query whose columns are named by the engine")
        nodes = {name: lineage(name.lower(), query_tree.copy(), schema=schema, dialect="spark") for name in columns}
    except (SqlglotError, ValueError, KeyError, RecursionError):
        raise UnknownPlan("a query that is not understood") from None
    folded = {name.lower(): {column.lower(): (name, column) for column in names} for name, names in inputs.items()}
    return {name: _source(node, folded) for name, node in nodes.items()}


def _source(node: Node, inputs: Mapping[str, Mapping[str, Source]]) -> Source | None:
    expression = node.expression
    if isinstance(expression, exp.Table):
        column = node.name.rpartition(".")[2].lower()
        found = inputs.get(expression.name.lower(), {}).get(column)
        if found is None:
            raise UnknownPlan("a table that is no input")
        return found
    if isinstance(expression, exp.SetOperation):
        raise UnknownPlan("a union in a query")
    while isinstance(expression, exp.Alias):
        expression = expression.this
    if not isinstance(expression, exp.Column):
        return None
    if len(node.downstream) != 1:
        raise UnknownPlan("a column of several origins")
    return _source(node.downstream[0], inputs)
