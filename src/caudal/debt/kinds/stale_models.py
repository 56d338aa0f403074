"""Models in production that are older than their data."""

from __future__ import annotations

from caudal.debt.finding import Debt, DebtKind, Finding, not_measured
from caudal.debt.scope import NO_HOME, DebtScope
from caudal.ledger.records import model_versions


def find_debt(scope: DebtScope) -> Debt:
    """Return the champions whose training table has had a newer version since, from which no version of the model was trained.

    Where a newer version was trained and its gates refused it, the champion was compared with it, and is not stale; nor is one that waits for a reason
    to be trained, by its declaration (``retrain=``).
    """
    if scope.ledger is None:
        return not_measured(NO_HOME)
    findings, without = [], []
    for name, model in scope.product.models.items():
        champion = scope.ledger.champion(scope.product.name, name)
        if champion is None:
            without.append(name)
            continue
        if model.retrain is not None:
            continue
        table = scope.versions.get(champion["training_table"])
        trained = scope.ledger.find(model_versions, product=scope.product.name, model=name)
        newest = max(row["training_version"] for row in trained if row["training_table"] == champion["training_table"])
        if table is None or table.number <= newest:
            continue
        days = [day for day in table.days if day]
        until = f" until {max(days)}" if days else ""
        known = f" until {champion['training_until']}" if champion["training_until"] else ""
        findings.append(
            Finding(
                name,
                f"Champion {champion['version']} of '{name}' learned from version {champion['training_version']} of '{champion['training_table']}' "
                f"({champion['training_rows']:,} rows{known}); the table is at version {table.number} ({table.rows:,} rows{until}).",
                f"Train it: caudal run FOLDER; or see why it was not: caudal status FOLDER --why train:{name}.",
                str(model.where),
            )
        )
    why = f"no champion yet: {', '.join(without)}" if without else None
    return Debt(findings, not_measured=why, measured=not scope.product.models or len(without) < len(scope.product.models))


DEBT = DebtKind("stale_models", "Models older than their data", find_debt)
ORDER = 60
