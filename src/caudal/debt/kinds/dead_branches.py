"""Branches of the graph from which nothing leaves the product."""

from __future__ import annotations

from caudal.debt.finding import Debt, DebtKind, Finding
from caudal.debt.scope import DebtScope


def find_debt(scope: DebtScope) -> Debt:
    """Return the models that nothing uses, and the sources and tables that are read only by what nothing uses.

    What nothing reads at all is another kind, ``unused_tables``.
    """
    findings = []
    for name, model in scope.product.models.items():
        if name not in scope.alive:
            findings.append(
                Finding(
                    name,
                    f"Model '{name}' is trained, and nothing predicts with it or serves it.",
                    f"Declare product.predict({name}) or product.serve({name}); or delete the model.",
                    str(model.where),
                )
            )
    for name in scope.product.nodes:
        readers = [reader.name for reader in scope.readers.get(name, ())]
        if name not in scope.alive and readers:
            findings.append(
                Finding(
                    name,
                    f"'{name}' is read by {', '.join(readers)} alone, from which nothing leaves the product.",
                    "Delete the branch; or let its end be published, predicted, served or read by a declared consumer.",
                    scope.where(name),
                )
            )
    return Debt(findings)


DEBT = DebtKind("dead_branches", "Branches that lead to nothing", find_debt)
ORDER = 20
