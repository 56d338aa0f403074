"""``publish:<name>`` of a star: publish its dimensions and facts to a warehouse together."""

from __future__ import annotations

from caudal.batch.step import StepResult, skipped, up_to_date
from caudal.batch.steps.warehouse import comments_of
from caudal.declarations.star import Star
from caudal.extras import require
from caudal.graph.fingerprint import code_of, digest
from caudal.runtime.workspace import Workspace
from caudal.secret import shown


def work(ws: Workspace, star: Star) -> StepResult:
    """Publish the newest versions of a star's tables."""
    url = star.to.url(ws.settings.warehouse)
    if url is None:
        return skipped("no warehouse is set (CAUDAL_WAREHOUSE)")
    inputs = {name: number for name in star.tables if (number := ws.tables.version(name)) is not None}
    if missing := [name for name in star.tables if name not in inputs]:
        return skipped(f"'{missing[0]}' has not been published yet")
    comments_by_table = {name: comments_of(ws.product.nodes.get(name), {}) for name in star.tables}
    fingerprint = digest(code_of(star), comments_by_table, shown(url), inputs)
    last_row = ws.record.ledger.last_success(ws.product.name, f"publish:{star.name}")
    version = max(inputs.values())
    if (current := up_to_date(last_row, fingerprint, inputs, version)) is not None:
        return current
    require("psycopg", extra="postgres", for_="PostgreSQL")
    from caudal.warehouses.connect import connected
    from caudal.warehouses.star.publish import LakeTable, publish_star

    lake_tables = {name: LakeTable(ws.tables.folder(name), number, *comments_by_table[name]) for name, number in inputs.items()}
    with connected(url, ws.product.tz) as connection:
        ws.record.check_claim()
        outcome = publish_star(connection, star, ws.product.name, lake_tables, ws.record.run_id)
    return StepResult(
        fingerprint=fingerprint, inputs=inputs, output_version=version, rows_read=outcome.rows, rows_written=outcome.rows,
        partitions=[day or "unknown" for day in outcome.days or ()], detail={"note": outcome.note, "place": star.place},
    )  # fmt: skip


STEPS = {("star", "publish"): work}
