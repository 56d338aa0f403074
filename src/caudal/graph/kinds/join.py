"""A join: rows of a stream with the matching rows of another stream, or of a table."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.join import Join, problems
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.graph.kinds.table import TableKind
from caudal.graph.node_kind import StepKind, Style


class JoinKind(TableKind[Join]):
    """A table that a run builds completely, and that runs and streams then update."""

    name = "join"
    label = "join"
    declaration = Join
    rank = 30
    style = Style("⋈", "#1f7a7a", "#63c5c5")
    steps = (StepKind("join", writes="table", section="tables", verb="JOIN", judged=True, by_stream=True),)
    streamed = True
    backfill = "left out"

    def identity(self, declaration: Join) -> list[object]:
        """Return its inputs, join columns, distance in time and options."""
        return [
            declaration.kind, declaration.name, declaration.inputs, declaration.on, declaration.within_s, declaration.how,
            declaration.selected, declaration.event_time, declaration.partition,
        ]  # fmt: skip

    def problems(self, product: Product, declaration: Join) -> Iterator[DeclarationProblem]:
        """Yield the problems of its inputs, times and columns."""
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
