"""Expectations that can never fail."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from caudal.debt.finding import Debt, DebtKind, Finding, NamedFigure
from caudal.debt.scope import DebtScope
from caudal.declarations.expectation import Expectation
from caudal.declarations.node import Node, Source
from caudal.ledger.records import checks, profiles
from caudal.ledger.rows import CheckRow

RUNS = 5
"""A bound is judged by its distance from the values seen only after this number of runs."""
SPREADS = 10.0
"""A bound further away than this many times the range of all values ever seen is no bound."""


def find_debt(scope: DebtScope) -> Debt:
    """Return the expectations that the declaration already guarantees, and bounds far beyond all values ever seen.

    An expectation that has never failed is no debt by itself: how many there are is a figure.
    """
    findings, never, judged = [], 0, 0
    for name, node in scope.product.nodes.items():
        rows = [] if scope.ledger is None else scope.ledger.find(checks, product=scope.product.name, table=name)
        for expectation in node.expect:
            of_it = [row for row in rows if row["expectation"] == expectation.name and row["rows"]]
            judged += bool(of_it)
            never += bool(of_it) and not any(row["broken"] for row in of_it) and all(row["passed"] for row in of_it)
            if (finding := _guaranteed(node, expectation) or _far(scope, node, expectation, of_it)) is not None:
                findings.append(finding)
    figures = [NamedFigure("judged", judged), NamedFigure("never_failed", never)] if scope.ledger is not None else []
    why = "bounds not compared with values: no home" if scope.ledger is None else None
    return Debt(findings, figures, why)


def _guaranteed(node: Node, expectation: Expectation) -> Finding | None:
    """Return the finding on an expectation that holds for any rows, by what is declared beside it."""
    what = None
    if expectation.kind == "not_null" and isinstance(node, Source) and node.schema is not None:
        column = expectation.columns[0]
        if column in node.schema and not node.schema[column].nullable:
            what = f"the schema of '{node.name}' declares '{column}' nullable=False, so rows without it are set aside before"
    elif expectation.kind == "row_count":
        low, high = getattr(expectation, "low", None), getattr(expectation, "high", None)
        if (low is None or low <= 0) and high is None:
            what = "no table has fewer rows"
    if what is None:
        return None
    where = str(expectation.where or node.where)
    return Finding(node.name, f"{expectation.name} of '{node.name}' cannot fail: {what}.", "Delete it.", where)


def _far(scope: DebtScope, node: Node, expectation: Expectation, rows: Sequence[CheckRow]) -> Finding | None:
    """Return the finding on bounds of numbers that lie far beyond all values that any run has seen."""
    runs = {row["run_id"] for row in rows}
    if expectation.kind != "between" or scope.ledger is None or len(runs) < RUNS or any(row["broken"] for row in rows):
        return None
    column = expectation.columns[0]
    figures: list[Any] = [
        row["columns"].get(column, {}) for row in scope.ledger.find(profiles, product=scope.product.name, table=node.name)
    ]
    lows, highs = ([of[end] for of in figures if _is_number(of.get(end))] for end in ("min", "max"))
    low, high = getattr(expectation, "low", None), getattr(expectation, "high", None)
    bounds = [bound for bound in (low, high) if bound is not None]
    if not lows or not highs or not all(_is_number(bound) for bound in bounds):
        return None
    least, greatest = min(lows), max(highs)
    spread = (greatest - least) or abs(greatest) or 1.0
    away = min(
        [*([(least - low) / spread] if low is not None else []), *([(high - greatest) / spread] if high is not None else [])]
    )
    if away <= SPREADS:
        return None
    return Finding(
        node.name,
        f"{expectation.name} of '{node.name}' has not failed in {len(runs)} runs, whose values lie from {least:g} to {greatest:g}: "
        f"its nearest bound is {away:.0f} times that range away.",
        "Bring the bounds near to what is plausible, or delete it.",
        str(expectation.where or node.where),
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


DEBT = DebtKind("idle_expectations", "Expectations that cannot fail", find_debt)
ORDER = 70
