"""Nodes of an analysed plan: operators and parts of expressions, in Python alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


class UnknownPlan(Exception):
    """Raised for a plan that is not known to be read as Spark reads it; the text names what it holds, such as ``the function f``."""


@dataclass
class PlanNode:
    """An operator of a plan or a part of an expression: its kind, its properties, and its children."""

    kind: str
    properties: Mapping[str, Any]
    below: list[PlanNode] = field(default_factory=list)

    @property
    def attribute(self) -> int:
        """Spark's number of the column (its ``exprId``)."""
        return int(self.properties["exprId"]["id"])

    def expressions(self, *names: str) -> list[PlanNode]:
        """Return the node's expressions under the given names."""
        trees: list[PlanNode] = []
        for name in names:
            listed = self.properties.get(name)
            if isinstance(listed, list) and listed:
                trees += [tree(nodes) for nodes in (listed if isinstance(listed[0], list) else [listed]) if nodes]
        return trees

    def each(self) -> Iterator[PlanNode]:
        """Yield the node and all its descendants."""
        yield self
        for child in self.below:
            yield from child.each()


def tree(listed: Sequence[Mapping[str, Any]]) -> PlanNode:
    """Return a tree from a list of nodes in which parents come first."""
    nodes = iter(listed)

    def next_node() -> PlanNode:
        properties = next(nodes)
        node = PlanNode(str(properties["class"]).rsplit(".", 1)[-1], properties)
        node.below = [next_node() for _ in range(properties["num-children"])]
        return node

    return next_node()
