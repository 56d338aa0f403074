"""What has happened in a run that somebody may want to be told of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from caudal.declarations.alert import Happening
from caudal.declarations.duration import text
from caudal.declarations.product import Product
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import decisions, runs
from caudal.report.figures import duration
from caudal.report.run_document import RunDocument
from caudal.storage import delta
from caudal.tables.home import Home


@dataclass(frozen=True)
class Happened:
    """One thing.

    Parameters
    ----------
    subject : the step, table or model that it is about; the same thing happens again when kind and subject are the same
    what, fix : sentences
    """

    kind: Happening
    subject: str
    what: str
    fix: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def in_run(ledger: Ledger, document: RunDocument) -> Iterator[Happened]:
    """Yield what has happened in a run, by its document."""
    error = document.get("error")
    failed = next((step["step"] for step in document["steps"] if step["state"] == "failed"), document["command"])
    if document["state"] == "failed":
        said = error or {}
        yield Happened("failure", failed, said.get("what") or "The run failed.", said.get("fix") or "")
    elif document["state"] == "abandoned":
        yield Happened("failure", document["command"], "The run was cut off: its process died.", "The next run goes on from there.")
    elif document["state"] == "succeeded" and _failed_before(ledger, document):
        yield Happened("recovery", document["command"], f"'{document['product']}' runs again.")
    for name, table in document["tables"].items():
        aside, read = table.get("rows_quarantined") or 0, table.get("rows_read") or 0
        if aside:
            share = aside / max(read, aside)
            yield Happened(
                "quarantine", name, f"{aside:,} of {max(read, aside):,} rows of '{name}' were set aside ({share:.1%}).",
                f"See them: caudal quarantine show {name}", {"share": share, "reasons": table.get("reasons", {})},
            )  # fmt: skip
    for row in ledger.find(decisions, run_id=document["run_id"]):
        if row["decision"] in ("promoted", "refused"):
            why = row["reason"] or "; ".join(message for gate in row["gates"] if (message := gate.get("message")))
            yield Happened(
                row["decision"], row["model"], f"Version {row['version']} of model '{row['model']}' was {row['decision']}: {why}"
            )


def late(product: Product, home: Home, now: float) -> Iterator[Happened]:
    """Yield the tables that are older than was promised."""
    for sla in product.slas:
        folder = home.table(product.name, sla.table)
        number = delta.version_of(folder)
        at = None if number is None else (folder / "_delta_log" / f"{number:020d}.json").stat().st_mtime
        if at is None:
            yield Happened(
                "sla", sla.table, f"'{sla.table}' is promised within {text(sla.within_s)}, and has never been published."
            )
        elif now - at > sla.within_s:
            yield Happened(
                "sla", sla.table, f"'{sla.table}' is {text(round((now - at) / 60) * 60)} old; promised is {text(sla.within_s)}."
            )


def slow(step: str, expected_s: float, limit_s: float) -> Happened:
    """Return that a step at work takes longer than usual."""
    facts = {"expected_s": expected_s, "limit_s": limit_s}
    what = f"'{step}' has been at work for {duration(limit_s)}; {duration(expected_s)} is usual."
    return Happened("slow", step, what, "See how long it took before: caudal times --step " + step, facts)


def _failed_before(ledger: Ledger, document: RunDocument) -> bool:
    before = ledger.find(runs, product=document["product"], command=document["command"], newest=True, limit=2)
    rest = [row for row in before if row["run_id"] != document["run_id"]]
    return bool(rest) and rest[0]["state"] in ("failed", "abandoned")
