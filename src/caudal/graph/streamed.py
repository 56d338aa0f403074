"""Which nodes of a product are made by its streams."""

from __future__ import annotations

from caudal.declarations.join import Join, is_stream
from caudal.declarations.product import Product


def is_streamed(product: Product, name: str) -> bool:
    """Tell whether a node's table is written by the product's streams."""
    node = product.nodes.get(name)
    return is_stream(node) or isinstance(node, Join)
