"""A kind of node as another package gives it, whole in this file: a table written as CSV, and a receipt for it.

``tests/flow/test_toy_kind.py`` installs it. Its entry points: ``caudal.nodes`` to ``KIND``, ``caudal.steps`` to ``STEPS``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caudal.batch.step import StepResult, skipped
from caudal.declarations.custom import CustomNode
from caudal.graph.fingerprint import code_of, digest
from caudal.graph.node_kind import NodeKind, StepKind, Style
from caudal.runtime.workspace import Workspace
from caudal.storage import delta
from caudal.tables.frames import arrow


@dataclass(frozen=True, kw_only=True)
class Export(CustomNode):
    """A table that is written into a folder as CSV."""

    to: str


class ExportKind(NodeKind[Export]):
    """Drawn beside its table; follows it in a run and in a backfill, which gives no receipt."""

    name = "export"
    label = "export"
    declaration = Export
    style = Style("✎", "#7a4f2a", "#d8b08c")
    steps = (
        StepKind("export", section="exports", verb="EXPORT"),
        StepKind("receipt", in_backfill=False, when_unchanged="every export has a receipt"),
    )
    follows = True

    def step_document(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return the rows, and the file's name."""
        return {"rows": row["rows_written"], "note": (row["detail"] or {}).get("file")}


def export(ws: Workspace, declared: Export) -> StepResult:
    """Write the table's newest version, unless that is done."""
    table = declared.inputs[0]
    version = delta.read_version(ws.tables.folder(table))
    inputs = {table: version.number}
    fingerprint = digest(code_of(declared), inputs)
    last = ws.record.ledger.last_success(ws.product.name, f"export:{declared.name}")
    file = Path(declared.to, f"{declared.name}.csv")
    if file.exists() and last is not None and last["fingerprint"] == fingerprint:
        return skipped("up to date", fingerprint=fingerprint, inputs=inputs)
    rows = arrow(version).to_pandas()
    rows = rows[[name for name in rows if not name.startswith("_")]]
    rows.to_csv(file, index=False)
    return StepResult(
        fingerprint=fingerprint, inputs=inputs, rows_read=len(rows), rows_written=len(rows), detail={"file": file.name}
    )


def receipt(ws: Workspace, declared: Export) -> StepResult:
    """Add a line for this run."""
    with Path(declared.to, "receipts.txt").open("a", encoding="utf-8") as receipts:
        receipts.write(f"{ws.record.run_id} {declared.name}\n")
    return StepResult()


KIND = ExportKind()
STEPS = {("export", "export"): export, ("export", "receipt"): receipt}
