"""Spark's analysed plan as plain nodes: one call to the JVM, then Python alone."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from caudal.engine.choice import is_connected
from caudal.engine.plan_node import PlanNode, tree

if TYPE_CHECKING:
    from py4j.java_gateway import JavaObject
    from pyspark.sql import DataFrame


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
