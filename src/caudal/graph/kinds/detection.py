"""A detection: a stream that is watched; what is odd goes to a table that the stream writes."""

from __future__ import annotations

from caudal.declarations.detector import Detection
from caudal.declarations.product import Product
from caudal.graph.node_kind import NodeKind


class DetectionKind(NodeKind[Detection]):
    """Not in the graph, and no step of a run: the stream's own."""

    name = "detection"
    label = "detector"
    declaration = Detection
    rank = 100
    pipelines = frozenset()
    streamed = True

    def inputs(self, product: Product, declaration: Detection) -> tuple[str, ...]:
        """Return the stream that is watched."""
        return (declaration.of,)


KIND = DetectionKind()
