"""Inputs of a model that make no difference to it."""

from __future__ import annotations

from caudal.debt.finding import Debt, DebtKind, Finding, not_measured, several
from caudal.debt.scope import NO_HOME, DebtScope
from caudal.ledger.measurements import measurements

IMPORTANCE = "importance"
"""The metric of a model by which it is worse when an input's values are shuffled; its group names the input."""


def find_debt(scope: DebtScope) -> Debt:
    """Return the inputs whose measured importance for the champion does not differ from zero, by the upper end of its interval.

    Only what a training has measured of its own version is used; nothing is computed here.
    """
    if scope.ledger is None:
        return not_measured(NO_HOME)
    if not scope.product.models:
        return Debt()
    findings, unmeasured = [], []
    for name, model in scope.product.models.items():
        champion = scope.ledger.champion(scope.product.name, name)
        version = champion["version"] if champion is not None else None
        rows = [] if version is None else measurements(
            scope.ledger, product=scope.product.name, subject_kind="model", subject=name, metric=IMPORTANCE, version=version
        )  # fmt: skip
        of_inputs = {str(row.group["input"]): row for row in reversed(rows) if "input" in row.group}  # the newest of each
        if not of_inputs:
            unmeasured.append(name)
            continue
        idle = tuple(sorted(input_ for input_, row in of_inputs.items() if (row.value if row.high is None else row.high) <= 0))
        if idle:
            findings.append(
                Finding(
                    name,
                    f"Champion {version} of '{name}' is not worse without {several(idle)}: shuffled among the rows, they change its error by nothing or for the better.",
                    f"Take {'them' if len(idle) > 1 else 'it'} out of '{model.features}', or into its keep= where an audit needs {'them' if len(idle) > 1 else 'it'}, and train again.",
                    str(model.where),
                    idle,
                )
            )
    why = f"importance not measured for the champion of {several(unmeasured)}" if unmeasured else None
    return Debt(findings, not_measured=why, measured=len(unmeasured) < len(scope.product.models))


DEBT = DebtKind("unimportant_features", "Features without importance", find_debt)
ORDER = 40
