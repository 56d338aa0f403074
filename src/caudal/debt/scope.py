"""The facts about a product that kinds of debt ask for: who reads what, the columns of tables and what they are made of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from caudal.debt.user_code import UserCode, user_code
from caudal.declarations.product import Product
from caudal.graph.registered import DeclaredNode, declared_nodes, is_streamed
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import landed, lineages
from caudal.ledger.rows import LineageDocument
from caudal.storage import delta
from caudal.tables.home import Home
from caudal.tables.landing import origin_of

OF_WINDOWS = frozenset(["window_start", "window_end"])
"""Columns that caudal's windows bring along, used or not."""
NO_HOME = "no home: run the product first, or give the right --home"


class ReadingNode(NamedTuple):
    """A node that reads another; ``kind`` is the name of its kind."""

    name: str
    kind: str
    declaration: Any


class DebtScope:
    """A product, its home and ledger where it has run, and the facts that are derived from them.

    Parameters
    ----------
    home, ledger : None where only the declaration is known
    """

    def __init__(self, product: Product, home: Home | None = None, ledger: Ledger | None = None) -> None:
        self.product, self.home, self.ledger = product, home, ledger

    @cached_property
    def nodes(self) -> list[DeclaredNode]:
        """All declarations."""
        return list(declared_nodes(self.product))

    @cached_property
    def readers(self) -> Mapping[str, Sequence[ReadingNode]]:
        """The nodes that read a node, also for their expectations."""
        readers: dict[str, list[ReadingNode]] = defaultdict(list)
        for node in self.nodes:
            inputs = (*node.kind.inputs(self.product, node.declaration), *node.kind.needs(self.product, node.declaration))
            for name in dict.fromkeys(inputs):
                readers[name].append(ReadingNode(node.name, node.kind.name, node.declaration))
        return readers

    @cached_property
    def consumed(self) -> Mapping[str, Sequence[str]]:
        """The names of the declared consumers of a table, model, prediction or publication."""
        consumers: dict[str, list[str]] = defaultdict(list)
        for consumer in self.product.consumers:
            for name in consumer.of:
                consumers[name].append(consumer.name)
        return consumers

    @cached_property
    def alive(self) -> frozenset[str]:
        """The nodes from which something leaves the product, directly or by what is made of them."""
        leaving = [node.name for node in self.nodes if self._leaves(node)]
        waiting = [*leaving, *self.consumed, *self.read_elsewhere]
        inputs = {
            node.name: (*node.kind.inputs(self.product, node.declaration), *node.kind.needs(self.product, node.declaration))
            for node in self.nodes
        }
        reached: set[str] = set()
        while waiting:
            name = waiting.pop()
            if name not in reached:
                reached.add(name)
                waiting += inputs.get(name, ())
        return frozenset(reached)

    def _leaves(self, node: DeclaredNode) -> bool:
        """Return whether a node is an end: predictions, what the console shows live, and all that is neither a table nor a model."""
        if node.kind.columns == "predicted":
            return True
        if node.kind.columns is not None:
            return is_streamed(self.product, node.name) and node.name not in self.product.sources
        return all(step.writes != "model" for step in node.kind.steps)

    @cached_property
    def read_elsewhere(self) -> Mapping[str, Sequence[tuple[str, str]]]:
        """The sources, as product and name, that read a table of this product where it lies in the lake."""
        sources: dict[str, set[tuple[str, str]]] = defaultdict(set)
        if self.home is None or self.ledger is None:
            return {}
        tables = Path(str(self.home.tables(self.product.name))).parts
        for row in self.ledger.find(landed):
            parts = origin_of(row).parts
            if parts[: len(tables)] == tables and len(parts) > len(tables):
                sources[parts[len(tables)]].add((row["product"], row["source"]))
        return {table: sorted(of) for table, of in sources.items()}

    @cached_property
    def versions(self) -> Mapping[str, delta.Version]:
        """The newest version of each table that has one."""
        if self.home is None:
            return {}
        folders = {node.name: self.home.table(self.product.name, node.name) for node in self.nodes if node.kind.columns is not None}
        return {name: delta.read_version(folder) for name, folder in folders.items() if delta.version_of(folder) is not None}

    def columns(self, table: str) -> Mapping[str, str]:
        """Return the type of each column of a table by its name: as stored, else as declared; caudal's own columns are left out."""
        if (version := self.versions.get(table)) is not None:
            stored = {str(field["name"]): str(field["type"]) for field in version.schema["fields"]}
        else:
            node = self.product.nodes.get(table)
            stored = {field.name: field.type for field in (node.schema if node is not None else None) or ()}
        return {name: type_ for name, type_ in stored.items() if not name.startswith("_")}

    @cached_property
    def lineages(self) -> Mapping[str, LineageDocument]:
        """The column lineage of each table, from its newest build."""
        if self.ledger is None:
            return {}
        newest = {row["table"]: row["document"] for row in self.ledger.find(lineages, product=self.product.name)}
        return {name: document for name, document in newest.items() if name in self.product.tables}

    def made_of(self, table: str, column: str) -> frozenset[str]:
        """Return the names of the input columns that a column's values are made of, or unchanged from: empty where that is not known."""
        lineage = self.lineages.get(table)
        origins = [] if lineage is None else lineage["columns"].get(column, {"from": []})["from"]
        if len(origins) == 1 and origins[0]["kind"] == "identity":
            return frozenset([column])
        return frozenset(str(origin["column"]) for origin in origins)

    @cached_property
    def code(self) -> UserCode:
        """The functions of the product's own modules."""
        return user_code(self.product)

    def where(self, name: str) -> str | None:
        """Return file and line of a declaration."""
        return next((str(node.declaration.where) for node in self.nodes if node.name == name and node.declaration.where), None)
