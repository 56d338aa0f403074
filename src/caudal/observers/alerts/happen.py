"""Events that alerts report: failures, recoveries, quarantined rows, late tables, slow steps, drift, decisions on models."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from caudal.declarations.alert import Happening
from caudal.declarations.duration import text
from caudal.declarations.product import Product
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import decisions, runs
from caudal.ledger.rows import AlarmDocument
from caudal.report.figures import duration
from caudal.report.run_document import RunDocument
from caudal.storage import delta
from caudal.tables.home import Home


@dataclass(frozen=True)
class AlertEvent:
    """An event that an alert may report.

    Parameters
    ----------
    subject : the step, table or model that it is about; events with the same kind and subject are repetitions
    what, fix : sentences
    """

    kind: Happening
    subject: str
    what: str
    fix: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def events_in_run(ledger: Ledger, document: RunDocument) -> Iterator[AlertEvent]:
    """Yield the events in a run's document: failure or recovery, quarantined rows, drift, and decisions on models."""
    error = document.get("error")
    failed = next((step["step"] for step in document["steps"] if step["state"] == "failed"), document["command"])
    if document["state"] == "failed":
        error_document = error or {}
        yield AlertEvent("failure", failed, error_document.get("what") or "The run failed.", error_document.get("fix") or "")
    elif document["state"] == "abandoned":
        yield AlertEvent("failure", document["command"], "The run's process died.", "The next run continues from there.")
    elif document["state"] == "succeeded" and _failed_before(ledger, document):
        yield AlertEvent("recovery", document["command"], f"'{document['product']}' runs again.")
    for name, table in document["tables"].items():
        rows_aside, rows_read = table.get("rows_quarantined") or 0, table.get("rows_read") or 0
        if rows_aside:
            share = rows_aside / max(rows_read, rows_aside)
            yield AlertEvent(
                "quarantine", name, f"{rows_aside:,} of {max(rows_read, rows_aside):,} rows of '{name}' were set aside ({share:.1%}).",
                f"See them: caudal quarantine show {name}", {"share": share, "reasons": table.get("reasons", {})},
            )  # fmt: skip
    for name, monitored in document.get("monitors", {}).items():
        yield from (drift_event(document["product"], name, alarm) for alarm in monitored["alarms"])
    for row in ledger.find(decisions, run_id=document["run_id"]):
        if row["decision"] in ("promoted", "refused"):
            why = row["reason"] or "; ".join(message for gate in row["gates"] if (message := gate.get("message")))
            yield AlertEvent(
                row["decision"], row["model"], f"Version {row['version']} of model '{row['model']}' was {row['decision']}: {why}"
            )


def late_tables(product: Product, home: Home, now: float) -> Iterator[AlertEvent]:
    """Yield an event for each table that is older than its SLA allows."""
    for sla in product.slas:
        folder = home.table(product.name, sla.table)
        number = delta.version_of(folder)
        at = None if number is None else (folder / "_delta_log" / f"{number:020d}.json").stat().st_mtime
        if at is None:
            yield AlertEvent("sla", sla.table, f"'{sla.table}' has an SLA of {text(sla.within_s)}, and has never been published.")
        elif now - at > sla.within_s:
            yield AlertEvent(
                "sla", sla.table, f"'{sla.table}' is {text(round((now - at) / 60) * 60)} old; its SLA is {text(sla.within_s)}."
            )


def drift_event(product: str, monitor: str, alarm: AlarmDocument) -> AlertEvent:
    """Return the event that a monitor's figure is in alarm."""
    return AlertEvent(
        "drift", f"{monitor}: {alarm['figure']}", f"Monitor '{monitor}': {alarm['what']}.",
        f"See its history: caudal monitor {product} --name {monitor}",
    )  # fmt: skip


def slow_step(step: str, expected_s: float, limit_s: float) -> AlertEvent:
    """Return the event that a running step takes longer than usual."""
    facts = {"expected_s": expected_s, "limit_s": limit_s}
    sentence = f"'{step}' has been at work for {duration(limit_s)}; {duration(expected_s)} is usual."
    return AlertEvent("slow", step, sentence, "See how long it took before: caudal times --step " + step, facts)


def _failed_before(ledger: Ledger, document: RunDocument) -> bool:
    before = ledger.find(runs, product=document["product"], command=document["command"], newest=True, limit=2)
    rest = [row for row in before if row["run_id"] != document["run_id"]]
    return bool(rest) and rest[0]["state"] in ("failed", "abandoned")
