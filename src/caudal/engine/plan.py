"""Spark's analysed plan as plain nodes: one call to the JVM, then Python alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from caudal.engine.choice import is_connected

if TYPE_CHECKING:
    from py4j.java_gateway import JavaObject
    from pyspark.sql import DataFrame


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


def analysed_plan(frame: DataFrame) -> PlanNode:
    """Return a frame's analysed plan; nothing is computed.

    Raises
    ------
    UnknownPlan : of a frame of Spark Connect, whose plan holds what is not known to be read as Spark reads it
    """
    if is_connected(frame.sparkSession):
        from caudal.engine.connect_plan import analysed

        return analysed(frame)[0]
    plan = frame._jdf.queryExecution().analyzed()
    root = tree(json.loads(plan.toJSON()))
    if any(node.kind == "Expand" for node in root.each()):
        _with_projections(root, plan)
    return root


def tree(listed: Sequence[Mapping[str, Any]]) -> PlanNode:
    """Return a tree from a list of nodes in which parents come first."""
    nodes = iter(listed)

    def next_node() -> PlanNode:
        properties = next(nodes)
        node = PlanNode(str(properties["class"]).rsplit(".", 1)[-1], properties)
        node.below = [next_node() for _ in range(properties["num-children"])]
        return node

    return next_node()


def _with_projections(node: PlanNode, plan: JavaObject) -> None:
    """Add the projections of each Expand, which Spark's JSON lacks."""
    if node.kind == "Expand":
        rows = plan.projections()
        projections = [
            [json.loads(rows.apply(i).apply(j).toJSON()) for j in range(rows.apply(i).size())] for i in range(rows.size())
        ]
        node.properties = {**node.properties, "projections": projections}
    children = plan.children()
    for at, below in enumerate(node.below):
        if at < children.size():
            _with_projections(below, children.apply(at))
