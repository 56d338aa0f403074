"""Columns that a declaration names and a node does not have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from caudal.declarations.known import known_of
from caudal.errors import CaudalError, DeclarationProblem, nearest
from caudal.graph.check_models import problems_of_model_columns

if TYPE_CHECKING:
    from caudal.declarations.node import Node
    from caudal.declarations.product import Product


def problems_of_missing_columns(product: Product, node: Node, names: list[str]) -> list[CaudalError]:
    """Return a problem for each column that is asked of a node and is not among its columns."""
    problems: list[CaudalError] = list(_missing_columns(node, names))
    if (features := product.feature_tables.get(node.name)) is not None:
        problems += problems_of_model_columns(product, features, names)
    return problems


def _missing_columns(node: Node, names: list[str]) -> Iterator[DeclarationProblem]:
    needed = [
        (column, f"{expectation.name} binds to nothing", expectation.where)
        for expectation in node.expect
        for column in expectation.columns
    ]
    if node.event_time:
        needed.append((node.event_time, "its declared event time is missing", node.where))
    needed += [(column, "declared as key, time, label or kept", node.where) for column in node.not_inputs]
    needed += [(column, "known= names it", node.where) for column in node.known]
    yield from _known_problems(node, names)
    for column, use, where in needed:
        if column not in names and column not in ("_file", "_day"):
            yield DeclarationProblem(
                f"Table '{node.name}' has no column '{column}': {use}.",
                nearest=nearest(column, names),
                fix=f"It has {', '.join(names)}.",
                where=str(where or node.where),
                table=node.name,
                column=column,
            )


def _known_problems(node: Node, names: list[str]) -> Iterator[DeclarationProblem]:
    """Yield problems of ``known=``: values that are neither a bound nor a delay."""
    for declared in node.known.values():
        try:
            known_of(declared, names)
        except DeclarationProblem as error:
            yield DeclarationProblem(
                f"Table '{node.name}': {error.what}", nearest=error.nearest, fix=error.fix, where=str(node.where), table=node.name
            )
