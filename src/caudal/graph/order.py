"""In which order the nodes of a product are made."""

from __future__ import annotations

from caudal.declarations.node import Table
from caudal.declarations.product import Product


def needs_of(table: Table) -> tuple[str, ...]:
    """Return the nodes that a table reads, for its rows or for its expectations."""
    return (*table.inputs, *(name for expectation in table.expect for name in expectation.tables))


def in_order(product: Product) -> list[str]:
    """Return the names of sources and tables, each after what it reads."""
    done: dict[str, None] = {}

    def visit(name: str) -> None:
        if name in done:
            return
        node = product.nodes[name]
        for needed in needs_of(node) if isinstance(node, Table) else ():
            visit(needed)
        done[name] = None

    for name in product.nodes:
        visit(name)
    return list(done)
