"""Columns of tables that nothing uses."""

from __future__ import annotations

from collections.abc import Iterator

from caudal.debt.finding import Debt, DebtKind, Finding, NamedFigure, not_measured, several
from caudal.debt.scope import NO_HOME, OF_WINDOWS, DebtScope, ReadingNode
from caudal.declarations.model import Hashed, Model
from caudal.declarations.node import Features, Table
from caudal.declarations.warehouse import Publication
from caudal.graph.registered import is_streamed


def find_debt(scope: DebtScope) -> Debt:
    """Return the columns of built tables that nothing uses, by the column lineage of the tables made of them.

    A table counts only where all that it is read by is known: not where it is published, sent or consumed whole, nor where what reads it hides which columns it uses.
    Columns of sources are as their raw files have them; those that nothing uses are a figure.
    """
    if scope.ledger is None:
        return not_measured(NO_HOME)
    findings, hidden, of_sources = [], [], 0
    for name, node in scope.product.nodes.items():
        columns = scope.columns(name)
        if not columns or name not in scope.alive or is_streamed(scope.product, name):
            continue
        used = used_columns(scope, name)
        if used is None:
            if name not in scope.product.sources:
                hidden.append(name)
            continue
        unused = tuple(column for column in columns if column not in used | OF_WINDOWS)
        if name in scope.product.sources:
            of_sources += len(unused)
        elif unused:
            findings.append(
                Finding(
                    name,
                    f"Nothing uses {several(unused)} of '{name}'.",
                    f'Do not compute {"them" if len(unused) > 1 else "it"}; or say who reads the table: product.consumer("…", of=["{name}"]).',
                    str(node.where),
                    unused,
                )
            )
    why = f"read whole, or by what hides its columns: {several(hidden)}" if hidden else None
    return Debt(findings, [NamedFigure("source_columns", of_sources)], why)


def used_columns(scope: DebtScope, table: str) -> frozenset[str] | None:
    """Return the columns of a table that something uses; None where it cannot be known."""
    product, node = scope.product, scope.product.nodes[table]
    if table in scope.consumed or table in scope.read_elsewhere:
        return None
    used = {*node.known, *node.known.values(), *([node.event_time] if node.event_time else [])}
    used |= {column for expectation in node.expect for column in expectation.columns}
    used |= {subject.column for subject in product.subjects}
    if isinstance(node, Features):
        used |= {*node.key, *node.keep}
    for reader in scope.readers.get(table, ()):
        of_reader = _used_by(scope, table, reader)
        if of_reader is None:
            return None
        used |= of_reader
    return frozenset(used)


def _used_by(scope: DebtScope, table: str, reader: ReadingNode) -> set[str] | None:
    """Return the columns that one reader uses; None where it cannot be known."""
    declaration = reader.declaration
    if reader.kind == "prediction":
        return set()  # what a prediction reads is what its model learned from
    if isinstance(declaration, Model):
        features = scope.product.nodes[table]
        if not isinstance(features, Features):
            return None
        grouped = {column for gate in declaration.gates for column in gate.columns} | {*declaration.group_by, declaration.label}
        by = declaration.split.by if isinstance(declaration.split, Hashed) else None
        return {column for column in scope.columns(table) if column not in features.not_inputs} | grouped | ({by} if by else set())
    if isinstance(declaration, Publication):
        indexed = {column for index in declaration.indexes for column in index}
        return None if declaration.columns is None else {*declaration.columns, *declaration.key, *indexed}
    if not isinstance(declaration, Table):
        return None
    used: set[str] = set()
    if table in declaration.inputs:
        lineage = scope.lineages.get(declaration.name)
        if lineage is None or "unknown" in lineage["rows"] or any("unknown" in column for column in lineage["columns"].values()):
            return None
        origins = [origin for column in lineage["columns"].values() for origin in (*column["from"], *column.get("indirect", ()))]
        indirect = lineage["rows"].get("indirect")
        of_rows = indirect if isinstance(indirect, list) else []
        used |= {str(origin["column"]) for origin in (*origins, *of_rows) if isinstance(origin, dict) and origin["table"] == table}
    keys = list(_keys_of_expectations(declaration, table))
    return None if None in keys else used | {key for key in keys if key}


def _keys_of_expectations(reader: Table, table: str) -> Iterator[str | None]:
    """Yield the columns of a table that another table's expectations compare with; None where an expectation does not say."""
    for expectation in reader.expect:
        if table in expectation.tables:
            yield getattr(expectation, "key", None)


DEBT = DebtKind("unused_columns", "Columns that nothing uses", find_debt)
ORDER = 30
