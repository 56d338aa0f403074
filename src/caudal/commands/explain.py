"""``caudal explain``: what a node of a product is made of, and why its steps ran or rested the last time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from caudal.commands.why import reason_of
from caudal.declarations.node import Node, Table
from caudal.declarations.product import Product
from caudal.declarations.settings import Settings
from caudal.errors import NotThere, nearest
from caudal.graph.build import build
from caudal.ledger.records import steps
from caudal.runtime.opening import open_home
from caudal.storage import delta

Fact = tuple[str, str]  # its name, and the text


def explain_node(product: Product, name: str, settings: Settings) -> Iterator[Fact]:
    """Yield what is known of a node: from its declaration, its newest version and the ledger.

    Raises
    ------
    NotThere : the product has no node of that name
    """
    graph = build(product)
    if name not in graph.nodes:
        raise NotThere(
            f"Product '{product.name}' has no '{name}'.",
            nearest=nearest(name, list(graph.nodes)),
            fix=f"It has {', '.join(graph.nodes)}.",
        )
    declared = graph.nodes[name]
    yield "kind", declared.kind
    if declared.description:
        yield "description", declared.description
    yield "made of", ", ".join(declared.inputs) or "nothing of this product"
    readers = [other.name for other in graph.nodes.values() if name in other.inputs]
    yield "read by", ", ".join(readers) or "nothing of this product"
    node = product.nodes.get(name)
    if node is not None:
        yield from _facts_of_rows(node)
    home = open_home(settings)
    folder = home.table(product.name, name)
    if delta.version_of(folder) is not None:
        version = delta.read_version(folder)
        yield "published", f"version {version.number}: {version.rows:,} rows, {len(version.files):,} files"
    with contextlib.closing(home.ledger()) as ledger:
        newest = {row["step"]: row for row in ledger.find(steps, product=product.name, name=name) if row["state"] != "running"}
        for step, row in newest.items():
            yield step, f"{row['state']}: {reason_of(row)}"


def _facts_of_rows(node: Node) -> Iterator[Fact]:
    if node.where is not None:
        yield "declared at", str(node.where)
    if node.event_time:
        yield "event time", node.event_time
    if node.partition:
        back = f", and {node.lookback_s:g} s before it" if isinstance(node, Table) and node.lookback_s else ""
        yield "rebuilt", f"the days whose inputs changed{back}"
    elif node.by_file:
        yield "rebuilt", "the rows of new files"
    else:
        yield "rebuilt", "whole, when an input or the code changes"
    for expectation in node.expect:
        yield "expects", f"{expectation.name} ({expectation.action})"
