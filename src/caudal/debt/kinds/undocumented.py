"""Tables without a description, and columns without description and unit."""

from __future__ import annotations

import re
from collections import Counter

from caudal.debt.finding import Debt, DebtKind, Finding, several
from caudal.debt.scope import OF_WINDOWS, DebtScope
from caudal.declarations.connection import CHANNELLED
from caudal.declarations.images import Images
from caudal.declarations.node import Source
from caudal.graph.registered import is_streamed

SERIES = 3
"""So many columns with one name and different numbers are a series."""
UNITS = frozenset(
    [
        "usd",
        "eur",
        "gbp",
        "chf",
        "jpy",
        "ns",
        "us",
        "ms",
        "s",
        "min",
        "h",
        "hz",
        "khz",
        "mm",
        "cm",
        "m",
        "km",
        "mi",
        "kg",
        "g",
        "c",
        "f",
        "k",
        "pct",
        "percent",
        "share",
        "db",
        "v",
        "mv",
        "uv",
        "w",
        "kw",
        "kwh",
        "bytes",
        "at",
    ]
)
"""Ends of names that say in what a value is measured; ``at`` is a time, whose type says the rest."""


def find_debt(scope: DebtScope) -> Debt:
    """Return the sources, tables and models without a description, and the columns without description, label and unit.

    A column that carries another's values unchanged, or is named after the column that it is made of (``pickups_lag_1``), counts where that is. A
    column also counts as documented where its table's description mentions it, where its name ends with a unit, and as one of a numbered series. Columns that caudal itself names (images, samples, windows
    of streams, predictions) do not count. Without a home only declared columns are known.
    """
    findings = []
    for name, node in scope.product.nodes.items():
        if not node.description and not (isinstance(node, Source) and isinstance(node.connection, Images)):
            fix = "Give it description=." if not getattr(node, "function", None) else "Give its function a docstring."
            findings.append(Finding(name, f"'{name}' has no description.", fix, str(node.where)))
        bare = () if names_given_by_caudal(scope, name) else tuple(c for c in scope.columns(name) if _is_bare(scope, name, c))
        columns = without_series(bare) if node.description else bare
        if columns:
            findings.append(
                Finding(
                    name,
                    f"{len(columns)} of {len(scope.columns(name))} columns of '{name}' have neither description nor unit: {several(columns)}.",
                    f'product.about("{name}", {columns[0]}="What it is [unit]").',
                    str(node.where),
                    columns,
                )
            )
    for name, model in scope.product.models.items():
        if not model.description:
            findings.append(Finding(name, f"Model '{name}' has no description.", "Give it description=.", str(model.where)))
    why = None if scope.ledger is not None else "only the columns that schemas declare: no home"
    return Debt(findings, not_measured=why)


def without_series(columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return columns without numbered series: the parts of a vector, which the description of the table says more of.

    Examples
    --------
    >>> without_series(("pc_1", "pc_2", "pc_3", "place_1"))
    ('place_1',)
    """
    series = Counter(column.rstrip("0123456789") for column in columns if column[-1].isdecimal())
    return tuple(column for column in columns if series[column.rstrip("0123456789")] < SERIES or not column[-1].isdecimal())


def names_given_by_caudal(scope: DebtScope, table: str) -> bool:
    """Return whether the columns of a table are caudal's own: of images, samples and statistics of streams."""
    node = scope.product.nodes[table]
    return is_streamed(scope.product, table) or (isinstance(node, Source) and isinstance(node.connection, Images | CHANNELLED))


def _is_bare(scope: DebtScope, table: str, column: str) -> bool:
    """Return whether nothing says what a column is, and it is made in this table."""
    node = scope.product.nodes[table]
    words = frozenset(re.findall(r"\w+", (node.description or "").lower()))
    if column in OF_WINDOWS or column in scope.product.abouts.get(table, {}) or column.lower() in words:
        return False
    if column.rpartition("_")[2] in UNITS and "_" in column:
        return False
    of_inputs = {name for input_ in node.inputs for name in scope.columns(input_)}  # Python hides what a column is made of
    if any(column == origin or column.startswith(f"{origin}_") for origin in scope.made_of(table, column) | of_inputs):
        return False
    schema = node.schema
    if schema is None or column not in schema:
        return True
    field = schema[column]
    return not (field.description or field.label or field.unit)


DEBT = DebtKind("undocumented", "What is not documented", find_debt)
ORDER = 90
