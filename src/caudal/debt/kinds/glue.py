"""Code that is neither table nor features: Python for each row, whole tables in memory, and how many lines each kind has."""

from __future__ import annotations

import ast
from collections import Counter

from caudal.debt.finding import Debt, DebtKind, Finding, NamedFigure, not_measured
from caudal.debt.scope import DebtScope
from caudal.debt.user_code import DECLARATIONS, FEATURES, OTHER, PANDAS, TABLE, UDF, called_name

COLLECTING = frozenset(["toPandas", "collect", "toLocalIterator", "toArrow"])


def find_debt(scope: DebtScope) -> Debt:
    """Return the functions that run Python for each row or group, those that bring a table's rows into memory, and code that outgrows the tables it serves.

    Lines with code by kind are figures: ``table``, ``features``, ``udf``, ``pandas``, ``other functions``, ``declarations``.
    """
    code = scope.code
    if not code.modules:
        return not_measured("the product was not loaded from a folder")
    findings = []
    for function in code.functions:
        where = str(function.where)
        if function.kind in (UDF, PANDAS):
            units = "row" if function.kind == UDF else "group"
            findings.append(
                Finding(
                    function.name,
                    f"'{function.name}' ({function.lines} lines) runs Python for each {units}: slow, and column lineage cannot see through it.",
                    "Write it with Spark's functions where they can do it.",
                    where,
                )
            )
        elif function.kind in (TABLE, FEATURES):
            calls = sorted({called_name(node) for node in ast.walk(function.tree) if isinstance(node, ast.Call)} & COLLECTING)
            if calls:
                findings.append(
                    Finding(
                        function.name,
                        f"'{function.name}' brings rows into this machine's memory: {', '.join(calls)}().",
                        "Leave the rows in Spark: it fails on the day that they no longer fit.",
                        where,
                    )
                )
    lines = Counter({DECLARATIONS: code.declaration_lines})
    for function in code.functions:
        lines[function.kind] += function.lines
    of_tables, of_others = lines[TABLE] + lines[FEATURES], lines[OTHER] + lines[UDF] + lines[PANDAS]
    if of_others > of_tables:
        findings.append(
            Finding(
                scope.product.name,
                f"{of_others} lines of functions serve {of_tables} lines of tables and features.",
                "Make tables of what several of them prepare, and use what caudal offers (cd.…, ex.…) in place of the rest.",
                str(scope.product.where),
            )
        )
    kinds = (TABLE, FEATURES, UDF, PANDAS, OTHER, DECLARATIONS)
    return Debt(findings, [NamedFigure("lines", lines[kind], kind) for kind in kinds if lines[kind]])


DEBT = DebtKind("glue", "Glue", find_debt)
ORDER = 80
