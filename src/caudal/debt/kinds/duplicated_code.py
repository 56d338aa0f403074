"""Code that stands in several functions."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator

from caudal.debt.finding import Debt, DebtKind, Finding, not_measured
from caudal.debt.scope import DebtScope
from caudal.debt.user_code import UserFunction, code_lines
from caudal.graph.source import syntax_digest

LINES = 4
"""The fewest lines with code that count as a copy."""
NODES = 60
"""The fewest nodes of the syntax tree that count as a copy, so that a list of names over many lines is none."""

Run = tuple[UserFunction, tuple[ast.stmt, ...]]


def find_debt(scope: DebtScope) -> Debt:
    """Return runs of statements that are the same, apart from comments and layout, in several functions or twice in one."""
    if not scope.code.modules:
        return not_measured("the product was not loaded from a folder")
    copies: dict[tuple[str, ...], list[Run]] = defaultdict(list)
    for function in scope.code.functions:
        for statements in _runs(function):
            copies[tuple(syntax_digest(statement) for statement in statements)].append((function, statements))
    repeated = sorted((runs for runs in copies.values() if len(runs) > 1), key=lambda runs: -_size(runs[0][1]))
    findings, taken = [], set[int]()
    for runs in repeated:
        free = _apart([run for run in runs if not taken & _within(run[1])])
        if len(free) < 2:
            continue
        taken = taken.union(*(_within(statements) for _, statements in free))
        places = [f"{str(function.where).rpartition(':')[0]}:{statements[0].lineno}" for function, statements in free]
        names = list(dict.fromkeys(function.name for function, _ in free))
        lines = len(frozenset[int]().union(*(code_lines(statement) for statement in free[0][1])))
        within = f"in {' and '.join(names)}" if len(names) > 1 else f"{len(free)} times in {names[0]}"
        findings.append(
            Finding(
                names[0],
                f"The same {lines} lines stand {within}: {', '.join(places)}.",
                "Make one function of them, or a table that both read.",
                places[0],
            )
        )
    return Debt(findings)


def _runs(function: UserFunction) -> Iterator[tuple[ast.stmt, ...]]:
    """Yield every run of statements of a function that is large enough to be a copy."""
    for node in ast.walk(function.tree):
        for block in (getattr(node, field, None) for field in ("body", "orelse", "finalbody")):
            statements = [part for part in block if isinstance(part, ast.stmt)] if isinstance(block, list) else []
            for first in range(len(statements)):
                for last in range(first + 1, len(statements) + 1):
                    run = tuple(statements[first:last])
                    lines = frozenset[int]().union(*(code_lines(statement) for statement in run))
                    if len(lines) >= LINES and _size(run) >= NODES and not any(map(_is_docstring, run)):
                        yield run


def _size(statements: tuple[ast.stmt, ...]) -> int:
    return sum(1 for statement in statements for _ in ast.walk(statement))


def _apart(runs: list[Run]) -> list[Run]:
    """Return runs of which none lies within another."""
    apart: list[Run] = []
    seen: set[int] = set()
    for run in runs:
        statements = _within(run[1])
        if not statements & seen:
            apart.append(run)
            seen |= statements
    return apart


def _within(statements: tuple[ast.stmt, ...]) -> set[int]:
    """Return the identities of statements and of all statements in them."""
    return {id(node) for statement in statements for node in ast.walk(statement) if isinstance(node, ast.stmt)}


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


DEBT = DebtKind("duplicated_code", "Code that stands twice", find_debt)
ORDER = 110
