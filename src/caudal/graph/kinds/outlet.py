"""An outlet: sends rows of a stream to another system as soon as they exist."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.outlet import Outlet
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.graph.node_kind import NodeKind


class OutletKind(NodeKind[Outlet]):
    """The stream process does it: it is not drawn in the graph and has no step in a run."""

    name = "outlet"
    label = "outlet"
    declaration = Outlet
    rank = 101
    pipelines = frozenset()
    streamed = True

    def inputs(self, product: Product, declaration: Outlet) -> tuple[str, ...]:
        """Return the statistics or the detection whose rows it sends."""
        return (declaration.of,)

    def problems(self, product: Product, declaration: Outlet) -> Iterator[DeclarationProblem]:
        """Yield nothing: its input is checked where it is declared."""
        yield from ()


KIND = OutletKind()
