"""The document of a product's monitors, from the ledger: the command prints it, the run page draws it, the server's metrics repeat it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from caudal.ledger import records
from caudal.ledger.ledger import Ledger
from caudal.ledger.monitored import COLUMNS, KIND, KeptFigure, figures_of, kept_of
from caudal.report.document import iso

if TYPE_CHECKING:
    from caudal.report.documents.monitors import MonitorDocument, MonitoredFigure, MonitorsDocument

HISTORY = 60  # windows of the history of a figure
STATES = ("alarm", "outside", "learning", "inside")
"""From the worst to the best."""


def monitors_document(ledger: Ledger, product: str, names: Sequence[str] | None = None) -> MonitorsDocument:
    """Return the document of a product's monitors, or of some of them."""
    known = monitors_of(ledger, product)
    chosen = known if names is None else [name for name in known if name in names]
    return {"product": product, "monitors": [monitor_document(ledger, product, name) for name in chosen]}


def monitors_of(ledger: Ledger, product: str) -> list[str]:
    """Return the names of the monitors that have counted something."""
    column = records.measurements.c
    query = (
        select(column.subject).where(column.product == product, column.subject_kind == KIND, column.metric == COLUMNS).distinct()
    )
    return sorted(row["subject"] for row in ledger.rows(query))


def monitored_products(ledger: Ledger) -> list[str]:
    """Return the names of the products with a monitor that has counted something."""
    column = records.measurements.c
    query = select(column.product).where(column.subject_kind == KIND, column.metric == COLUMNS).distinct()
    return sorted(row["product"] for row in ledger.rows(query))


def monitor_document(ledger: Ledger, product: str, monitor: str) -> MonitorDocument:
    """Return a monitor's newest figures with their history."""
    series: dict[object, list[KeptFigure]] = {}
    for figure in figures_of(ledger, product, monitor):
        series.setdefault(figure.key, []).append(figure)
    columns: Any = next((row.detail for row in kept_of(ledger, product, monitor, metric=COLUMNS)), {})
    figures = sorted((_figure(kept) for kept in series.values()), key=_place)
    return {
        "monitor": monitor,
        "state": next((state for state in STATES if any(figure["state"] == state for figure in figures)), "learning"),
        "windows": len({figure.start for kept in series.values() for figure in kept}),
        "figures": figures,
        "left_out": dict(columns.get("left_out", {})),
    }


def _place(figure: MonitoredFigure) -> tuple[int, bool, str, str]:
    """Return where a figure stands: the worst state first, then figures of the whole table, then column by column."""
    return STATES.index(figure["state"]), figure["column"] is not None, figure["column"] or "", figure["figure"]


def _figure(kept: Sequence[KeptFigure]) -> MonitoredFigure:
    last = kept[-1]
    return {
        "figure": last.label, "metric": last.metric, "column": last.column, "group": dict(last.group), "value": last.value, "rows": last.rows,
        "low": last.low, "high": last.high, "state": last.state, "evidence": last.evidence, "evidence_needed": last.needed,
        "reference": last.version, "window_start": _time(last.start, last.end), "window_end": _time(last.end, last.start),
        "history": [{"start": _time(figure.start, figure.end), "value": figure.value, "state": figure.state} for figure in kept[-HISTORY:]],
    }  # fmt: skip


def _time(at: float, other_end: float) -> str | None:
    """Return a time as ISO; None for windows that are versions of a table."""
    return None if at == other_end else iso(at)
