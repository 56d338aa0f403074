"""A prediction: a table of what a model's champion predicts for the features."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from caudal.declarations.model import Prediction
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.node_kind import NodeKind, StepKind, Style

if TYPE_CHECKING:
    from caudal.declarations.model import Model

ROWS = ("all", "unlabelled", "latest")


class PredictionKind(NodeKind[Prediction]):
    """Needs the features and a champion, not the training of the same run; where both run, it runs after it and uses a new champion."""

    name = "prediction"
    label = "prediction"
    declaration = Prediction
    rank = 70
    style = Style("▼", "#b0492f", "#ee9377")
    steps = (StepKind("predict", writes="table", section="predictions", verb="PREDICT"),)
    pipelines = frozenset({"all", "predict"})
    columns = "predicted"

    def inputs(self, product: Product, declaration: Prediction) -> tuple[str, ...]:
        """Return the model and its features."""
        return (declaration.model, *self.needs(product, declaration))

    def needs(self, product: Product, declaration: Prediction) -> tuple[str, ...]:
        """Return the features of its model."""
        model = product.models.get(declaration.model)
        return () if model is None else (model.features,)

    def attempts(self, product: Product, declaration: Prediction) -> tuple[int, float | None]:
        """Return the retries and the time limit of its model."""
        model = product.models.get(declaration.model)
        return (0, None) if model is None else (model.retry, model.time_limit_s)

    def fingerprinted_declaration(self, product: Product, declaration: Prediction) -> Model | None:
        """Return its model."""
        return product.models.get(declaration.model)

    def problems(self, product: Product, declaration: Prediction) -> Iterator[DeclarationProblem]:
        """Yield a model that nothing declares, and an invalid ``rows=``."""
        model = product.models.get(declaration.model)
        if model is None:
            yield DeclarationProblem(
                f"Prediction '{declaration.name}' is by model '{declaration.model}', which nothing declares.",
                nearest=nearest(declaration.model, product.models),
                where=str(declaration.where),
            )
        if declaration.rows not in ROWS:
            yield DeclarationProblem(
                f"Prediction '{declaration.name}' is of rows='{declaration.rows}'.",
                nearest=nearest(declaration.rows, ROWS),
                fix="Use all, unlabelled or latest.",
                where=str(declaration.where),
            )
        features = product.feature_tables.get(model.features) if model else None
        if declaration.rows == "latest" and features is not None and not features.as_of:
            yield DeclarationProblem(
                f"Prediction '{declaration.name}' is of the latest row of each entity, and features '{features.name}' have no as_of.",
                fix="Use rows='all' or rows='unlabelled'; without a time there is one row per entity.",
                where=str(declaration.where),
            )


KIND = PredictionKind()
