"""The ends of a trace: models with their training data, and raw files with their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from caudal.declarations.product import Product
from caudal.ledger.ledger import Ledger
from caudal.ledger.records import decisions, landed, model_versions
from caudal.ledger.rows import LandedRow
from caudal.storage import delta
from caudal.storage.place import Place
from caudal.tables.home import Home
from caudal.tables.landing import store_path


@dataclass
class Trace:
    """The result of a trace, table by table, nearest first."""

    product: Product
    home: Home
    ledger: Ledger
    hops: list[dict[str, object]] = field(default_factory=list)
    segments: dict[str, set[str]] = field(default_factory=dict)  # by source
    models: dict[tuple[str, int], dict[str, object]] = field(default_factory=dict)


def model_origin(result: Trace, model: str, number: int) -> dict[str, object]:
    """Return the record of a model version: its training data, down to the raw files, and the decisions about it."""
    rows = result.ledger.find(model_versions, product=result.product.name, model=model, version=number)
    if not rows:
        return {"model": model, "version": number, "unknown": "the ledger has no such version"}
    row = rows[0]
    decision_rows = result.ledger.find(decisions, product=result.product.name, model=model, version=number)
    files: dict[str, set[str]] = {}
    _segments(result, row["training_table"], row["training_version"], files)
    return {
        "model": model, "version": number, "candidate": row["candidate"], "artifact": row["artifact"], "artifact_sha256": row["artifact_sha256"],
        "code": row["code"], "run_id": row["run_id"], "created_at": row["created_at"], "metrics": row["metrics"],
        "training": {
            "table": row["training_table"], "version": row["training_version"], "rows": row["training_rows"], "from": row["training_from"],
            "until": row["training_until"], "raw_files": {name: sorted(file) for name, file in files.items()},
        },
        "decisions": [{name: decision[name] for name in ("decision", "who", "at", "reason", "run_id")} for decision in decision_rows],
    }  # fmt: skip


def _segments(result: Trace, table: str, number: int, into: dict[str, set[str]]) -> None:
    """Collect the raw files that a table version was made of, through the versions that it read."""
    identity = delta.identity(result.home.table(result.product.name, table), number)
    into.setdefault(table, set()).update(identity.get("segments", ())) if identity.get("segments") else None
    for name, version in identity.get("inputs", {}).items():
        if name in result.product.nodes:
            _segments(result, name, int(version), into)


def traced_files(result: Trace, source: str, names: Iterable[str]) -> list[dict[str, object]]:
    """Return landed files by the names that rows give them, and whether their bytes are unchanged."""
    rows = {row["sha256"][:16]: row for row in result.ledger.find(landed, product=result.product.name, source=source)}
    documents: list[dict[str, object]] = []
    for name in sorted(names):
        row = rows.get(name)
        if row is None:
            documents.append({"source": source, "name": name, "sha256": None, "state": "unknown to the ledger"})
            continue
        file = store_path(result.home.raw(result.product.name, source), row["sha256"], row["path"])
        documents.append({
            "source": source, "from": row["path"], "landed_at": row["landed_at"], "run_id": row["run_id"], "sha256": row["sha256"], "bytes": row["bytes"],
            "stored": str(file), "state": _state(file, row),
        })  # fmt: skip
    return documents


def _state(file: Place, row: LandedRow) -> str:
    try:
        with file.open("rb") as raw:
            unchanged = hashlib.file_digest(raw, "sha256").hexdigest() == row["sha256"]
    except OSError:
        return "missing"
    return "verified" if unchanged else "changed"
