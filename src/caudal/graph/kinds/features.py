"""Features: a table of one row per entity and time, computed only from what was known at that time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from caudal.declarations.node import Features
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem, nearest
from caudal.graph.build import build
from caudal.graph.kinds.table import BUILD, TableKind
from caudal.graph.node_kind import Style
from caudal.graph.registered import is_streamed
from caudal.json_value import JsonObject


class FeaturesKind(TableKind[Features]):
    """A table that models learn from."""

    name = "features"
    label = "features"
    declaration = Features
    rank = 40
    style = Style("◆", "#8a6413", "#dcb45a")
    steps = (replace(BUILD, name="features", verb="FEATURES"),)

    def document(self, declaration: Features) -> JsonObject:
        """Return its keys, labels and columns kept for audit, besides the entries of a table."""
        keys = {"entity": list(declaration.entity), "as_of": declaration.as_of, "labels": list(declaration.labels)}
        return {**super().document(declaration), **keys, "kept": list(declaration.keep)}

    def problems(self, product: Product, declaration: Features) -> Iterator[DeclarationProblem]:
        """Yield options that need ``as_of`` where it is missing, and keys, times and labels that its schema lacks."""
        if not declaration.as_of:
            of_stream = self._stream_above(product, declaration)
            if declaration.partition or of_stream:
                yield DeclarationProblem(
                    f"Features '{declaration.name}' have no as_of, and "
                    + (f"are made of the stream '{of_stream}'." if of_stream else "are to be partitioned by day."),
                    fix='Say which column tells when a row was known: @product.features(as_of="…").',
                    where=str(declaration.where),
                    table=declaration.name,
                )
        if declaration.schema is None:
            return
        for column in declaration.not_inputs:
            if column not in declaration.schema:
                yield DeclarationProblem(
                    f"'{declaration.name}' has no column '{column}', which it declares as key, time or label.",
                    nearest=nearest(column, declaration.schema.names),
                    fix=f"It has {', '.join(declaration.schema.names)}.",
                    where=str(declaration.where),
                    table=declaration.name,
                    column=column,
                )

    def _stream_above(self, product: Product, declaration: Features) -> str | None:
        above = build(product).upstream(declaration.name)
        return next((name for name in above if name in product.sources and is_streamed(product, name)), None)


KIND = FeaturesKind()
