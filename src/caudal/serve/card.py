"""The model's card: what is in production, its training data, its quality, and who approved it."""

from __future__ import annotations

import math

from caudal.ledger.json_ready import json_ready
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import candidates, decisions, model_versions
from caudal.ledger.rows import CandidateRow, DecisionRow
from caudal.ledger.selection import later_scores
from caudal.ledger.trials import open_trial
from caudal.registry.seen import trial_document
from caudal.serve.served import NoChampion, Served
from caudal.serve.signature import ModelInput
from caudal.serve.times import utc

# Metrics that are errors in the unit of the prediction.
DISTANCES = {"mae": "mean absolute error", "rmse": "root mean squared error", "medae": "median absolute error"}


def card_of(ledger: Ledger, served: Served) -> dict[str, object]:
    """Return the card of a champion as a JSON-ready document; times are UTC."""
    name = {"product": served.product, "model": served.model}
    rows = ledger.find(model_versions, product=served.product, model=served.model, version=served.version)
    if not rows:
        raise NoChampion(f"The ledger has no row of version {served.version} of '{served.title}'.", fix="Run 'caudal model list'.")
    version = rows[0]
    compared = _compared(ledger.find(candidates, product=served.product, model=served.model, run_id=version["run_id"]))
    card: dict[str, object] = json_ready(
        {
            **name,
            "version": served.version,
            "candidate": version["candidate"],
            "trained_at": utc(version["created_at"]),
            "since": utc(served.decision["at"]),
            "decision": _decision(served.decision),
            # A rollback evaluates no gates: those of the original promotion still hold.
            "gates": served.decision["gates"] or version["gates"] or [],
            "rule": version["rule"],
            "score": next((candidate for candidate in compared if candidate["chosen"]), None),
            "baseline": next((candidate for candidate in compared if candidate["baseline"]), None),
            "candidates": compared,
            "metrics": version["metrics"],
            "holdout": version["holdout"],
            "later": later_scores(ledger, served.product, served.model, version=served.version),
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
            "compiled": version["compiled"],
            "code": version["code"],
            "fingerprint": version["fingerprint"],
            "inputs": [_input(input_) for input_ in served.signature.inputs],
            "output": {
                "name": served.signature.output.name,
                "type": served.signature.output.type,
                "unit": served.signature.output.unit,
                "classes": list(served.signature.output.classes) if served.signature.output.classes else None,
            },
            "trial": _trial(ledger, served.product, served.model),
            "history": [_decision(row) for row in ledger.find(decisions, **name, newest=True, limit=20)],
        }
    )
    return card


def _trial(ledger: Ledger, product: str, model: str) -> dict[str, object] | None:
    """Return the trial beside a champion, with what was seen of both versions; None where there is none."""
    decision = open_trial(ledger, product, model)
    if decision is None:
        return None
    document = trial_document(ledger, decision)
    return {**document, "at": utc(document["at"])}


def typical_error(ledger: Ledger, served: Served) -> dict[str, object] | None:
    """Return the champion's error on unseen data, over folds; None if its metric is not an error in the prediction's unit."""
    version = ledger.find(model_versions, product=served.product, model=served.model, version=served.version)
    if not version:
        return None
    for row in ledger.find(
        candidates, product=served.product, model=served.model, run_id=version[0]["run_id"], candidate=version[0]["candidate"]
    ):
        if row["metric"] in DISTANCES and row["score"] is not None and math.isfinite(row["score"]):
            return {"metric": row["metric"], "meaning": DISTANCES[row["metric"]], "score": row["score"], "spread": row["spread"]}
    return None


def _compared(rows: list[CandidateRow]) -> list[dict[str, object]]:
    """Return the candidates of a training run, the chosen one first and the baseline last."""
    columns = ("candidate", "metric", "score", "spread", "folds", "seconds", "chosen", "baseline", "error")
    documents = [{name: value for name, value in row.items() if name in columns} for row in rows]
    return sorted(documents, key=lambda row: (not row["chosen"], row["baseline"], row["candidate"]))


def _decision(row: DecisionRow) -> dict[str, object]:
    columns = ("version", "decision", "who", "reason", "replaced", "gates", "run_id", "trial")
    return {"at": utc(row["at"]), **{name: value for name, value in row.items() if name in columns}}


def _input(input_: ModelInput) -> dict[str, object]:
    return {
        "name": input_.name,
        "label": input_.label,
        "type": input_.type,
        "unit": input_.unit,
        "description": input_.description,
        "nullable": input_.nullable,
        "minimum": input_.minimum,
        "maximum": input_.maximum,
        "seen": input_.seen_range or None,
        "default": input_.default,
        "values": list(input_.values) if input_.values is not None else None,
        "allowed": input_.allowed,
    }
