"""A serving: a model behind a form and an API; it has no step in a run."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.model import Serving
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.node_kind import NodeKind, Style


class ServingKind(NodeKind[Serving]):
    """Drawn next to its model, whose name it has."""

    name = "serving"
    label = "serving"
    declaration = Serving
    rank = 80
    style = Style("◎", "#3f5f8a", "#93b4e2")
    prefix = "serve:"
    pipelines = frozenset()

    def subject(self, declaration: Serving) -> str:
        """Return the model's name."""
        return declaration.model

    def inputs(self, product: Product, declaration: Serving) -> tuple[str, ...]:
        """Return the model."""
        return (declaration.model,)

    def problems(self, product: Product, declaration: Serving) -> Iterator[DeclarationProblem]:
        """Yield a model that nothing declares."""
        if declaration.model not in product.models:
            yield DeclarationProblem(
                f"Model '{declaration.model}' is to be served, but nothing declares it.",
                nearest=nearest(declaration.model, product.models),
                where=str(declaration.where),
            )


KIND = ServingKind()
