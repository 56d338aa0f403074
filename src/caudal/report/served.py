"""The document of what servers have seen of a product's models, from the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from caudal.ledger.ledger import Ledger
from caudal.ledger.measurements import Measurement
from caudal.ledger.served import RANGE, REQUESTS, learned_range, served_minutes

if TYPE_CHECKING:
    from caudal.report.documents.served import OddInput, ServedModel

HOURS = 24.0


def served_document(ledger: Ledger, product: str, now: float) -> list[ServedModel]:
    """Return the requests of the last 24 hours for each model of a product that had any, by name."""
    by_model: dict[str, list[Measurement]] = {}
    for row in served_minutes(ledger, product, now - HOURS * 3600):
        by_model.setdefault(row.subject, []).append(row)
    return [_served(ledger, product, model, rows) for model, rows in sorted(by_model.items())]


def _served(ledger: Ledger, product: str, model: str, rows: list[Measurement]) -> ServedModel:
    champion = ledger.champion(product, model)
    signature: Mapping[str, Any] = champion["signature"] if champion is not None else {}
    inputs = {document["name"]: document for document in signature.get("inputs", ())}
    minutes = [row for row in rows if row.metric == REQUESTS]
    details: list[Mapping[str, Any]] = [row.detail for row in minutes]
    odd: Counter[tuple[str, str]] = Counter()
    for row in rows:
        if row.metric != REQUESTS:
            odd[str(row.group["input"]), row.metric] += int(row.value)
    listed: list[OddInput] = []
    for (name, kind), count in sorted(odd.items(), key=lambda item: (-item[1], item[0])):
        learned = learned_range(inputs[name]) if kind == RANGE and name in inputs else None
        listed.append({"input": name, "kind": kind, "rows": count, "learned_from": None if learned is None else list(learned)})
    return {
        "model": model,
        "version": None if champion is None else champion["version"],
        "hours": HOURS,
        "requests": sum(int(row.value) for row in minutes),
        "errors": sum(detail["errors"] for detail in details),
        "rows": sum(detail["rows"] for detail in details),
        "slowest_p95_s": max((detail["p95_s"] for detail in details if detail["p95_s"] is not None), default=None),
        "odd_inputs": listed,
        "unknown_ranges": [
            name for name, document in inputs.items()
            if document["type"] in ("double", "long") and not document.get("values") and learned_range(document) is None
        ],
    }  # fmt: skip
