"""What an executor of streams would refuse at its start, told by the declaration."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.node import Source
from caudal.declarations.product import Product
from caudal.declarations.statistics import Statistics
from caudal.graph.registered import declarations_of_kind


def refusals_on_spark(product: Product) -> Iterator[str]:
    """Yield a sentence for each lateness and window for which ``caudal stream --on spark`` would refuse to start: its event time has milliseconds."""
    sources: list[Source] = declarations_of_kind(product, "stream source")
    tables: list[Statistics] = declarations_of_kind(product, "statistics")
    for source in sources:
        parts = [(f"Source '{source.name}' waits", source.late_s)]
        parts += [
            (f"windows of '{table.name}' end every", table.pane_us / 1e6) for table in tables if table.inputs[0] == source.name
        ]
        for what, seconds in parts:
            if abs(seconds * 1000 - round(seconds * 1000)) > 1e-6:
                yield (
                    f"'caudal stream --on spark' refuses '{source.name}': {what} {seconds:g} seconds, and Spark's event time has whole milliseconds. "
                    "'--on here' computes it."
                )
