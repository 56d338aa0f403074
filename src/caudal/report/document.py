"""A run's document, made from the ledger: what ``--json`` prints and what terminal and page show."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from caudal.errors import NotThere, nearest
from caudal.ledger.ledger import Ledger, Row
from caudal.ledger.records import candidates, decisions, landed, model_versions, runs, steps
from caudal.report.figures import plural

Document = dict[str, Any]

# Metrics in the unit of what is predicted; all others are bare numbers.
DISTANCES = ("mae", "rmse", "medae", "max_error")
TABLES = ("read", "table", "join", "features")


def run_document(ledger: Ledger, run_id: str) -> Document:
    """Return what a run did, JSON-ready.

    Raises
    ------
    NotThere : the ledger knows no such run
    """
    run = run_row(ledger, run_id)
    done = step_rows(ledger, run_id)
    models = {name: _model(ledger, run, name, done) for name in _models(done)}
    document: Document = finite(
        {
            "run_id": run_id,
            "product": run["product"],
            "command": run["command"],
            "state": run["state"],
            "outcome": outcome(run["state"], models),
            "started_at": iso(run["started_at"]),
            "seconds": seconds_of(run, done),
            "who": run["who"],
            "landed": {row["name"]: _landed(ledger, row, done) for row in done if row["kind"] == "land"},
            "tables": {row["name"]: _table(row) for row in done if row["kind"] in TABLES},
            "steps": [_step(row) for row in done],
            "models": models,
            "predictions": {row["name"]: _prediction(row) for row in done if row["kind"] == "predict"},
            "warehouse": {row["name"]: _publication(row) for row in done if row["kind"] == "publish"},
            "page": (run["summary"] or {}).get("page"),
            "error": run["error"],
        }
    )
    return document


def run_row(ledger: Ledger, run_id: str) -> Row:
    """Return a run's row of the ledger."""
    found = ledger.find(runs, run_id=run_id)
    if not found:
        known = [row["run_id"] for row in ledger.find(runs, newest=True, limit=200)]
        raise NotThere(f"The ledger knows no run '{run_id}'.", nearest=nearest(run_id, known), run_id=run_id)
    return found[0]


def step_rows(ledger: Ledger, run_id: str) -> list[Row]:
    """Return a run's steps in the order in which they ended; one that was told twice as it was told last."""
    return list({row["step"]: row for row in ledger.find(steps, run_id=run_id)}.values())


def seconds_of(run: Row, done: list[Row]) -> float | None:
    """Return how long a run took; for one that died, until the last that was heard of it."""
    if run["state"] == "abandoned":
        heard = [row["finished_at"] for row in done if row["finished_at"] is not None]
        return round(max(heard) - run["started_at"], 4) if heard else None
    return None if run["finished_at"] is None else round(run["finished_at"] - run["started_at"], 4)


def iso(at: float | None) -> str | None:
    """Return seconds since 1970 as an ISO time in UTC.

    Examples
    --------
    >>> iso(0.5)
    '1970-01-01T00:00:00Z'
    """
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def finite(of: Any) -> Any:
    """Return a copy with null for each number that JSON does not know."""
    if isinstance(of, dict):
        return {str(name): finite(one) for name, one in of.items()}
    if isinstance(of, list | tuple):
        return [finite(one) for one in of]
    return None if isinstance(of, float) and not math.isfinite(of) else of


def detail_of(row: Row | None) -> dict[str, Any]:
    """Return what a step says beside its figures."""
    return dict(row["detail"] or {}) if row else {}


def outcome(state: str, models: Mapping[str, Mapping[str, Any]]) -> str:
    """Return how a run ended, in words: a run whose model was refused has not done all that was hoped for.

    Examples
    --------
    >>> outcome("succeeded", {"demand": {"decision": "refused"}, "fare": {"decision": "promoted"}})
    'succeeded, model demand refused'
    >>> outcome("failed", {"demand": {"decision": None}})
    'failed'
    """
    refused = [name for name, model in models.items() if model["decision"] == "refused"]
    if not refused:
        return state
    return f"{state}, model{'s'[: len(refused) > 1]} {' and '.join(refused)} refused"


def rows_learned(rows: Mapping[str, int | None]) -> str:
    """Return how many rows a model learned from, and how many are there to be predicted only.

    Examples
    --------
    >>> rows_learned({"rows": 900, "unlabelled": 100, "older": 0})
    'learned from 900 rows; 100 rows without a label are predicted only'
    >>> rows_learned({"rows": 900, "unlabelled": 0, "older": 50})
    'learned from the newest 900 rows; 50 older rows are left out'
    """
    older, unlabelled = rows.get("older") or 0, rows.get("unlabelled") or 0
    parts = [f"learned from {'the newest ' if older else ''}{plural(rows['rows'] or 0, 'row')}"]
    if unlabelled:
        parts.append(f"{plural(unlabelled, 'row')} without a label {'is' if unlabelled == 1 else 'are'} predicted only")
    if older:
        parts.append(f"{plural(older, 'older row')} {'is' if older == 1 else 'are'} left out")
    return "; ".join(parts)


