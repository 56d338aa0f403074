"""``publish:<name>`` of a star: its dimensions and facts brought to a warehouse together."""

from __future__ import annotations

from caudal.batch.step import StepResult, skipped
from caudal.batch.steps.warehouse import said_of
from caudal.declarations.star import Star
from caudal.extras import require
from caudal.graph.fingerprint import code_of, digest
from caudal.runtime.workspace import Workspace
from caudal.secret import shown


def work(ws: Workspace, star: Star) -> StepResult:
    """Bring a star to the newest versions of its tables."""
    url = star.to.url(ws.settings.warehouse)
    if url is None:
        return skipped("no warehouse is set (CAUDAL_WAREHOUSE)")
    inputs = {name: number for name in star.tables if (number := ws.version(name)) is not None}
    if missing := [name for name in star.tables if name not in inputs]:
        return skipped(f"'{missing[0]}' has not been published yet")
    said = {name: said_of(ws.product.nodes.get(name), {}) for name in star.tables}
    fingerprint = digest(code_of(star), said, shown(url), inputs)
    last = ws.ledger.last_success(ws.product.name, f"publish:{star.name}")
    version = max(inputs.values())
    if last is not None and last["fingerprint"] == fingerprint:
        return skipped("up to date", fingerprint=fingerprint, inputs=inputs, output_version=version)
    require("psycopg", extra="postgres", for_="PostgreSQL")
    from caudal.warehouses.connect import connected
    from caudal.warehouses.star.publish import LakeTable, publish

    given = {name: LakeTable(ws.folder(name), number, *said[name]) for name, number in inputs.items()}
    with connected(url, ws.product.tz) as connection:
        ws.held()
        outcome = publish(connection, star, ws.product.name, given, ws.run_id)
    return StepResult(
        fingerprint=fingerprint, inputs=inputs, output_version=version, rows_read=outcome.rows, rows_written=outcome.rows,
        partitions=[day or "unknown" for day in outcome.days or ()], detail={"note": outcome.note, "place": star.place},
    )  # fmt: skip


STEPS = {("star", "publish"): work}
