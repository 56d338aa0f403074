"""The model's card: what is in production, what it was trained on, how good it is, and who let it through."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

from caudal.ledger.json_ready import json_ready
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import candidates, decisions, model_versions
from caudal.ledger.rows import CandidateRow, DecisionRow
from caudal.serve.served import NoChampion, Served
from caudal.serve.signature import Input

# Metrics that say how far a prediction is off, in the unit of the prediction.
DISTANCES = {"mae": "mean absolute error", "rmse": "root mean squared error", "medae": "median absolute error"}


def card_of(ledger: Ledger, served: Served) -> dict[str, Any]:
    """Return the card of a champion as a JSON-ready document; times are UTC."""
    name: dict[str, Any] = {"product": served.product, "model": served.model}
    found = ledger.find(model_versions, **name, version=served.version)
    if not found:
        raise NoChampion(f"The ledger has no row of version {served.version} of '{served.title}'.", fix="Run 'caudal model list'.")
    version = found[0]
    compared = _compared(ledger.find(candidates, **name, run_id=version["run_id"]))
    card: dict[str, Any] = json_ready(
        {
            **name,
            "version": served.version,
            "candidate": version["candidate"],
            "trained_at": utc(version["created_at"]),
            "since": utc(served.decision["at"]),
            "decision": _decision(served.decision),
            # A rollback judges nothing anew: what let the version through then still stands.
            "gates": served.decision["gates"] or version["gates"] or [],
            "rule": version["rule"],
            "score": next((one for one in compared if one["chosen"]), None),
            "baseline": next((one for one in compared if one["baseline"]), None),
            "candidates": compared,
            "metrics": version["metrics"],
            "holdout": version["holdout"],
            "training": {
                "table": version["training_table"],
                "table_version": version["training_version"],
                "rows": version["training_rows"],
                "from": version["training_from"],
                "until": version["training_until"],
                "run": version["run_id"],
            },
            "parameters": version["parameters"],
            "environment": version["environment"],
            "artifact": {"format": version["format"], "sha256": version["artifact_sha256"]},
            "code": version["code"],
            "fingerprint": version["fingerprint"],
            "inputs": [_input(input_) for input_ in served.signature.inputs],
            "output": {
                "name": served.signature.output.name,
                "type": served.signature.output.type,
                "unit": served.signature.output.unit,
                "classes": list(served.signature.output.classes) if served.signature.output.classes else None,
            },
            "history": [_decision(row) for row in ledger.find(decisions, **name, newest=True, limit=20)],
        }
    )
    return card


def typical_error(ledger: Ledger, served: Served) -> dict[str, Any] | None:
    """Return how far the champion was off on data it had not seen, over folds; None where its metric is no distance."""
    name: dict[str, Any] = {"product": served.product, "model": served.model}
    version = ledger.find(model_versions, **name, version=served.version)
    if not version:
        return None
    for row in ledger.find(candidates, **name, run_id=version[0]["run_id"], candidate=version[0]["candidate"]):
        if row["metric"] in DISTANCES and row["score"] is not None and math.isfinite(row["score"]):
            return {"metric": row["metric"], "meaning": DISTANCES[row["metric"]], "score": row["score"], "spread": row["spread"]}
    return None


def utc(seconds: float | None) -> str | None:
    """Return seconds since 1970 as an ISO time.

    Examples
    --------
    >>> utc(0)
    '1970-01-01T00:00:00Z'
    """
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _compared(rows: list[CandidateRow]) -> list[dict[str, Any]]:
    """Return the candidates of a training run, the chosen one first and the baseline last."""
    named = ("candidate", "metric", "score", "spread", "folds", "seconds", "chosen", "baseline", "error")
    shown = [{name: value for name, value in row.items() if name in named} for row in rows]
    return sorted(shown, key=lambda row: (not row["chosen"], row["baseline"], row["candidate"]))


def _decision(row: DecisionRow) -> dict[str, Any]:
    named = ("version", "decision", "who", "reason", "replaced", "gates", "run_id")
    return {"at": utc(row["at"]), **{name: value for name, value in row.items() if name in named}}


def _input(one: Input) -> dict[str, Any]:
    return {
        "name": one.name,
        "label": one.label,
        "type": one.type,
        "unit": one.unit,
        "description": one.description,
        "nullable": one.nullable,
        "minimum": one.minimum,
        "maximum": one.maximum,
        "seen": one.seen_range or None,
        "default": one.default,
        "values": list(one.values) if one.values is not None else None,
        "allowed": one.allowed,
    }
