"""An online view: the file in which a server looks up a model's features by key and time."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.lookup import OnlineLookup
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.graph.check_lookups import problems_of_lookup, tables_of_lookup
from caudal.graph.node_kind import NodeKind, StepKind, Style


class LookupKind(NodeKind[OnlineLookup]):
    """Follows the features of its model, and is made again whenever one of its tables has a new version."""

    name = "lookup"
    label = "online view"
    declaration = OnlineLookup
    rank = 82
    style = Style("⌕", "#2f6f73", "#84c7cb")
    prefix = "lookup:"
    steps = (StepKind("lookup", follows_messages=True),)
    pipelines = frozenset({"all", "predict"})
    follows = True

    def subject(self, declaration: OnlineLookup) -> str:
        """Return the model's name."""
        return declaration.model

    def inputs(self, product: Product, declaration: OnlineLookup) -> tuple[str, ...]:
        """Return the tables that it is made of."""
        return tables_of_lookup(product, declaration)

    def attempts(self, product: Product, declaration: OnlineLookup) -> tuple[int, float | None]:
        """Return the retries and the time limit of its model."""
        model = product.models.get(declaration.model)
        return (0, None) if model is None else (model.retry, model.time_limit_s)

    def identity(self, declaration: OnlineLookup) -> list[object]:
        """Return all that is declared."""
        return [self.name, declaration]

    def problems(self, product: Product, declaration: OnlineLookup) -> Iterator[DeclarationProblem]:
        """Yield names that nothing declares."""
        yield from problems_of_lookup(product, declaration)


KIND = LookupKind()