def _landed(ledger: Ledger, row: Row, done: list[Row]) -> Document:
    files = ledger.find(landed, run_id=row["run_id"], source=row["name"])
    read = _found(done, "read", row["name"])
    rows = row["rows_read"] or (read["rows_read"] if read else None) or 0  # what a stream has brought is counted when it lands
    return {"files": len(files), "rows": rows, "bytes": sum(file["bytes"] for file in files)}


def _table(row: Row) -> Document:
    return {
        "rows_read": row["rows_read"] or 0,
        "rows_written": row["rows_written"] or 0,
        "rows_quarantined": row["rows_quarantined"] or 0,
        "version": row["output_version"],
        "partitions_written": None if row["partitions"] is None and row["state"] == "succeeded" else len(row["partitions"] or ()),
        "reasons": detail_of(row).get("reasons", {}),
    }


def _step(row: Row) -> Document:
    why = detail_of(row).get("why") or ((row["error"] or {}).get("what") if row["state"] == "failed" else None)
    because = detail_of(row).get("because")
    return {
        "step": row["step"],
        "state": row["state"],
        "seconds": row["seconds"] or 0.0,
        "why": why,
        **({"because": because} if because else {}),
    }


def _models(done: list[Row]) -> list[str]:
    return list(dict.fromkeys(row["name"] for row in done if row["kind"] in ("train", "promote")))


def _model(ledger: Ledger, run: Row, name: str, done: list[Row]) -> Document:
    """Return a model's candidates and decision; where nothing was trained, those of the training that still holds."""
    product = run["product"]
    train, promote = _found(done, "train", name), _found(done, "promote", name)
    trained = train
    if train is None or train["state"] != "succeeded":
        before = ledger.find(steps, product=product, step=f"train:{name}", state="succeeded", newest=True)
        trained = next((row for row in before if train is None or row["id"] < train["id"]), None)
    rows = ledger.find(candidates, product=product, model=name, run_id=trained["run_id"]) if trained else []
    version = (
        next(iter(ledger.find(model_versions, product=product, model=name, run_id=trained["run_id"])), None) if trained else None
    )
    decision = next(iter(ledger.find(decisions, product=product, model=name, run_id=run["run_id"], newest=True)), None)
    metric = rows[0]["metric"] if rows else None
    unit = ((version["signature"].get("output") or {}).get("unit")) if version and metric in DISTANCES else None
    said = detail_of(promote)
    return {
        "candidates": [
            {key: row[key] for key in ("candidate", "score", "spread", "chosen", "baseline", "seconds", "error")}
            for row in sorted(rows, key=lambda row: _rank(row, _better(metric)))
        ],
        "metric": metric,
        "better": _better(metric),
        "unit": unit,
        "rule": detail_of(trained).get("rule") or (version or {}).get("rule"),
        "decision": decision["decision"] if decision else said.get("decision"),
        "version": decision["version"] if decision else (version["version"] if version else None),
        "replaced": decision["replaced"] if decision else None,
        "in_production": _in_production(ledger, run, name),
        "gates": list(decision["gates"] if decision else said.get("gates", ())),
        "trained_in": trained["run_id"] if trained else None,
        "holdout": (version or {}).get("holdout"),
        "rows": {name: detail_of(trained).get(name) for name in ("rows", "unlabelled", "older")} if trained else None,
    }


def _in_production(ledger: Ledger, run: Row, model: str) -> int | None:
    """Return the champion as the run left it."""
    until = math.inf if run["finished_at"] is None else run["finished_at"]
    made = ledger.find(decisions, product=run["product"], model=model, decision=["promoted", "rolled back"], newest=True)
    order = {row["run_id"]: row["seq"] for row in ledger.find(runs, product=run["product"])} if made else {}
    for row in made:  # what a run decided has that run's place; a decision by hand has only its time
        if order[row["run_id"]] <= run["seq"] if row["run_id"] in order else row["at"] <= until:
            return int(row["version"])
    return None


def _better(metric: str | None) -> str | None:
    """Return whether lower or higher values of a metric are better; None for one that is not known."""
    from caudal.declarations.metrics import METRICS

    return next((known[metric] for known in METRICS.values() if metric in known), None) if metric else None


def _rank(row: Row, better: str | None) -> float:
    """Return what sorts the best candidate first and those without a score last."""
    if row["score"] is None or not math.isfinite(row["score"]):
        return math.inf
    return -float(row["score"]) if better == "higher" else float(row["score"])


def _publication(row: Row) -> Document:
    said = detail_of(row)
    return {
        "place": said.get("place"),
        "rows": row["rows_written"] or 0,
        "version": row["output_version"],
        "days": None if row["partitions"] is None else len(row["partitions"]),
        "note": said.get("note"),
        "zeros": said.get("zeros", {}),
    }


def _prediction(row: Row) -> Document:
    said = detail_of(row)
    rows = row["rows_written"] if row["rows_written"] is not None else said.get("rows")
    return {"rows": rows or 0, "model_version": said.get("model_version"), "version": row["output_version"]}


def _found(done: list[Row], kind: str, name: str) -> Row | None:
    return next((row for row in done if row["kind"] == kind and row["name"] == name), None)
