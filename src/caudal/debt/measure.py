"""Measure the debt of a product by every kind, and keep the figures, so that debt that grows is seen."""

from __future__ import annotations

from collections.abc import Mapping

from caudal.debt.finding import Debt, DebtKind
from caudal.debt.scope import DebtScope
from caudal.kinds import DEBTS
from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement, add_measurements, measurements

SUBJECT = "product"


def metric_of_debt(kind: str) -> str:
    """Return the metric under which the count of a kind is kept.

    Examples
    --------
    >>> metric_of_debt("glue")
    'debt_glue'
    """
    return f"debt_{kind}"


def measure_debt(scope: DebtScope) -> dict[str, tuple[DebtKind, Debt]]:
    """Return the debt of a product by the name of each kind, in the order of the kinds."""
    return {name: (kind, kind.find_debt(scope)) for name, kind in DEBTS.items()}


def keep_debt(ledger: Ledger, product: str, debts: Mapping[str, Debt], run_id: str, now: float) -> None:
    """Append the count of each kind that was measured, and its figures, to the ledger's measurements."""
    kept = []
    for name, debt in debts.items():
        if not debt.measured:
            continue
        kept.append(Measurement(product, run_id, now, SUBJECT, product, metric_of_debt(name), float(debt.count)))
        kept += [
            Measurement(
                product, run_id, now, SUBJECT, product, f"{metric_of_debt(name)}_{figure.name}", float(figure.value),
                group_by=() if figure.group is None else ("kind",), group_value=() if figure.group is None else (figure.group,),
            )
            for figure in debt.figures
        ]  # fmt: skip
    add_measurements(ledger, *kept)


def earlier_counts(ledger: Ledger, product: str) -> list[tuple[str, float, dict[str, int]]]:
    """Return run, time and the count of each kind of the earlier measurements of debt, newest first."""
    metrics = {metric_of_debt(name): name for name in DEBTS}
    earlier: dict[str, tuple[str, float, dict[str, int]]] = {}
    for row in measurements(ledger, product=product, subject_kind=SUBJECT, subject=product, metric=list(metrics)):
        earlier.setdefault(row.run_id, (row.run_id, row.at, {}))[2][metrics[row.metric]] = int(row.value)
    return list(earlier.values())
