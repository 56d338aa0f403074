"""Build the graph of a product: its nodes, models, predictions and servings."""

from __future__ import annotations

from caudal.declarations.product import Product
from caudal.graph.registered import declared_nodes
from caudal.graph.shape import Graph, GraphNode


def build(product: Product) -> Graph:
    """Return the product's graph; inputs that nothing declares stay as names (``check`` reports them)."""
    nodes: dict[str, GraphNode] = {}
    for name, kind, declaration in declared_nodes(product):
        if kind.style is not None:
            where = None if declaration.where is None else str(declaration.where)
            nodes[name] = GraphNode(
                name, kind.label, kind.inputs(product, declaration), kind.description(declaration), where,
                needs=kind.needs(product, declaration),
            )  # fmt: skip
    return Graph(nodes)
