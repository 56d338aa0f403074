"""Where a trace ends: models with what they learned from, and raw files with their hashes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

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
    """What has been found, table by table, nearest first."""

    product: Product
    home: Home
    ledger: Ledger
    hops: list[dict[str, Any]] = field(default_factory=list)
    segments: dict[str, set[str]] = field(default_factory=dict)  # by source
    models: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)


def model_of(told: Trace, model: str, number: int) -> dict[str, Any]:
    """Return what is known of a model's version: what it learned from, down to the raw files, and who let it into production."""
    rows = told.ledger.find(model_versions, product=told.product.name, model=model, version=number)
    if not rows:
        return {"model": model, "version": number, "unknown": "the ledger has no such version"}
    row = rows[0]
    decided = told.ledger.find(decisions, product=told.product.name, model=model, version=number)
    files: dict[str, set[str]] = {}
    _segments(told, row["training_table"], row["training_version"], files)
    return {
        "model": model, "version": number, "candidate": row["candidate"], "artifact": row["artifact"], "artifact_sha256": row["artifact_sha256"],
        "code": row["code"], "run_id": row["run_id"], "created_at": row["created_at"], "metrics": row["metrics"],
        "training": {
            "table": row["training_table"], "version": row["training_version"], "rows": row["training_rows"], "from": row["training_from"],
            "until": row["training_until"], "raw_files": {name: sorted(file) for name, file in files.items()},
        },
        "decisions": [{name: one[name] for name in ("decision", "who", "at", "reason", "run_id")} for one in decided],
    }  # fmt: skip


def _segments(told: Trace, table: str, number: int, into: dict[str, set[str]]) -> None:
    """Collect the raw files that a table's version was made of, by the versions that it read."""
    said = delta.identity(told.home.table(told.product.name, table), number)
    into.setdefault(table, set()).update(said.get("segments", ())) if said.get("segments") else None
    for name, version in said.get("inputs", {}).items():
        if name in told.product.nodes:
            _segments(told, name, int(version), into)


def raw_files(told: Trace, source: str, names: Iterable[str]) -> list[dict[str, object]]:
    """Return landed files by the names that rows give them, and whether their bytes are still those that came."""
    rows = {row["sha256"][:16]: row for row in told.ledger.find(landed, product=told.product.name, source=source)}
    found: list[dict[str, object]] = []
    for name in sorted(names):
        row = rows.get(name)
        if row is None:
            found.append({"source": source, "name": name, "sha256": None, "state": "unknown to the ledger"})
            continue
        file = store_path(told.home.raw(told.product.name, source), row["sha256"], row["path"])
        found.append({
            "source": source, "from": row["path"], "landed_at": row["landed_at"], "run_id": row["run_id"], "sha256": row["sha256"], "bytes": row["bytes"],
            "stored": str(file), "state": _state(file, row),
        })  # fmt: skip
    return found


def _state(file: Place, row: LandedRow) -> str:
    try:
        with file.open("rb") as raw:
            same = hashlib.file_digest(raw, "sha256").hexdigest() == row["sha256"]
    except OSError:
        return "missing"
    return "verified" if same else "changed"
