"""A monitor: histograms of a table's windows, and what they say of the model that meets them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from caudal.declarations.monitor import Monitor
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.graph.check_monitors import problems_of_monitor, table_of
from caudal.graph.node_kind import NodeKind, StepKind, Style


class MonitorKind(NodeKind[Monitor]):
    """Follows its table and the predictions of its model."""

    name = "monitor"
    label = "monitor"
    declaration = Monitor
    rank = 85
    style = Style("◉", "#6b6f1d", "#c9cd72")
    prefix = "monitor:"
    steps = (StepKind("monitor", section="monitors", when_unchanged="a window has ended since"),)
    pipelines = frozenset({"all", "predict"})
    follows = True

    def inputs(self, product: Product, declaration: Monitor) -> tuple[str, ...]:
        """Return the table, the model and its predictions."""
        model = product.models.get(declaration.of)
        return self.needs(product, declaration) if model is None else (model.name, *self.needs(product, declaration))

    def needs(self, product: Product, declaration: Monitor) -> tuple[str, ...]:
        """Return the table that is counted, and the predictions of the model."""
        predictions = [name for name, prediction in product.predictions.items() if prediction.model == declaration.of]
        return (table_of(product, declaration), *predictions)

    def identity(self, declaration: Monitor) -> list[object]:
        """Return all that is declared."""
        return ["monitor", declaration]

    def problems(self, product: Product, declaration: Monitor) -> Iterator[DeclarationProblem]:
        """Yield names that nothing declares, measures that there are not, and windows that do not fit."""
        yield from problems_of_monitor(product, declaration)

    def step_document(self, row: Mapping[str, Any]) -> dict[str, object]:
        """Return the sentence about it."""
        return {"note": (row["detail"] or {}).get("note")}

    def column_problems(self, declaration: Monitor, table: str, names: Sequence[str]) -> Iterator[DeclarationProblem]:
        """Yield nothing: a column that vanishes is what a monitor reports."""
        yield from ()


KIND = MonitorKind()
