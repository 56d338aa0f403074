"""Statistics of a stream: a table whose rows the stream computes, window by window."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.duration import text
from caudal.declarations.product import Product
from caudal.declarations.statistics import Statistics
from caudal.declarations.zone import windows_match_clock
from caudal.errors import DeclarationProblem
from caudal.graph.kinds.table import TableKind
from caudal.graph.node_kind import StepKind


class StatisticsKind(TableKind[Statistics]):
    """Drawn and reported as a table; a run uses what the stream has published."""

    name = "statistics"
    declaration = Statistics
    rank = 50
    steps = (StepKind("statistics", writes="table", by_stream=True),)
    streamed = True
    backfill = "left out"

    def problems(self, product: Product, declaration: Statistics) -> Iterator[DeclarationProblem]:
        """Yield a problem where windows counted from 1970 UTC do not match the local clock of the product's zone."""
        if not declaration.gap_us and declaration.every_s >= 60 and not windows_match_clock(product.tz, declaration.every_s):
            width = text(declaration.width_s)
            yield DeclarationProblem(
                f"Statistics '{declaration.name}' have windows every {text(declaration.every_s)}, which are cut by UTC and not by the clocks of {product.tz}.",
                fix=f'Take a shorter step, and make local windows of the captured samples: cd.tumble({declaration.inputs[0]}, "{width}").',
                where=str(declaration.where),
                table=declaration.name,
            )


KIND = StatisticsKind()
