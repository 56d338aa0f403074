"""An outlet: rows of a stream that go out as soon as they are there."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.outlet import Outlet
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.graph.node_kind import NodeKind


class OutletKind(NodeKind[Outlet]):
    """Not in the graph, and no step of a run: the stream's own."""

    name = "outlet"
    label = "outlet"
    declaration = Outlet
    rank = 101
    pipelines = frozenset()
    streamed = True

    def inputs(self, product: Product, declaration: Outlet) -> tuple[str, ...]:
        """Return the statistics or the detection whose rows go out."""
        return (declaration.of,)

    def problems(self, product: Product, declaration: Outlet) -> Iterator[DeclarationProblem]:
        """Yield nothing: what it is of is checked where it is declared."""
        yield from ()


KIND = OutletKind()
