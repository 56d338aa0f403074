"""Sources and tables that nothing reads."""

from __future__ import annotations

from caudal.debt.finding import Debt, DebtKind, Finding
from caudal.debt.scope import DebtScope


def find_debt(scope: DebtScope) -> Debt:
    """Return the sources and tables that no declaration, no declared consumer and no other product of the home reads."""
    findings = []
    for name in scope.product.nodes:
        if name in scope.alive or scope.readers.get(name):
            continue
        if name in scope.product.sources:
            what, fix = f"Nothing reads the source '{name}', which each run lands and reads.", "Use it, or delete its declaration."
        else:
            what = f"Nothing reads the table '{name}': no table, model, publication, outlet or declared consumer."
            fix = f'Delete it; or publish it; or say who reads it: product.consumer("…", of=["{name}"]).'
        findings.append(Finding(name, what, fix, scope.where(name)))
    return Debt(findings)


DEBT = DebtKind("unused_tables", "Tables that nothing reads", find_debt)
ORDER = 10
