"""Spark's analysed plan as plain nodes: one call to the JVM, then Python alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


@dataclass
class PlanNode:
    """An operator of a plan or a part of an expression: what kind it is, what it says, what is below it."""

    kind: str
    said: Mapping[str, Any]
    below: list[PlanNode] = field(default_factory=list)

    @property
    def attribute(self) -> int:
        """The number that Spark knows a column by (its ``exprId``)."""
        return int(self.said["exprId"]["id"])

    def expressions(self, *names: str) -> list[PlanNode]:
        """Return the expressions that the node holds under these names."""
        found: list[PlanNode] = []
        for name in names:
            held = self.said.get(name)
            if isinstance(held, list) and held:
                found += [tree(one) for one in (held if isinstance(held[0], list) else [held]) if one]
        return found

    def each(self) -> Iterator[PlanNode]:
        """Yield the node and all that is below it."""
        yield self
        for child in self.below:
            yield from child.each()


def analysed(frame: DataFrame) -> PlanNode:
    """Return the plan of a frame as Spark has analysed it; nothing is computed."""
    plan = frame._jdf.queryExecution().analyzed()
    root = tree(json.loads(plan.toJSON()))
    if any(node.kind == "Expand" for node in root.each()):
        _with_projections(root, plan)
    return root


def tree(listed: Sequence[Mapping[str, Any]]) -> PlanNode:
    """Return nodes that are listed parent first as a tree."""
    nodes = iter(listed)

    def following() -> PlanNode:
        said = next(nodes)
        node = PlanNode(str(said["class"]).rsplit(".", 1)[-1], said)
        node.below = [following() for _ in range(said["num-children"])]
        return node

    return following()


def _with_projections(node: PlanNode, plan: Any) -> None:
    """Give each Expand its projections, which Spark leaves out of its JSON."""
    if node.kind == "Expand":
        rows = plan.projections()
        told = [[json.loads(rows.apply(i).apply(j).toJSON()) for j in range(rows.apply(i).size())] for i in range(rows.size())]
        node.said = {**node.said, "projections": told}
    children = plan.children()
    for at, below in enumerate(node.below):
        if at < children.size():
            _with_projections(below, children.apply(at))
