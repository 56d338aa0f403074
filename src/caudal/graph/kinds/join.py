"""A join: rows of a stream beside those of another stream, or of a table."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.join import Join, problems
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.graph.kinds.table import TableKind
from caudal.graph.node_kind import StepKind, Style


class JoinKind(TableKind[Join]):
    """A table that a run makes whole, and that runs and streams bring up to date."""

    name = "join"
    label = "join"
    declaration = Join
    rank = 30
    style = Style("⋈", "#1f7a7a", "#63c5c5")
    steps = (StepKind("join", writes="table", section="tables", verb="JOIN", judged=True, by_stream=True),)
    streamed = True
    backfill = "left out"

    def identity(self, declaration: Join) -> list[object]:
        """Return what is joined, by which columns, how near in time."""
        return [
            declaration.kind, declaration.name, declaration.inputs, declaration.on, declaration.within_s, declaration.how,
            declaration.wanted, declaration.event_time, declaration.partition,
        ]  # fmt: skip

    def problems(self, product: Product, declaration: Join) -> Iterator[DeclarationProblem]:
        """Yield what is wrong with its sides, its times and its columns."""
        if any(name not in product.nodes for name in declaration.inputs):
            return
        left, right = (product.nodes[name] for name in declaration.inputs)
        names = None if right.schema is None or not right.schema.names else right.schema.names
        for problem in problems(declaration, left, right, names):
            yield DeclarationProblem(
                problem.what,
                nearest=problem.nearest,
                fix=problem.fix,
                where=str(declaration.where),
                table=declaration.name,
                column=problem.column,
            )


KIND = JoinKind()
