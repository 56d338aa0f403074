"""An audit: figures of groups of a model's test rows."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.declarations.audit import Audit
from caudal.declarations.product import Product
from caudal.errors import DeclarationProblem
from caudal.graph.check_audits import problems_of_audit
from caudal.graph.node_kind import NodeKind, StepKind, Style

AUDIT = StepKind("audit", section="audits", in_backfill=False)


class AuditKind(NodeKind[Audit]):
    """Computed from the counts that the model's training left; has the model's name."""

    name = "audit"
    label = "audit"
    declaration = Audit
    rank = 65
    style = Style("⚖", "#7d6a1f", "#d9c46a")
    prefix = "audit:"
    steps = (AUDIT,)
    pipelines = frozenset({"all", "train"})

    def subject(self, declaration: Audit) -> str:
        """Return the model's name."""
        return declaration.model

    def inputs(self, product: Product, declaration: Audit) -> tuple[str, ...]:
        """Return the model."""
        return (declaration.model,)

    def attempts(self, product: Product, declaration: Audit) -> tuple[int, float | None]:
        """Return no retries and no time limit: it reads and writes the ledger only."""
        return (0, None)

    def identity(self, declaration: Audit) -> list[object]:
        """Return what its figures depend on, besides the counts of the training."""
        return [
            "audit", declaration.model, declaration.by, declaration.intersections, declaration.reference, declaration.metrics,
            declaration.positive, declaration.min_rows, declaration.seed,
        ]  # fmt: skip

    def problems(self, product: Product, declaration: Audit) -> Iterator[DeclarationProblem]:
        """Yield a model, metrics and columns that do not exist, and references that name no group."""
        yield from problems_of_audit(product, declaration)


KIND = AuditKind()
