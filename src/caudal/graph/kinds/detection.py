"""A detection: a detector watches a stream; the stream writes the anomalies to a table."""

from __future__ import annotations

from caudal.declarations.detector import Detection
from caudal.declarations.product import Product
from caudal.graph.node_kind import NodeKind


class DetectionKind(NodeKind[Detection]):
    """The stream process does it: it is not drawn in the graph and has no step in a run."""

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
